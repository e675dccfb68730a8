package xmppcore_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// ear is a client without a connection: the test calls what the server handles its stanzas with, and looks at what
// is written to it.
type ear struct {
	t testing.TB

	handle func(*scan.Stanza) error // set when bound is closed
	bound  chan struct{}
	ended  chan struct{} // closed: its stream is over
	once   sync.Once

	deaf     chan struct{} // Writes wait for it, unless it is nil
	stubborn bool          // Run does not end with Abort, but when over is closed
	over     chan struct{}
	lingers  chan struct{} // Close waits for it, unless it is nil

	mu     sync.Mutex
	got    bytes.Buffer
	forget bool          // what is written
	some   chan struct{} // closed and renewed when something is written
}

func (e *ear) Run(handle func(*scan.Stanza) error) error {
	e.handle = handle
	close(e.bound)
	if e.stubborn {
		<-e.over
	}
	<-e.ended
	return nil
}

func (e *ear) Write(b []byte) error {
	if e.deaf != nil {
		select {
		case <-e.deaf:
		case <-e.ended:
			return net.ErrClosed
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.forget {
		return nil
	}
	e.got.Write(b)
	close(e.some)
	e.some = make(chan struct{})
	return nil
}

// forgets has it keep nothing of what is written from now on.
func (e *ear) forgets() *ear {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget = true
	return e
}

func (e *ear) Close(*stanza.StreamError) {
	if e.lingers != nil {
		<-e.lingers
	}
	e.Abort()
}

func (e *ear) Abort()               { e.once.Do(func() { close(e.ended) }) }
func (e *ear) RemoteAddr() net.Addr { return &net.TCPAddr{} }
func (e *ear) Secure() bool         { return true }

// waitFor waits until a text has been written.
func (e *ear) waitFor(text string) {
	e.t.Helper()
	late := time.After(patience)
	for {
		e.mu.Lock()
		there, more := strings.Contains(e.got.String(), text), e.some
		e.mu.Unlock()
		if there {
			return
		}
		select {
		case <-more:
		case <-late:
			e.t.Fatalf("no %s", text)
		}
	}
}

// hall is a server without connections.
type hall struct {
	t   testing.TB
	srv *xmppcore.Server
	eng *engine.Engine
}

func newHall(t testing.TB, rosters map[string][]roster.Item) *hall {
	log := slog.New(&loud{t})
	h := &hall{t: t, srv: xmppcore.New(xmppcore.Config{Log: log, Hosts: []xmppcore.Host{{Domain: "example.com", BlockSubscriptions: true, Modules: []string{"disco", "ping", "version", "time"}}}})}
	h.eng = engine.New(map[string]engine.Host{"example.com": {Backend: engine.BackendFunc(func(_ context.Context, r engine.Request) (engine.Answer, error) {
		list, bad := roster.New(r.User, rosters[r.User.String()]...)
		return engine.Answer{Roster: list, Dropped: bad}, nil
	})}}, h.srv.RosterChanged, log)
	h.srv.Start(h.eng)
	return h
}

// close waits until all is written.
func (h *hall) close() {
	ctx := context.Background()
	if err := errors.Join(h.srv.Shutdown(ctx), h.eng.Close(ctx)); err != nil {
		h.t.Error(err)
	}
}

func newEar(t testing.TB) *ear {
	return &ear{t: t, bound: make(chan struct{}), ended: make(chan struct{}), over: make(chan struct{}), some: make(chan struct{})}
}

// bind binds a resource.
func (h *hall) bind(jid string, e *ear) *ear {
	h.t.Helper()
	j := addr.MustParse(jid)
	if err := h.srv.Bind(stream.BindRequest{User: j.Bare(), Resource: j.Resource(), ID: "b", Transport: e}); err != nil {
		h.t.Error(err)
	}
	<-e.bound
	return e
}

// enter binds a resource that has got its roster and is available.
func (h *hall) enter(jid string) *ear {
	h.t.Helper()
	e := h.bind(jid, newEar(h.t))
	if err := e.say("<iq type='get' id='its-roster'><query xmlns='jabber:iq:roster'/></iq>"); err != nil {
		h.t.Fatal(err)
	}
	e.waitFor("id='its-roster'")
	if err := e.say("<presence/>"); err != nil {
		h.t.Fatal(err)
	}
	return e
}

// say has the server handle stanzas as if the client had sent them.
func (e *ear) say(text string) error {
	var sc scan.Scanner
	var st scan.Stanza
	for b := []byte(text); ; {
		n, err := sc.Next(b, &st)
		if errors.Is(err, scan.ErrMore) || errors.Is(err, scan.ErrEnd) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := e.handle(&st); err != nil {
			return err
		}
		b = b[n:]
	}
}

// heard is the stanzas that were written: by the scanner, and by encoding/xml, which must agree.
func (e *ear) heard() (list []stanzaHeard, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := bytes.Clone(e.got.Bytes())
	d := xml.NewDecoder(io.MultiReader(strings.NewReader("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"), bytes.NewReader(b)))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	sc := scan.Scanner{Limits: scan.Limits{Stanza: 64 << 20, Attrs: 200, Depth: 200}}
	var st scan.Stanza
	for len(b) > 0 {
		n, err := sc.Next(b, &st)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b, err)
		}
		var h stanzaHeard
		if err := d.Decode(&h); err != nil {
			return nil, fmt.Errorf("%s: %w", st.Raw, err)
		}
		if from, _ := st.Attr("from"); from != h.From || string(st.Name) != h.XMLName.Local || string(st.Space) != h.XMLName.Space {
			return nil, fmt.Errorf("%s: read as %+v", st.Raw, h)
		}
		list = append(list, h)
		b = b[n:]
	}
	return list, nil
}

type stanzaHeard struct {
	XMLName xml.Name
	From    string `xml:"from,attr"`
	To      string `xml:"to,attr"`
	Type    string `xml:"type,attr"`
	ID      string `xml:"id,attr"`
}

// A resource whose stream is being closed is nobody: what is sent to it goes elsewhere or comes back.
func TestMessageToAClosingResource(t *testing.T) {
	h := newHall(t, nil)
	defer h.close()
	juliet := newEar(t)
	juliet.deaf, juliet.stubborn = make(chan struct{}), true
	h.bind("juliet@example.com/balcony", juliet)
	romeo := h.enter("romeo@example.com/orchard")
	if err := juliet.say("<presence/>"); err != nil {
		t.Fatal(err)
	}
	long := "<message to='juliet@example.com/balcony' id='long'><body>" + strings.Repeat("O ", 100_000) + "</body></message>"
	for range 20 {
		if err := romeo.say(long); err != nil {
			t.Fatal(err)
		}
	}
	romeo.waitFor("<message type='error' id='long'")
	for _, send := range []struct{ stanza, answer string }{
		{"<message to='juliet@example.com' id='bare'/>", "<message type='error' id='bare' from='juliet@example.com'"},
		{"<message to='juliet@example.com/balcony' type='chat' id='chat'/>", "<message type='error' id='chat' from='juliet@example.com/balcony'"},
		{"<message to='juliet@example.com/b&#97;lcony' type='chat' id='escaped'/>", "<message type='error' id='escaped'"},
	} {
		if err := romeo.say(send.stanza); err != nil {
			t.Fatal(err)
		}
		romeo.waitFor(send.answer)
	}
	window := h.enter("juliet@example.com/window")
	if err := romeo.say("<message to='juliet@example.com/balcony' type='chat' id='elsewhere'/>"); err != nil {
		t.Fatal(err)
	}
	window.waitFor("id='elsewhere'")
	if err := window.say("<iq type='get' to='juliet@example.com/balcony' id='iq'><x xmlns='u'/></iq>"); err != nil {
		t.Fatal(err)
	}
	window.waitFor("<iq type='error' id='iq'")
	close(juliet.over)
}

// Senders are told what a client did not take before its connection broke: messages and requests, each by its id, and
// nobody of anything else.
func TestConnectionBreaks(t *testing.T) {
	h := newHall(t, map[string][]roster.Item{"juliet@example.com": {both("romeo@example.com")}, "romeo@example.com": {both("juliet@example.com")}})
	defer h.close()
	juliet := newEar(t)
	h.bind("juliet@example.com/balcony", juliet)
	romeo, nurse := h.enter("romeo@example.com/orchard"), h.enter("nurse@example.com/house")
	if err := juliet.say("<iq type='get' id='its-roster'><query xmlns='jabber:iq:roster'/></iq><presence/>"); err != nil {
		t.Fatal(err)
	}
	juliet.waitFor("from='romeo@example.com/orchard'")
	juliet.deaf = make(chan struct{}) // its writer is idle
	attributes := ""
	for i := range 61 {
		attributes += fmt.Sprintf(" a%d=''", i)
	}
	for _, s := range []string{
		"<message to='juliet@example.com/balcony' id='normal'/>",
		"<message to='juliet@example.com' type='chat' id='bare'/>",
		"<message to='juliet@example.com/balcony' id='attributes' xml:lang='it'" + attributes + "/>",
		"<c:message xmlns:c='jabber:client' to='juliet@example.com/balcony' id='&apos;'/>",
		"<message to='juliet@example.com/balcony' type='headline' id='headline'/>",
		"<message to='juliet@example.com/balcony' type='error' id='error'/>",
		"<iq to='juliet@example.com/balcony' type='get' id='get'><x xmlns='u'/></iq>",
		"<iq to='juliet@example.com/balcony' type='result' id='result'/>",
		"<presence id='presence'/>",
		"<presence to='juliet@example.com' id='directed'/>",
		"<message to='juliet@example.com/balcony' id='last'/>",
	} {
		if err := romeo.say(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := nurse.say("<message to='juliet@example.com/balcony' id='of the nurse'/>"); err != nil {
		t.Fatal(err)
	}
	nurse.Abort() // who has left is not told
	juliet.Abort()
	romeo.waitFor("id='last'")
	list, err := romeo.heard()
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, s := range list {
		if s.Type == "error" {
			told = append(told, s.ID)
		}
	}
	if want := []string{"normal", "bare", "attributes", "'", "get", "last"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
}

// What went to several resources is delivered if one of them has it.
func TestConnectionOfOneResourceBreaks(t *testing.T) {
	h := newHall(t, nil)
	defer h.close()
	juliet := newEar(t)
	juliet.deaf = make(chan struct{})
	h.bind("juliet@example.com/balcony", juliet)
	if err := juliet.say("<presence/>"); err != nil {
		t.Fatal(err)
	}
	romeo, window := h.enter("romeo@example.com/orchard"), h.enter("juliet@example.com/window")
	for _, s := range []string{
		"<message to='juliet@example.com' id='bare'/>",
		"<message to='juliet@example.com/gone' type='chat' id='gone'/>",
		"<message to='juliet@example.com/balcony' id='full'/>",
	} {
		if err := romeo.say(s); err != nil {
			t.Fatal(err)
		}
	}
	window.waitFor("id='gone'")
	juliet.Abort()
	romeo.waitFor("<message type='error' id='full'")
	list, err := romeo.heard()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Type == "error" && s.ID != "full" {
			t.Errorf("told of %s, which has arrived", s.ID)
		}
	}
}

// Shutdown waits for what is still to be written to a client that has ended its stream.
func TestShutdownWaitsForTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, nil)
		romeo := newEar(t)
		romeo.lingers = make(chan struct{})
		h.bind("romeo@example.com/orchard", romeo)
		romeo.Abort() // as if the client had ended the stream
		down := false
		go func() { h.close(); down = true }()
		synctest.Wait()
		if down {
			t.Error("down before the stream was closed")
		}
		close(romeo.lingers)
		synctest.Wait()
		if !down {
			t.Error("not down")
		}
	})
}

// A resource that was replaced no longer speaks, whatever it does.
func TestReplacedResourceIsMute(t *testing.T) {
	h := newHall(t, map[string][]roster.Item{"romeo@example.com": {both("juliet@example.com")}, "juliet@example.com": {both("romeo@example.com")}})
	defer h.close()
	juliet := h.enter("juliet@example.com/balcony")
	old := newEar(t)
	old.stubborn = true
	h.bind("romeo@example.com/orchard", old)
	fresh := h.enter("romeo@example.com/orchard")
	for _, s := range []string{
		"<presence id='old'/>", "<presence to='juliet@example.com' id='old'/>", "<presence type='unavailable' id='old'/>", "<message to='juliet@example.com' id='old'/>",
		"<iq type='result' to='juliet@example.com/balcony' id='old'/>", "<presence type='probe' to='juliet@example.com'/>", "<iq type='get' id='old'><query xmlns='jabber:iq:roster'/></iq>",
	} {
		if err := old.say(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := fresh.say("<message to='juliet@example.com' id='fresh'/>"); err != nil {
		t.Fatal(err)
	}
	juliet.waitFor("id='fresh'")
	list, err := juliet.heard()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.ID == "old" || s.Type == "unavailable" {
			t.Errorf("juliet got %+v", s)
		}
	}
	close(old.over)
}

// RFC 6120 §8.2.3: a request is answered once, whatever it asks of whom, and an answer never.
func TestRequestsAreAnsweredOnce(t *testing.T) {
	h := newHall(t, map[string][]roster.Item{
		"juliet@example.com": {both("romeo@example.com")}, "romeo@example.com": {both("juliet@example.com")},
	})
	defer h.close()
	romeo := h.enter("romeo@example.com/orchard")
	for _, jid := range []string{"juliet@example.com/balcony", "tybalt@example.com/tomb"} {
		h.enter(jid)
	}
	addressees := []string{
		"", " to='romeo@example.com'", " to='ROMEO@example.com'", " to='romeo@example.com/gone'", " to='example.com'", " to='Example.com'", " to='example.com/x'",
		" to='juliet@example.com'", " to='juliet@example.com/gone'", " to='tybalt@example.com'", " to='tybalt@example.com/tomb'", " to='tybalt@example.com/gone'",
		" to='nobody@example.com'", " to='nobody@example.com/x'", " to='elsewhere.example'", " to='a@elsewhere.example/x'", " to=''", " to='@'",
	}
	payloads := []string{
		"<query xmlns='jabber:iq:roster'/>", "<query xmlns='jabber:iq:roster' ver=''/>", "<query xmlns='jabber:iq:version'/>", "<ping xmlns='urn:xmpp:ping'/>",
		"<time xmlns='urn:xmpp:time'/>", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "<query xmlns='http://jabber.org/protocol/disco#items' node='x'/>",
		"<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>", "<x/>", "<x xmlns=''/>", "<p:ping xmlns:p='urn:xmpp:ping'/>", "", "<a/><b/>", "text",
	}
	var asked []string
	n := 0
	for _, to := range addressees {
		for _, payload := range payloads {
			for _, typ := range []string{"get", "set", "result", "error", "g&#101;t", "other"} {
				id := fmt.Sprint("q", n)
				n++
				if err := romeo.say("<iq type='" + typ + "' id='" + id + "'" + to + ">" + payload + "</iq>"); err != nil {
					t.Fatal(err)
				}
				if typ != "result" && typ != "error" {
					asked = append(asked, id)
				}
			}
		}
	}
	if err := romeo.say("<iq type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>"); err != nil {
		t.Fatal(err)
	}
	romeo.waitFor("id='last'")
	list, err := romeo.heard()
	if err != nil {
		t.Fatal(err)
	}
	var answered []string
	for _, s := range list {
		if strings.HasPrefix(s.ID, "q") {
			answered = append(answered, s.ID)
			if s.Type != "result" && s.Type != "error" || s.To != "romeo@example.com/orchard" {
				t.Errorf("answered with %+v", s)
			}
		}
	}
	if !slices.Equal(asked, answered) {
		t.Errorf("asked %d, answered %d", len(asked), len(answered))
	}
}

// Everybody sends everything to everybody at once, comes, goes and is replaced, while rosters are refreshed: what one
// sends to another arrives in order (RFC 6120 §10.1), and every stream stays whole. Under -race.
func TestEverythingAtOnce(t *testing.T) {
	const users, rounds = 4, 300
	rosters := map[string][]roster.Item{}
	jid := func(u int) string { return fmt.Sprintf("u%d@example.com", u) }
	for u := range users {
		for c := range users {
			if c != u {
				rosters[jid(u)] = append(rosters[jid(u)], both(jid(c)))
			}
		}
	}
	h := newHall(t, rosters)
	var all sync.WaitGroup
	var mu sync.Mutex
	var ears []*ear
	for u := range users {
		for r := range 2 {
			all.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(u), uint64(r)))
				var e *ear
				for n := range rounds {
					if e == nil || rnd.IntN(30) == 0 { // the second of two replaces the first
						e = h.bind(fmt.Sprintf("%s/r%d", jid(u), rnd.IntN(2)), newEar(t))
						mu.Lock()
						ears = append(ears, e)
						mu.Unlock()
					}
					to := jid(rnd.IntN(users))
					full := fmt.Sprintf("%s/r%d", to, rnd.IntN(2))
					_ = e.say([]string{
						fmt.Sprintf("<message to='%s' type='chat' id='%d-%d'/>", to, r, n),
						fmt.Sprintf("<message to='%s' id='%d-%d'/>", full, r, n),
						fmt.Sprintf("<presence to='%s' id='%d-%d'/>", full, r, n),
						fmt.Sprintf("<iq type='get' to='%s' id='%d-%d'><x xmlns='u'/></iq>", full, r, n),
						"<presence/>", "<presence type='unavailable'/>", "<presence><priority>-1</priority></presence>",
						fmt.Sprintf("<presence type='probe' to='%s'/>", to),
						"<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>",
					}[rnd.IntN(9)]) // its stream may have ended
					if rnd.IntN(50) == 0 {
						e.Abort()
						e = nil
					}
				}
			})
		}
	}
	all.Go(func() {
		for range 50 {
			h.eng.Refresh(t.Context(), "example.com", []string{"u0", "u1", "u2", "u3"})
		}
	})
	all.Wait()
	h.close()
	for _, e := range ears {
		list, err := e.heard()
		if err != nil {
			t.Fatal(err)
		}
		last := map[string]int{} // by sender
		for _, s := range list {
			var r, n int
			if _, err := fmt.Sscanf(s.ID, "%d-%d", &r, &n); err != nil || s.Type == "error" {
				continue
			}
			sender := fmt.Sprint(addr.MustParse(s.From).Bare(), " ", r) // the goroutine, whatever resource it had
			if before, ok := last[sender]; ok && n <= before {
				t.Errorf("%d of %s after %d", n, sender, before)
			}
			last[sender] = n
		}
	}
}

// Whatever one client sends, the streams of others stay whole, and all that comes to them from it says so.
func FuzzRoute(f *testing.F) {
	for _, s := range []string{
		"<message to='juliet@example.com'><body>hi</body></message>",
		"<message to='juliet@example.com/balcony' type='chat' from='romeo@example.com'/>",
		"<c:message xmlns:c='jabber:client' to=\"juliet@example.com/balcony\" id=\"'\"><x xmlns='u' xmlns:p='v' p:a='1'/></c:message>",
		"<message xmlns='jabber:client' xmlns:stream='u' to='juliet@example.com'><stream:x/></message>",
		"<presence to='juliet@example.com'><show>away</show></presence><presence/><presence type='unavailable'/>",
		"<c:presence xmlns:c='jabber:client'/><presence type='probe' to='romeo@example.com'/>",
		"<presence id='/>' xml:lang='x'><priority>-1</priority></presence><message/>",
		"<iq type='get' id='1' to='juliet@example.com/balcony'><q xmlns='x'/></iq><iq type='set' id='&apos;' to='example.com'><q/></iq>",
		"<iq type='get' id='1'><query xmlns='jabber:iq:roster' ver='x'/></iq><iq type='get' id='2'><c:query xmlns:c='http://jabber.org/protocol/disco#info' node='n'/></iq>",
		"<message to='elsewhere.example/&lt;&apos;&quot;' id='&#x9;&amp;'/><presence type='subscribe' to='juliet@example.com'/>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h := newHall(t, map[string][]roster.Item{
			"romeo@example.com":  {both("juliet@example.com")},
			"juliet@example.com": {both("romeo@example.com")},
		})
		juliet, tybalt := h.enter("juliet@example.com/balcony"), h.enter("tybalt@example.com/tomb")
		romeo := h.enter("romeo@example.com/orchard")
		other := h.enter("romeo@example.com/chamber")
		_ = romeo.say(text) // what is wrong with it is not the point
		romeo.Abort()
		h.close()
		speakers := []string{"", "juliet@example.com/balcony", "tybalt@example.com/tomb", "romeo@example.com/orchard", "romeo@example.com/chamber"}
		for name, e := range map[string]*ear{"juliet": juliet, "tybalt": tybalt, "romeo": romeo, "other": other} {
			list, err := e.heard()
			if err != nil {
				t.Fatalf("%q made %s get %v", text, name, err)
			}
			for _, s := range list {
				if name != "romeo" && !slices.Contains(speakers, s.From) {
					t.Fatalf("%q made %s get a stanza from %q", text, name, s.From)
				}
			}
		}
	})
}

// A message from one client into the outbox of another, from the bytes that were read to those that are written.
func BenchmarkRouteMessage(b *testing.B) {
	h := newHall(b, nil)
	defer h.close()
	romeo := h.enter("romeo@example.com/orchard").forgets()
	h.enter("juliet@example.com/balcony").forgets()
	text := []byte("<message to='juliet@example.com/balcony' type='chat' id='f2b5a6c8'><body>Art thou not Romeo, and a Montague? Neither, fair saint.</body>" +
		"<active xmlns='http://jabber.org/protocol/chatstates'/></message>")
	var sc scan.Scanner
	var st scan.Stanza
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sc.Next(text, &st); err != nil {
			b.Fatal(err)
		}
		if err := romeo.handle(&st); err != nil {
			b.Fatal(err)
		}
	}
	if n := h.srv.Sessions(); n != 2 {
		b.Fatalf("%d sessions are left", n)
	}
}

// A presence to 50 contacts, each with a resource that is there.
func BenchmarkPresenceFanout50(b *testing.B) {
	rosters := map[string][]roster.Item{}
	for i := range 50 {
		u := fmt.Sprintf("c%d@example.com", i)
		rosters[u] = []roster.Item{both("romeo@example.com")}
		rosters["romeo@example.com"] = append(rosters["romeo@example.com"], both(u))
	}
	h := newHall(b, rosters)
	defer h.close()
	romeo := h.enter("romeo@example.com/orchard").forgets()
	for i := range 50 {
		c := h.enter(fmt.Sprintf("c%d@example.com/x", i))
		c.waitFor("from='romeo@example.com/orchard'")
		c.forgets()
	}
	text := []byte("<presence><show>away</show><status>be right back</status><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.com' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>")
	var sc scan.Scanner
	var st scan.Stanza
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sc.Next(text, &st); err != nil {
			b.Fatal(err)
		}
		if err := romeo.handle(&st); err != nil {
			b.Fatal(err)
		}
	}
	if n := h.srv.Sessions(); n != 51 {
		b.Fatalf("%d sessions are left", n)
	}
}
