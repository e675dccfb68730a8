package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/session"
)

// busy has the client of a brisk session had its writes for the moment.
func busy(s *session.Session) {
	for range 2 {
		s.Show(newActor("zoe@example.com/z").says(true), session.News)
	}
}

// A stream may break in a write while presence is held. Who resumes the session is still shown it.
func TestCrowdIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, w := newWire(t), newWire(t)
		s, id := managed(t, old, brisk, true)
		ran := run(s)
		busy(s)
		synctest.Wait()
		s.Acknowledged(2)
		ann := newActor("ann@example.com/a")
		s.Show(ann.says(true), session.News)
		old.mu.Lock()
		old.fail = errors.New("broken")
		old.mu.Unlock()
		s.AppendFrom(addr.MustParse("bob@example.com/b"), func(dst []byte) []byte { return append(dst, message(1)...) })
		if err := <-ran; !errors.Is(err, net.ErrClosed) || !s.Hibernate() {
			t.Fatalf("does not hibernate after %v", err)
		}
		awaited := make(chan bool, 1)
		go func() { awaited <- s.Await() }()
		if err := s.Resume(w, 2); err != nil || !<-awaited {
			t.Fatalf("not resumed: %v", err)
		}
		if got, want := heard(t, w), "<resumed xmlns='urn:xmpp:sm:3' previd='"+id+"' h='0'/>, "+delayed(1, "00:00:00")+", a1, "+asks; got != want {
			t.Errorf("wrote\n\t%s\nwant\n\t%s", got, want)
		}
		s.Close(nil)
		s.Wait()
	})
}

// An acknowledgement that was late, for a stream that is gone, is behind what the client was told when it resumed.
func TestAcknowledgedLateAndResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, w := newWire(t), newWire(t)
		s, id := managed(t, old, session.Limits{}, true)
		ran := run(s)
		for range 3 {
			s.Count()
		}
		old.Abort()
		if <-ran; !s.Hibernate() {
			t.Fatal("does not hibernate")
		}
		s.AcknowledgeTo(1)
		awaited := make(chan bool, 1)
		go func() { awaited <- s.Await() }()
		if err := s.Resume(w, 0); err != nil || !<-awaited {
			t.Fatalf("not resumed: %v", err)
		}
		w.want(t, "<resumed xmlns='urn:xmpp:sm:3' previd='"+id+"' h='3'/>")
		s.AcknowledgeTo(2)
		w.want(t, "")
		s.Count()
		s.AcknowledgeTo(4)
		w.want(t, "<a xmlns='urn:xmpp:sm:3' h='4'/>")
		s.Close(nil)
		s.Wait()
	})
}

// Whom the client has seen otherwise, by directed presence, is gone for it when he is gone.
func TestCrowdAndWhoWasMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s := start(w, brisk)
		busy(s)
		ann := newActor("ann@example.com/a")
		p := ann.says(true)
		p.Meet()
		s.AppendFrom(ann.Full, func(dst []byte) []byte { return append(dst, "<presence to='romeo@example.com/orchard'/>"...) })
		s.Show(p, session.News)
		s.Show(ann.leaves(), session.News)
		s.Close(nil)
		s.Wait()
		if got, want := heard(t, w), "z1, z1, <presence to='romeo@example.com/orchard'/>, ax"; got != want {
			t.Errorf("wrote %s; want %s", got, want)
		}
	})
}

// What one user sends to a client that takes nothing is bounded, presence and messages together.
func TestCrowdOfOneIsBounded(t *testing.T) {
	for _, c := range []struct {
		name  string
		sleep bool // the session waits for its client to come back
	}{{"a client that reads nothing", false}, {"one that is not there", true}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				s, _ := managed(t, w, session.Limits{Soft: 16 << 10, Hard: 64 << 10}, true)
				ran := run(s)
				if c.sleep {
					w.Abort()
					if <-ran; !s.Hibernate() {
						t.Fatal("does not hibernate")
					}
				} else {
					w.gate = make(chan struct{})
				}
				send(s, 1)
				synctest.Wait()
				ann := newActor("ann@example.com/a")
				long := strings.Repeat("x", 10<<10)
				for i := range 200 {
					ann.last.Pass()
					ann.last = session.NewPresence(ann.Session, []byte("<presence from='ann@example.com/a'><status>"+long+"</status></presence>"), i == 0)
					s.Show(ann.last, session.News)
					if !s.AppendFrom(ann.Full, func(dst []byte) []byte { return append(dst, message(i)...) }) {
						break
					}
					if n := s.Queued(); n > 256<<10 {
						t.Fatalf("%d bytes are queued", n)
					}
					if i == 5 && !c.sleep && !s.Pressed() {
						t.Error("nobody would wait for it")
					}
				}
				if s.Reason() == nil {
					t.Error("it goes on")
				}
				s.Close(nil)
				s.Wait()
				if !c.sleep {
					<-ran
				}
			})
		})
	}
}

// What is held does not keep what is outdated, nor sessions that are over.
func TestCrowdHoldsLittle(t *testing.T) {
	w := newWire(t)
	w.gate = make(chan struct{})
	s := start(w, session.Limits{Pace: session.Pace{Rate: 1, Burst: 1}})
	s.Send(bytes.Repeat([]byte("<presence/>"), 8000))
	const people = 600
	for i := range people {
		s.Show(newActor(fmt.Sprintf("u%d@example.com/x", i)).says(true), session.News)
	}
	gone := make(chan struct{}, 1)
	func() {
		over := newActor("over@example.com/x")
		runtime.AddCleanup(over.Session, func(gone chan struct{}) { gone <- struct{}{} }, gone)
		s.Show(over.leaves(), session.News)
	}()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	ann := newActor("ann@example.com/a")
	for i := range 1200 {
		ann.last.Pass()
		ann.last = session.NewPresence(ann.Session, append([]byte("<presence from='ann@example.com/a'>"), make([]byte, 64<<10)...), i == 0)
		s.Show(ann.last, session.News)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := int64(after.HeapAlloc) - int64(before.HeapAlloc); n > 8<<20 {
		t.Errorf("%d bytes are held of one resource", n)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("a session that is over is held")
	}
	close(w.gate)
	s.Close(nil)
	s.Wait()
}

// While nobody looks at a client, what is outdated makes room before anything is written.
func TestInactiveInACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s := start(w, session.Limits{})
		s.SetInactive(&session.Inactivity{Most: 1 << 20, Waits: func([]byte) (string, bool) { return "a", true }})
		ann := newActor("ann@example.com/a")
		for i := range 2000 {
			s.Show(ann.says(i == 0), session.News)
			synctest.Wait()
		}
		if n := len(w.text()); n > 0 {
			t.Errorf("%d bytes were written", n)
		}
		s.Close(nil)
		s.Wait()
	})
}

// Nor more than a client may be owed, of whomever it is.
func TestCrowdIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s, _ := managed(t, w, session.Limits{Own: 100 << 10}, true)
		ran := run(s)
		w.Abort()
		if <-ran; !s.Hibernate() {
			t.Fatal("does not hibernate")
		}
		long := strings.Repeat("x", 10<<10)
		n := 0
		for s.Show(session.NewPresence(newActor(fmt.Sprintf("u%d@example.com/x", n)).Session, []byte("<presence>"+long+"</presence>"), true), session.News) {
			if n++; n == 100 {
				t.Fatal("a hundred are held")
			}
		}
		if s.Wait(); n < 8 || s.Reason() == nil {
			t.Errorf("ends with %v after %d", s.Reason(), n)
		}
	})
}
