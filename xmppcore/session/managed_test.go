package session_test

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

const (
	asks   = "<r xmlns='urn:xmpp:sm:3'/>"
	minute = time.Minute
)

var rules = &session.Management{Hibernation: 10 * minute}

// managed is a session with stream management over a wire, what that has carried at its beginning, and the id.
func managed(t testing.TB, w *wire, lim session.Limits, resume bool) (s *session.Session, id string) {
	t.Helper()
	s = start(w, lim)
	if err := s.Enable(rules, resume, 0); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	m := regexp.MustCompile(`^<enabled xmlns='urn:xmpp:sm:3'(?: id='([A-Z2-7]{26,})' resume='true' max='600')?/>$`).FindStringSubmatch(w.text())
	if m == nil || (m[1] != "") != resume || s.Resumable(m[1]) != resume || s.Resumable("") || s.Resumable(m[1]+"x") {
		t.Fatalf("enabled with %s", w.text())
	}
	w.reset()
	return s, m[1]
}

func (w *wire) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got.Reset()
}

func (w *wire) want(t testing.TB, text string) {
	t.Helper()
	synctest.Wait()
	if got := w.text(); got != text {
		t.Errorf("wrote\n\t%s\nwant\n\t%s", got, text)
	}
	w.reset()
}

func message(n int) string { return fmt.Sprintf("<message id='%d'><body>x</body></message>", n) }

// delayed is what message becomes when it is written later than it came, where time begins as in a bubble.
func delayed(n int, stamp string) string {
	return fmt.Sprintf("<message id='%d'><body>x</body><delay xmlns='urn:xmpp:delay' from='example.com' stamp='2000-01-01T%s.000Z'/></message>", n, stamp)
}

func send(s *session.Session, n ...int) {
	for _, n := range n {
		s.Send([]byte(message(n)))
	}
}

func run(s *session.Session) chan error {
	ran := make(chan error, 1)
	go func() {
		ran <- s.Run(func(st *scan.Stanza) error {
			if stanza.KindOf(st) != stanza.None {
				s.Count()
			}
			return nil
		})
	}()
	return ran
}

// XEP-0198 §4: what is acknowledged is forgotten, and an acknowledgement is asked for once at a time.
func TestAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s, _ := managed(t, w, session.Limits{}, true)
		send(s, 1)
		w.want(t, message(1)+asks)
		s.Send([]byte(message(2) + message(3)))
		w.want(t, message(2)+message(3)) // the answer is still on its way
		for _, c := range []struct {
			name   string
			h      uint32
			queued int
			asks   string
		}{
			{"one of three", 1, 2 * len(message(2)), asks},
			{"the same again: nothing could have changed", 1, 2 * len(message(2)), ""},
			{"the first of two that came at once", 2, len(message(3)), ""},
			{"all", 3, 0, ""},
		} {
			if err := s.Acknowledged(c.h); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			w.want(t, c.asks)
			if n := s.Queued(); n != c.queued {
				t.Errorf("%s: %d bytes are kept, want %d", c.name, n, c.queued)
			}
		}
		send(s, 4)
		w.want(t, message(4)+asks)
		var high *session.TooHigh
		if err := s.Acknowledged(5); !errors.As(err, &high) || high.Handled != 5 || high.Sent != 4 {
			t.Errorf("more than was sent: %v", err)
		}
		if err := s.Acknowledged(2); err == nil {
			t.Error("less than before is taken")
		}
		s.Close(nil)
		s.Wait()
		if got := string(s.Lost()); got != message(4) {
			t.Errorf("lost %s", got)
		}
	})
}

// What was queued before stream management does not count.
func TestEnabledBehindOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.gate = make(chan struct{})
		s := start(w, session.Limits{})
		s.Send([]byte("first"))
		synctest.Wait()
		send(s, 1)
		if s.Enable(rules, false, 0) != nil || !errors.Is(s.Enable(rules, false, 0), session.ErrManaged) {
			t.Error("not enabled once")
		}
		send(s, 2)
		close(w.gate)
		w.want(t, "first"+message(1)+"<enabled xmlns='urn:xmpp:sm:3'/>"+message(2)+asks)
		if n := s.Queued(); n != len(message(2)) {
			t.Errorf("%d bytes are kept", n)
		}
		if s.Hibernate() {
			t.Error("hibernates, and nobody can resume it")
		}
		if s.Acknowledged(2) == nil || s.Acknowledged(1) != nil {
			t.Error("not counted from there on")
		}
		s.Close(nil)
		s.Wait()
	})
}

func TestAskedLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s := start(w, session.Limits{})
		if err := s.Enable(&session.Management{Unacked: 2}, true, 0); err != nil {
			t.Fatal(err)
		}
		w.want(t, "<enabled xmlns='urn:xmpp:sm:3'/>") // there is no waiting, so there is no resumption
		send(s, 1, 2)
		w.want(t, message(1)+message(2))
		send(s, 3)
		w.want(t, message(3)+asks)
		s.Close(nil)
		s.Wait()
	})
}

func TestWish(t *testing.T) {
	for wish, want := range map[time.Duration]string{0: "600", time.Second: "1", 10 * minute: "600", 24 * 60 * minute: "600"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWire(t)
			s := start(w, session.Limits{})
			if err := s.Enable(rules, true, wish); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if !strings.HasSuffix(w.text(), "max='"+want+"'/>") {
				t.Errorf("%v: %s", wish, w.text())
			}
			s.Close(nil)
			s.Wait()
		})
	}
}

// The client's stanzas are counted from the beginning, and how many they are is said at most as often as it is written.
func TestAcknowledge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s, _ := managed(t, w, session.Limits{}, true)
		s.Acknowledge()
		w.want(t, "<a xmlns='urn:xmpp:sm:3' h='0'/>")
		s.Count()
		s.Count()
		s.Acknowledge()
		w.want(t, "<a xmlns='urn:xmpp:sm:3' h='2'/>")
		w.gate = make(chan struct{})
		send(s, 1)
		synctest.Wait()
		for range 100 { // while the client takes nothing
			s.Count()
			s.Acknowledge()
		}
		close(w.gate)
		w.want(t, message(1)+asks+"<a xmlns='urn:xmpp:sm:3' h='102'/>")
		if _, n := s.Resumption(); n != 102 {
			t.Errorf("%d handled", n)
		}
		s.Close(nil)
		s.Wait()
	})
}

// XEP-0198 §5: what the client has not handled is written again, then what came in between, then what comes.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, w := newWire(t), newWire(t)
		s, id := managed(t, old, session.Limits{}, true)
		ran := run(s)
		old.in <- "<message/>"
		send(s, 1)
		synctest.Wait()
		send(s, 2)
		old.want(t, message(1)+asks+message(2))
		time.Sleep(time.Second)
		old.Abort()
		if err := <-ran; !errors.Is(err, net.ErrClosed) || !s.Hibernate() {
			t.Fatalf("does not hibernate after %v", err)
		}
		if _, ok := s.Hibernates(); !ok || s.Pressed() {
			t.Error("does not hibernate, or is in a hurry")
		}
		send(s, 3)
		time.Sleep(time.Second)
		s.AppendOwn(func(dst []byte) []byte { return append(dst, "<iq id='4'/><presence xmlns:x='y'/>"...) })
		if n := s.Queued(); n != 3*len(message(1))+len("<iq id='4'/><presence xmlns:x='y'/>") {
			t.Errorf("%d bytes are kept", n)
		}
		time.Sleep(time.Second)
		awaited := make(chan bool, 1)
		go func() { awaited <- s.Await() }()
		if err := s.Resume(w, 1); err != nil || !<-awaited {
			t.Fatalf("not resumed: %v", err)
		}
		ran = run(s)
		synctest.Wait()
		send(s, 5)
		w.want(t, "<resumed xmlns='urn:xmpp:sm:3' previd='"+id+"' h='1'/>"+delayed(2, "00:00:00")+delayed(3, "00:00:01")+
			"<iq id='4'/><presence xmlns:x='y'><delay xmlns='urn:xmpp:delay' from='example.com' stamp='2000-01-01T00:00:02.000Z'/></presence>"+
			asks+message(5))
		if err := s.Acknowledged(6); err != nil || s.Queued() != 0 {
			t.Errorf("%d bytes are kept: %v", s.Queued(), err)
		}
		if s.Transport() != stream.Transport(w) || !s.Resumable(id) {
			t.Error("cannot be resumed once more")
		}
		close(w.in)
		if err := <-ran; err != nil {
			t.Error(err)
		}
		s.Close(nil)
		s.Wait()
		if s.Resumable(id) || len(s.Lost()) != 0 || !errors.Is(s.Resume(newWire(t), 6), session.ErrOver) {
			t.Error("not over")
		}
	})
}

// A client may come back before anybody has noticed that its stream is broken.
func TestResumeLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, w := newWire(t), newWire(t)
		s, id := managed(t, old, session.Limits{}, true)
		old.gate = make(chan struct{}) // it takes nothing any more
		ran := run(s)
		send(s, 1)
		synctest.Wait()
		send(s, 2)
		resumed := make(chan error, 1)
		go func() { resumed <- s.Resume(w, 0) }()
		if err := <-ran; !errors.Is(err, net.ErrClosed) || !s.Hibernate() || !s.Await() {
			t.Fatal("not taken over")
		}
		if err := <-resumed; err != nil {
			t.Fatal(err)
		}
		w.want(t, "<resumed xmlns='urn:xmpp:sm:3' previd='"+id+"' h='0'/>"+delayed(1, "00:00:00")+delayed(2, "00:00:00")+asks)
		s.Close(nil)
		s.Wait()
	})
}

// A session that hibernates ends in many ways; then all that is not acknowledged is lost, in order.
func TestHibernationEnds(t *testing.T) {
	long := strings.Repeat("x", 200)
	for _, c := range []struct {
		name string
		do   func(s *session.Session)
		lost string
		why  stanza.StreamCondition
	}{
		{"nobody comes", func(*session.Session) { time.Sleep(10*minute + time.Second) }, message(1) + message(2), ""},
		{"conflict", func(s *session.Session) { s.Close(&stanza.StreamError{Condition: stanza.StreamConflict}) }, message(1) + message(2), stanza.StreamConflict},
		{"too much for it", func(s *session.Session) {
			for range 5 {
				s.Send([]byte("<message>" + long + "</message>"))
			}
		}, message(1) + message(2) + strings.Repeat("<message>"+long+"</message>", 2), stanza.StreamPolicyViolation},
		{"what is owed counts for itself", func(s *session.Session) {
			s.AppendOwn(func(dst []byte) []byte { return append(dst, "<iq>"+strings.Repeat(long, 10)+"</iq>"...) })
			send(s, 3)
			time.Sleep(10*minute + time.Second)
		}, message(1) + message(2) + "<iq>" + strings.Repeat(long, 10) + "</iq>" + message(3), ""},
		{"a client that has lost count stays away", func(s *session.Session) {
			if err := s.Resume(newWire(t), 3); err == nil {
				t.Error("resumed")
			}
			s.Close(nil)
		}, message(1) + message(2), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				s, id := managed(t, w, session.Limits{Hard: 400}, true)
				ran := run(s)
				send(s, 1)
				synctest.Wait()
				w.Abort()
				<-ran
				if !s.Hibernate() {
					t.Fatal("does not hibernate")
				}
				send(s, 2)
				awaited := make(chan bool, 1)
				go func() { awaited <- s.Await() }()
				synctest.Wait()
				c.do(s)
				if <-awaited {
					t.Fatal("resumed")
				}
				s.Wait()
				if got := string(s.Lost()); got != c.lost {
					t.Errorf("lost\n\t%s\nwant\n\t%s", got, c.lost)
				}
				if s.Send([]byte(message(9))) || s.Resumable(id) || s.Queued() != 0 {
					t.Error("goes on")
				}
				if why := s.Reason(); (why == nil) != (c.why == "") || why != nil && why.Condition != c.why {
					t.Errorf("ended with %v", why)
				}
			})
		})
	}
}

// Limits count what is not acknowledged, and senders wait for that, too.
func TestManagedLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s, _ := managed(t, w, session.Limits{Soft: 100, Hard: 200}, true)
		ran := run(s)
		for i := range 3 {
			send(s, i)
		}
		synctest.Wait()
		if !s.Pressed() {
			t.Fatal("nobody is asked to wait")
		}
		w.in <- "<iq/>" // read nevertheless: the acknowledgement comes the same way
		synctest.Wait()
		if _, n := s.Resumption(); n != 1 {
			t.Error("nothing is read from the client")
		}
		go func() {
			time.Sleep(500 * time.Millisecond)
			if err := s.Acknowledged(3); err != nil {
				t.Error(err)
			}
		}()
		before := time.Now()
		s.Relieve()
		if waited := time.Since(before); waited != 500*time.Millisecond || s.Pressed() {
			t.Errorf("waited %v, pressed: %v", waited, s.Pressed())
		}
		for i := range 100 { // which the client does not acknowledge
			send(s, i)
			synctest.Wait()
			if n := s.Queued(); n > 250 {
				t.Fatalf("%d bytes are kept", n)
			}
		}
		time.Sleep(2 * time.Second)
		before = time.Now()
		s.Relieve()
		if waited := time.Since(before); waited != 0 {
			t.Errorf("waited %v for a client that does not acknowledge", waited)
		}
		if err := s.Acknowledged(104); err == nil {
			t.Error("acknowledges more than there was")
		}
		w.Abort()
		<-ran
		if !s.Hibernate() {
			t.Fatal("does not hibernate")
		}
		awaited := make(chan bool, 1)
		go func() { awaited <- s.Await() }()
		if err := s.Resume(newWire(t), 50); !errors.Is(err, session.ErrOver) || <-awaited {
			t.Errorf("resumed without what was dropped: %v", err)
		}
		s.Wait()
		if got := string(s.Lost()); !strings.HasPrefix(got, "<message") || !strings.HasSuffix(got, message(99)) || len(got) > 250 {
			t.Errorf("lost %s", got)
		}
	})
}

// Who has acknowledged what was dropped can resume the session.
func TestResumeBehindWhatWasDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s, id := managed(t, w, session.Limits{Soft: 100, Hard: 200}, true)
		ran := run(s)
		for i := range 100 {
			send(s, i)
			synctest.Wait()
		}
		w.Abort()
		if <-ran; !s.Hibernate() {
			t.Fatal("does not hibernate")
		}
		next := newWire(t)
		if err := s.Resume(next, 99); err != nil {
			t.Fatal(err)
		}
		next.want(t, "<resumed xmlns='urn:xmpp:sm:3' previd='"+id+"' h='0'/>"+delayed(99, "00:00:00")+asks)
		if err := s.Acknowledged(100); err != nil || s.Queued() != 0 {
			t.Errorf("%d bytes are kept: %v", s.Queued(), err)
		}
		s.Close(nil)
		s.Wait()
	})
}

// Whatever happens to the streams, the client gets each stanza once and in order; under -race.
func TestResumptions(t *testing.T) {
	const writers, each, streams = 4, 300, 20
	w := newWire(t)
	s := start(w, session.Limits{Soft: 1 << 30, Hard: 1 << 30})
	if err := s.Enable(rules, true, 0); err != nil {
		t.Fatal(err)
	}
	enabled := make(chan struct{})
	s.Delivered(func() { close(enabled) })
	<-enabled // a client does not resume what it does not know of
	c := &counting{t: t, next: make([]int, writers), each: each}
	var all sync.WaitGroup
	for n := range streams {
		if n%(streams/writers) == 0 {
			all.Go(func() {
				for i := range each {
					send(s, n/(streams/writers)*each+i)
				}
			})
		}
		ran, next := run(s), newWire(t)
		resumed := make(chan error, 1)
		h := c.read(w)
		if n%2 == 0 { // the client knows first that the stream is broken
			go func() { resumed <- s.Resume(next, h) }()
		} else {
			w.Abort()
		}
		if <-ran; !s.Hibernate() {
			t.Fatal("does not hibernate")
		}
		if n%2 != 0 {
			go func() { resumed <- s.Resume(next, h) }()
		}
		if !s.Await() {
			t.Fatal("over")
		}
		if err := <-resumed; err != nil {
			t.Fatal(err)
		}
		w = next
	}
	all.Wait()
	s.Close(nil)
	s.Wait()
	c.read(w)
	for n, i := range c.next {
		if i != each {
			t.Errorf("%d of writer %d", i, n)
		}
	}
}

// counting is a client.
type counting struct {
	t    *testing.T
	next []int // of each writer
	each int
	n    uint32
}

var numbered = regexp.MustCompile(`<message id='(\d+)'>`)

// read takes what a wire has carried until now, and returns how many stanzas that makes in all.
func (c *counting) read(w *wire) uint32 {
	for _, m := range numbered.FindAllStringSubmatch(w.text(), -1) {
		id, err := strconv.Atoi(m[1])
		if err != nil || c.next[id/c.each] != id%c.each {
			c.t.Fatalf("message %d of writer %d after %d: %v", id%c.each, id/c.each, c.next[id/c.each]-1, err)
		}
		c.next[id/c.each]++
		c.n++
	}
	return c.n
}
