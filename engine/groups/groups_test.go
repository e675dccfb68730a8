package groups_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/groups"
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

// parse reads a file in which nothing is wrong.
func parse(t *testing.T, text string) *groups.Set {
	t.Helper()
	f, problems := groups.Parse([]byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return f
}

func short(i *roster.Item) string {
	if i == nil {
		return "-"
	}
	return fmt.Sprintf("%s %s %q %q", strings.TrimSuffix(i.JID.String(), "@example.com"), i.Subscription, i.Name, i.Groups)
}

func contents(t *testing.T, b engine.Backend, user string) string {
	t.Helper()
	ans, err := b.Fetch(t.Context(), engine.Request{User: jid(user)})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i := range ans.Roster.All() {
		lines = append(lines, short(&i))
	}
	return strings.Join(lines, "; ")
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       map[string]string // user → roster
		problems   string
	}{
		{name: "nothing", want: map[string]string{"romeo": ""}},
		{name: "as in Prosody's documentation", file: "[Support Team]\nsupport@example.com=Support\njohn@example.com=John Smith\n\n[Admins]\nadmin@example.com\njohn@example.com\n",
			want: map[string]string{
				"john":    `admin both "" ["Admins"]; support both "Support" ["Support Team"]`,
				"support": `john both "John Smith" ["Support Team"]`,
				"admin":   `john both "" ["Admins"]`,
				"romeo":   "",
			}},
		{name: "of everybody", file: "[+Help Desk]\nhelp@example.com=Help\nfire@elsewhere.example=Fire",
			want: map[string]string{
				"romeo": `fire@elsewhere.example both "Fire" ["Help Desk"]; help both "Help" ["Help Desk"]`,
				"help":  `fire@elsewhere.example both "Fire" ["Help Desk"]`,
			}},
		{name: "before the first group", file: "a@example.com\nb@example.com = B \n",
			want: map[string]string{"a": `b both " B " ["default"]`, "b": `a both "" ["default"]`}},
		{name: "a group again, and a member", file: "[G]\r\na@example.com=One\r\n[H]\r\n[G]\r\nb@example.com\r\na@example.com=Two=2\r\n",
			want: map[string]string{"b": `a both "Two=2" ["G"]`}},
		{name: "in two groups", file: "[G]\na@example.com=A\nb@example.com\n[H]\na@example.com\nb@example.com",
			want: map[string]string{"b": `a both "A" ["G" "H"]`}},
		{name: "prepared", file: "\uFEFF [ Gr ö ] \n A@EXAMPLE.com=Ä\n\tb@example.com/x is left out\n\tb@example.com and more",
			want: map[string]string{"b": `a both "Ä" [" Gr ö "]`}, problems: `line 3: "b@example.com/x" is no JID of a user`},
		{name: "what is wrong", file: "[]\na@example.com\n[G\nx@\n[G]\na@example.com\nb@example.com=\x01\nc@example.com\nexample.com\n",
			want: map[string]string{"a": `c both "" ["G"]; example.com both "" ["G"]`}, problems: "line 1: a group with a name that no roster can have: it is empty; line 7: the name of b@example.com: text holds U+0001, which XML cannot carry"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, problems := groups.Parse([]byte(tt.file))
			var live groups.Feed
			live.Live.Store(f)
			for user, want := range tt.want {
				if got := contents(t, groups.Rosters{Own: groups.Nobody, Groups: &live}, user); got != want {
					t.Errorf("%s: %s, want %s", user, got, want)
				}
			}
			var said []string
			for _, p := range problems {
				said = append(said, p.String())
			}
			if got := strings.Join(said, "; "); got != tt.problems {
				t.Errorf("problems %s, want %s", got, tt.problems)
			}
		})
	}
}

func TestChanged(t *testing.T) {
	before := parse(t, "[G]\na@example.com\nb@example.com\n[H]\nc@example.com\nd@example.com")
	everybody := []addr.Bare{jid("a"), jid("b"), jid("c"), jid("d"), jid("e")}
	for _, tt := range []struct{ name, file, want string }{
		{"the same", "[G]\na@example.com\nb@example.com\n[H]\nc@example.com\nd@example.com", "[]"},
		{"written otherwise", "[H]\nd@example.com\nc@example.com\n[G]\na@example.com\nb@example.com", "[]"},
		{"another name", "[G]\na@example.com\nb@example.com\n[H]\nc@example.com=C\nd@example.com", "[c@example.com d@example.com]"},
		{"a member more", "[G]\na@example.com\nb@example.com\ne@example.com\n[H]\nc@example.com\nd@example.com", "[a@example.com b@example.com e@example.com]"},
		{"everybody's", "[G]\na@example.com\nb@example.com\n[+H]\nc@example.com\nd@example.com", "[a@example.com b@example.com e@example.com]"},
		{"gone", "", "[a@example.com b@example.com c@example.com d@example.com]"},
	} {
		if got := fmt.Sprint(before.Changed(parse(t, tt.file), everybody)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// The lines are edits of Romeo's roster, who is in a group with Juliet and the nurse, and what they come to.
func TestEdit(t *testing.T) {
	db, err := store.OpenMemory(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var live groups.Feed
	live.Live.Store(parse(t, ""))
	own := &stored.Rosters{Values: db.Stores("example.com").Keyed("roster")}
	r := groups.Edited{Rosters: groups.Rosters{Own: own, Groups: &live}, Editor: own}
	const file = "[Verona]\njuliet@example.com=Juliet\nnurse@example.com\nromeo@example.com"
	script := `
		in-subscribe nurse        | - deliver
		FILE                      | juliet both "Juliet" ["Verona"]; nurse both "" ["Verona"]
		PENDING                   |
		set paris P               | paris none "P" ["Mine"]
		set juliet J              | juliet both "Juliet" ["Mine" "Verona"]
		set nurse Angelica        | nurse both "Angelica" ["Mine" "Verona"]
		remove nurse              | nurse both "" ["Verona"] out-unsubscribed
		remove nurse              | the backend denies access: nurse@example.com is in the group "Verona" with romeo@example.com
		remove tybalt             | remove tybalt@example.com in the roster of romeo@example.com: no such contact
		out-subscribe juliet      | juliet both "Juliet" ["Mine" "Verona"] out-subscribe
		in-subscribed juliet      | juliet both "Juliet" ["Mine" "Verona"]
		in-subscribe juliet       | juliet both "Juliet" ["Mine" "Verona"] answer
		out-subscribed juliet     | juliet both "Juliet" ["Mine" "Verona"]
		out-unsubscribe juliet    | juliet both "Juliet" ["Mine" "Verona"] out-unsubscribe
		in-unsubscribe juliet     | juliet both "Juliet" ["Mine" "Verona"]
		in-subscribe tybalt       | - deliver
		PENDING                   | tybalt@example.com
		ROSTER                    | juliet both "Juliet" ["Mine" "Verona"]; nurse both "" ["Verona"]; paris none "P" ["Mine"]
		NOFILE                    | juliet none "J" ["Mine"]; paris none "P" ["Mine"]
	`
	for line := range strings.Lines(script) {
		do, want, ok := strings.Cut(strings.TrimSpace(line), "|")
		if !ok {
			continue
		}
		do, want = strings.TrimSpace(do), strings.TrimSpace(want)
		if got := perform(t, r, do, file); got != want {
			t.Fatalf("%s\n%s\nwant\n%s", do, got, want)
		}
	}
}

func perform(t *testing.T, r groups.Edited, do, file string) string {
	t.Helper()
	switch do {
	case "FILE":
		r.Groups.Live.Store(parse(t, file))
		return contents(t, r, "romeo")
	case "NOFILE":
		r.Groups.Live.Store(parse(t, ""))
		return contents(t, r, "romeo")
	case "ROSTER":
		return contents(t, r, "romeo")
	case "PENDING":
		list, err := r.Pending(t.Context(), jid("romeo"))
		if err != nil {
			t.Fatal(err)
		}
		var who []string
		for _, p := range list {
			who = append(who, p.From.String())
		}
		return strings.Join(who, " ")
	}
	words := append(strings.Fields(do), "")
	done, err := r.Edit(t.Context(), engine.Edit{User: jid("romeo"), Contact: jid(words[1]), Action: engine.Action(words[0]),
		Item: roster.Item{Name: words[2], Groups: []string{"Mine"}}, Stanza: []byte("<s/>")})
	if err != nil {
		return err.Error()
	}
	got := short(done.New)
	for _, a := range done.Route {
		got += " " + string(a)
	}
	if done.Deliver {
		got += " deliver"
	}
	if done.Answer != "" {
		got += " answer"
	}
	return got
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("[Support]\na@example.com=A\nb@example.com\n[+All]\nc@example.com\n"))
	f.Add([]byte("a@b=\n[x\n]=\n[+]\n=\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, problems := groups.Parse(text)
		if len(problems) > 100 {
			t.Errorf("%d problems", len(problems))
		}
		var live groups.Feed
		live.Live.Store(file)
		for _, user := range []string{"a", "c", "romeo"} {
			ans, err := groups.Rosters{Own: groups.Nobody, Groups: &live}.Fetch(t.Context(), engine.Request{User: jid(user)})
			if err != nil || len(ans.Dropped) > 0 {
				t.Fatalf("%v, %v", ans.Dropped, err)
			}
			b := roster.NewBuilder(jid(user), roster.Limits{Groups: 1 << 30})
			for i := range ans.Roster.All() {
				b.Add(i.JID.String(), i)
				if !slices.IsSorted(i.Groups) || i.Subscription != roster.Both {
					t.Errorf("%v", i)
				}
			}
			if again, bad, err := b.Roster(); err != nil || len(bad) > 0 || !again.Equal(ans.Roster) {
				t.Errorf("a roster that none can be: %v, %v", bad, err)
			}
		}
	})
}
