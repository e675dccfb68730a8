package stored_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/engine/stored"
	"rosterd/store"
)

func jid(name string) addr.Bare {
	if strings.Contains(name, "@") {
		return addr.MustBare(name)
	}
	return addr.MustBare(name + "@example.com")
}

// rosters are kept in a database.
func rosters(t testing.TB, change func(*stored.Rosters)) *stored.Rosters {
	t.Helper()
	db, err := store.OpenMemory(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	r := &stored.Rosters{Values: db.Stores("example.com").Keyed("roster")}
	if change != nil {
		change(r)
	}
	return r
}

// kept is a store that is never slow, for tests that change much.
type kept struct {
	mu     sync.Mutex
	values map[addr.Bare]map[string][]byte
}

func (k *kept) All(_ context.Context, user addr.Bare) (map[string][]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.values[user]), nil
}

func (k *kept) Change(_ context.Context, user addr.Bare, values map[string][]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.values == nil {
		k.values = make(map[addr.Bare]map[string][]byte)
	}
	if k.values[user] == nil {
		k.values[user] = make(map[string][]byte)
	}
	for key, v := range values {
		if v == nil {
			delete(k.values[user], key)
		} else {
			k.values[user][key] = v
		}
	}
	return nil
}

func short(i *roster.Item) string {
	if i == nil {
		return "-"
	}
	s := i.Subscription.String()
	if i.Ask {
		s += " ask"
	}
	if i.Approved {
		s += " approved"
	}
	if i.Name != "" {
		s += " " + i.Name
	}
	if len(i.Groups) > 0 {
		s += fmt.Sprint(" ", i.Groups)
	}
	return s
}

// outcome is what an edit has come to, in a line.
func outcome(e engine.Edited, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	s := short(e.New)
	if o := short(e.Old); o != s {
		s = o + " → " + s
	}
	for _, a := range e.Route {
		s += "; " + string(a)
	}
	if e.Deliver {
		s += "; deliver"
	}
	if e.Answer != "" {
		s += "; answer " + string(e.Answer)
	}
	return s
}

// contents is a roster, and who asks.
func contents(t *testing.T, r *stored.Rosters, user string) string {
	t.Helper()
	ans, err := r.Fetch(t.Context(), engine.Request{User: jid(user)})
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for i := range ans.Roster.All() {
		words = append(words, i.JID.Local()+": "+short(&i))
	}
	for _, b := range ans.Dropped {
		words = append(words, b.String())
	}
	pending, err := r.Pending(t.Context(), jid(user))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pending {
		words = append(words, p.From.Local()+" asks "+string(p.Stanza))
	}
	return strings.Join(words, ", ")
}

// The lines are edits of Romeo's roster, "ACTION CONTACT [NAME [GROUP…]]", and what they come to. "?" is what is in it.
func TestEdit(t *testing.T) {
	for name, script := range map[string]string{
		"name and groups (RFC 6121 §2.3, §2.4)": `
			set juliet                     | - → none
			set juliet Juliet Friends      | none → none Juliet [Friends]
			set juliet Juliet Friends      | none Juliet [Friends]
			set juliet J B A  A            | none Juliet [Friends] → none J [A B]
			set nurse                      | - → none
			?                              | juliet: none J [A B], nurse: none
			set juliet                     | none J [A B] → none
		`,
		"remove (§2.5)": `
			remove juliet                  | error: remove juliet@example.com in the roster of romeo@example.com: no such contact
			set juliet                     | - → none
			remove juliet                  | none → -
			out-subscribe juliet           | - → none ask; out-subscribe
			remove juliet                  | none ask → -; out-unsubscribe
			in-subscribe juliet            | -; deliver
			remove juliet                  | error: remove juliet@example.com in the roster of romeo@example.com: no such contact
			set juliet                     | - → none
			remove juliet                  | none → -; out-unsubscribed
			?                              |
		`,
		"a subscription is asked for and granted (§3.1)": `
			set juliet Juliet              | - → none Juliet
			out-subscribe juliet           | none Juliet → none ask Juliet; out-subscribe
			out-subscribe juliet           | none ask Juliet; out-subscribe
			in-subscribed juliet           | none ask Juliet → to Juliet; deliver
			in-subscribed juliet           | to Juliet
			in-subscribe juliet            | to Juliet; deliver
			?                              | juliet: to Juliet, juliet asks <in-subscribe juliet/>
			in-subscribe juliet            | to Juliet
			out-subscribed juliet          | to Juliet → both Juliet; out-subscribed
			?                              | juliet: both Juliet
			in-subscribe juliet            | both Juliet; answer out-subscribed
			remove juliet                  | both Juliet → -; out-unsubscribe; out-unsubscribed
		`,
		"refused, taken back and ended (§3.2, §3.3)": `
			out-subscribe juliet           | - → none ask; out-subscribe
			in-unsubscribed juliet         | none ask → none; deliver
			out-subscribe juliet           | none → none ask; out-subscribe
			out-unsubscribe juliet         | none ask → none; out-unsubscribe
			in-subscribe juliet            | none; deliver
			in-unsubscribe juliet          | none; deliver
			in-unsubscribe juliet          | none
			in-subscribe juliet            | none; deliver
			out-subscribed juliet          | none → from; out-subscribed
			out-unsubscribed juliet        | from → none; out-unsubscribed
			out-unsubscribed juliet        | none
			?                              | juliet: none
		`,
		"somebody unknown asks": `
			in-subscribe paris             | -; deliver
			in-subscribe tybalt            | -; deliver
			?                              | paris asks <in-subscribe paris/>, tybalt asks <in-subscribe tybalt/>
			out-unsubscribed paris         | -; out-unsubscribed
			in-subscribe paris             | -; deliver
			?                              | tybalt asks <in-subscribe tybalt/>, paris asks <in-subscribe paris/>
			out-subscribed paris           | - → from; out-subscribed
			?                              | paris: from, tybalt asks <in-subscribe tybalt/>
			set tybalt Cat                 | - → none Cat
			out-subscribe tybalt           | none Cat → none ask Cat; out-subscribe
			in-unsubscribed nurse          | -
			out-unsubscribe nurse          | -; out-unsubscribe
			?                              | paris: from, tybalt: none ask Cat, tybalt asks <in-subscribe tybalt/>
		`,
		"approved in advance (§3.4)": `
			out-subscribed juliet          | - → none approved
			set juliet Juliet              | none approved → none approved Juliet
			in-subscribe juliet            | none approved Juliet → from approved Juliet; answer out-subscribed
			out-unsubscribed juliet        | from approved Juliet → none Juliet; out-unsubscribed
			out-subscribed juliet          | none Juliet → none approved Juliet
			out-unsubscribed juliet        | none approved Juliet → none Juliet
			?                              | juliet: none Juliet
		`,
		"what cannot be": `
			set romeo                      | error: "romeo@example.com" is no contact
			out-subscribe romeo            | error: "romeo@example.com" is no contact
			dance juliet                   | error: "dance" is no action
			set juliet LONG                | error: name of 2000 bytes, more than 1023
			set juliet J MANY              | error: 65 groups, more than 64
			set juliet J WIDE              | error: name and groups of 12049 bytes, more than 8192
			?                              |
		`,
	} {
		t.Run(name, func(t *testing.T) {
			r := rosters(t, nil)
			for line := range strings.Lines(script) {
				do, want, ok := strings.Cut(strings.TrimSpace(line), "|")
				if !ok {
					continue
				}
				do, want = strings.TrimSpace(do), strings.TrimSpace(want)
				got := contents
				if do == "?" {
					if got := got(t, r, "romeo"); got != want {
						t.Fatalf("?\n%s\nwant\n%s", got, want)
					}
					continue
				}
				is := outcome(r.Edit(t.Context(), edit(do)))
				if is != want && !(strings.HasPrefix(want, "error: ") && strings.HasPrefix(is, "error: ") && strings.Contains(is, want[len("error: "):])) {
					t.Fatalf("%s\n%s\nwant\n%s", do, is, want)
				}
			}
		})
	}
}

// edit reads "ACTION CONTACT [NAME [GROUP…]]".
func edit(text string) engine.Edit {
	words := append(strings.Fields(text), "")
	e := engine.Edit{User: jid("romeo"), Action: engine.Action(words[0]), Contact: jid(words[1]), Item: roster.Item{Name: words[2]}}
	if e.Action == engine.InSubscribe {
		e.Stanza = []byte("<" + text + "/>")
	}
	if len(words) > 3 {
		e.Item.Groups = words[3:]
	}
	switch {
	case e.Item.Name == "LONG":
		e.Item.Name = strings.Repeat("n", 2000)
	case strings.Contains(text, " MANY"):
		e.Item.Groups = make([]string, 65)
	case strings.Contains(text, " WIDE"):
		e.Item.Groups = nil
		for i := range 12 {
			e.Item.Groups = append(e.Item.Groups, strings.Repeat(string(rune('a'+i)), 1000))
		}
	}
	return e
}

func TestEditOnce(t *testing.T) {
	r := rosters(t, nil)
	do := func(id, text string) string {
		e := edit(text)
		e.ID = id
		return outcome(r.Edit(t.Context(), e))
	}
	do("1", "out-subscribe juliet")
	if got := do("2", "remove juliet"); got != "none ask → -; out-unsubscribe" {
		t.Fatal(got)
	}
	do("3", "set juliet J")
	if got := do("2", "remove juliet"); got != "none ask → -; out-unsubscribe" {
		t.Errorf("the same edit again: %s", got)
	}
	if got := contents(t, r, "romeo"); got != "juliet: none J" {
		t.Errorf("made twice: %s", got)
	}
	for i := range 20 {
		do(fmt.Sprint("x", i), fmt.Sprint("set juliet ", i))
	}
	values, err := r.Values.All(t.Context(), jid("romeo"))
	if err != nil || len(values) != 2 || strings.Count(string(values[""]), `"id"`) != 8 {
		t.Errorf("what is kept: %q, %v", values, err)
	}
}

func TestLimits(t *testing.T) {
	r := rosters(t, func(r *stored.Rosters) { r.Limits = stored.Limits{Items: 2, Requests: 1, Bytes: 2000} })
	for _, step := range []struct{ do, want string }{
		{"set a", "- → none"},
		{"out-subscribe b", "- → none ask; out-subscribe"},
		{"set c", "error: roster of romeo@example.com: the roster is full: more than 2 contacts"},
		{"out-subscribe c", "error: roster of romeo@example.com: the roster is full: more than 2 contacts"},
		{"set a Name", "none → none Name"},
		{"in-subscribe d", "-; deliver"},
		{"in-subscribe e", "-; answer out-unsubscribed"},
		{"in-subscribe d", "-"},
		{"in-subscribe a", "none Name; answer out-unsubscribed"},
		{"out-subscribed d", "error: roster of romeo@example.com: the roster is full: more than 2 contacts"},
		{"out-unsubscribed d", "-; out-unsubscribed"},
		{"set a LARGE", "none Name → none 900"},
		{"set b LARGE", "error: roster of romeo@example.com: the roster is full: more than 2000 bytes"},
		{"in-subscribe d", "-; deliver"},
		{"set a", "none 900 → none"},
		{"remove b", "none ask → -; out-unsubscribe"},
		{"set c", "- → none"},
	} {
		e := edit(step.do)
		if e.Item.Name == "LARGE" {
			e.Item.Name = strings.Repeat("n", 900)
		}
		got := outcome(r.Edit(t.Context(), e))
		if got = strings.ReplaceAll(got, strings.Repeat("n", 900), "900"); got != step.want {
			t.Errorf("%s: %s, want %s", step.do, got, step.want)
		}
	}
	long := edit("in-subscribe x")
	long.Stanza = make([]byte, 10_000)
	if _, err := r.Edit(t.Context(), long); !errors.Is(err, engine.ErrDenied) {
		t.Errorf("a request of 10,000 bytes: %v", err)
	}
	if _, err := r.Edit(t.Context(), edit("set y")); !errors.Is(err, engine.ErrFull) {
		t.Errorf("too many: %v", err)
	}
}

func TestImport(t *testing.T) {
	asked := 0
	var broken error
	r := rosters(t, func(r *stored.Rosters) {
		r.Import = func(_ context.Context, user addr.Bare) ([]stored.Entry, []roster.BadItem, error) {
			asked++
			return []stored.Entry{
				{Contact: jid("juliet"), Item: &roster.Item{JID: jid("juliet"), Name: "J", Subscription: roster.Both, Ask: true}, Asks: true, Stanza: []byte("<asked/>")},
				{Contact: jid("romeo"), Item: &roster.Item{JID: jid("romeo"), Subscription: roster.Both}},
				{Contact: jid("paris"), Asks: true, Stanza: []byte("<p/>")},
				{Contact: jid("tybalt"), Asks: true, Stanza: []byte("<t/>")},
				{Contact: jid("nobody")},
			}, []roster.BadItem{{JID: "a b", Reason: "odd"}}, broken
		}
	})
	const before = `juliet: both J, "a b": odd, paris asks <p/>, tybalt asks <t/>`
	if got := contents(t, r, "romeo"); got != before {
		t.Errorf("got %s, want %s", got, before)
	}
	if values, err := r.Values.All(t.Context(), jid("romeo")); err != nil || len(values) > 0 {
		t.Errorf("to look has changed something: %q, %v", values, err)
	}
	broken = errors.New("line 3")
	if _, err := r.Edit(t.Context(), edit("set nurse")); !errors.Is(err, broken) {
		t.Errorf("the import fails: %v", err)
	}
	if _, err := r.Fetch(t.Context(), engine.Request{User: jid("romeo")}); !errors.Is(err, broken) {
		t.Errorf("the import fails: %v", err)
	}
	broken = nil
	for _, do := range []string{"out-subscribed paris", "remove juliet"} {
		if got := outcome(r.Edit(t.Context(), edit(do))); strings.HasPrefix(got, "error") {
			t.Fatal(got)
		}
	}
	asked = 0
	const after = "paris: from, tybalt asks <t/>"
	if got := contents(t, r, "romeo"); got != after || asked > 0 {
		t.Errorf("got %s, want %s; imported %d times after the first change", got, after, asked)
	}
}

// Whoever is deleted leaves nothing behind in the rosters of others but a contact who is nobody's.
func TestLeave(t *testing.T) {
	r := rosters(t, nil)
	for _, do := range []string{
		"romeo out-subscribe juliet", "juliet in-subscribe romeo", "juliet out-subscribed romeo", "romeo in-subscribed juliet",
		"romeo out-subscribe nurse", "nurse in-subscribe romeo", "paris out-subscribe romeo", "romeo in-subscribe paris", "romeo set tybalt",
	} {
		w := strings.Fields(do)
		if _, err := r.Edit(t.Context(), engine.Edit{User: jid(w[0]), Action: engine.Action(w[1]), Contact: jid(w[2]), Stanza: []byte("<s/>")}); err != nil {
			t.Fatal(err)
		}
	}
	edits, err := r.Leave(t.Context(), jid("romeo"))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range edits {
		list = append(list, e.User.Local()+" "+string(e.Action)+" "+e.Contact.Local())
		if _, err := r.Edit(t.Context(), e); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Join(list, ", "); got != "juliet in-unsubscribe romeo, nurse in-unsubscribe romeo, paris in-unsubscribed romeo" {
		t.Errorf("left with %s", got)
	}
	for user, want := range map[string]string{"juliet": "romeo: none", "nurse": "", "paris": "romeo: none"} {
		if got := contents(t, r, user); got != want {
			t.Errorf("%s has %s, want %s", user, got, want)
		}
	}
}

func TestDamaged(t *testing.T) {
	r := rosters(t, nil)
	put := func(key, value string) {
		t.Helper()
		if err := r.Values.Change(t.Context(), jid("romeo"), map[string][]byte{key: []byte(value)}); err != nil {
			t.Fatal(err)
		}
	}
	put("juliet@example.com", `{"item":{"subscription":"both"}}`)
	put("a b", `{}`)
	put("c@example.com", `{`)
	put("d@example.com", `{"item":{"subscription":"all"}}`)
	put("e@example.com", `{"item":{"subscription":"to","ask":true}}`)
	ans, err := r.Fetch(t.Context(), engine.Request{User: jid("romeo")})
	if err != nil || ans.Roster.Len() != 1 || len(ans.Dropped) != 4 {
		t.Errorf("%v, left out %v, %v", ans.Roster, ans.Dropped, err)
	}
	put("", `[`)
	var permanent *engine.PermanentError
	if _, err := r.Fetch(t.Context(), engine.Request{User: jid("romeo")}); !errors.As(err, &permanent) {
		t.Errorf("%v", err)
	}
}

// Whatever users do to each other, the two sides of a pair fit together once what was routed has arrived: one sees the
// other's presence exactly if the other shows it, and one asks exactly if the other has it to answer.
func TestPairsConverge(t *testing.T) {
	const users, moves = 4, 400
	r := &stored.Rosters{Values: &kept{}, Limits: stored.Limits{Items: 2, Requests: 1}}
	rng := rand.New(rand.NewPCG(1, 2))
	actions := []engine.Action{engine.Set, engine.Remove, engine.OutSubscribe, engine.OutSubscribe, engine.OutSubscribed, engine.OutSubscribed, engine.OutUnsubscribe, engine.OutUnsubscribed}
	arrives := map[engine.Action]engine.Action{engine.OutSubscribe: engine.InSubscribe, engine.OutSubscribed: engine.InSubscribed, engine.OutUnsubscribe: engine.InUnsubscribe, engine.OutUnsubscribed: engine.InUnsubscribed}
	var story []string
	var do func(a engine.Action, user, contact addr.Bare)
	do = func(a engine.Action, user, contact addr.Bare) {
		done, err := r.Edit(t.Context(), engine.Edit{User: user, Contact: contact, Action: a, Item: roster.Item{Name: "x"}, Stanza: []byte("<s/>")})
		story = append(story, fmt.Sprintf("%s %s %s: %s", user.Local(), a, contact.Local(), outcome(done, err)))
		if err != nil && !errors.Is(err, engine.ErrNoItem) && !errors.Is(err, engine.ErrFull) {
			t.Fatal(err)
		}
		for _, a := range done.Route {
			do(arrives[a], contact, user)
		}
		if done.Answer != "" {
			do(arrives[done.Answer], contact, user)
		}
	}
	seen := map[string]bool{}
	for range moves {
		a, b := rng.IntN(users), rng.IntN(users-1)
		if b >= a {
			b++
		}
		user, contact := jid(fmt.Sprint("u", a)), jid(fmt.Sprint("u", b))
		story = nil
		do(actions[rng.IntN(len(actions))], user, contact)
		mine, his := stateOf(t, r, user, contact), stateOf(t, r, contact, user)
		seen[mine.String()] = true
		for _, p := range [][2]roster.State{{mine, his}, {his, mine}} {
			if !p[0].Valid() || p[0].To() != p[1].From() || p[0].PendingOut != p[1].PendingIn {
				t.Fatalf("%s and %s are %q and %q after\n%s", user, contact, mine, his, strings.Join(story, "\n"))
			}
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d states were seen: %v", len(seen), seen)
	}
}

func stateOf(t *testing.T, r *stored.Rosters, user, contact addr.Bare) (s roster.State) {
	t.Helper()
	ans, err := r.Fetch(t.Context(), engine.Request{User: user})
	if err != nil {
		t.Fatal(err)
	}
	i, _ := ans.Roster.Get(contact)
	s = roster.State{Subscription: i.Subscription, PendingOut: i.Ask, Approved: i.Approved}
	pending, err := r.Pending(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pending {
		s.PendingIn = s.PendingIn || p.From == contact
	}
	return s
}

func FuzzDecode(f *testing.F) {
	f.Add("juliet@example.com", []byte(`{"item":{"subscription":"both","name":"J","groups":["a"]},"request":{"seq":1,"stanza":"PGEvPg=="}}`))
	f.Add("", []byte(`{"own":true,"edits":[{"id":"1","contact":"a@b"}]}`))
	f.Fuzz(func(t *testing.T, key string, doc []byte) {
		r := &stored.Rosters{Values: one{key, doc}}
		user := jid("romeo")
		ans, err := r.Fetch(t.Context(), engine.Request{User: user})
		if err != nil {
			return
		}
		if n := ans.Roster.Len() + len(ans.Dropped); n > 1 {
			t.Errorf("%d contacts of one value", n)
		}
		for i := range ans.Roster.All() {
			if _, err := r.Edit(t.Context(), engine.Edit{User: user, Contact: i.JID, Action: engine.Remove}); err != nil {
				t.Errorf("%v cannot be removed: %v", i, err)
			}
		}
	})
}

// one is a store of one value.
type one struct {
	key string
	doc []byte
}

func (o one) All(context.Context, addr.Bare) (map[string][]byte, error) {
	return map[string][]byte{o.key: o.doc}, nil
}

func (o one) Change(context.Context, addr.Bare, map[string][]byte) error { return nil }
