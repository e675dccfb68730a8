package stream_test

import (
	"errors"
	"io"
	"net"
	"runtime"
	"testing"

	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// A session that is parked goes on with whatever happens to it.
func TestParked(t *testing.T) {
	for name, c := range map[string]struct {
		then func(w *world, nc net.Conn, s *session)
		end  error
	}{
		"a stanza": {func(w *world, nc net.Conn, s *session) {
			w.write(nc, message)
			<-s.got
			nc.Close()
		}, io.EOF},
		"the client closes":    {func(w *world, nc net.Conn, s *session) { w.write(nc, "</stream:stream>") }, nil},
		"the client goes away": {func(w *world, nc net.Conn, s *session) { nc.Close() }, io.EOF},
		"it is closed": {func(w *world, nc net.Conn, s *session) {
			s.Transport.Close(&stanza.StreamError{Condition: stanza.StreamConflict})
			nc.Close()
		}, net.ErrClosed},
		"it is aborted": {func(w *world, nc net.Conn, s *session) { s.Transport.Abort() }, net.ErrClosed},
	} {
		for _, encrypted := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, func(w *world) {
					w.backlog = 1
					w.host.Auth.Accounts, w.host.Auth.StoresPasswords = passwords{}, true
				}).listen()
				raw, err := net.Dial("tcp", w.addr)
				must(t, err)
				defer raw.Close()
				nc := raw
				if encrypted {
					nc = w.encrypt(raw)
				}
				w.write(nc, header+login+header+bind+message)
				w.until(nc, "</jid></bind></iq>")
				s := <-w.sessions
				<-s.got
				for range 2 { // it can be parked again
					for !stream.Parked(s.Transport) {
						runtime.Gosched()
					}
					w.write(nc, message)
					<-s.got
				}
				for !stream.Parked(s.Transport) {
					runtime.Gosched()
				}
				c.then(w, nc, s)
				if err := <-s.end; !errors.Is(err, c.end) {
					t.Errorf("ended with %v, not %v", err, c.end)
				}
				if stream.Parked(s.Transport) {
					t.Error("still in its place")
				}
			})
		}
	}
}

// A descriptor is used again as soon as it is closed.
func TestParkedOnAUsedDescriptor(t *testing.T) {
	w := newWorld(t, func(w *world) { w.host.Auth.Accounts, w.host.Auth.StoresPasswords = passwords{}, true }).listen()
	nc := w.raw()
	w.write(nc, header+login+header+bind)
	w.until(nc, "</jid></bind></iq>")
	s := <-w.sessions
	for !stream.Parked(s.Transport) {
		runtime.Gosched()
	}
	stream.Overtake(s.Transport)
	if err := <-s.end; !errors.Is(err, net.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
}

// withheld holds back what is written.
type withheld struct {
	net.Conn
	on   bool
	what []byte
}

func (k *withheld) Write(p []byte) (int, error) {
	if !k.on {
		return k.Conn.Write(p)
	}
	k.what = append(k.what, p...)
	return len(p), nil
}

// A session is parked while it has a part of a record, and nothing is lost then: neither what came before the rest, nor what
// came with it.
func TestParkedInARecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.host.Auth.Accounts, w.host.Auth.StoresPasswords = passwords{}, true }).listen()
	raw := w.raw()
	k := &withheld{Conn: raw}
	nc := w.encrypt(k)
	w.write(nc, header+login+header+bind)
	w.until(nc, "</jid></bind></iq>")
	s := <-w.sessions
	k.on = true
	for range 20 { // records of one stanza, of two, and of a part of one: more than crypto/tls takes at once
		w.write(nc, message)
	}
	w.write(nc, message+message)
	w.write(nc, message[:20])
	w.write(nc, message[20:])
	var ticket int32
	for _, n := range []int{1, 3, 5, 40, 200, len(k.what)} { // in the header, at its end, behind it, in the next records
		for before := ticket; ticket == 0 || ticket == before; ticket = stream.Ticket(s.Transport) {
			runtime.Gosched()
		}
		n = min(n, len(k.what))
		w.write(raw, string(k.what[:n]))
		k.what = k.what[n:]
	}
	for range 23 {
		if got := <-s.got; got != message {
			t.Errorf("got %q", got)
		}
	}
	nc.Close()
}
