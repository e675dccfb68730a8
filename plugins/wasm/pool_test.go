package wasm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/wasm/module/asm"
)

// counting is a module that counts its calls in its memory, and keeps the number: an instance of its own begins at 1. The
// option do says what it does then: "trap", "refuse", "wrong", "grow".
func counting() []byte {
	g := newGuest("output_write", "kv_set", "config_get")
	c := asm.Code{}.I32(8).I32(8).I32Load(0).I32(1).I32Add().I32Store(0)
	c = g.call(c, "kv_set", "n", 8, 4, 0).Drop()
	c = g.call(c, "config_get", "do", 32, 1).Drop()
	is := func(letter byte, then asm.Code) {
		c = c.I32(32).Op(0x2d, 0, 0).I32(int32(letter)).Op(0x46).If().Add(then).End() // i32.load8_u, i32.eq
	}
	g.top = 64
	is('t', asm.Code{}.Unreachable())
	is('r', asm.Code{}.I32(2).Return())
	is('w', asm.Code{}.I32(9).Return())
	is('g', asm.Code{}.I32(12).MemoryGrow().Drop())
	c = g.call(c, "output_write", empty).Drop().I32(0)
	return g.export("rosterd_fetch", c).Bytes()
}

func (w *world) count() uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return binary.LittleEndian.Uint32([]byte(w.kept["kv/n"]))
}

// TestReuse is about which calls share an instance.
func TestReuse(t *testing.T) {
	tests := []struct {
		name   string
		limits plugins.Limits
		does   string
		calls  int
		want   []uint32 // what is counted in the last calls
		kind   string
	}{
		{name: "an instance is used again", calls: 3, want: []uint32{1, 2, 3}, kind: "ok"},
		{name: "but not where none is", limits: plugins.Limits{Fresh: true}, calls: 3, want: []uint32{1, 1, 1}, kind: "ok"},
		{name: "nor after a trap", does: "t", calls: 2, want: []uint32{1, 1}, kind: "trap"},
		{name: "nor after a wrong result", does: "w", calls: 2, want: []uint32{1, 1}, kind: "protocol"},
		{name: "after a refusal it is", does: "r", calls: 2, want: []uint32{1, 2}, kind: "temporary 0s"},
		{name: "nor when it has grown", limits: plugins.Limits{Memory: 1 << 20}, does: "g", calls: 2, want: []uint32{1, 1}, kind: "ok"},
		{name: "where it may grow it is", limits: plugins.Limits{Memory: 2 << 20}, does: "g", calls: 2, want: []uint32{1, 2}, kind: "ok"},
		{name: "nor after a thousand calls", calls: 1002, want: []uint32{1000, 1, 2}, kind: "ok"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{}
			p := open(t, counting(), setting{host: plugins.Host{Limits: tt.limits}, options: map[string]any{"do": tt.does}}, w)
			for i := range tt.calls {
				_, err := p.Fetch(t.Context(), john(t))
				if kindOf(err) != tt.kind {
					t.Fatal(err)
				}
				if k := i - (tt.calls - len(tt.want)); k >= 0 && w.count() != tt.want[k] {
					t.Errorf("call %d is number %d of its instance, want %d", i+1, w.count(), tt.want[k])
				}
			}
		})
	}
}

// TestIdle waits until nobody has needed an instance for a minute.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		p := open(t, counting(), setting{}, w)
		defer p.Close() // within the bubble
		for _, step := range []struct {
			wait time.Duration
			want uint32
		}{{0, 1}, {59 * time.Second, 2}, {59 * time.Second, 3}, {61 * time.Second, 1}, {0, 2}} {
			time.Sleep(step.wait)
			synctest.Wait()
			if _, err := p.Fetch(t.Context(), john(t)); err != nil || w.count() != step.want {
				t.Fatalf("after %v it is number %d, want %d (%v)", step.wait, w.count(), step.want, err)
			}
		}
	})
}

// asking is a module whose fetch asks http://a/ and answers.
func asking() []byte {
	g := newGuest("output_write", "http_request")
	c := g.call(nil, get.name, get.args...).Drop()
	return g.export("rosterd_fetch", g.call(c, "output_write", empty).Drop().I32(0)).Bytes()
}

// gate holds requests until it is opened.
type gate struct {
	arrived chan struct{}
	open    chan struct{}
}

func newGate() *gate { return &gate{make(chan struct{}, 100), make(chan struct{})} }

func (g *gate) http(ctx context.Context, _ plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	g.arrived <- struct{}{}
	select {
	case <-g.open:
		return &plugins.HTTPResponse{Status: 200}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestPlaces lets no more calls in than there may be.
func TestPlaces(t *testing.T) {
	g := newGate()
	p := open(t, asking(), setting{host: plugins.Host{Limits: plugins.Limits{Calls: 2}}}, &world{http: g.http})
	errs := make(chan error, 3)
	fetch := func(ctx context.Context) {
		_, err := p.Fetch(ctx, john(t))
		errs <- err
	}
	go fetch(t.Context())
	go fetch(t.Context())
	<-g.arrived
	<-g.arrived
	ctx, cancel := context.WithCancel(t.Context())
	go fetch(ctx)
	cancel()
	if err := <-errs; kindOf(err) != "temporary 0s" || !strings.Contains(err.Error(), "2 calls run") || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go fetch(t.Context())
	close(g.open)
	for range 3 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestConcurrent has many callers at once, each with a user of his own, whose name comes back as the revision.
func TestConcurrent(t *testing.T) {
	g := newGuest("input_read", "output_write", "http_request")
	c := g.call(nil, get.name, get.args...).Drop()
	c = g.call(c, "output_write", `{"items":[],"rev":"`).Drop()
	c = g.call(c, "input_read", dst, len(`{"op":"fetch","user":"`), 4).Drop()
	c = g.call(c, "output_write", dst, 4).Drop()
	c = g.call(c, "output_write", `"}`).Drop().I32(0)
	p := open(t, g.export("rosterd_fetch", c).Bytes(), setting{host: plugins.Host{Limits: plugins.Limits{Calls: 8}}}, &world{http: hello})
	var all sync.WaitGroup
	for k := range 16 {
		all.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("u%03d", 50*k+i)
				a, err := p.Fetch(t.Context(), engine.Request{User: user(t, name+"@example.com")})
				if want := p.Generation() + ":" + name; err != nil || a.Rev != want {
					t.Errorf("%q, want %q (%v)", a.Rev, want, err)
				}
			}
		})
	}
	all.Wait()
}

// TestClose lets calls that run end, and begins no others.
func TestClose(t *testing.T) {
	g := newGate()
	w := &world{http: g.http}
	p := open(t, asking(), setting{}, w)
	done := make(chan error)
	go func() {
		_, err := p.Fetch(t.Context(), john(t))
		done <- err
	}()
	<-g.arrived
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Fetch(t.Context(), john(t)); kindOf(err) != "temporary 0s" || !strings.Contains(err.Error(), "plugin crm is closed") {
		t.Error(err)
	}
	close(g.open)
	if err := <-done; err != nil {
		t.Errorf("the call that ran: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if w.closed != 1 {
		t.Errorf("the services were closed %d times", w.closed)
	}
}
