package xmpptest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/store/credential"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xmpptest"
)

// theatre is a small server: it passes stanzas on to full JIDs, and answers
// roster gets and everything that is for itself.
type theatre struct {
	mu    sync.Mutex
	stage map[string]*player
}

type player struct {
	mu sync.Mutex // one writer at a time
	stream.Transport
	name string
}

func (p *player) say(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Write(b)
}

func (th *theatre) Credentials(_ context.Context, user addr.Bare) (credential.Credentials, error) {
	if user.Domain() != "example.com" {
		return credential.Credentials{}, credential.ErrNoUser
	}
	return credential.Credentials{Password: "pass", HasPassword: true}, nil
}

func (th *theatre) Bind(r stream.BindRequest) *stanza.Error {
	resource := r.Resource
	if resource == "" {
		resource = rand.Text()
	}
	p := &player{Transport: r.Transport, name: r.User.String() + "/" + resource}
	th.mu.Lock()
	th.stage[p.name] = p
	th.mu.Unlock()
	p.say(stanza.AppendResult(nil, r.ID, "", "", []byte("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>"+p.name+"</jid></bind>")))
	go func() {
		var se *stanza.StreamError
		errors.As(p.Run(func(st *scan.Stanza) error { return th.handle(p, st) }), &se)
		p.mu.Lock() // Close wants nobody to be writing
		defer p.mu.Unlock()
		p.Close(se)
	}()
	return nil
}

func (th *theatre) handle(p *player, st *scan.Stanza) error {
	to, _ := st.Attr("to")
	th.mu.Lock()
	other := th.stage[to]
	th.mu.Unlock()
	switch {
	case other != nil:
		other.say(stanza.AppendRouted(nil, st, p.name))
	case string(st.Name) == "iq" && string(st.Get("type")) == "get":
		return p.say(stanza.AppendResult(nil, stanza.ID(st), "", "", []byte(`<query xmlns='jabber:iq:roster'>`+
			`<item jid='b@example.com' name='B' subscription='both'><group>Z</group><group>A</group></item><item jid='c@example.com'/></query>`)))
	case string(st.Name) == "presence":
		return p.say(stanza.AppendIQ(nil, "set", "push1", "", "", []byte(`<query xmlns='jabber:iq:roster'><item jid='d@example.com' subscription='remove'/></query>`)))
	case string(st.Name) == "curtain":
		return &stanza.StreamError{Condition: stanza.StreamSystemShutdown}
	}
	return nil
}

// open starts a theatre and returns its stage.
func open(t *testing.T, encrypted bool) *xmpptest.Stage {
	th := &theatre{stage: map[string]*player{}}
	host := &stream.Host{
		Domain: "example.com", AllowPlainUnencrypted: true,
		Auth: &auth.Host{Domain: "example.com", Accounts: th, StoresPasswords: true, Hashes: credential.Hashes()},
	}
	if encrypted {
		host.RequireTLS, host.TLS = true, selfSigned(t)
	}
	server := &stream.Server{Host: func(string) *stream.Host { return host }}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go server.Serve(t.Context(), nc, th)
		}
	}()
	return &xmpptest.Stage{Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
	}}
}

func selfSigned(t *testing.T) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

const balcony = `
# Act II, Scene II
romeo: connects [romeo@example.com/orchard, pass]
juliet: connects [juliet@example.com, pass]

romeo sends: <message to='{juliet}' id='m1'><body>By a &lt;name&gt;</body></message>
juliet receives:
	<message from='romeo@example.com/orchard' to='{juliet}' id='{id}'>
	    <body>By a &lt;{noun}&gt;</body>
	</message>
juliet sends:
    <message to='{romeo}' id='{id}'><body>My ears: {noun}</body></message>
    <message to='{romeo}' id='m2'/>
romeo receives:
    <message from='{juliet}' to='{any}' id='m2'/>
    <message from='{juliet}' to='{romeo}' id='m1'><body>My ears: {any}</body></message>
romeo receives nothing
prompter: whispers
juliet sends: <presence/>
juliet receives: <iq type='set' id='push1'>{any}</iq>
juliet answers
romeo disconnects
juliet sends: <curtain/>
juliet receives: <stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>
juliet is disconnected
`

func TestScript(t *testing.T) {
	for name, encrypted := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			stage := open(t, encrypted)
			var said []string
			stage.Actions = map[string]func(context.Context, string) error{
				"prompter": func(_ context.Context, text string) error {
					said = append(said, text)
					return nil
				},
			}
			stage.Play(t, balcony)
			if !slices.Equal(said, []string{"whispers"}) {
				t.Errorf("the prompter said %q", said)
			}
		})
	}
}

// A script that goes wrong says where and why.
func TestScriptFails(t *testing.T) {
	const connect = "romeo: connects [romeo@example.com/orchard, pass]\njuliet: connects [juliet@example.com/balcony, pass]\n"
	tests := []struct{ name, script, want string }{
		{"bad line", "romeo eats: an apple", "line 1: cannot be understood"},
		{"nothing above", "\n  <presence/>", "line 2: nothing above"},
		{"not connected", "romeo sends: <presence/>", "line 1: romeo sends: <presence/>: romeo is not connected"},
		{"no password", "romeo connects [romeo@example.com]", "JID and password belong in brackets"},
		{"bad address", "romeo connects [@, pass]", "not a valid address"},
		{"wrong password", "romeo connects [romeo@example.com, word]", "authentication failed: not-authorized"},
		{"connected twice", connect + connect, "line 3: romeo: connects [romeo@example.com/orchard, pass]: romeo is connected already"},
		{"unknown name", connect + "romeo sends: <message to='{tybalt}'/>", "{tybalt} has no value yet"},
		{"other stanza", connect + "romeo sends: <message to='{juliet}' id='1'/>\njuliet receives: <message from='{romeo}' to='{juliet}' id='2'/>",
			"line 4: juliet receives: <message from='{romeo}' to='{juliet}' id='2'/>: id of <message/> is \"1\", want \"2\"\n\twant <message from='{romeo}' to='{juliet}' id='2'/>\n\tgot  <message from='romeo@example.com/orchard'"},
		{"something for nothing", connect + "romeo sends: <message to='{juliet}' id='1'/>\njuliet receives nothing", "expected nothing; received:\n\t<message from='romeo@example.com/orchard'"},
		{"nothing expected", connect + "romeo receives:", "expects no element"},
		{"expected nonsense", connect + "romeo receives: <message>", "parse what is expected"},
		{"end instead of a stanza", connect + "romeo sends: </stream:stream>\nromeo receives: <presence/>", "nothing came: EOF"},
		{"action", "prompter: fails", "line 1: prompter: fails: no voice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stage := open(t, false)
			stage.Actions = map[string]func(context.Context, string) error{
				"prompter": func(context.Context, string) error { return errors.New("no voice") },
			}
			err := stage.Run(t.Context(), tt.script)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("says %v, want %q", err, tt.want)
			}
		})
	}
}

func TestScriptThatHangs(t *testing.T) {
	stage := open(t, false)
	stage.Patience = 3 * time.Second
	err := stage.Run(t.Context(), "romeo connects [romeo@example.com, pass]\nromeo receives: <presence/>")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("says %v", err)
	}
}

func TestClient(t *testing.T) {
	stage := open(t, false)
	nc, err := stage.Dial(t.Context())
	must(t, err)
	c := xmpptest.New(nc, "example.com")
	must(t, c.Open(t.Context()))
	if want := []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"}; !slices.Equal(c.Mechanisms(), want) {
		t.Errorf("offered are %v", c.Mechanisms())
	}
	for _, mechanism := range c.Mechanisms() {
		var f *xmpptest.Failure
		if err := c.Authenticate(t.Context(), mechanism, "romeo", "word"); !errors.As(err, &f) || f.Condition != "not-authorized" {
			t.Errorf("%s: %v", mechanism, err)
		}
		nc, err := stage.Dial(t.Context())
		must(t, err)
		c = xmpptest.New(nc, "example.com")
		must(t, c.Open(t.Context()))
		must(t, c.Authenticate(t.Context(), mechanism, "romeo", "pass"))
		must(t, c.Open(t.Context()))
		must(t, c.Bind(t.Context(), mechanism))
		if want := "romeo@example.com/" + mechanism; c.JID != want {
			t.Errorf("%s is bound, want %s", c.JID, want)
		}
		items, err := c.Roster(t.Context())
		must(t, err)
		if len(items) != 2 || items[0].Name != "B" || !slices.Equal(items[0].Groups, []string{"A", "Z"}) || items[1].JID != "c@example.com" {
			t.Errorf("roster is %+v", items)
		}
		must(t, c.Send(t.Context(), "<presence/>"))
		push, err := c.ExpectPush(t.Context())
		must(t, err)
		if len(push) != 1 || push[0].Subscription != "remove" {
			t.Errorf("push is %+v", push)
		}
		must(t, c.Close(t.Context()))
		nc, err = stage.Dial(t.Context())
		must(t, err)
		c = xmpptest.New(nc, "example.com")
		must(t, c.Open(t.Context()))
	}
	must(t, c.Disconnect())
}

// What is passed over is not lost.
func TestExpectKeepsOrder(t *testing.T) {
	stage := open(t, false)
	nc, err := stage.Dial(t.Context())
	must(t, err)
	c := xmpptest.New(nc, "example.com")
	must(t, c.Login(t.Context(), "romeo", "pass", "orchard"))
	for _, id := range []string{"1", "2", "3"} {
		must(t, c.Send(t.Context(), "<message to='romeo@example.com/orchard' id='"+id+"'/>"))
	}
	e, err := c.Expect(t.Context(), "the second", func(e xmpptest.Element) bool { return e.Attr("id") == "2" })
	must(t, err)
	must(t, c.Ping(t.Context()))
	got := e.Attr("id")
	for range 2 {
		e, err := c.Next(t.Context())
		must(t, err)
		got += e.Attr("id")
	}
	if got != "213" {
		t.Errorf("got %s", got)
	}
	must(t, c.Nothing(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.Expect(ctx, "a miracle", func(xmpptest.Element) bool { return true }); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "expected a miracle") {
		t.Errorf("says %v", err)
	}
	must(t, c.Close(t.Context()))
}

// A server that breaks XML is found out, even where Go's decoder lets it pass.
func TestStrictness(t *testing.T) {
	for name, bad := range map[string]string{
		"twice the same attribute": "<message to='a' to='a'/>",
		"unbound prefix":           "<x:y/>",
		"text between stanzas":     "hello",
		"comment":                  "<!-- -->",
	} {
		ours, theirs := net.Pipe()
		go func() {
			theirs.Write([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>" + bad))
			theirs.Close()
		}()
		c := xmpptest.New(ours, "example.com")
		must(t, c.ReadHeader(t.Context()))
		if e, err := c.Next(t.Context()); err == nil || !strings.Contains(err.Error(), "server sent bad XML") {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
