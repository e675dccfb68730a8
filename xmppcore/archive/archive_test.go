package archive

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

var (
	juliet = addr.MustBare("juliet@example.com")
	romeo  = addr.MustParse("romeo@example.com/orchard")
)

func nobody(context.Context, addr.Bare, addr.Bare) (bool, error) { return false, nil }

// open makes an archive in memory.
func open(t *testing.T, o Options) *Archive {
	t.Helper()
	db, err := store.OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := db.Stores(juliet.Domain())
	return New(s.Log("archive"), s.Keyed("archive_prefs"), nobody, o)
}

func parse(t testing.TB, text string) *scan.Stanza {
	t.Helper()
	var sc scan.Scanner
	var st scan.Stanza
	if _, err := sc.Next([]byte(text), &st); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return &st
}

func (a *Archive) hears(t *testing.T, text string) (id string) {
	t.Helper()
	id, err := a.Keep(t.Context(), juliet, romeo, juliet.Full(), parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (a *Archive) bodies(t *testing.T) string {
	t.Helper()
	page, err := a.log.Find(t.Context(), juliet, store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range page.Entries {
		body, _ := parse(t, string(e.Stanza)).Find(scan.NSClient, "body")
		list = append(list, body.Text())
	}
	return strings.Join(list, " ")
}

// Which messages are for an archive.
func TestWants(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     bool
	}{
		{"a body", "<message><body>x</body></message>", true},
		{"a subject", "<message><subject>x</subject></message>", true},
		{"nothing", "<message/>", false},
		{"a chat state", "<message type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>", false},
		{"a receipt", "<message><received xmlns='urn:xmpp:receipts' id='1'/></message>", true},
		{"a marker", "<message><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/></message>", true},
		{"something encrypted", "<message><encryption xmlns='urn:xmpp:eme:0'/></message>", true},
		{"a body of another namespace", "<message><body xmlns='ex'>x</body></message>", false},
		{"an invitation", "<message><x xmlns='jabber:x:conference' jid='a@b'/></message>", true},
		{"an invitation of a room", "<message><x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x></message>", true},
		{"what a room says of itself", "<message><x xmlns='http://jabber.org/protocol/muc#user'><status code='100'/></x></message>", false},
		{"headline", "<message type='headline'><body>x</body></message>", false},
		{"groupchat", "<message type='groupchat'><body>x</body></message>", false},
		{"error to a client", "<message type='error' to='a@b/c'><body>x</body></message>", true},
		{"error to an account", "<message type='error' to='a@b'><body>x</body></message>", false},
		{"no-store", "<message><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>", false},
		{"no-permanent-store", "<message><no-permanent-store xmlns='urn:xmpp:hints'/><body>x</body></message>", false},
		{"store", "<message><x xmlns='ex'/><store xmlns='urn:xmpp:hints'/></message>", true},
		{"no-copy", "<message><x xmlns='ex'/><no-copy xmlns='urn:xmpp:hints'/></message>", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := new(Archive).Wants(parse(t, tt.in)); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// What is not to be kept leaves nothing where there is nothing else.
func TestKeepDrops(t *testing.T) {
	a := open(t, Options{Drop: []string{"urn:xmpp:receipts"}})
	if id := a.hears(t, "<message><received xmlns='urn:xmpp:receipts' id='1'/></message>"); id != "" {
		t.Errorf("kept as %s", id)
	}
	if id := a.hears(t, "<message><body>x</body><received xmlns='urn:xmpp:receipts' id='1'/></message>"); id == "" {
		t.Error("not kept")
	}
	page, err := a.log.Find(t.Context(), juliet, store.Query{})
	if err != nil || len(page.Entries) != 1 {
		t.Fatal(page, err)
	}
	want := "<message xmlns='jabber:client' from='romeo@example.com/orchard' to='juliet@example.com'><body>x</body></message>"
	if got := page.Entries[0]; string(got.Stanza) != want || got.With != "romeo@example.com/orchard" {
		t.Errorf("%s with %s", got.Stanza, got.With)
	}
}

// A user who has too many loses the oldest, a hundredth at a time; what there was before the server started counts.
func TestBound(t *testing.T) {
	a := open(t, Options{Entries: 300})
	for i := range 298 {
		if _, err := a.log.Append(t.Context(), juliet, store.Entry{Time: time.Now(), Stanza: fmt.Appendf(nil, "<message><body>%d</body></message>", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		body string
		n    int
	}{{"a", 299}, {"b", 300}, {"c", 297}, {"d", 298}} {
		a.hears(t, "<message><body>"+tt.body+"</body></message>")
		if got := len(strings.Fields(a.bodies(t))); got != tt.n {
			t.Errorf("%d after %s, want %d", got, tt.body, tt.n)
		}
	}
	if got := a.bodies(t); !strings.HasPrefix(got, "4 5 ") || !strings.HasSuffix(got, "297 a b c d") {
		t.Error(got)
	}
}

// The same by bytes; a message that is too large alone stays as long as it is the last.
func TestBoundBytes(t *testing.T) {
	a := open(t, Options{Bytes: 20_000})
	message := func(body string, size int) string {
		return "<message><body>" + body + "</body><x xmlns='x'>" + strings.Repeat("x", size) + "</x></message>"
	}
	for i := range 30 { // before the server started
		if _, err := a.log.Append(t.Context(), juliet, store.Entry{Time: time.Now(), Stanza: []byte(message(fmt.Sprint(i), 460))}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		body        string
		size        int
		first, last string
	}{
		{"a", 1000, "0 1", "28 29 a"}, {"b", 2000, "0 1", "29 a b"}, {"c", 2000, "2 3", "a b c"}, {"d", 1000, "4 5", "b c d"},
		{"e", 15_000, "c d", "d e"}, {"f", 50_000, "f", "f"}, {"g", 10, "g", "g"}, {"h", 10, "g", "h"},
	} {
		a.hears(t, message(tt.body, tt.size))
		if got := a.bodies(t); !strings.HasPrefix(got, tt.first) || !strings.HasSuffix(got, tt.last) {
			t.Errorf("after %s: %s, want %s … %s", tt.body, got, tt.first, tt.last)
		}
		if page, err := a.log.Find(t.Context(), juliet, store.Query{Size: true}); err != nil || page.Size > 20_000 && len(page.Entries) > 1 {
			t.Errorf("after %s: %d bytes, %v", tt.body, page.Size, err)
		}
	}
}

// What is too old goes, of all users of the host, and only that.
func TestExpire(t *testing.T) {
	a := open(t, Options{Expires: time.Hour})
	now := time.Now()
	for i, age := range []time.Duration{3 * time.Hour, 2 * time.Hour, time.Minute} {
		if _, err := a.log.Append(t.Context(), juliet, store.Entry{Time: now.Add(-age), Stanza: fmt.Appendf(nil, "<message><body>%d</body></message>", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := a.Expire(t.Context(), juliet.Domain(), now); n != 2 || err != nil {
		t.Errorf("%d went, %v", n, err)
	}
	if got := a.bodies(t); got != "2" {
		t.Errorf("left is %s", got)
	}
	a.Expires = 0
	if n, err := a.Expire(t.Context(), juliet.Domain(), now.Add(time.Hour)); n != 0 || err != nil {
		t.Errorf("%d went of what never does, %v", n, err)
	}
}

// With whom what is said is kept.
func TestDecide(t *testing.T) {
	p := &Preferences{
		Default: Roster,
		Always:  []addr.JID{addr.MustParse("a@b"), addr.MustParse("both@b"), addr.MustParse("c@d/e")},
		Never:   []addr.JID{addr.MustParse("a@b/x"), addr.MustParse("both@b"), addr.MustParse("c@d"), addr.MustParse("example.org")},
	}
	for with, want := range map[string]Policy{
		"a@b": Always, "a@b/y": Always, "a@b/x": Never, "both@b/z": Never, "c@d": Never, "c@d/e": Always, "c@d/f": Never,
		"example.org": Never, "u@example.org": Roster, "nobody@b": Roster,
	} {
		if got := p.decide(addr.MustParse(with)); got != want {
			t.Errorf("%s: %s, want %s", with, got, want)
		}
	}
}

// What is stored of preferences gives them again; what is stored badly is an error, and not another policy.
func TestPreferencesKept(t *testing.T) {
	a := open(t, Options{})
	want := &Preferences{Default: Never, Always: []addr.JID{addr.MustParse("a@b"), addr.MustParse("ü@b/<&>")}}
	if err := a.prefs.set(t.Context(), juliet, want); err != nil {
		t.Fatal(err)
	}
	clear(a.prefs.known)
	if got, err := a.prefs.of(t.Context(), juliet); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"", "{", `{"default":"never","always":["@"]}`, `{"default":1}`} {
		clear(a.prefs.known)
		if err := a.prefs.store.Change(t.Context(), juliet, map[string][]byte{"": []byte(text)}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Keep(t.Context(), juliet, romeo, juliet.Full(), parse(t, "<message><body>x</body></message>")); err == nil || !strings.Contains(err.Error(), "juliet@example.com") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Who has too much to say about others is refused.
func TestTooManyPreferences(t *testing.T) {
	jids := func(n int, s string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "<jid>%s%d@b</jid>", s, i)
		}
		return b.String()
	}
	for _, tt := range []struct {
		name, list string
		want       stanza.Condition
	}{
		{"500", jids(500, "a"), ""},
		{"501", jids(501, "a"), stanza.ResourceConstraint},
		{"long ones", jids(100, strings.Repeat("a", 200)), stanza.ResourceConstraint},
		{"one that is none", "<jid>@</jid>", stanza.JIDMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := parse(t, "<iq><prefs xmlns='urn:xmpp:mam:2' default='always'><never>"+tt.list+"</never></prefs></iq>")
			_, err := parsePreferences(st.Element(0), Always)
			if got := condition(err); got != tt.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func condition(err *stanza.Error) stanza.Condition {
	if err == nil {
		return ""
	}
	return err.Condition
}

// A store that fails is an error to who keeps, and keeps nothing.
func TestStoreFails(t *testing.T) {
	db, err := store.OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := db.Stores(juliet.Domain())
	a := New(s.Log("archive"), s.Keyed("archive_prefs"), nobody, Options{})
	db.Close()
	if id, err := a.Keep(t.Context(), juliet, romeo, juliet.Full(), parse(t, "<message><body>x</body></message>")); id != "" || err == nil {
		t.Errorf("%q, %v", id, err)
	}
}

// Where nothing is stored nothing is kept, which is no failure.
func TestNowhere(t *testing.T) {
	a := New(store.Nowhere{}.Log("archive"), store.Nowhere{}.Keyed("archive_prefs"), nobody, Options{})
	if id := a.hears(t, "<message><body>x</body></message>"); id != "" {
		t.Errorf("kept as %s", id)
	}
	err := a.prefs.set(t.Context(), juliet, &Preferences{Default: Never})
	if got := condition(a.failed(err)); got != stanza.FeatureNotImplemented {
		t.Errorf("%q", got)
	}
}

// Whatever is asked for, what is understood of it is within the limits, and what is answered is well-formed.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"", "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='with'><value>a@b</value></field></x>",
		"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='ids'><value>1</value><value/></field><field var='start'><value>2020-01-01T00:00:00.123Z</value></field></x><flip-page/>",
		"<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><before/><after>5</after></set>", "<set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set>",
	} {
		f.Add(s, "id'<&")
	}
	f.Fuzz(func(t *testing.T, in, id string) {
		var sc scan.Scanner
		var st scan.Stanza
		text := stanza.AppendAttr([]byte("<iq><query xmlns='urn:xmpp:mam:2'"), "queryid", id)
		if _, err := sc.Next(append(append(append(text, '>'), in...), "</query></iq>"...), &st); err != nil || len(st.Children) != 1 {
			return
		}
		q, refused := parseQuery(st.Element(0), 50)
		if refused != nil {
			return
		}
		if q.Max < 1 || q.Max > 50 || q.count && !q.Count {
			t.Fatalf("%s: %+v", in, q)
		}
		e := store.Entry{ID: q.After, Time: q.Start, Stanza: []byte("<message xmlns='jabber:client'/>")}
		b := appendResult(nil, q.With, q.Before, q.id, e)
		b = append(append(b, "<iq>"...), appendFin(nil, q, store.Page{Entries: []store.Entry{e}})...)
		for b = append(b, "</iq>"...); len(b) > 0; {
			n, err := sc.Next(b, &st)
			if err != nil {
				t.Fatalf("%s: %v", b, err)
			}
			b = b[n:]
		}
	})
}

// Whatever is preferred comes back as it was, from the wire and from the store.
func FuzzPreferences(f *testing.F) {
	f.Add("<prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>a@b/c</jid></always><never><jid>d</jid></never></prefs>")
	f.Fuzz(func(t *testing.T, in string) {
		var sc scan.Scanner
		var st scan.Stanza
		if _, err := sc.Next([]byte("<iq>"+in+"</iq>"), &st); err != nil || len(st.Children) != 1 {
			return
		}
		p, refused := parsePreferences(st.Element(0), Always)
		if refused != nil {
			return
		}
		wire := parse(t, "<iq>"+string(appendPreferences(nil, p))+"</iq>")
		if again, refused := parsePreferences(wire.Element(0), Never); refused != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%s: %+v, %v", in, again, refused)
		}
		if again, err := decode(encode(p)); err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%s: %+v, %v", in, again, err)
		}
		if !bytes.Equal(encode(p), encode(p)) {
			t.Fatal("not the same twice")
		}
	})
}
