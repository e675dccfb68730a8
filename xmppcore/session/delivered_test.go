package session_test

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"

	"rosterd/xmppcore/session"
)

// What is queued is delivered when it is written, or when a client that acknowledges has acknowledged it.
func TestDelivered(t *testing.T) {
	count := func(s *session.Session) func() int {
		n := 0
		s.Delivered(func() { n++ })
		return func() int { synctest.Wait(); return n }
	}
	for name, f := range map[string]func(t *testing.T, w *wire){
		"nothing is queued": func(t *testing.T, w *wire) {
			if count(start(w, session.Limits{}))() != 1 {
				t.Error("not at once")
			}
		},
		"it is written": func(t *testing.T, w *wire) {
			w.gate = make(chan struct{})
			s := start(w, session.Limits{})
			send(s, 1)
			synctest.Wait() // it is being written
			during := count(s)
			send(s, 2)
			after := count(s)
			if during() != 0 || after() != 0 {
				t.Error("before it is written")
			}
			w.gate <- struct{}{}
			if after() != 0 {
				t.Error("with what was before it")
			}
			w.gate <- struct{}{}
			if during() != 1 || after() != 1 {
				t.Errorf("%d and %d times when it was written", during(), after())
			}
		},
		"it is not written": func(t *testing.T, w *wire) {
			w.fail = net.ErrClosed
			s := start(w, session.Limits{})
			send(s, 1)
			n := count(s)
			s.Close(nil)
			s.Wait()
			if n() != 0 {
				t.Error("what was lost is delivered")
			}
		},
		"it is acknowledged": func(t *testing.T, w *wire) {
			s, _ := managed(t, w, session.Limits{}, true)
			send(s, 1)
			first := count(s)
			synctest.Wait()
			send(s, 2)
			second := count(s)
			if first() != 0 || second() != 0 {
				t.Error("when it was written")
			}
			third := count(s) // of what has been written
			if err := s.Acknowledged(1); err != nil {
				t.Fatal(err)
			}
			if first() != 1 || second() != 0 || third() != 0 {
				t.Errorf("%d, %d, %d after the first", first(), second(), third())
			}
			if err := s.Acknowledged(2); err != nil {
				t.Fatal(err)
			}
			if first() != 1 || second() != 1 || third() != 1 {
				t.Errorf("%d, %d, %d after both", first(), second(), third())
			}
		},
		"it is acknowledged by a resumption": func(t *testing.T, w *wire) {
			s, _ := managed(t, w, session.Limits{}, true)
			send(s, 1)
			synctest.Wait()
			if !s.Hibernate() {
				t.Fatal("does not hibernate")
			}
			first := count(s)
			send(s, 2)
			second := count(s)
			next := newWire(t)
			if err := s.Resume(next, 1); err != nil {
				t.Fatal(err)
			}
			if first() != 1 || second() != 0 {
				t.Errorf("%d, %d after the resumption", first(), second())
			}
			if err := s.Acknowledged(2); err != nil || second() != 1 {
				t.Errorf("%d after an acknowledgement: %v", second(), err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, newWire(t)) }) })
	}
}

// A client that comes back with less than it has acknowledged does not get what is gone, and none of what is there.
func TestResumeBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s, id := managed(t, w, session.Limits{}, true)
		send(s, 1, 2, 3)
		synctest.Wait()
		if err := s.Acknowledged(2); err != nil {
			t.Fatal(err)
		}
		if !s.Hibernate() {
			t.Fatal("does not hibernate")
		}
		next := newWire(t)
		if err := s.Resume(next, 1); !errors.Is(err, session.ErrOver) {
			t.Errorf("resumed with less than was acknowledged: %v", err)
		}
		s.Wait()
		if next.want(t, ""); s.Resumable(id) || string(s.Lost()) != message(3) {
			t.Errorf("resumable %v, lost %s", s.Resumable(id), s.Lost())
		}
	})
}
