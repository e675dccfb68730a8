package router_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"rosterd/engine/addr"
	"rosterd/xmppcore/presence"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
)

// wire keeps what is written to a client.
type wire struct {
	mu  sync.Mutex
	got strings.Builder
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

// An answer is taken once, from the one who was asked, wherever he sends it that means his account; so many may be owed.
func TestAsk(t *testing.T) {
	var reg registry.Registry
	host := &router.Host{Domain: "example.com"}
	r := router.Router{Registry: &reg, Presence: &presence.Presence{Registry: &reg}, Host: func(string) *router.Host { return host }}
	w := new(wire)
	full := addr.MustParse("romeo@example.com/x")
	res := &registry.Resource{Session: session.New(full, w, session.NewLimits(session.Limits{})), Account: reg.Join(full.Bare())}
	res.Account.Enter(res)
	reg.Add(res)
	res.Start()

	var answers []string
	ask := func() bool {
		return r.Ask(res, []byte("<query xmlns='q'/>"), func(st *scan.Stanza) {
			typ, _ := st.Attr("type")
			answers = append(answers, stanza.ID(st)+" "+typ)
		})
	}
	send := func(text string) {
		t.Helper()
		var sc scan.Scanner
		var st scan.Stanza
		if _, err := sc.Next([]byte(text), &st); err != nil {
			t.Fatal(err)
		}
		if err := r.Route(res, &st); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if !ask() {
			t.Fatal("not asked")
		}
	}
	send("<iq type='result' id='rosterd-2' to='romeo@example.com'><query xmlns='q'/></iq>")
	send("<iq type='error' id='rosterd-1'/>")
	send("<iq type='result' id='rosterd-1'/>")                         // again
	send("<iq type='result' id='rosterd-3' to='juliet@example.com'/>") // not for him
	send("<iq type='result' id='rosterd-4'/>")                         // not asked
	if got := strings.Join(answers, ", "); got != "rosterd-2 result, rosterd-1 error" {
		t.Errorf("answers: %s", got)
	}
	n := 1
	for ask() {
		n++
	}
	if n != 16 {
		t.Errorf("%d answers may be owed", n)
	}
	res.Account.Exit(res)
	send("<iq type='result' id='rosterd-3'/>")
	if ask() {
		t.Error("asked somebody who has left")
	}
	res.Close(nil)
	res.Wait()
	if want := "<iq type='get' id='rosterd-1' from='romeo@example.com' to='romeo@example.com/x'><query xmlns='q'/></iq>"; !strings.HasPrefix(w.got.String(), want) {
		t.Errorf("sent %.300s", w.got.String())
	}
}
