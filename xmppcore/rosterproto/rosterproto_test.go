package rosterproto_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/rosterproto"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
)

var romeo = addr.MustBare("romeo@example.com")

func build(t testing.TB, items ...roster.Item) roster.Roster {
	r, bad := roster.New(romeo, items...)
	if len(bad) > 0 {
		t.Fatalf("bad items: %v", bad)
	}
	return r
}

func contact(jid, name string, s roster.Subscription, groups ...string) roster.Item {
	return roster.Item{JID: addr.MustBare(jid), Name: name, Subscription: s, Groups: groups}
}

func TestAppendItem(t *testing.T) {
	for _, c := range []struct {
		name string
		item roster.Item
		want string
	}{
		{"least", contact("juliet@example.com", "", roster.None), `<item jid='juliet@example.com' subscription='none'/>`},
		{"name", contact("juliet@example.com", "Juliet", roster.Both), `<item jid='juliet@example.com' name='Juliet' subscription='both'/>`},
		{"groups", contact("juliet@example.com", "", roster.To, "A", "B"), `<item jid='juliet@example.com' subscription='to'><group>A</group><group>B</group></item>`},
		{"ask", roster.Item{JID: addr.MustBare("juliet@example.com"), Ask: true}, `<item jid='juliet@example.com' subscription='none' ask='subscribe'/>`},
		{"approved", roster.Item{JID: addr.MustBare("juliet@example.com"), Subscription: roster.From, Approved: true}, `<item jid='juliet@example.com' subscription='from' approved='true'/>`},
		{"everything", roster.Item{JID: addr.MustBare("juliet@example.com"), Name: "J", Subscription: roster.To, Ask: true, Approved: true, Groups: []string{"G"}},
			`<item jid='juliet@example.com' name='J' subscription='to' ask='subscribe' approved='true'><group>G</group></item>`},
		{"escaped", contact("juliet@example.com", `<a b='c'>&"]]>`, roster.Both, "R&D <x>", "\tb\n"),
			`<item jid='juliet@example.com' name='&lt;a b=&apos;c&apos;&gt;&amp;"]]&gt;' subscription='both'><group>R&amp;D &lt;x&gt;</group><group>` + "\tb\n" + `</group></item>`},
		{"white space in a name", contact("juliet@example.com", "a\tb\nc\rd", roster.Both), `<item jid='juliet@example.com' name='a&#9;b&#10;c&#13;d' subscription='both'/>`},
		{"a domain", contact("rooms.example.com", "", roster.Both), `<item jid='rooms.example.com' subscription='both'/>`},
		{"other scripts", contact("ジュリエット@例え.jp", "ジュリエット 😀", roster.Both, "友"), `<item jid='ジュリエット@例え.jp' name='ジュリエット 😀' subscription='both'><group>友</group></item>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(rosterproto.AppendItem(nil, &c.item)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAppendResult(t *testing.T) {
	list := build(t, contact("a@example.com", "A", roster.Both), contact("b@example.com", "", roster.None))
	items := `<item jid='a@example.com' name='A' subscription='both'/><item jid='b@example.com' subscription='none'/>`
	for _, c := range []struct {
		name   string
		asked  registry.Asked
		roster roster.Roster
		want   string
	}{
		{"without versions", registry.Asked{ID: "1"}, list, `<iq type='result' id='1' to='romeo@example.com/x'><query xmlns='jabber:iq:roster'>` + items + `</query></iq>`},
		{"first version", registry.Asked{ID: "1", Versioned: true}, list, `<iq type='result' id='1' to='romeo@example.com/x'><query xmlns='jabber:iq:roster' ver='` + list.Version() + `'>` + items + `</query></iq>`},
		{"other version", registry.Asked{ID: "1", Ver: "x", Versioned: true}, list, `<iq type='result' id='1' to='romeo@example.com/x'><query xmlns='jabber:iq:roster' ver='` + list.Version() + `'>` + items + `</query></iq>`},
		{"this version", registry.Asked{ID: "1", Ver: list.Version(), Versioned: true}, list, `<iq type='result' id='1' to='romeo@example.com/x'/>`},
		{"nobody", registry.Asked{ID: "1"}, roster.Roster{}, `<iq type='result' id='1' to='romeo@example.com/x'><query xmlns='jabber:iq:roster'></query></iq>`},
		{"nobody, of this version", registry.Asked{ID: "1", Ver: roster.Roster{}.Version(), Versioned: true}, roster.Roster{}, `<iq type='result' id='1' to='romeo@example.com/x'/>`},
		{"an id to escape", registry.Asked{ID: "<'&\">"}, roster.Roster{}, `<iq type='result' id='&lt;&apos;&amp;"&gt;' to='romeo@example.com/x'><query xmlns='jabber:iq:roster'></query></iq>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(rosterproto.AppendResult([]byte("before "), c.asked, "romeo@example.com/x", c.roster)); got != "before "+c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAppendPush(t *testing.T) {
	changed, gone := contact("a@example.com", "A & B", roster.Both, "G"), contact("b@example.com", "B", roster.None)
	for _, c := range []struct {
		name   string
		change roster.Change
		want   string
	}{
		{"added", roster.Change{Contact: changed.JID, New: &changed, Version: "v"},
			`<iq type='set' id='push10' to='romeo@example.com/&lt;x&gt;'><query xmlns='jabber:iq:roster' ver='v'><item jid='a@example.com' name='A &amp; B' subscription='both'><group>G</group></item></query></iq>`},
		{"removed", roster.Change{Contact: gone.JID, Old: &gone, Version: "w"},
			`<iq type='set' id='push10' to='romeo@example.com/&lt;x&gt;'><query xmlns='jabber:iq:roster' ver='w'><item jid='b@example.com' subscription='remove'/></query></iq>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(rosterproto.AppendPush(nil, 36, "romeo@example.com/<x>", c.change)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// read is what a client makes of a result or a push.
type read struct {
	Query struct {
		Ver   string `xml:"ver,attr"`
		Items []struct {
			JID          string   `xml:"jid,attr"`
			Name         string   `xml:"name,attr"`
			Subscription string   `xml:"subscription,attr"`
			Ask          string   `xml:"ask,attr"`
			Approved     bool     `xml:"approved,attr"`
			Groups       []string `xml:"group"`
		} `xml:"item"`
	} `xml:"jabber:iq:roster query"`
}

// Whatever a backend may put into a roster reaches the client as it is: by encoding/xml, and by the scanner.
func FuzzAppendResult(f *testing.F) {
	f.Add("juliet@example.com", "Juliet", "Friends", "Family", uint8(3))
	f.Add("ju-liet%x`{}|~!#$*+=?^_@xn--r8jz45g.jp", "<&'\">]]>", "<![CDATA[", "&amp;", uint8(31))
	f.Add("rooms.example.com", "\t\r\n\u0085\u2028\uFFFD", " ", "😀", uint8(4))
	f.Add("[::1]", "\x00\x1b\ufffe", "\xff", "]]>", uint8(9))
	f.Fuzz(func(t *testing.T, jid, name, g1, g2 string, flags uint8) {
		b := roster.NewBuilder(romeo, roster.Limits{})
		b.Add(jid, roster.Item{Name: name, Groups: []string{g1, g2}, Subscription: roster.Subscription(flags & 3), Ask: flags&4 > 0, Approved: flags&8 > 0})
		list, _, err := b.Roster()
		if err != nil || list.Len() == 0 {
			return // what the roster leaves out
		}
		item := list.Items()[0]
		change := roster.Diff(roster.Roster{}, list)[0]
		for _, text := range [][]byte{
			rosterproto.AppendResult(nil, registry.Asked{ID: "1", Versioned: true}, "romeo@example.com/x", list),
			rosterproto.AppendPush(nil, 1, "romeo@example.com/x", change),
		} {
			var sc scan.Scanner
			var st scan.Stanza
			if n, err := sc.Next(text, &st); err != nil || n != len(text) {
				t.Fatalf("%s: %v", text, err)
			}
			var r read
			if err := xml.Unmarshal(text, &r); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if len(r.Query.Items) != 1 || r.Query.Ver != list.Version() {
				t.Fatalf("%s: %+v", text, r)
			}
			got := r.Query.Items[0]
			same := got.JID == item.JID.String() && got.Name == item.Name && got.Subscription == item.Subscription.String() &&
				(got.Ask == "subscribe") == item.Ask && got.Approved == item.Approved && slices.Equal(got.Groups, item.Groups)
			if !same {
				t.Fatalf("%s: %+v, want %+v", text, got, item)
			}
		}
	})
}

// wire keeps what is written to a client.
type wire struct {
	mu  sync.Mutex
	got bytes.Buffer
}

func (w *wire) Run(func(*scan.Stanza) error) error { return io.EOF }
func (w *wire) Close(*stanza.StreamError)          {}
func (w *wire) Abort()                             {}
func (w *wire) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (w *wire) Secure() bool                       { return true }
func (w *wire) Write(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got.Write(b)
	return nil
}

// take waits for what is on its way and returns it; in a bubble.
func (w *wire) take() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.got.Reset()
	return w.got.String()
}

func login(a *registry.Account, resource string) (*registry.Resource, *wire) {
	w := &wire{}
	full, err := romeo.WithResource(resource)
	if err != nil {
		panic(err)
	}
	res := &registry.Resource{Session: session.New(full, w, session.NewLimits(session.Limits{})), Account: a}
	a.Enter(res)
	res.Start()
	return res, w
}

// All interested resources get one push for each contact, and the same id for the same one.
func TestPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &registry.Account{User: romeo}
		one, first := login(a, "one")
		two, second := login(a, "two")
		_, silent := login(a, "silent")
		one.Interested, two.Interested = true, true
		from := build(t, contact("a@example.com", "", roster.None), contact("b@example.com", "", roster.None))
		to := build(t, contact("b@example.com", "B", roster.None), contact("c@example.com", "", roster.None))
		rosterproto.Push(a, roster.Diff(from, to))
		got := first.take()
		if n := strings.Count(got, "<iq type='set'"); n != 3 {
			t.Fatalf("%d pushes: %s", n, got)
		}
		ids := map[string]bool{}
		vers := map[string]bool{}
		d := xml.NewDecoder(strings.NewReader(got))
		last := ""
		for range 3 {
			var r struct {
				read
				ID   string `xml:"id,attr"`
				From string `xml:"from,attr"`
			}
			if err := d.Decode(&r); err != nil {
				t.Fatal(err)
			}
			if r.From != "" || len(r.Query.Items) != 1 {
				t.Errorf("from %q, %d items", r.From, len(r.Query.Items))
			}
			ids[r.ID], vers[r.Query.Ver], last = true, true, r.Query.Ver
		}
		if len(ids) != 3 || len(vers) != 3 || last != to.Version() {
			t.Errorf("ids %v, versions %v, last %s, want %s", ids, vers, last, to.Version())
		}
		if other := second.take(); other != strings.ReplaceAll(got, "/one'", "/two'") {
			t.Errorf("another got %s", other)
		}
		if got := silent.take(); got != "" {
			t.Errorf("who is not interested got %s", got)
		}
	})
}

func TestRefuse(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"denied", fmt.Errorf("GET /: %w", engine.ErrDenied), "<error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"},
		{"late", fmt.Errorf("GET /: %w", context.DeadlineExceeded), "<error type='wait'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"},
		{"temporary", &engine.TemporaryError{Err: errors.New("503")}, "<error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"},
		{"permanent", &engine.PermanentError{Err: errors.New("no such host")}, "<error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"},
		{"a fault of the plugin", &engine.FaultError{Kind: "trap", Err: errors.New("boom")}, "<error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &registry.Account{User: romeo}
				res, w := login(a, "one")
				_, silent := login(a, "two")
				res.Asked = []registry.Asked{{ID: "<1>"}, {ID: "2", Ver: "x", Versioned: true}}
				rosterproto.Refuse(a, c.err)
				want := "<iq type='error' id='&lt;1&gt;' to='romeo@example.com/one'>" + c.want + "</iq><iq type='error' id='2' to='romeo@example.com/one'>" + c.want + "</iq>"
				if got := w.take(); got != want || silent.take() != "" || res.Interested {
					t.Errorf("got %s", got)
				}
				rosterproto.Refuse(a, c.err)
				if got := w.take(); got != "" {
					t.Errorf("got %s again", got)
				}
			})
		})
	}
}

func numbered(b testing.TB, n int) roster.Roster {
	items := make([]roster.Item, n)
	for i := range items {
		items[i] = contact(fmt.Sprintf("contact%d@example.com", i), fmt.Sprintf("Contact Number %d", i), roster.Both, "Friends")
	}
	return build(b, items...)
}

// The mark is 0.1 ms for 500 items.
func BenchmarkRosterResult(b *testing.B) {
	for _, n := range []int{10, 100, 500, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			list := numbered(b, n)
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				dst = rosterproto.AppendResult(dst[:0], registry.Asked{ID: "1", Versioned: true}, "romeo@example.com/orchard", list)
			}
			b.SetBytes(int64(len(dst)))
		})
	}
}

func BenchmarkPush(b *testing.B) {
	c := roster.Diff(roster.Roster{}, numbered(b, 1))[0]
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = rosterproto.AppendPush(dst[:0], 12345, "romeo@example.com/orchard", c)
	}
}
