package stream_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/stream"
)

// pipe connects to the world without a socket.
func (w *world) pipe(ctx context.Context) net.Conn {
	theirs, ours := net.Pipe()
	go func() { w.ended <- w.server.Serve(ctx, ours, w) }()
	w.t.Cleanup(func() { theirs.Close() })
	return theirs
}

// busy takes a place, as a login that is worked at.
func (w *world) busy() *admission.Visitor {
	w.t.Helper()
	v := w.server.Desk().Arrive()
	must(w.t, v.Enter(w.t.Context()))
	return v
}

// A client gets its turn when there is a place: for its first byte, for TLS, for
// SASL.
func TestTurns(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(*world, net.Conn) // the place is taken
		then   func(*world, net.Conn) // must wait for it
	}{
		{"first stream", func(*world, net.Conn) {}, func(w *world, nc net.Conn) {
			w.write(nc, header)
			w.until(nc, "</stream:features>")
		}},
		{"TLS", func(w *world, nc net.Conn) {
			w.write(nc, header)
			w.until(nc, "</stream:features>")
			w.write(nc, starttls)
			w.until(nc, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
		}, func(w *world, nc net.Conn) {
			if err := tls.Client(nc, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
				w.t.Error(err)
			}
		}},
		{"SASL", func(w *world, nc net.Conn) {
			w.write(nc, header)
			w.until(nc, "</stream:features>")
		}, func(w *world, nc net.Conn) {
			w.write(nc, login)
			w.until(nc, "<success")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(w *world) { w.server.Limits = stream.Limits{Logins: 1, Turn: -1} })
				other := w.pipe(t.Context()) // says nothing, and holds nothing
				var nc net.Conn
				begin := func() { nc = w.pipe(t.Context()); tt.before(w, nc); synctest.Wait() }
				var holder *admission.Visitor
				if tt.name == "first stream" {
					synctest.Wait()
					holder = w.busy()
					begin()
				} else {
					begin()
					holder = w.busy()
				}
				done := make(chan struct{})
				go func() { defer close(done); tt.then(w, nc) }()
				synctest.Wait()
				select {
				case <-done:
					t.Error("did not wait")
				default:
				}
				holder.Leave()
				<-done
				other.Close()
				nc.Close()
				<-w.ended
				<-w.ended
			})
		})
	}
}

// Who waits for too long is told to come back; so is who would, at once.
func TestTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.server.Limits = stream.Limits{Logins: 1} })
		w.server.Bounds()
		holder := w.busy()
		for _, want := range []time.Duration{admission.DefaultWait, admission.DefaultWait, 0} { // six in that time
			begin, nc := time.Now(), w.pipe(t.Context())
			go io.WriteString(nc, header)
			go func() {
				b, _ := io.ReadAll(nc)
				if took := time.Since(begin); streamError(t, string(b)) != "resource-constraint" || took != want {
					t.Errorf("after %v: got %s", took, b)
				}
			}()
			time.Sleep(admission.DefaultWait / 6)
		}
		time.Sleep(admission.DefaultWait)
		holder.Leave()
		synctest.Wait()
	})
}

// Clients that say nothing do not keep others out.
func TestSilentGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.server.Limits = stream.Limits{Unauthenticated: 20} })
		var silent []net.Conn
		for range 20 {
			silent = append(silent, w.pipe(t.Context()))
			synctest.Wait()
		}
		if got, err := io.ReadAll(w.pipe(t.Context())); streamError(t, string(got)) != "resource-constraint" {
			t.Errorf("while all have just come: got %s, %v", got, err)
		}
		<-w.ended
		time.Sleep(2 * time.Second)
		for range 5 {
			nc := w.pipe(t.Context())
			w.write(nc, header)
			w.until(nc, "</stream:features>")
			if err := <-w.ended; err == nil || strings.Contains(err.Error(), "resource-constraint") {
				t.Errorf("ended: %v", err)
			}
		}
		for i, nc := range silent[:5] {
			if _, err := nc.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("silent client %d: %v", i, err)
			}
		}
		if c := w.server.Desk().Counts(); c.Silent != 5 {
			t.Errorf("%+v", c)
		}
		for range 20 {
			<-w.ended // after 15 s
		}
	})
}

// come is a connection from an address.
type come struct {
	net.Conn
	from string
}

func (c come) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.from)) }

// Who is refused in any case, for too many connections of one address, does not have others cut.
func TestNobodyGivesWayForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.server.Limits = stream.Limits{Unauthenticated: 3, PerAddress: 2} })
		connect := func(from string) (net.Conn, <-chan error) {
			theirs, ours := net.Pipe()
			ended := make(chan error, 1)
			go func() { ended <- w.server.Serve(t.Context(), come{ours, from}, w) }()
			t.Cleanup(func() { theirs.Close() })
			synctest.Wait()
			return theirs, ended
		}
		_, quiet := connect("192.0.2.1:1")
		connect("192.0.2.2:1")
		connect("192.0.2.2:2")
		time.Sleep(2 * time.Second)
		for range 5 {
			nc, _ := connect("192.0.2.2:3")
			if got, err := io.ReadAll(nc); streamError(t, string(got)) != "policy-violation" {
				t.Errorf("one too many of its address: got %s, %v", got, err)
			}
			synctest.Wait()
		}
		select {
		case err := <-quiet:
			t.Errorf("cut for nothing: %v", err)
		default:
		}
		nc, _ := connect("192.0.2.3:1")
		w.write(nc, header)
		w.until(nc, "</stream:features>")
		if c := w.server.Desk().Counts(); c.Silent != 1 {
			t.Errorf("%+v", c)
		}
		time.Sleep(time.Minute)
	})
}

// Who was told to come back takes no place of others while the connection is closed.
func TestLateTakesNoPlace(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.server.Limits = stream.Limits{Logins: 1, Turn: time.Millisecond, Unauthenticated: 1, Close: time.Minute}
	}).listen()
	w.server.Bounds()
	defer w.busy().Leave()
	for range 3 {
		nc := w.raw()
		w.write(nc, header)
		w.until(nc, "too many log in at this moment")
	}
}

// A client that has begun with TLS has said something.
func TestHelloIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.server.Limits = stream.Limits{Unauthenticated: 1} })
		theirs, ours := net.Pipe()
		defer theirs.Close()
		go func() { w.ended <- w.server.ServeTLS(t.Context(), ours, serverTLS(), w) }()
		over := make(chan struct{})
		defer close(over)
		go tls.Client(&oneWay{theirs, over}, &tls.Config{InsecureSkipVerify: true}).Handshake()
		if _, err := io.ReadFull(theirs, make([]byte, 100)); err != nil { // of our side of the handshake
			t.Fatal(err)
		}
		go io.Copy(io.Discard, theirs)
		time.Sleep(2 * time.Second)
		if got, err := io.ReadAll(w.pipe(t.Context())); streamError(t, string(got)) != "resource-constraint" {
			t.Errorf("while somebody is in the middle of it: got %s, %v", got, err)
		}
		time.Sleep(time.Minute)
		<-w.ended
		<-w.ended
	})
}

// oneWay is a connection on which nothing is heard.
type oneWay struct {
	net.Conn
	over <-chan struct{}
}

func (o *oneWay) Read([]byte) (int, error) { <-o.over; return 0, io.EOF }

// Where TLS comes first, nothing is said without it.
func TestTooLateForTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.server.Limits = stream.Limits{Logins: 1, Turn: time.Second} })
		w.server.Bounds()
		defer w.busy().Leave()
		theirs, ours := net.Pipe()
		go func() { w.ended <- w.server.ServeTLS(t.Context(), ours, serverTLS(), w) }()
		if b, err := io.ReadAll(theirs); len(b) > 0 || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		<-w.ended
	})
}

// A shutdown is told to who still waits, too.
func TestShutdownInQueue(t *testing.T) {
	w := newWorld(t, func(w *world) { w.server.Limits.Logins = 1 })
	w.server.Bounds()
	defer w.busy().Leave()
	ctx, stop := context.WithCancel(context.Background())
	nc := w.pipe(ctx)
	stop()
	got, err := io.ReadAll(nc)
	if streamError(t, string(got)) != "system-shutdown" {
		t.Errorf("got %s, %v", got, err)
	}
	<-w.ended
}
