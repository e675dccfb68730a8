package bosh_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/store/credential"
	"rosterd/xmppcore"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/bosh"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xmpptest"
)

const (
	domain   = "example.com"
	password = "wherefore"
	nsBody   = "http://jabber.org/protocol/httpbind"
	first    = 1573741820 // rid of first requests
)

// world is a server whose clients come by BOSH.
type world struct {
	t       testing.TB
	core    *xmppcore.Server
	engine  *engine.Engine
	manager *bosh.Manager
	handler http.Handler
}

func newWorld(t testing.TB, settings bosh.Settings) *world {
	return newLimitedWorld(t, settings, stream.Limits{})
}

func newLimitedWorld(t testing.TB, settings bosh.Settings, limits stream.Limits) *world {
	log := slog.New(slog.DiscardHandler)
	w := &world{t: t}
	host := xmppcore.Host{Domain: domain, Modules: []string{"ping"}, AllowPlainUnencrypted: true, Auth: &auth.Host{
		Domain: domain, Accounts: anybody{}, StoresPasswords: true,
	}}
	w.core = xmppcore.New(xmppcore.Config{Hosts: []xmppcore.Host{host}, Stream: limits, Log: log})
	w.engine = engine.New(map[string]engine.Host{domain: {Backend: engine.BackendFunc(noContacts), Timeout: time.Minute}}, w.core.RosterChanged, log)
	w.core.Start(w.engine)
	w.manager = &bosh.Manager{Serve: w.core.ServeCarrier, Limits: w.core.Limits, Settings: settings}
	w.handler = w.manager.Handler(domain)
	t.Cleanup(w.close)
	return w
}

func (w *world) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := errors.Join(w.core.Shutdown(ctx), w.manager.Shutdown(ctx), w.engine.Close(ctx)); err != nil {
		w.t.Error(err)
	}
	if n := w.manager.Sessions(); n != 0 {
		w.t.Errorf("%d sessions are left", n)
	}
}

// anybody has an account.
type anybody struct{}

func (anybody) Credentials(context.Context, addr.Bare) (credential.Credentials, error) {
	return credential.Credentials{Password: password, HasPassword: true}, nil
}

func noContacts(_ context.Context, r engine.Request) (engine.Answer, error) {
	list, _, err := roster.NewBuilder(r.User, roster.Limits{}).Roster()
	return engine.Answer{Roster: list}, err
}

// exchange is a request that has been made.
type exchange struct {
	t      testing.TB
	done   chan struct{} // closed when body is there
	status int
	body   string
	cancel context.CancelFunc // the connection breaks
}

// request makes a request as net/http would hand it over. It returns before there is a response.
func request(t testing.TB, h http.Handler, change func(*http.Request), body string) *exchange {
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "POST", "/http-bind", strings.NewReader(body))
	if change != nil {
		change(r)
	}
	e := &exchange{t: t, done: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(e.done)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		e.status, e.body = rec.Code, rec.Body.String()
		if got := rec.Header().Get("Content-Type"); e.body != "" && got != "text/xml; charset=utf-8" {
			t.Errorf("Content-Type %q", got)
		}
	}()
	return e
}

// open tells whether there is no response yet, once all that can happen has happened.
func (e *exchange) open() bool {
	synctest.Wait()
	select {
	case <-e.done:
		return false
	default:
		return true
	}
}

// response waits for it.
func (e *exchange) response() string {
	e.t.Helper()
	select {
	case <-e.done:
	case <-time.After(time.Hour):
		e.t.Fatal("no response")
	}
	return e.body
}

// want waits for a response that holds each of the parts.
func (e *exchange) want(parts ...string) string {
	e.t.Helper()
	got := e.response()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			e.t.Fatalf("got  %.1000s\nwant %s", got, p)
		}
	}
	if got != "" {
		if _, err := xmpptest.Parse(got); err != nil {
			e.t.Error(err)
		}
	}
	return got
}

// nothing waits for a response that has nothing to say.
func (e *exchange) nothing() {
	e.t.Helper()
	if got := e.response(); got != "<body xmlns='"+nsBody+"'/>" {
		e.t.Fatalf("got %.1000s", got)
	}
}

// ends waits for the response that ends a session with a condition.
func (e *exchange) ends(condition string) {
	e.t.Helper()
	e.want("type='terminate'", "condition='"+condition+"'")
}

func (w *world) post(body string) *exchange { return request(w.t, w.handler, nil, body) }

// client is one session, seen from the other side.
type client struct {
	*world
	sid string
	rid int64 // of the last request
	jid string
}

const creation = "<body rid='%d' to='" + domain + "' wait='%d' hold='%d' ver='1.11' xml:lang='en' xmpp:version='1.0' content='text/xml; charset=utf-8'" +
	" xmlns='" + nsBody + "' xmlns:xmpp='urn:xmpp:xbosh'%s/>"

// begin makes a session.
func (w *world) begin(wait, hold int, attrs string) *client {
	w.t.Helper()
	e := w.post(fmt.Sprintf(creation, first, wait, hold, attrs))
	got, err := xmpptest.Parse(e.want("<stream:features>"))
	if err != nil {
		w.t.Fatal(err)
	}
	return &client{world: w, sid: got.Attr("sid"), rid: first}
}

// with is the client's request with some rid.
func (c *client) with(rid int64, attrs, content string) string {
	return fmt.Sprintf("<body rid='%d' sid='%s' xmlns='%s' xmlns:xmpp='urn:xmpp:xbosh'%s>%s</body>", rid, c.sid, nsBody, attrs, content)
}

// send makes the next request.
func (c *client) send(content string) *exchange { return c.attrs("", content) }

func (c *client) attrs(attrs, content string) *exchange {
	c.rid++
	return c.post(c.with(c.rid, attrs, content))
}

const nsSASL = "urn:ietf:params:xml:ns:xmpp-sasl"

// authenticate goes as far as the request that restarts the stream.
func (c *client) authenticate(user string) {
	c.t.Helper()
	c.send(plain(user)).want("<success ")
}

func plain(user string) string {
	text := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	return "<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>" + text + "</auth>"
}

func bind(resource string) string {
	return "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>"
}

// login makes a session with a bound resource.
func (w *world) login(jid string) *client { return w.loginWith(jid, 60, 1, "") }

func (w *world) loginWith(jid string, wait, hold int, attrs string) *client {
	w.t.Helper()
	j := addr.MustParse(jid)
	c := w.begin(wait, hold, attrs)
	c.authenticate(j.Local())
	c.attrs(" xmpp:restart='true' to='"+domain+"'", "").want("<stream:features>", "<bind ")
	c.send(bind(j.Resource())).want("<jid>" + jid + "</jid>")
	c.jid = jid
	return c
}

func message(to, text string) string {
	return "<message xmlns='jabber:client' type='chat' id='" + text[:min(len(text), 20)] + "' to='" + to + "'><body>" + text + "</body></message>"
}

const ping = "<iq xmlns='jabber:client' type='get' id='p' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>"

// call makes a request without a body.
func (w *world) call(method string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, httptest.NewRequest(method, "/http-bind", nil))
	return rec
}

// until makes requests, e being the first, until a response holds something, which is to be all the parts.
func (c *client) until(e *exchange, parts ...string) string {
	c.t.Helper()
	for {
		got := e.response()
		if got != "<body xmlns='"+nsBody+"'/>" {
			return e.want(parts...)
		}
		e = c.send("")
	}
}

// gather makes requests, e being the first, until all the parts have come.
func (c *client) gather(e *exchange, parts ...string) (got string) {
	for {
		if got += e.response(); strings.Contains(got, "type='terminate'") {
			c.t.Fatalf("got  %s\nwant %s", got, parts)
		}
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(got, p) }) {
			return got
		}
		e = c.send("")
	}
}

// newEcho is a client of a server that answers whatever it handles, on the spot, and does hook with its number first.
func newEcho(t testing.TB, hook func(n int)) *client {
	w := &world{t: t}
	var run sync.WaitGroup
	w.manager = &bosh.Manager{Serve: func(c stream.Carrier, _ netip.Addr) {
		c.Allow(4096)
		var h scan.Header
		if err := c.ReadOpen(&h); err != nil {
			t.Error(err)
		}
		if err := c.WriteOpen(stream.Opening{From: domain, ID: "i", Features: []byte("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>")}); err != nil {
			t.Error(err)
		}
		run.Go(func() {
			n := 0
			err := c.Run(func(*scan.Stanza) error {
				if hook != nil {
					hook(n)
				}
				n++
				return c.Write([]byte("<iq type='result' id='echo'/>"))
			})
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Run: %v", err)
			}
		})
	}}
	w.handler = w.manager.Handler(domain)
	t.Cleanup(func() {
		w.manager.Shutdown(context.Background())
		run.Wait()
	})
	return w.begin(60, 1, "")
}
