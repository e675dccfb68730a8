package xmppcore_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/xmppcore"
	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/stream"
)

// many is a listener where somebody waits whenever somebody is accepted.
type many struct {
	mu     sync.Mutex
	taken  int
	most   int // who wait; then nobody comes
	theirs []net.Conn
	closed chan struct{}
	once   sync.Once
}

func (m *many) Accept() (net.Conn, error) {
	if nc := m.next(); nc != nil {
		return nc, nil
	}
	<-m.closed
	return nil, net.ErrClosed
}

func (m *many) next() net.Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken == m.most {
		return nil
	}
	m.taken++
	theirs, ours := net.Pipe()
	m.theirs = append(m.theirs, theirs)
	return ours
}

func (m *many) Close() error   { m.once.Do(func() { close(m.closed) }); return nil }
func (m *many) Addr() net.Addr { return &net.TCPAddr{} }

func (m *many) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken
}

// While more wait for their turn than have it in time, next to nobody is accepted; what comes by other ways, such as HTTP, is not
// kept waiting by that. When the press is over all are accepted, and a server that ends does so in the middle of it.
func TestAcceptWaits(t *testing.T) {
	for _, tt := range []struct {
		name string
		ends bool
	}{{"and goes on", false}, {"until the server ends", true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := xmppcore.New(xmppcore.Config{Log: slog.New(slog.DiscardHandler), Stream: stream.Limits{Logins: 1, Turn: 4 * time.Second}})
				s.Limits()
				enter := func() *admission.Visitor {
					v := s.Desk().Arrive()
					go v.Enter(t.Context())
					synctest.Wait()
					return v
				}
				holder, patient := enter(), enter()
				time.Sleep(time.Second + time.Millisecond)
				ln := &many{most: 2000, closed: make(chan struct{})}
				over := make(chan error, 1)
				go func() { over <- s.Serve(ln) }()
				time.Sleep(time.Second)
				if n := ln.count(); n < 256 || n > 350 { // all whom the kernel holds are told in less than a second
					t.Errorf("%d were accepted within a second of press", n)
				}
				leave := func() {
					holder.Leave()
					synctest.Wait() // the place is patient's
					patient.Leave()
				}
				if !tt.ends {
					leave()
					time.Sleep(100 * time.Millisecond)
					if n := ln.count(); n != ln.most {
						t.Errorf("%d were accepted when it was over", n)
					}
				}
				begin := time.Now()
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				for _, nc := range ln.theirs {
					nc.Close()
				}
				if err := s.Shutdown(ctx); err != nil || time.Since(begin) > time.Second {
					t.Errorf("shutdown: %v after %v", err, time.Since(begin))
				}
				if err := <-over; !errors.Is(err, xmppcore.ErrServerClosed) {
					t.Errorf("serving ended: %v", err)
				}
				leave()
			})
		})
	}
}
