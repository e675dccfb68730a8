package session_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
)

// lazy has it that presence waits, the last of each name.
var lazy = &session.Inactivity{Most: 4, Linger: 5 * time.Second, Waits: func(e []byte) (string, bool) {
	name, ok := bytes.CutPrefix(e, []byte("<presence from='"))
	if !ok {
		return "", false
	}
	return string(name[:1]), true
}}

func seen(who string, n int) string { return fmt.Sprintf("<presence from='%s' id='%d'/>", who, n) }

// waited is seen as it is written later.
func waited(who string, n int, stamp string) string {
	return fmt.Sprintf("<presence from='%s' id='%d'><delay xmlns='urn:xmpp:delay' from='example.com' stamp='2000-01-01T%s.000Z'/></presence>", who, n, stamp)
}

func TestInactive(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(s *session.Session, w *wire)
		want string
	}{
		{"presence waits, the last of each", func(s *session.Session, w *wire) {
			s.Send([]byte(seen("a", 1)))
			time.Sleep(time.Second)
			s.Send([]byte(seen("b", 2) + seen("a", 3)))
			w.want(t, "")
			send(s, 4)
		}, waited("b", 2, "00:00:01") + waited("a", 3, "00:00:01") + message(4)},
		{"after that nothing waits for a while", func(s *session.Session, w *wire) {
			send(s, 1)
			w.want(t, message(1))
			s.Send([]byte(seen("a", 2)))
			w.want(t, seen("a", 2))
			time.Sleep(4 * time.Second)
			s.Send([]byte(seen("a", 3)))
			w.want(t, seen("a", 3))
			time.Sleep(2 * time.Second)
			s.Send([]byte(seen("a", 4)))
		}, ""},
		{"too many", func(s *session.Session, w *wire) {
			for i, who := range strings.Split("aaaabccc", "") {
				s.Send([]byte(seen(who, i)))
				w.want(t, "")
			}
			s.Send([]byte(seen("d", 8)))
		}, waited("a", 3, "00:00:00") + waited("b", 4, "00:00:00") + waited("c", 7, "00:00:00") + waited("d", 8, "00:00:00")},
		{"the client is active", func(s *session.Session, w *wire) {
			for i := range 3 {
				s.Send([]byte(seen("a", i)))
			}
			w.want(t, "")
			s.SetInactive(nil)
			w.want(t, waited("a", 2, "00:00:00"))
			time.Sleep(time.Minute)
			s.Send([]byte(seen("a", 2)))
		}, seen("a", 2)},
		{"said twice", func(s *session.Session, w *wire) {
			s.SetInactive(lazy)
			s.Send([]byte(seen("a", 1)))
		}, ""},
		{"the client says anything", func(s *session.Session, w *wire) {
			s.Send([]byte(seen("a", 1)))
			w.want(t, "")
			w.in <- "<message/>"
		}, waited("a", 1, "00:00:00")},
		{"the stream ends", func(s *session.Session, w *wire) {
			s.Send([]byte(seen("a", 1)))
			s.Close(nil)
		}, waited("a", 1, "00:00:00")},
		{"stream management counts what is left", func(s *session.Session, w *wire) {
			s.Send([]byte(seen("a", 1)))
			if err := s.Enable(rules, false, 0); err != nil {
				t.Error(err)
			}
			w.want(t, waited("a", 1, "00:00:00")+"<enabled xmlns='urn:xmpp:sm:3'/>")
			time.Sleep(time.Minute)
			s.Send([]byte(seen("a", 2)))
			s.Send([]byte(seen("a", 3)))
			send(s, 4)
			w.want(t, waited("a", 3, "00:01:00")+message(4)+asks)
			if s.Acknowledged(3) == nil {
				t.Error("counts three")
			}
			if err := s.Acknowledged(2); err != nil {
				t.Error(err)
			}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				s := start(w, session.Limits{})
				ran := make(chan error, 1)
				go func() { ran <- s.Run(func(*scan.Stanza) error { return nil }) }()
				s.SetInactive(lazy)
				c.do(s, w)
				w.want(t, c.want)
				s.Close(nil)
				<-ran
				s.Wait()
			})
		})
	}
}

// However much waits, the outbox does not fill up with it.
func TestInactiveIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s := start(w, session.Limits{Soft: 1000})
		s.SetInactive(&session.Inactivity{Most: 1 << 20, Waits: func([]byte) (string, bool) { return "", true }})
		for i := range 100 {
			s.Send([]byte(seen("a", i)))
			synctest.Wait()
			if n := s.Queued(); n > 500 {
				t.Fatalf("%d bytes wait", n)
			}
		}
		s.Close(nil)
		s.Wait()
		if n := strings.Count(w.text(), "<presence"); n != 100 {
			t.Errorf("%d have come", n)
		}
	})
}
