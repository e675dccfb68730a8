package admission

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// served is the TLS that handshakes are served with.
func served(t *testing.T, h Handshakes) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}}
	return &tls.Config{GetConfigForClient: h.Choose(func(*tls.ClientHelloInfo) (*tls.Config, error) { return config, nil })}
}

// offered is a listener to which one connection comes.
type offered struct {
	net.Listener
	nc net.Conn
}

func (o offered) Accept() (net.Conn, error) { return o.nc, nil }

// deaf is a client that does not answer.
type deaf struct{ net.Conn }

func (d deaf) Read(b []byte) (int, error) {
	for {
		if _, err := d.Conn.Read(b); err != nil {
			return 0, err
		}
	}
}

// arrival is a client of HTTPS, and the server's end of it.
type arrival struct {
	client, server *tls.Conn
	over           chan error // of the server's handshake
}

func arrive(ctx context.Context, t *testing.T, d *Desk, version uint16, hears bool) *arrival {
	t.Helper()
	ours, theirs := net.Pipe()
	h := Handshakes{Listener: offered{nc: ours}, Desk: d}
	nc, err := h.Accept()
	if err != nil {
		t.Fatal(err)
	}
	a := &arrival{server: tls.Server(nc, served(t, h)), over: make(chan error, 1)}
	if !hears {
		theirs = deaf{theirs}
	}
	a.client = tls.Client(theirs, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
	go func() {
		a.over <- a.server.HandshakeContext(ctx)
		if hears {
			a.server.Read(make([]byte, 1)) // tickets may be waited for
		}
	}()
	go func() {
		if a.client.Handshake() == nil {
			a.client.Read(make([]byte, 1))
		}
	}()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	synctest.Wait()
	return a
}

func (a *arrival) done() bool { return len(a.over) > 0 }

// want checks how many places are held when nothing more happens.
func (d *Desk) want(t *testing.T, busy int) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy != busy || len(d.inside) > 0 {
		t.Errorf("%d places are held, want %d; %d wait", d.busy, busy, len(d.inside))
	}
}

// A handshake has its turn when there is a place, and has none afterwards.
func TestHandshake(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := desk(1, 0)
				holder := d.Arrive()
				if err := holder.Enter(t.Context()); err != nil {
					t.Fatal(err)
				}
				a := arrive(t.Context(), t, d, version, true)
				if a.done() {
					t.Fatal("a handshake without a place")
				}
				holder.Leave()
				if err := <-a.over; err != nil {
					t.Fatal(err)
				}
				d.want(t, 0)
				if c := d.Counts(); c.Admitted != 2 {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

// Who does not answer holds no place, nor does who is gone.
func TestDeafHandshake(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := desk(1, 0)
				a := arrive(t.Context(), t, d, version, false)
				d.want(t, 0)
				if a.done() {
					t.Fatal("a handshake with nobody")
				}
				a.client.NetConn().Close()
				if err := <-a.over; err == nil {
					t.Error("a handshake with nobody")
				}
				d.want(t, 0)
			})
		})
	}
}

// The end of the server's time ends it, whether it has a place or waits for one.
func TestHandshakeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		d := desk(1, 0)
		begun := arrive(ctx, t, d, tls.VersionTLS13, false)
		holder := d.Arrive()
		if err := holder.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		waiting := arrive(ctx, t, d, tls.VersionTLS13, true)
		end()
		for _, a := range []*arrival{begun, waiting} {
			if err := <-a.over; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		d.want(t, 1)
		holder.Leave()
		d.want(t, 0)
	})
}

// Who has had a handshake is let in once, though others wait whom nothing was begun for.
func TestAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := &story{t: t}, desk(1, 4*time.Second)
		a := arrive(t.Context(), t, d, tls.VersionTLS13, true)
		if err := <-a.over; err != nil {
			t.Fatal(err)
		}
		holder := d.Arrive()
		s.enter("holder", holder)
		s.enter("stranger", d.Arrive())
		time.Sleep(2 * time.Second)
		if late := arrive(t.Context(), t, d, tls.VersionTLS13, true); !errors.Is(<-late.over, ErrLate) {
			t.Error("a handshake that would have to wait for too long")
		}
		v := Admitted(a.server)
		s.enter("admitted", v)
		s.want("holder")
		holder.Leave()
		s.want("holder", "admitted")
		v.Leave()
		s.want("holder", "admitted", "stranger")
		if Admitted(a.server) != nil || Admitted(a.client) != nil {
			t.Error("admitted twice, or without having been waited for")
		}
	})
}
