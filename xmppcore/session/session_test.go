package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// wire is a Transport whose far end does what the test says.
type wire struct {
	t       testing.TB
	gate    chan struct{} // a Write waits for it; nil: none does
	fail    error         // what Writes return
	forget  bool          // Writes keep nothing
	in      chan string   // stanzas the client sends; closed: the end of its stream
	aborted chan struct{} // closed by Abort

	busy atomic.Bool // inside Write or Close

	mu     sync.Mutex
	got    bytes.Buffer
	writes int
	closes []*stanza.StreamError
	once   sync.Once
}

func newWire(t testing.TB) *wire {
	return &wire{t: t, in: make(chan string, 100), aborted: make(chan struct{})}
}

func (w *wire) Run(handle func(*scan.Stanza) error) error {
	var sc scan.Scanner
	var st scan.Stanza
	for {
		select {
		case text, ok := <-w.in:
			if !ok {
				return nil
			}
			if _, err := sc.Next([]byte(text), &st); err != nil {
				return err
			}
			if err := handle(&st); err != nil {
				return err
			}
		case <-w.aborted:
			return net.ErrClosed
		}
	}
}

func (w *wire) alone() func() {
	if w.busy.Swap(true) {
		w.t.Error("two goroutines write at once")
	}
	return func() { w.busy.Store(false) }
}

func (w *wire) Write(b []byte) error {
	defer w.alone()()
	if w.gate != nil {
		select {
		case <-w.gate:
		case <-w.aborted:
			return net.ErrClosed
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes++
	if !w.forget {
		w.got.Write(b)
	}
	return w.fail
}

func (w *wire) Close(se *stanza.StreamError) {
	defer w.alone()()
	w.mu.Lock()
	w.closes = append(w.closes, se)
	w.mu.Unlock()
	w.Abort()
}

func (w *wire) Abort()               { w.once.Do(func() { close(w.aborted) }) }
func (w *wire) RemoteAddr() net.Addr { return &net.TCPAddr{} }
func (w *wire) Secure() bool         { return true }

func (w *wire) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.String()
}

var _ stream.Transport = (*wire)(nil)

var full = addr.MustParse("romeo@example.com/orchard")

func start(w *wire, lim session.Limits) *session.Session {
	s := session.New(full, w, session.NewLimits(lim))
	s.Start()
	return s
}

// Tests run in synctest's bubbles where they can: it also finds goroutines that stay behind.

func TestOrder(t *testing.T) {
	w := newWire(t)
	s := start(w, session.Limits{Hard: 64 << 20})
	const writers, each = 8, 2000
	var all sync.WaitGroup
	for n := range writers {
		all.Go(func() {
			for i := range each {
				if i%2 == 0 {
					s.Append(func(dst []byte) []byte { return fmt.Appendf(dst, "%d.%d ", n, i) })
				} else {
					s.AppendOwn(func(dst []byte) []byte { return fmt.Appendf(dst, "%d.%d ", n, i) })
				}
			}
		})
	}
	all.Wait()
	s.Close(nil)
	s.Wait()
	var next [writers]int
	for f := range strings.FieldsSeq(w.text()) {
		var n, i int
		if _, err := fmt.Sscanf(f, "%d.%d", &n, &i); err != nil || i != next[n] {
			t.Fatalf("%q after %d of writer %d: %v", f, next[n]-1, n, err)
		}
		next[n]++
	}
	for n, i := range next {
		if i != each {
			t.Errorf("%d of writer %d", i, n)
		}
	}
}

// A slow client keeps nobody waiting, and gets what came meanwhile in one write.
func TestBlockedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.gate = make(chan struct{})
		s := start(w, session.Limits{})
		s.Send([]byte("a"))
		synctest.Wait()
		for range 100 {
			if !s.Send([]byte("b")) {
				t.Fatal("not taken")
			}
		}
		close(w.gate)
		synctest.Wait()
		if got := w.text(); got != "a"+strings.Repeat("b", 100) || w.writes != 2 {
			t.Errorf("%d writes: %s", w.writes, got)
		}
		s.Send([]byte("c"))
		s.Close(nil)
		s.Wait()
		if !strings.HasSuffix(w.text(), "bc") || len(w.closes) != 1 || w.closes[0] != nil {
			t.Errorf("%s, closed with %v", w.text(), w.closes)
		}
	})
}

func TestNothingBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s := session.New(full, w, session.NewLimits(session.Limits{}))
		s.AppendOwn(func(dst []byte) []byte { return append(dst, "bound "...) })
		s.Send([]byte("message"))
		s.Close(nil)
		synctest.Wait()
		if w.text() != "" || len(w.closes) != 0 {
			t.Fatalf("wrote %q", w.text())
		}
		s.Start()
		s.Wait()
		if w.text() != "bound message" || len(w.closes) != 1 {
			t.Errorf("wrote %q", w.text())
		}
	})
}

func TestClose(t *testing.T) {
	conflict, shutdown := &stanza.StreamError{Condition: stanza.StreamConflict}, &stanza.StreamError{Condition: stanza.StreamSystemShutdown}
	for _, c := range []struct {
		name   string
		blocks bool // a Write is under way meanwhile
		do     func(s *session.Session)
		text   string
		reason *stanza.StreamError
	}{
		{"idle", false, func(s *session.Session) { s.Close(conflict) }, "", conflict},
		{"idle, without an error", false, func(s *session.Session) { s.Close(nil) }, "", nil},
		{"behind what is queued", true, func(s *session.Session) { s.Send([]byte("b")); s.Close(conflict) }, "ab", conflict},
		{"twice: the first reason counts", true, func(s *session.Session) { s.Close(conflict); s.Close(shutdown); s.Close(nil) }, "a", conflict},
		{"what comes later is not taken", true, func(s *session.Session) {
			s.Close(nil)
			if s.Send([]byte("late")) || s.AppendOwn(func(dst []byte) []byte { return append(dst, "late"...) }) {
				panic("taken")
			}
		}, "a", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				w.gate = make(chan struct{})
				s := start(w, session.Limits{})
				if c.blocks {
					s.Send([]byte("a"))
					synctest.Wait()
				}
				c.do(s)
				synctest.Wait()
				if c.blocks && len(w.closes) > 0 {
					t.Error("closed during a write")
				}
				close(w.gate)
				s.Wait()
				s.Wait()
				if w.text() != c.text || len(w.closes) != 1 || w.closes[0] != c.reason {
					t.Errorf("wrote %q, closed with %v", w.text(), w.closes)
				}
			})
		})
	}
}

func TestFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.fail = io.ErrClosedPipe
		s := start(w, session.Limits{})
		ran := make(chan error, 1)
		go func() { ran <- s.Run(func(*scan.Stanza) error { return nil }) }()
		s.Send([]byte("a"))
		if err := <-ran; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run: %v", err)
		}
		s.Send([]byte("b")) // as somebody does who does not know yet
		s.Close(nil)
		s.Wait()
		if len(w.closes) != 1 {
			t.Errorf("closed %d times", len(w.closes))
		}
	})
}

// What others send counts against Hard, and what the server owes against Own; neither against the other.
func TestHardLimits(t *testing.T) {
	lim := session.Limits{Soft: 10, Hard: 100, Own: 1000}
	kb := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	own := func(s *session.Session, n int) bool {
		return s.AppendOwn(func(dst []byte) []byte { return append(dst, kb(n)...) })
	}
	for _, c := range []struct {
		name string
		do   func(s *session.Session) bool // what the last call says
		ok   bool
	}{
		{"at the limit", func(s *session.Session) bool { return s.Send(kb(100)) && s.Send(kb(1)) }, true},
		{"above it", func(s *session.Session) bool { return s.Send(kb(101)) && s.Send(kb(1)) }, false},
		{"one long stanza", func(s *session.Session) bool { return s.Send(kb(100_000)) }, true},
		{"owed does not count", func(s *session.Session) bool { return own(s, 1000) && s.Send(kb(100)) && s.Send(kb(1)) }, true},
		{"owed does not count, and what others send still does", func(s *session.Session) bool { return own(s, 900) && s.Send(kb(101)) && s.Send(kb(1)) }, false},
		{"what others send does not count as owed", func(s *session.Session) bool { return s.Send(kb(10_000)) && own(s, 1000) && own(s, 1) }, true},
		{"too much owed", func(s *session.Session) bool { return own(s, 1001) && own(s, 1) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				w.gate = make(chan struct{})
				s := start(w, lim)
				ran := make(chan error, 1)
				go func() { ran <- s.Run(func(*scan.Stanza) error { return nil }) }()
				s.Send([]byte("first"))
				synctest.Wait() // the writer has taken it, and takes no more
				if got := c.do(s); got != c.ok {
					t.Errorf("got %v, want %v", got, c.ok)
				}
				if c.ok {
					close(w.gate)
					close(w.in)
					s.Close(nil)
				} else if s.Send([]byte("late")) {
					t.Error("taken after the end")
				}
				<-ran
				s.Wait()
				if len(w.closes) != 1 || (w.closes[0] == nil) != c.ok || !c.ok && w.closes[0].Condition != stanza.StreamPolicyViolation {
					t.Errorf("closed with %v", w.closes)
				}
				if !c.ok && w.text() != "" {
					t.Errorf("wrote %d bytes to who took nothing", len(w.text()))
				}
			})
		})
	}
}

// What was written counts no more.
func TestLimitsAreOfWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s := start(w, session.Limits{Soft: 1, Hard: 10, Own: 10})
		for range 100 {
			if !s.Send([]byte("0123456789ab")) || !s.AppendOwn(func(dst []byte) []byte { return append(dst, "0123456789ab"...) }) {
				t.Fatal("not taken")
			}
			synctest.Wait()
		}
		s.Close(nil)
		s.Wait()
		if len(w.text()) != 2400 {
			t.Errorf("%d bytes", len(w.text()))
		}
	})
}

// Above the soft limit nothing is handled until the client has taken what waits for it.
func TestSoftLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.gate = make(chan struct{})
		s := start(w, session.Limits{Soft: 100})
		var handled atomic.Int32
		ran := make(chan error, 1)
		go func() {
			ran <- s.Run(func(*scan.Stanza) error {
				handled.Add(1)
				s.AppendOwn(func(dst []byte) []byte { return append(dst, bytes.Repeat([]byte("x"), 40)...) })
				return nil
			})
		}()
		s.Send([]byte("first"))
		synctest.Wait()
		for range 20 {
			w.in <- "<message/>"
		}
		synctest.Wait()
		if n := handled.Load(); n != 3 { // 0, 40 and 80 bytes wait when they come, and then 120
			t.Errorf("%d handled", n)
		}
		w.gate <- struct{}{} // first
		synctest.Wait()
		if n := handled.Load(); n != 6 {
			t.Errorf("%d handled", n)
		}
		close(w.gate)
		close(w.in)
		if err := <-ran; err != nil || handled.Load() != 20 {
			t.Errorf("%d handled: %v", handled.Load(), err)
		}
		s.Close(nil)
		s.Wait()
		if len(w.text()) != 5+20*40 {
			t.Errorf("%d bytes", len(w.text()))
		}
	})
}

// Whoever waits for the client to read goes on when the stream is given up.
func TestSoftThenHardLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.gate = make(chan struct{})
		s := start(w, session.Limits{Soft: 10, Hard: 100})
		handled := 0
		ran := make(chan error, 1)
		go func() { ran <- s.Run(func(*scan.Stanza) error { handled++; return nil }) }()
		s.Send([]byte("first"))
		synctest.Wait()
		s.Send(bytes.Repeat([]byte("x"), 101))
		w.in <- "<message/>"
		synctest.Wait() // Run waits for the client
		if s.Send([]byte("x")) {
			t.Error("taken above the limit")
		}
		if err := <-ran; !errors.Is(err, net.ErrClosed) || handled != 0 {
			t.Errorf("%d handled: %v", handled, err)
		}
		s.Wait()
	})
}

// Once a stream is about to end, what the client still sends is not handled, but its end tag is seen.
func TestNothingHandledAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.gate = make(chan struct{})
		s := start(w, session.Limits{})
		var handled []string
		ran := make(chan error, 1)
		go func() {
			ran <- s.Run(func(st *scan.Stanza) error { handled = append(handled, string(st.Raw)); return nil })
		}()
		s.Send([]byte("first"))
		w.in <- "<message id='1'/>"
		synctest.Wait()
		s.Close(&stanza.StreamError{Condition: stanza.StreamConflict})
		w.in <- "<message id='2'/>"
		synctest.Wait()
		close(w.in)
		if err := <-ran; err != nil || fmt.Sprint(handled) != "[<message id='1'/>]" {
			t.Errorf("handled %s: %v", handled, err)
		}
		close(w.gate)
		s.Wait()
	})
}

// Who has added to an outbox that is too full waits for the client, but not for one that takes nothing.
func TestRelieve(t *testing.T) {
	for _, c := range []struct {
		name    string
		pressed bool
		do      func(s *session.Session)          // before Relieve
		then    func(s *session.Session, w *wire) // while it waits
		waited  time.Duration
	}{
		{"nothing waits", false, func(*session.Session) {}, nil, 0},
		{"a little waits", false, func(s *session.Session) { s.Send(make([]byte, 100)) }, nil, 0},
		{"what is owed does not count", false, func(s *session.Session) {
			s.AppendOwn(func(b []byte) []byte { return append(b, make([]byte, 500)...) })
		}, nil, 0},
		{"the client takes it", true, func(s *session.Session) { s.Send(make([]byte, 101)) }, func(_ *session.Session, w *wire) {
			time.Sleep(300 * time.Millisecond)
			close(w.gate)
		}, 300 * time.Millisecond},
		{"the client takes nothing", true, func(s *session.Session) { s.Send(make([]byte, 101)) }, nil, time.Second},
		{"the client has long taken nothing", true, func(s *session.Session) { s.Send(make([]byte, 101)); time.Sleep(2 * time.Second) }, nil, 0},
		{"the client takes it, and more comes", true, func(s *session.Session) { s.Send(make([]byte, 101)) }, func(s *session.Session, w *wire) {
			time.Sleep(900 * time.Millisecond)
			w.gate <- struct{}{} // what was being written; now the writer takes the rest
			synctest.Wait()
		}, 900 * time.Millisecond},
		{"the stream ends", true, func(s *session.Session) { s.Send(make([]byte, 101)); s.Close(nil) }, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				w.gate = make(chan struct{})
				s := start(w, session.Limits{Soft: 100})
				s.Send([]byte("first"))
				synctest.Wait()
				c.do(s)
				if s.Pressed() != c.pressed {
					t.Errorf("pressed: %v", s.Pressed())
				}
				var over sync.WaitGroup
				if c.then != nil {
					over.Go(func() { c.then(s, w) })
				}
				before := time.Now()
				s.Relieve()
				if waited := time.Since(before); waited != c.waited {
					t.Errorf("waited %v", waited)
				}
				over.Wait()
				s.Close(nil)
				w.Abort()
				s.Wait()
				if s.Pressed() {
					t.Error("pressed at the end")
				}
			})
		})
	}
}

// What a client did not take is known: what was being written when the connection broke, and what waited.
func TestLost(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(s *session.Session, w *wire)
		lost string
	}{
		{"nothing", func(s *session.Session, w *wire) { close(w.gate); s.Send([]byte("b")) }, ""},
		{"the connection breaks", func(s *session.Session, w *wire) { s.Send([]byte("b")); w.Abort() }, "ab"},
		{"the stream is closed, and then the connection breaks", func(s *session.Session, w *wire) {
			s.Send([]byte("b"))
			s.Close(nil)
			s.Send([]byte("c")) // refused, not lost
			w.Abort()
		}, "ab"},
		{"too much waits", func(s *session.Session, w *wire) {
			s.Send([]byte("0123456789a"))
			s.Send([]byte("c")) // refused, not lost
		}, "a0123456789a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				w.gate = make(chan struct{})
				s := start(w, session.Limits{Hard: 10})
				s.Send([]byte("a"))
				synctest.Wait()
				c.do(s, w)
				s.Close(nil)
				s.Wait()
				if got := string(s.Lost()); got != c.lost {
					t.Errorf("lost %q, want %q", got, c.lost)
				}
			})
		})
	}
}

// keeper is a wire that does not know whether what was written before has arrived.
type keeper struct {
	*wire
	kept string
}

func (k keeper) Undelivered() []byte { return []byte(k.kept) }

var _ stream.Keeper = keeper{}

// What the Transport has taken and not delivered was written before what is left here.
func TestLostInTheKeeping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.gate = make(chan struct{})
		s := session.New(full, keeper{w, "kept"}, session.NewLimits(session.Limits{}))
		s.Start()
		s.Send([]byte("a"))
		synctest.Wait()
		s.Send([]byte("b"))
		w.Abort()
		s.Close(nil)
		s.Wait()
		if got := string(s.Lost()); got != "keptab" {
			t.Errorf("lost %q", got)
		}
	})
}

func TestRunReturnsWhatHandleReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		s := start(w, session.Limits{})
		w.in <- "<message/>"
		bad := &stanza.StreamError{Condition: stanza.StreamInvalidFrom}
		if err := s.Run(func(*scan.Stanza) error { return bad }); err != bad {
			t.Errorf("Run: %v", err)
		}
		s.Close(bad)
		s.Wait()
		if w.closes[0] != bad {
			t.Errorf("closed with %v", w.closes)
		}
	})
}

// Many goroutines send while the stream is closed and given up; under -race.
func TestEverythingAtOnce(t *testing.T) {
	for range 50 {
		w := newWire(t)
		s := start(w, session.Limits{Soft: 100, Hard: 500})
		var all sync.WaitGroup
		all.Go(func() { _ = s.Run(func(*scan.Stanza) error { s.Send([]byte("answer")); return nil }) }) // how it ends is left to chance
		for range 4 {
			all.Go(func() {
				for range 100 {
					s.Send([]byte("0123456789"))
				}
			})
		}
		all.Go(func() {
			for range 50 {
				w.in <- "<message/>"
			}
			close(w.in)
		})
		all.Go(func() { s.Close(nil) })
		all.Go(s.Wait)
		all.Wait()
		if len(w.closes) != 1 {
			t.Fatalf("closed %d times", len(w.closes))
		}
	}
}

func BenchmarkSend(b *testing.B) {
	w := newWire(b)
	w.forget = true
	s := start(w, session.Limits{Hard: 1 << 30})
	text := bytes.Repeat([]byte("x"), 165)
	b.ReportAllocs()
	for b.Loop() {
		s.Send(text)
	}
	s.Close(nil)
	s.Wait()
}
