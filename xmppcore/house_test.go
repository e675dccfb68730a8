package xmppcore_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/engine/stored"
	"rosterd/store/credential"
	"rosterd/xmppcore"
	"rosterd/xmppcore/archive"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xep"
	"rosterd/xmppcore/xmpptest"
)

const password = "wherefore"

// house is a server that is reached over loopback, its engine, and a backend that serves what it is told to.
type house struct {
	t      testing.TB
	config xmppcore.Config
	srv    *xmppcore.Server
	eng    *engine.Engine
	stop   func() // ends both
	addr   string
	tls    bool // clients encrypt
	wrap   func(net.Listener) net.Listener
	kept   keeper
	clerk  *clerk

	mu      sync.Mutex // guards what the backend serves
	rosters map[addr.Bare][]roster.Item
	broken  map[addr.Bare]error
	gates   map[addr.Bare]chan struct{} // closed when the backend may answer
}

// newHouse starts a server with a host for each policy. Anybody of any name may log in with the one password.
func newHouse(t testing.TB, change func(*xmppcore.Config)) *house {
	return build(t, change, func(ln net.Listener) net.Listener { return ln })
}

// newNarrowHouse is newHouse with sockets that hold little: what a client does not read stays in its outbox.
func newNarrowHouse(t testing.TB, change func(*xmppcore.Config)) *house {
	return build(t, change, func(ln net.Listener) net.Listener { return narrow{ln} })
}

type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	nc, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp := nc.(*net.TCPConn)
	return nc, errors.Join(tcp.SetWriteBuffer(128<<10), tcp.SetReadBuffer(128<<10))
}

func build(t testing.TB, change func(*xmppcore.Config), wrap func(net.Listener) net.Listener) *house {
	h := &house{t: t, wrap: wrap, rosters: map[addr.Bare][]roster.Item{}, broken: map[addr.Bare]error{}, gates: map[addr.Bare]chan struct{}{}}
	h.clerk = &clerk{h: h, says: map[addr.Bare]string{}, seen: map[string]bool{}, news: make(chan struct{})}
	all := []string{"disco", "ping", "version", "time"}
	c := xmppcore.Config{
		Log:        slog.New(&loud{t}),
		Version:    "1.2.3",
		Stream:     stream.Limits{PerAddress: -1},
		Components: parts,
		Hosts: []xmppcore.Host{
			{Domain: "example.com", BlockSubscriptions: true, Modules: all, Name: "Verona & <Co>", Items: []xep.Item{{JID: "rooms.example.com", Name: "Rooms"}, {JID: "proxy.example.com"}}},
			{Domain: "example.net", Modules: []string{"ping"}},
			{Domain: "bare.example"},
			{Domain: "kick-new.example", Conflict: xmppcore.KickNew},
			{Domain: "random.example", Conflict: xmppcore.Random},
			{Domain: "increment.example", Conflict: xmppcore.Increment},
			{Domain: "two.example", MaxSessions: 2},
			{Domain: "managed.example", Modules: []string{"ping"}, Management: &xmppcore.StreamManagement{Management: session.Management{Hibernation: 10 * time.Minute}, Hibernated: 10},
				ClientState: &session.Inactivity{Most: 100, Waits: xep.CanWait()}},
			{Domain: "polite.example", Modules: all, Greetings: polite},
			{Domain: "kept.example", BlockSubscriptions: true},                      // rosters are kept, and three of their changes
			{Domain: "montague.example", Editable: true, Modules: []string{"ping"}}, // but for nobody, anybody is there
			{Domain: "capulet.example", Editable: true},
			{Domain: "verona.example", Editable: true, Blocking: &xmppcore.Blocking{Keep: 2}},
			{Domain: "own.example", Editable: true},           // a backend supplies rosters, and users have contacts of their own beside them
			{Domain: clerks, Editable: true, Writeback: true}, // a backend is asked for what users want
			{Domain: "shy.example", Editable: true, BlockSubscriptions: true},
			{Domain: "block.example", Modules: append([]string{"private", "lastactivity", "uptime"}, all...), Blocking: &xmppcore.Blocking{Keep: 2}},
			{Domain: "legacy.example", Modules: []string{"vcard_legacy", "vcard4", "bookmarks", "private"}},
			{Domain: "pep.example", Blocking: &xmppcore.Blocking{Keep: 2}, Modules: append([]string{"pep", "vcard"}, all...)},
			{Domain: "staff.example", Modules: []string{"disco", "pep", "vcard_legacy", "vcard4"}, Cards: staffCards(t)},
			{Domain: "silent.example", Blocking: &xmppcore.Blocking{Keep: 2, Silent: true}},
			{Domain: "letters.example", Modules: []string{"disco", "carbons", "offline"}, Messages: xmppcore.Messages{Offline: xep.OfflineLimits{Messages: 3}}},
			{Domain: "archive.example", Modules: []string{"disco", "carbons", "offline", "mam"}, Messages: xmppcore.Messages{Archive: archive.Options{Results: 3, Entries: 10, Drop: []string{"http://jabber.org/protocol/chatstates"}}}},
			{Domain: "contacts.example", Modules: []string{"mam"}, Messages: xmppcore.Messages{Archive: archive.Options{Policy: archive.Roster, NoTotal: true}}},
			{Domain: "guest.example", Modules: []string{"disco", "offline", "ping"}, Auth: &auth.Host{Domain: "guest.example", Anonymous: true}},
			{Domain: "token.example", Auth: &auth.Host{Domain: "token.example", Tokens: tokens{}}},
			{Domain: "smart.example", Modules: []string{"mam"}, Messages: xmppcore.Messages{Archive: archive.Options{Smart: true}}},
		},
	}
	if change != nil {
		change(&c)
	}
	stores := newStores(t)
	for i := range c.Hosts {
		host := &c.Hosts[i]
		if host.Stores == nil {
			host.Stores = stores(host.Domain)
		}
		host.AllowPlainUnencrypted = true
		if host.TLS != nil {
			h.tls = true
		}
		if host.Auth == nil {
			host.Auth = plainAuth(host.Domain, anybody{})
			if host.Editable {
				host.Auth = plainAuth(host.Domain, anybodyBut{"nobody"})
			}
		}
	}
	h.config = c
	h.start()
	return h
}

func (h *house) start() {
	backends := map[string]engine.Host{}
	for _, host := range h.config.Hosts {
		backends[host.Domain] = engine.Host{Backend: engine.BackendFunc(h.fetch), Timeout: time.Minute, Steps: 100}
		if host.Domain == "kept.example" || host.Domain == "block.example" {
			backends[host.Domain] = engine.Host{Backend: engine.BackendFunc(h.fetch), Timeout: time.Minute, Steps: 3, Keeper: &h.kept}
		}
		if host.Domain == "own.example" {
			backends[host.Domain] = engine.Host{Backend: engine.BackendFunc(h.fetch), Own: &stored.Rosters{Values: host.Stores.Keyed("roster_own")}, Timeout: time.Minute, Steps: 100}
			continue
		}
		if host.Domain == clerks {
			backends[host.Domain] = engine.Host{Backend: engine.BackendFunc(h.fetch), Writer: h.clerk, Timeout: time.Minute, Steps: 100}
			continue
		}
		if host.Editable {
			backends[host.Domain] = engine.Host{Backend: h.edited(host), Timeout: time.Minute, Steps: 100}
		}
	}
	h.srv = xmppcore.New(h.config)
	h.eng = engine.New(backends, h.srv.RosterChanged, h.config.Log)
	h.srv.Start(h.eng)
	h.serve()
}

// restart ends the server, with all streams, and starts another with the same backend and what was kept.
func (h *house) restart() {
	h.stop()
	h.start()
}

func (h *house) serve() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.addr = ln.Addr().String()
	served := make(chan error, 1)
	srv, eng := h.srv, h.eng
	go func() { served <- srv.Serve(h.wrap(ln)) }()
	h.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(srv.Shutdown(ctx), eng.Close(ctx)); err != nil {
			h.t.Error(err)
		}
		if err := <-served; !errors.Is(err, xmppcore.ErrServerClosed) {
			h.t.Errorf("Serve: %v", err)
		}
		if n := srv.Sessions(); n != 0 {
			h.t.Errorf("%d sessions are left", n)
		}
	})
	h.t.Cleanup(h.stop)
}

// encrypted makes every host offer STARTTLS, and insist on it.
func encrypted(c *xmppcore.Config) {
	for i := range c.Hosts {
		c.Hosts[i].TLS = &tls.Config{Certificates: []tls.Certificate{certificate()}}
		c.Hosts[i].RequireTLS = true
	}
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example.com"}, DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func plainAuth(domain string, a auth.Accounts) *auth.Host {
	return &auth.Host{Domain: domain, Accounts: a, StoresPasswords: true, Disabled: []string{"SCRAM-SHA-1"}}
}

// tokens say whose they are.
type tokens struct{}

func (tokens) CheckToken(_ context.Context, domain, token string) (addr.Bare, error) {
	name, ok := strings.CutPrefix(token, "token-of-")
	if !ok {
		return addr.Bare{}, auth.ErrRefused
	}
	return addr.NewBare(name, domain)
}

// anybody has an account, but a ghost.
type anybody struct{}

func (anybody) Credentials(_ context.Context, user addr.Bare) (credential.Credentials, error) {
	if user.Local() == "ghost" {
		return credential.Credentials{}, credential.ErrNoUser
	}
	return credential.Credentials{Password: password, HasPassword: true}, nil
}

// anybodyBut is anybody of another name.
type anybodyBut struct{ name string }

func (a anybodyBut) Credentials(ctx context.Context, user addr.Bare) (credential.Credentials, error) {
	if user.Local() == a.name {
		return credential.Credentials{}, credential.ErrNoUser
	}
	return anybody{}.Credentials(ctx, user)
}

// loud is a log where an error fails the test: it is a mistake of the server's own.
type loud struct{ t testing.TB }

func (l *loud) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }
func (l *loud) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *loud) WithGroup(string) slog.Handler                    { return l }
func (l *loud) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool { fmt.Fprintf(&b, " %s=%v", a.Key, a.Value); return true })
	l.t.Errorf("logged: %s%s", r.Message, b.String())
	return nil
}

func (h *house) fetch(ctx context.Context, r engine.Request) (engine.Answer, error) {
	h.mu.Lock()
	items, err, gate := h.rosters[r.User], h.broken[r.User], h.gates[r.User]
	h.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return engine.Answer{}, ctx.Err()
		}
	}
	if err != nil {
		return engine.Answer{}, err
	}
	b := roster.NewBuilder(r.User, roster.Limits{})
	for _, i := range items {
		b.Add(i.JID.String(), i)
	}
	list, bad, err := b.Roster()
	return engine.Answer{Roster: list, Dropped: bad}, err
}

// edited are rosters that users change. What the backend serves of one is where it begins.
func (h *house) edited(host xmppcore.Host) *stored.Rosters {
	return &stored.Rosters{Values: host.Stores.Keyed("roster"), Import: func(_ context.Context, user addr.Bare) (list []stored.Entry, bad []roster.BadItem, err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, i := range h.rosters[user] {
			list = append(list, stored.Entry{Contact: i.JID, Item: &i})
		}
		return list, nil, h.broken[user]
	}}
}

// serveRoster makes the backend serve a roster from now on.
func (h *house) serveRoster(user string, items ...roster.Item) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rosters[addr.MustBare(user)] = items
}

// refresh says to the engine that rosters have changed, and waits for the answer.
func (h *house) refresh(ctx context.Context, users ...string) error {
	byHost := map[string][]string{}
	for _, u := range users {
		j, err := addr.ParseBare(u)
		if err != nil {
			return err
		}
		byHost[j.Domain()] = append(byHost[j.Domain()], j.Local())
	}
	for host, names := range byHost {
		if s := h.eng.Refresh(ctx, host, names); s.Errors > 0 {
			return fmt.Errorf("refresh: %+v", s)
		}
	}
	return nil
}

// ctx ends a test that hangs.
func (h *house) ctx() context.Context {
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	h.t.Cleanup(cancel)
	return ctx
}

func (h *house) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", h.addr)
	if err != nil {
		return nil, err
	}
	tcp := nc.(*net.TCPConn)
	return nc, errors.Join(tcp.SetReadBuffer(128<<10), tcp.SetWriteBuffer(128<<10))
}

// connect is a client that has said nothing yet.
func (h *house) connect(domain string) *xmpptest.Client {
	h.t.Helper()
	nc, err := h.dial(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	c := xmpptest.New(nc, domain)
	h.t.Cleanup(func() { c.Disconnect() })
	return c
}

// login is a client with a bound resource, which has neither asked for its roster nor sent presence.
func (h *house) login(jid string) *xmpptest.Client {
	h.t.Helper()
	j := addr.MustParse(jid)
	c := h.connect(j.Domain())
	if err := c.Login(h.ctx(), j.Local(), password, j.Resource()); err != nil {
		h.t.Fatalf("%s: %v", jid, err)
	}
	return c
}

// available is a client that has its roster and has sent initial presence, which has come back.
func (h *house) available(jid string) *xmpptest.Client {
	h.t.Helper()
	c := h.login(jid)
	if _, err := c.Roster(h.ctx()); err != nil {
		h.t.Fatalf("%s: %v", jid, err)
	}
	h.send(c, "<presence/>")
	h.expect(c, "its own presence", func(e xmpptest.Element) bool { return e.Attr("from") == c.JID })
	return c
}

func (h *house) send(c *xmpptest.Client, text string) {
	h.t.Helper()
	if err := c.Send(h.ctx(), text); err != nil {
		h.t.Fatalf("%s: %v", c.JID, err)
	}
}

func (h *house) expect(c *xmpptest.Client, what string, match func(xmpptest.Element) bool) xmpptest.Element {
	h.t.Helper()
	e, err := c.Expect(h.ctx(), what, match)
	if err != nil {
		h.t.Fatalf("%s: %v", c.JID, err)
	}
	return e
}

// expectError waits for the stream error that ends a stream, and for its end.
func (h *house) expectError(c *xmpptest.Client, condition string) {
	h.t.Helper()
	e := h.expect(c, "a stream error", func(e xmpptest.Element) bool { return e.Is("http://etherx.jabber.org/streams", "error") })
	if _, ok := e.Find("urn:ietf:params:xml:ns:xmpp-streams", condition); !ok {
		h.t.Fatalf("%s: got %s, want %s", c.JID, e, condition)
	}
	if err := c.End(h.ctx()); err != nil {
		h.t.Fatalf("%s: %v", c.JID, err)
	}
}

// ping makes sure that all a client has sent is handled, and has received what others were sending it.
func (h *house) ping(c *xmpptest.Client) {
	h.t.Helper()
	if err := c.Ping(h.ctx()); err != nil {
		h.t.Fatalf("%s: %v", c.JID, err)
	}
}

func (h *house) nothing(c *xmpptest.Client) {
	h.t.Helper()
	if err := c.Nothing(h.ctx()); err != nil {
		h.t.Fatalf("%s: %v", c.JID, err)
	}
}

func is(name, typ string) func(xmpptest.Element) bool {
	return func(e xmpptest.Element) bool { return e.Name.Local == name && e.Attr("type") == typ }
}

func both(jid string) roster.Item { return contact(jid, roster.Both) }

func contact(jid string, s roster.Subscription) roster.Item {
	return roster.Item{JID: addr.MustBare(jid), Subscription: s}
}
