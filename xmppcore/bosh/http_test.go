package bosh_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/bosh"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xmpptest"
)

// front is a world behind a real HTTP server.
func front(t *testing.T, settings bosh.Settings, change func(*http.Server)) (*world, *httptest.Server) {
	w := newLimitedWorld(t, settings, stream.Limits{Close: 50 * time.Millisecond}) // clients that are gone come for no good-bye
	web := httptest.NewUnstartedServer(w.handler)
	if change != nil {
		change(web.Config)
	}
	web.Start()
	t.Cleanup(func() { w.close(); web.Close() })
	return w, web
}

func dial(t *testing.T, web *httptest.Server, resource string) *xmpptest.Client {
	t.Helper()
	nc, err := xmpptest.DialBOSH(t.Context(), web.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := xmpptest.New(nc, domain)
	t.Cleanup(func() { c.Disconnect() })
	if err := c.Login(t.Context(), "romeo", password, resource); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRealClient(t *testing.T) {
	_, web := front(t, bosh.Settings{}, nil)
	c := dial(t, web, "orchard")
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Who has waited for a place for the handshake of HTTPS does not wait for another one to log in. The next who logs in
// over that connection does.
func TestHandshakeAndLoginWaitOnce(t *testing.T) {
	w := newLimitedWorld(t, bosh.Settings{}, stream.Limits{Close: 50 * time.Millisecond})
	web := httptest.NewUnstartedServer(w.handler)
	turns := admission.Handshakes{Listener: web.Listener, Desk: w.core.Desk()}
	web.Listener, web.Config.ConnContext = turns, admission.Within
	web.TLS = &tls.Config{GetConfigForClient: turns.Choose(func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil })}
	web.StartTLS()
	t.Cleanup(func() { w.close(); web.Close() })
	nc, err := tls.Dial("tcp", web.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	conn := &connection{t, nc, bufio.NewReader(nc)}
	for want := range int64(3) {
		if n := w.core.Desk().Counts().Admitted; n != max(1, want) {
			t.Errorf("%d were admitted after %d logins had begun", n, want)
		}
		if got := conn.post(fmt.Sprintf(creation, first, 60, 1, "")); !strings.Contains(got, "<stream:features>") {
			t.Fatal(got)
		}
	}
}

// The time that a server lets others take to send a request does not bound how long one is held.
func TestHeldLongerThanReadTimeout(t *testing.T) {
	_, web := front(t, bosh.Settings{Wait: time.Second}, func(s *http.Server) { s.ReadTimeout = 200 * time.Millisecond })
	conn := raw(t, web)
	sid := attribute(t, conn.post(fmt.Sprintf(creation, first, 60, 1, "")), "sid")
	got := conn.post(fmt.Sprintf("<body xmlns='%s' rid='%d' sid='%s'/>", nsBody, first+1, sid))
	if got != "<body xmlns='"+nsBody+"'/>" {
		t.Error(got)
	}
}

// connection speaks HTTP.
type connection struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func raw(t testing.TB, web *httptest.Server) *connection {
	nc, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &connection{t, nc, bufio.NewReader(nc)}
}

func (c *connection) send(body string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, "POST /http-bind HTTP/1.1\r\nHost: example.com\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		c.t.Fatal(err)
	}
}

func (c *connection) receive() string {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || res.ContentLength != int64(len(b)) {
		c.t.Fatalf("%s, %d bytes, %v", res.Status, res.ContentLength, err)
	}
	return string(b)
}

func (c *connection) post(body string) string {
	c.t.Helper()
	c.send(body)
	return c.receive()
}

func attribute(t testing.TB, body, name string) string {
	t.Helper()
	e, err := xmpptest.Parse(body)
	if err != nil || e.Attr(name) == "" {
		t.Fatalf("no %s in %s: %v", name, body, err)
	}
	return e.Attr(name)
}

// authenticated is a session with a resource, over one connection.
func authenticated(t *testing.T, c *connection) *client {
	t.Helper()
	s := &client{sid: attribute(t, c.post(fmt.Sprintf(creation, first, 60, 1, "")), "sid"), rid: first + 3}
	for i, body := range []string{
		s.with(first+1, "", plain("romeo")), s.with(first+2, " xmpp:restart='true'", ""), s.with(first+3, "", bind("orchard")),
	} {
		if got, want := c.post(body), []string{"<success ", "<bind ", "<jid>"}[i]; !strings.Contains(got, want) {
			t.Fatalf("%s: got %s", body, got)
		}
	}
	return s
}

// Requests that come one behind the other over one connection are answered one after the other.
func TestPipelining(t *testing.T) {
	_, web := front(t, bosh.Settings{}, nil)
	c := raw(t, web)
	s := authenticated(t, c)
	for i := range 3 {
		c.send(s.with(s.rid+1+int64(i), "", ping))
	}
	for range 3 {
		if got := c.receive(); !strings.Contains(got, "id='p'") {
			t.Error(got)
		}
	}
}

func TestTwoConnections(t *testing.T) {
	_, web := front(t, bosh.Settings{}, nil)
	a, b := raw(t, web), raw(t, web)
	s := authenticated(t, a)
	a.send(s.with(s.rid+1, "", ""))
	b.send(s.with(s.rid+2, "", ping))
	if got := a.receive(); !strings.Contains(got, "id='p'") {
		t.Error(got)
	}
	a.send(s.with(s.rid+3, "", ping))
	if got := b.receive(); !strings.Contains(got, "id='p'") {
		t.Error(got)
	}
}

// A connection that breaks while its request is held is missed, and what comes then waits for the next one.
func TestConnectionBreaks(t *testing.T) {
	w, web := front(t, bosh.Settings{}, nil)
	a := raw(t, web)
	s := authenticated(t, a)
	a.send(s.with(s.rid+1, "", ""))
	w.waiters(s.sid, 1)
	other := dial(t, web, "balcony")
	a.Close()
	w.waiters(s.sid, 0)
	if err := other.Send(t.Context(), message(romeo, "hello")); err != nil {
		t.Fatal(err)
	}
	if got := raw(t, web).post(s.with(s.rid+2, "", "")); !strings.Contains(got, "hello") {
		t.Error(got)
	}
}

// waiters waits until so many connections of a session wait for a response.
func (w *world) waiters(sid string, n int) {
	w.t.Helper()
	for bosh.Waiters(w.manager, sid) != n {
		if err := w.t.Context().Err(); err != nil {
			w.t.Fatal(err)
		}
		runtime.Gosched()
	}
}

// A request whose body does not come is not answered.
func TestHalfARequest(t *testing.T) {
	_, web := front(t, bosh.Settings{}, func(s *http.Server) { s.ReadTimeout = 100 * time.Millisecond })
	for _, part := range []string{"", "<body ", fmt.Sprintf("<body xmlns='%s' rid='1' to='example.com' wait='60'>", nsBody)} {
		c := raw(t, web)
		fmt.Fprintf(c, "POST /http-bind HTTP/1.1\r\nHost: example.com\r\nContent-Length: 1000\r\n\r\n%s", part)
		if b, _ := io.ReadAll(c); strings.Contains(string(b), "<body") {
			t.Errorf("%q: answered with %s", part, b)
		}
	}
}

// What a server does that stops: it ends the sessions, and then no request is left that it would have to wait for.
func TestShutdownOfTheServer(t *testing.T) {
	w, web := front(t, bosh.Settings{}, nil)
	c := raw(t, web)
	s := authenticated(t, c)
	c.send(s.with(s.rid+1, "", ""))
	w.waiters(s.sid, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.manager.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if got := c.receive(); !strings.Contains(got, "system-shutdown") {
		t.Error(got)
	}
	if err := web.Config.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}
