package presence_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/presence"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// wire keeps what is written to a client.
type wire struct {
	forget bool          // it does not
	deaf   chan struct{} // Writes wait for it, unless it is nil

	mu  sync.Mutex
	got bytes.Buffer
}

func (w *wire) Run(func(*scan.Stanza) error) error { return io.EOF }
func (w *wire) Close(*stanza.StreamError)          {}
func (w *wire) Abort()                             {}
func (w *wire) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (w *wire) Secure() bool                       { return true }
func (w *wire) Write(b []byte) error {
	if w.deaf != nil {
		<-w.deaf
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.forget {
		w.got.Write(b)
	}
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

// house is accounts without a server.
type house struct {
	presence.Presence
	registry registry.Registry
	directed []string // what went to addresses
}

func newHouse() *house {
	h := &house{}
	h.Presence = presence.Presence{Registry: &h.registry, Router: h}
	return h
}

func (h *house) Directed(_ *registry.Resource, to addr.JID, b []byte) {
	h.directed = append(h.directed, to.String()+": "+string(b))
}

func (h *house) login(full string, contacts ...roster.Item) (*registry.Resource, *wire) {
	w := &wire{}
	return h.bind(full, w, session.Limits{Hard: 64 << 20}, contacts...), w
}

func (h *house) bind(full string, w stream.Transport, lim session.Limits, contacts ...roster.Item) *registry.Resource {
	j := addr.MustParse(full)
	res := &registry.Resource{Session: session.New(j, w, session.NewLimits(lim)), Account: h.registry.Join(j.Bare())}
	list, _ := roster.New(j.Bare(), contacts...)
	res.Account.Enter(res)
	res.Account.SetRoster(list, nil)
	h.registry.Add(res)
	res.Start()
	return res
}

func item(jid string, s roster.Subscription) roster.Item {
	return roster.Item{JID: addr.MustBare(jid), Subscription: s}
}

// parse scans one stanza, which may be followed by nothing.
func parse(text string) (*scan.Stanza, error) {
	var sc scan.Scanner
	st := &scan.Stanza{}
	n, err := sc.Next([]byte(text), st)
	if err == nil && n != len(text) {
		err = fmt.Errorf("%q behind it", text[n:])
	}
	return st, err
}

func mustParse(t *testing.T, text string) *scan.Stanza {
	t.Helper()
	st, err := parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return st
}

// The last presence of a resource is shown as it was sent, and says when that was.
func TestDelayed(t *testing.T) {
	const delay = "<delay xmlns='urn:xmpp:delay' from='juliet@example.com/b&lt;&amp;>' stamp='2000-01-01T00:00:00Z'/>"
	const head = " to='romeo@example.com' from='juliet@example.com/b&lt;&amp;&gt;'"
	for _, c := range []struct{ name, sent, shown string }{
		{"empty", `<presence/>`, `<presence HEAD>DELAY</presence>`},
		{"empty, with an end tag", `<presence></presence>`, `<presence HEAD>DELAY</presence>`},
		{"space in the tags", "<presence \n/>", `<presence HEAD>DELAY</presence>`},
		{"space in the end tag", "<presence></presence \n >", "<presence HEAD>DELAY</presence \n >"},
		{"attributes", `<presence id='1' xml:lang="a'b"/>`, `<presence HEAD id='1' xml:lang="a'b">DELAY</presence>`},
		{"/> in an attribute", `<presence id="/>"/>`, `<presence HEAD id='/>'>DELAY</presence>`},
		{"end tag in an attribute", `<presence id='&lt;/presence>'/>`, `<presence HEAD id='&lt;/presence>'>DELAY</presence>`},
		{"content", `<presence><show>away</show> <x xmlns='u'/></presence>`, `<presence HEAD><show>away</show> <x xmlns='u'/>DELAY</presence>`},
		{"CDATA", `<presence><![CDATA[</presence>]]></presence>`, `<presence HEAD><![CDATA[</presence>]]>DELAY</presence>`},
		{"prefix", `<c:presence xmlns:c='jabber:client'/>`, `<c:presence HEAD xmlns:c='jabber:client'>DELAY</c:presence>`},
		{"prefix, with an end tag", `<c:presence xmlns:c='jabber:client'></c:presence >`, `<c:presence HEAD xmlns:c='jabber:client'>DELAY</c:presence >`},
		{"another default namespace", `<c:presence xmlns:c='jabber:client' xmlns='u'><x/></c:presence>`, `<c:presence HEAD xmlns:c='jabber:client' xmlns='u'><x/>DELAY</c:presence>`},
		{"a delay of its own", `<presence><delay xmlns='urn:xmpp:delay' stamp='1999-01-01T00:00:00Z'/></presence>`, `<presence HEAD><delay xmlns='urn:xmpp:delay' stamp='1999-01-01T00:00:00Z'/>DELAY</presence>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse()
				juliet, _ := h.login("juliet@example.com/b<&>", item("romeo@example.com", roster.From))
				romeo, w := h.login("romeo@example.com/orchard")
				h.Available(juliet, mustParse(t, c.sent), 0)
				time.Sleep(time.Hour) // of the bubble's clock: the stamp is not of the time of asking
				h.Probe(romeo, juliet.Full.Bare().Full())
				got := w.take()
				want := strings.NewReplacer(" HEAD", head, "DELAY", strings.Replace(delay, ">'", "&gt;'", 1)).Replace(c.shown)
				if got != want {
					t.Errorf("shown\n%s\nwant\n%s", got, want)
				}
				mustParse(t, got)
			})
		})
	}
}

// Whatever the scanner takes for a presence stays well-formed with a delay in it, and keeps its content.
func FuzzDelayed(f *testing.F) {
	for _, s := range []string{
		`<presence/>`, `<presence></presence >`, `<presence id="/>"/>`, `<presence><show>away</show></presence>`,
		`<presence><![CDATA[</presence>]]>]]&gt;</presence>`, `<c:presence xmlns:c='jabber:client'/>`,
		`<c:presence xmlns:c='jabber:client' xmlns='u' c:d='/'><x a='/>'/></c:presence>`, "<presence\ta='>'\n/>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		st, err := parse(text)
		if err != nil || stanza.KindOf(st) != stanza.Presence {
			return
		}
		h := newHouse()
		juliet, _ := h.login("juliet@example.com/balcony", item("romeo@example.com", roster.From))
		romeo, w := h.login("romeo@example.com/orchard")
		h.Available(juliet, st, 0)
		h.Probe(romeo, juliet.Full)
		romeo.Close(nil)
		romeo.Wait()
		got := w.got.String()
		shown, err := parse(got)
		if err != nil {
			t.Fatalf("%s became %s: %v", text, got, err)
		}
		n := len(shown.Children) - 1
		if n != len(st.Children) || string(shown.Children[n].Name) != "delay" || string(shown.Children[n].Space) != "urn:xmpp:delay" {
			t.Fatalf("%s became %s", text, got)
		}
		for i := range st.Children {
			if !bytes.Equal(st.Element(i).Raw, shown.Element(i).Raw) || !bytes.Equal(st.Children[i].Space, shown.Children[i].Space) {
				t.Fatalf("%s became %s", text, got)
			}
		}
		if from, _ := shown.Attr("from"); stanza.KindOf(shown) != stanza.Presence || from != "juliet@example.com/balcony" {
			t.Fatalf("%s became %s", text, got)
		}
		if shown.Root().Text() != st.Root().Text() {
			t.Fatalf("%s became %s", text, got)
		}
	})
}

// summary is the stanzas of a text: "from" for an available presence, "-from" for an unavailable one, and "push".
func summary(t *testing.T, text string) string {
	t.Helper()
	var list []string
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		var e struct {
			XMLName xml.Name
			Type    string `xml:"type,attr"`
			From    string `xml:"from,attr"`
		}
		switch err := d.Decode(&e); {
		case err == io.EOF:
			return strings.Join(list, " ")
		case err != nil:
			t.Fatalf("%s: %v", text, err)
		case e.XMLName.Local == "push":
			list = append(list, "push")
		case e.Type == "unavailable":
			list = append(list, "-"+e.From)
		default:
			list = append(list, e.From)
		}
	}
}

// A change of the roster from each subscription to each other: what it means for who sees whom, and the order.
func TestChanged(t *testing.T) {
	const absent = roster.Subscription(99)
	subscriptions := []roster.Subscription{absent, roster.None, roster.To, roster.From, roster.Both}
	contacts := func(s roster.Subscription) []roster.Item {
		if s == absent {
			return nil
		}
		return []roster.Item{item("juliet@example.com", s)}
	}
	name := func(s roster.Subscription) string {
		if s == absent {
			return "absent"
		}
		return s.String()
	}
	sees := func(s roster.Subscription) bool { return s != absent && s.To() }
	seen := func(s roster.Subscription) bool { return s != absent && s.From() }
	turned := func(before, now bool, who string) []string {
		switch {
		case now && !before:
			return []string{who}
		case before && !now:
			return []string{"-" + who}
		}
		return nil
	}
	for _, was := range subscriptions {
		for _, is := range subscriptions {
			t.Run(name(was)+" to "+name(is), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHouse()
					romeo, mine := h.login("romeo@example.com/orchard", contacts(was)...)
					juliet, hers := h.login("juliet@example.com/balcony", item("romeo@example.com", roster.Both))
					h.Available(romeo, mustParse(t, "<presence/>"), 0)
					h.Available(juliet, mustParse(t, "<presence/>"), 0)
					mine.take()
					hers.take()
					from, _ := romeo.Account.Roster()
					to, _ := roster.New(romeo.Full.Bare(), contacts(is)...)
					h.Changed(romeo.Account, from, to, roster.Diff(from, to), func(c []roster.Change) {
						for range c {
							romeo.Send([]byte("<push/>"))
						}
					})
					// He hears of it before what he may now see, and after what he may see no more if the contact goes.
					want := turned(sees(was), sees(is), "juliet@example.com/balcony")
					switch {
					case was == is:
					case is == absent:
						want = append(want, "push")
					default:
						want = append([]string{"push"}, want...)
					}
					if got := summary(t, mine.take()); got != strings.Join(want, " ") {
						t.Errorf("romeo got %q, want %q", got, want)
					}
					want = turned(seen(was), seen(is), "romeo@example.com/orchard")
					if got := summary(t, hers.take()); got != strings.Join(want, " ") {
						t.Errorf("juliet got %q, want %q", got, want)
					}
					if got, ok := romeo.Account.Roster(); !ok || !got.Equal(to) {
						t.Error("the roster is another")
					}
				})
			})
		}
	}
}

// A first roster comes without its changes, and shows everybody to everybody as it says.
func TestFirstRoster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		romeo, mine := h.login("romeo@example.com/orchard")
		juliet, hers := h.login("juliet@example.com/balcony", item("romeo@example.com", roster.Both))
		nurse, theirs := h.login("nurse@example.com/house", item("romeo@example.com", roster.Both))
		for _, r := range []*registry.Resource{romeo, juliet, nurse} {
			h.Available(r, mustParse(t, "<presence/>"), 0)
		}
		mine.take()
		hers.take()
		theirs.take()
		to, _ := roster.New(romeo.Full.Bare(), item("juliet@example.com", roster.Both), item("nurse@example.com", roster.To))
		var pushed []int
		h.Changed(romeo.Account, roster.Roster{}, to, nil, func(c []roster.Change) { pushed = append(pushed, len(c)) })
		if got := summary(t, mine.take()); got != "juliet@example.com/balcony nurse@example.com/house" {
			t.Errorf("romeo got %s", got)
		}
		if got := summary(t, hers.take()); got != "romeo@example.com/orchard" {
			t.Errorf("juliet got %s", got)
		}
		if got := summary(t, theirs.take()); got != "" {
			t.Errorf("the nurse got %s", got)
		}
		if fmt.Sprint(pushed) != "[0 0]" {
			t.Errorf("pushed %v", pushed)
		}
	})
}

// However many contacts come and go with one change of the roster, that is no reason to close the viewer's stream.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		var contacts []roster.Item
		for i := range 1000 {
			c := item(fmt.Sprintf("c%d@example.com", i), roster.To)
			contacts = append(contacts, c)
			r, w := h.login(c.JID.String()+"/x", item("romeo@example.com", roster.From))
			w.forget = true
			h.Available(r, mustParse(t, "<presence/>"), 0)
		}
		w := &wire{deaf: make(chan struct{})}
		romeo := h.bind("romeo@example.com/orchard", w, session.Limits{Hard: 500, Pace: session.Pace{Rate: -1}})
		h.Available(romeo, mustParse(t, "<presence/>"), 0)
		all, _ := roster.New(romeo.Full.Bare(), contacts...)
		h.Changed(romeo.Account, roster.Roster{}, all, nil, func([]roster.Change) {})
		h.Changed(romeo.Account, all, roster.Roster{}, roster.Diff(all, roster.Roster{}), func([]roster.Change) {})
		if !romeo.Send([]byte("<message/>")) {
			t.Error("closed")
		}
		close(w.deaf)
		if got := w.take(); strings.Count(got, "<delay") != 1000 || strings.Count(got, "type='unavailable'") != 1000 || !strings.HasSuffix(got, "<message/>") {
			t.Errorf("%d came, %d went", strings.Count(got, "<delay"), strings.Count(got, "type='unavailable'"))
		}
	})
}

// A push that panics does not leave the account locked.
func TestPushPanics(t *testing.T) {
	h := newHouse()
	romeo, _ := h.login("romeo@example.com/orchard")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		h.Changed(romeo.Account, roster.Roster{}, roster.Roster{}, nil, func([]roster.Change) { panic("boom") })
	}()
	romeo.Account.Lock()
	defer romeo.Account.Unlock()
}

// Unavailable goes to those addresses that directed presence went to and that the broadcast does not reach.
func TestLeaveDirected(t *testing.T) {
	for _, c := range []struct {
		name      string
		available bool
		to, want  string
	}{
		{"a stranger", true, "tybalt@example.com", "tybalt@example.com"},
		{"a stranger's resource", true, "tybalt@example.com/tomb", "tybalt@example.com/tomb"},
		{"a contact who wants it", true, "juliet@example.com", ""},
		{"an available resource of a contact who wants it", true, "juliet@example.com/balcony", ""},
		{"another resource of hers", true, "juliet@example.com/window", "juliet@example.com/window"},
		{"one that is not there", true, "juliet@example.com/gone", "juliet@example.com/gone"},
		{"a contact who does not want it", true, "nurse@example.com", "nurse@example.com"},
		{"a contact who is offline", true, "friar@example.com", "friar@example.com"},
		{"from who was not available", false, "juliet@example.com", "juliet@example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse()
			romeo, _ := h.login("romeo@example.com/orchard", item("juliet@example.com", roster.Both), item("nurse@example.com", roster.Both), item("friar@example.com", roster.Both))
			juliet, _ := h.login("juliet@example.com/balcony", item("romeo@example.com", roster.Both))
			h.login("juliet@example.com/window", item("romeo@example.com", roster.Both))
			h.login("nurse@example.com/house")
			h.Available(juliet, mustParse(t, "<presence/>"), 0)
			if c.available {
				h.Available(romeo, mustParse(t, "<presence/>"), 0)
			}
			h.Presence.Directed(romeo, addr.MustParse(c.to), false)
			h.Gone(romeo)
			want := c.want
			if want != "" {
				want += ": <presence type='unavailable' from='romeo@example.com/orchard'/>"
			}
			if got := strings.Join(h.directed, ", "); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			h.directed = nil
			if h.Gone(romeo); len(h.directed) > 0 {
				t.Errorf("again: %q", h.directed)
			}
		})
	}
}

// A presence to 50 contacts, and into their outboxes.
func BenchmarkFanout50(b *testing.B) {
	h := newHouse()
	var contacts []roster.Item
	for i := range 50 {
		contacts = append(contacts, item(fmt.Sprintf("c%d@example.com", i), roster.Both))
	}
	initial, err := parse("<presence/>")
	if err != nil {
		b.Fatal(err)
	}
	romeo, w := h.login("romeo@example.com/orchard", contacts...)
	w.forget = true
	for _, c := range contacts {
		r, w := h.login(c.JID.String()+"/x", item("romeo@example.com", roster.Both))
		w.forget = true
		h.Available(r, initial, 0)
	}
	st, err := parse("<presence><show>away</show><status>be right back</status><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.com' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		h.Available(romeo, st, 0)
	}
}
