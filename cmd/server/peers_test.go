package main

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/mux"
	"mellium.im/xmpp/roster"
	"mellium.im/xmpp/stanza"

	"rosterd/engine/enginetest"
)

// peer is a client that somebody else wrote.
type peer interface {
	presence(t testing.TB, status string)
	message(t testing.TB, to, body string)
	leave(t testing.TB)
	happened() *journal // what happened, as JSON, a line each
}

// dialer logs a client in; it returns before it knows how that went.
type dialer func(t testing.TB, s *program, jid, password string) peer

// event is one line of what happened to a peer. Event is login, refused, roster, push, online, offline, message
// or disconnected.
type event struct {
	Event             string                 `json:"event"`
	JID               string                 `json:"jid,omitempty"`
	Mechanism         string                 `json:"mechanism,omitempty"`
	TLS               bool                   `json:"tls,omitempty"`
	Condition         string                 `json:"condition,omitempty"`
	Who, Status, Body string                 `json:",omitempty"`
	Contacts          map[string]peerContact `json:"contacts,omitempty"`
}

type peerContact struct {
	Name         string   `json:"name"`
	Subscription string   `json:"subscription"`
	Groups       []string `json:"groups"`
}

// TestPeers has clients of others use the server as their users do.
func TestPeers(t *testing.T) {
	for name, tt := range map[string]struct {
		dial            dialer
		head, mechanism string
	}{
		"slixmpp": {dialSlixmpp, withoutBinding, "SCRAM-SHA-1"},
		"mellium": {dialMellium, "", "SCRAM-SHA-1-PLUS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, map[string]string{
				"john": `{"jane@example.com": {"name": "Jané <&>", "groups": ["Friends", "Work & play"]}, "old@example.com": {"name": "Old", "groups": {"Past": true}}}`,
				"jane": `{"john@example.com": {"name": "John", "groups": []}}`,
			})
			p := newPlace(t, seedFor(backend.Template()))
			p.head = tt.head
			p.certify(t, "example.com")
			s := p.serve(t)
			for _, user := range []string{"john@example.com", "jane@example.com"} {
				if status, _, stderr := p.command(t, password+"\n", "user", "add", user); status != exitOK {
					t.Fatal(stderr)
				}
			}
			t.Run("a wrong password", func(t *testing.T) { peerRefused(t, s, tt.dial) })
			t.Run("a conversation", func(t *testing.T) { peersTalk(t, s, backend, tt.dial, tt.mechanism) })
		})
	}
}

func peerRefused(t *testing.T, s *program, dial dialer) {
	john := dial(t, s, "john@example.com/wrong", "guessed")
	equal(t, "condition", expect(t, john, "refused", nil).Condition, "not-authorized")
}

// withoutBinding lets slixmpp in by SCRAM. Debian's knows no other channel binding than tls-unique, and says that it has
// not seen any offered where it cannot use what is.
const withoutBinding = `disable_sasl_mechanisms = { "SCRAM-SHA-1-PLUS" }`

// TestSlixmppChannelBinding: where channel binding is offered, that slixmpp gets in by PLAIN at the third attempt.
func TestSlixmppChannelBinding(t *testing.T) {
	t.Parallel()
	p := newPlace(t, seedFor(enginetest.Serve(t, nil).Template()))
	p.certify(t, "example.com")
	s := p.serve(t)
	if status, _, stderr := p.command(t, password+"\n", "user", "add", "john@example.com"); status != exitOK {
		t.Fatal(stderr)
	}
	john := dialSlixmppBy(t, s, "john@example.com/tea", password, "")
	login := expect(t, john, "login", nil)
	equal(t, "mechanism", login.Mechanism, "PLAIN")
	equal(t, "TLS", login.TLS, true)
	john.leave(t)
}

func peersTalk(t *testing.T, s *program, backend *enginetest.Server, dial dialer, mechanism string) {
	john := dial(t, s, "john@example.com/tea", password)
	login := expect(t, john, "login", nil)
	bare, _, full := strings.Cut(login.JID, "/") // mellium takes whatever resource it is given
	equal(t, "who logged in", bare, "john@example.com")
	equal(t, "by SCRAM, under TLS and with a resource", login.Mechanism == mechanism && login.TLS && full, true)
	equal(t, "john's roster", expect(t, john, "roster", nil).Contacts, map[string]peerContact{
		"jane@example.com": {"Jané <&>", "both", []string{"Friends", "Work & play"}},
		"old@example.com":  {"Old", "both", []string{"Past"}},
	})
	john.presence(t, "at tea")
	jane := dial(t, s, "jane@example.com/garden", password)
	expect(t, jane, "roster", nil)
	jane.presence(t, "in the garden")

	equal(t, "john's status", expect(t, jane, "online", from("john@example.com")).Status, "at tea")
	equal(t, "jane's status", expect(t, john, "online", from("jane@example.com")).Status, "in the garden")
	john.message(t, "jane@example.com", "more <tea> & cake?")
	equal(t, "john's message", expect(t, jane, "message", from("john@example.com")).Body, "more <tea> & cake?")
	jane.message(t, "john@example.com", "ja, bitte 🍰")
	equal(t, "jane's message", expect(t, john, "message", from("jane@example.com")).Body, "ja, bitte 🍰")

	peerSeesChanges(t, s, backend, john)
	backend.Set("john", `{}`)
	backend.Set("jane", `{}`)
	s.refresh(t, "john", "jane")
	expect(t, john, "offline", from("jane@example.com"))
	expect(t, jane, "offline", from("john@example.com"))
	john.leave(t)
	jane.leave(t)
	expect(t, john, "disconnected", nil)
	expect(t, jane, "disconnected", nil)
}

// peerSeesChanges changes one thing after the other, without the client connecting anew.
func peerSeesChanges(t *testing.T, s *program, backend *enginetest.Server, john peer) {
	const jane = `"jane@example.com": {"name": "Jané <&>", "groups": ["Friends", "Work & play"]}`
	const old = `"old@example.com": {"name": "Old", "groups": ["Past"]}`
	for _, step := range []struct {
		name, roster string
		want         map[string]peerContact
	}{
		{"added", `{` + jane + `, ` + old + `, "new@example.com": {"name": "New", "groups": ["Band"]}}`,
			map[string]peerContact{"new@example.com": {"New", "both", []string{"Band"}}}},
		{"renamed", `{` + jane + `, ` + old + `, "new@example.com": {"name": "Newt", "groups": ["Band"]}}`,
			map[string]peerContact{"new@example.com": {"Newt", "both", []string{"Band"}}}},
		{"regrouped", `{` + jane + `, ` + old + `, "new@example.com": {"name": "Newt", "groups": ["Band", "Choir"]}}`,
			map[string]peerContact{"new@example.com": {"Newt", "both", []string{"Band", "Choir"}}}},
		{"out of its groups", `{` + jane + `, ` + old + `, "new@example.com": {"name": "Newt"}}`,
			map[string]peerContact{"new@example.com": {"Newt", "both", []string{}}}},
		{"subscription changed", `{` + jane + `, ` + old + `, "new@example.com": {"name": "Newt", "subscription": "to"}}`,
			map[string]peerContact{"new@example.com": {"Newt", "to", []string{}}}},
		{"removed", `{` + jane + `, ` + old + `}`,
			map[string]peerContact{"new@example.com": {"", "remove", []string{}}}},
	} {
		backend.Set("john", step.roster)
		s.refresh(t, "john")
		expect(t, john, "push", func(e event) bool { return reflect.DeepEqual(e.Contacts, step.want) })
	}
	pushes := 0
	for _, line := range john.happened().all() {
		if strings.Contains(line, `"push"`) {
			pushes++
		}
	}
	equal(t, "pushes, one for each change", pushes, 6)
}

func from(jid string) func(event) bool { return func(e event) bool { return e.Who == jid } }

// expect waits until it has happened. nil matches whatever.
func expect(t testing.TB, p peer, what string, match func(event) bool) (e event) {
	t.Helper()
	_, err := p.happened().wait(testContext(t), func(line string) bool {
		var got event
		if json.Unmarshal([]byte(line), &got) != nil || got.Event != what || match != nil && !match(got) {
			return false
		}
		e = got
		return true
	})
	if err != nil {
		t.Fatalf("no such event: %s: %v; what happened:\n%s", what, err, p.happened())
	}
	return e
}

// slixmpp is testdata/slixmpp_client.py in a process of its own.
type slixmpp struct {
	stdin io.WriteCloser
	log   *journal
}

func dialSlixmpp(t testing.TB, s *program, jid, password string) peer {
	t.Helper()
	return dialSlixmppBy(t, s, jid, password, "SCRAM-SHA-1")
}

// dialSlixmppBy is dialSlixmpp with another mechanism, or with slixmpp's own choice.
func dialSlixmppBy(t testing.TB, s *program, jid, password, mechanism string) peer {
	t.Helper()
	host, port, _ := net.SplitHostPort(s.address(s.c2s))
	// Debian's own Python, which python3-slixmpp is installed for.
	cmd := exec.Command("/usr/bin/python3", filepath.Join("testdata", "slixmpp_client.py"),
		jid, password, host, port, s.certificate("example.com"), mechanism)
	peer := &slixmpp{log: newJournal()}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		peer.stdin, err = cmd.StdinPipe()
	}
	complaints := newJournal()
	cmd.Stderr = complaints
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("slixmpp (Debian package python3-slixmpp, see make deps): %v", err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer peer.log.close()
		copyLines(stdout, peer.log)
	}()
	t.Cleanup(func() {
		peer.stdin.Close()
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("slixmpp (Debian package python3-slixmpp, see make deps): %v\n%s", err, complaints)
		}
	})
	return peer
}

func copyLines(r io.Reader, j *journal) {
	for s := bufio.NewScanner(r); s.Scan(); {
		fmt.Fprintln(j, s.Text())
	}
}

func (p *slixmpp) do(t testing.TB, command map[string]string) {
	t.Helper()
	line, err := json.Marshal(command)
	if err == nil {
		_, err = fmt.Fprintf(p.stdin, "%s\n", line)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (p *slixmpp) happened() *journal { return p.log }

func (p *slixmpp) presence(t testing.TB, status string) {
	p.do(t, map[string]string{"do": "presence", "status": status})
}

func (p *slixmpp) message(t testing.TB, to, body string) {
	p.do(t, map[string]string{"do": "message", "to": to, "body": body})
}

func (p *slixmpp) leave(t testing.TB) { p.do(t, map[string]string{"do": "disconnect"}) }

// mellium is the client of mellium.im/xmpp.
type mellium struct {
	session *xmpp.Session
	log     *journal
}

func (m *mellium) happened() *journal { return m.log }

func (m *mellium) say(e event) {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings only
	}
	fmt.Fprintf(m.log, "%s\n", line)
}

func dialMellium(t testing.TB, s *program, address, password string) peer {
	t.Helper()
	ctx := testContext(t)
	conn, err := net.Dial("tcp", s.address(s.c2s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	m := &mellium{log: newJournal()}
	used := &sasl.Mechanism{}
	m.session, err = xmpp.NewClientSession(ctx, jid.MustParse(address), conn,
		xmpp.StartTLS(s.trust(t, "example.com")),
		xmpp.SASL("", password, watched(used, sasl.ScramSha1Plus)),
		xmpp.BindResource())
	if err != nil {
		condition := err.Error()
		if strings.Contains(condition, "not-authorized") {
			condition = "not-authorized"
		}
		m.say(event{Event: "refused", Condition: condition})
		return m
	}
	m.say(event{Event: "login", JID: m.session.LocalAddr().String(), Mechanism: used.Name,
		TLS: m.session.ConnectionState().HandshakeComplete})
	served := make(chan error, 1)
	go func() {
		served <- m.session.Serve(m.handler())
		m.say(event{Event: "disconnected"})
	}()
	t.Cleanup(func() {
		conn.Close()
		err := <-served
		for _, end := range []error{net.ErrClosed, io.EOF, xmpp.ErrOutputStreamClosed} { // as it may answer a push after leave
			if errors.Is(err, end) {
				err = nil
			}
		}
		if err != nil {
			t.Error(err)
		}
	})
	m.fetch(t, ctx)
	return m
}

// watched is a mechanism that notes that it was used.
func watched(used *sasl.Mechanism, m sasl.Mechanism) sasl.Mechanism {
	start := m.Start
	m.Start = func(n *sasl.Negotiator) (bool, []byte, interface{}, error) {
		used.Name = m.Name
		return start(n)
	}
	return m
}

func (m *mellium) fetch(t testing.TB, ctx context.Context) {
	list := map[string]peerContact{}
	iter := roster.Fetch(ctx, m.session)
	for iter.Next() {
		list[iter.Item().JID.String()] = melliumContact(iter.Item())
	}
	if err := errors.Join(iter.Err(), iter.Close()); err != nil {
		t.Fatal(err)
	}
	m.say(event{Event: "roster", Contacts: list})
}

func melliumContact(i roster.Item) peerContact {
	groups := append([]string{}, i.Group...)
	slices.Sort(groups)
	return peerContact{Name: i.Name, Subscription: i.Subscription, Groups: groups}
}

func (m *mellium) handler() xmpp.Handler {
	presence := func(what string) mux.PresenceHandlerFunc {
		return func(p stanza.Presence, t xmlstream.TokenReadEncoder) error {
			var body struct {
				Status string `xml:"status"`
			}
			if err := xml.NewTokenDecoder(t).Decode(&body); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			m.say(event{Event: what, Who: p.From.Bare().String(), Status: body.Status})
			return nil
		}
	}
	chat := func(msg stanza.Message, t xmlstream.TokenReadEncoder) error {
		var body struct {
			Body string `xml:"body"`
		}
		if err := xml.NewTokenDecoder(t).Decode(&body); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		m.say(event{Event: "message", Who: msg.From.Bare().String(), Body: body.Body})
		return nil
	}
	return mux.New(stanza.NSClient,
		roster.Handle(roster.Handler{Push: func(_ string, i roster.Item) error {
			m.say(event{Event: "push", Contacts: map[string]peerContact{i.JID.String(): melliumContact(i)}})
			return nil
		}}),
		mux.PresenceFunc(stanza.AvailablePresence, xml.Name{}, presence("online")),
		mux.PresenceFunc(stanza.UnavailablePresence, xml.Name{}, presence("offline")),
		mux.MessageFunc(stanza.ChatMessage, xml.Name{Local: "body"}, chat),
	)
}

func element(name, text string) xml.TokenReader {
	return xmlstream.Wrap(xmlstream.Token(xml.CharData(text)), xml.StartElement{Name: xml.Name{Local: name}})
}

func (m *mellium) presence(t testing.TB, status string) {
	t.Helper()
	m.send(t, stanza.Presence{}.Wrap(element("status", status)))
}

func (m *mellium) message(t testing.TB, to, body string) {
	t.Helper()
	m.send(t, stanza.Message{To: jid.MustParse(to), Type: stanza.ChatMessage}.Wrap(element("body", body)))
}

func (m *mellium) send(t testing.TB, r xml.TokenReader) {
	t.Helper()
	if err := m.session.Send(testContext(t), r); err != nil {
		t.Fatal(err)
	}
}

func (m *mellium) leave(t testing.TB) {
	t.Helper()
	if err := m.session.Close(); err != nil {
		t.Error(err)
	}
}
