package wasm_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"syscall"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/wasm/module/asm"
)

// canned answers every request at once, so that what is left is our own work.
type canned struct{ res plugins.HTTPResponse }

func (c canned) HTTP(context.Context, plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	res := c.res
	return &res, nil
}
func (canned) Load(context.Context, string, string) ([]byte, bool, error)        { return nil, false, nil }
func (canned) Save(context.Context, string, string, []byte, time.Duration) error { return nil }
func (canned) Refresh(context.Context, []string) (plugins.Refreshed, error) {
	return plugins.Refreshed{}, nil
}
func (canned) Random([]byte)                                   {}
func (canned) Log(context.Context, slog.Level, string, ...any) {}
func (canned) Now() time.Time                                  { return time.Time{} }
func (canned) Close()                                          {}

// cpu has b report the processor time of an operation beside the time on the wall, which on a busy machine
// says little. Call what it returns when the loop is over.
func cpu(b *testing.B) func() {
	used := func() time.Duration {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	b.ReportAllocs()
	start := used()
	return func() { b.ReportMetric(float64(used()-start)/float64(b.N), "cpu-ns/op") }
}

// flatOf is a roster of n contacts in the flat form.
func flatOf(n int) string {
	s := "RF\x01\x00" + string([]byte{byte(n), byte(n >> 8), 0, 0})
	for i := range n {
		s += flatContact(3, fmt.Sprintf("user%04d@example.com", i), fmt.Sprintf("Vorname Nachname %d", i), fmt.Sprintf("Team %d", i%10))
	}
	return s
}

func jsonOf(n int) string {
	s := `{"items":[`
	for i := range n {
		if i > 0 {
			s += ","
		}
		s += fmt.Sprintf(`{"jid":"user%04d@example.com","name":"Vorname Nachname %d","groups":["Team %d"]}`, i, i, i%10)
	}
	return s + "]}"
}

// BenchmarkFetch is a call whose module does next to nothing: it asks the backend once and writes an answer that it has.
func BenchmarkFetch(b *testing.B) {
	backend := canned{plugins.HTTPResponse{Status: 200, Header: http.Header{}, Body: []byte("{}")}}
	for _, bm := range []struct {
		name  string
		out   string
		limit plugins.Limits
	}{
		{"flat/0", flatOf(0), plugins.Limits{}},
		{"flat/100", flatOf(100), plugins.Limits{}},
		{"flat/1000", flatOf(1000), plugins.Limits{}},
		{"json/100", jsonOf(100), plugins.Limits{}},
		{"json/1000", jsonOf(1000), plugins.Limits{}},
		{"fresh/100", flatOf(100), plugins.Limits{Fresh: true}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			g := newGuest("http_request", "output_write")
			c := g.call(nil, get.name, get.args...).Drop()
			code := g.export("rosterd_fetch", g.call(c, "output_write", bm.out).Drop().I32(0)).Bytes()
			p := open(b, code, setting{host: plugins.Host{Limits: bm.limit}}, backend)
			r := engine.Request{User: user(b, "john@example.com"), Reason: engine.ReasonLogin}
			stop := cpu(b)
			for b.Loop() {
				if _, err := p.Fetch(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
			stop()
		})
	}
}

// BenchmarkOpen is what it takes to be ready.
func BenchmarkOpen(b *testing.B) {
	for _, bm := range []struct{ name, cache string }{{"compiled", ""}, {"cached", b.TempDir()}} {
		b.Run(bm.name, func(b *testing.B) {
			code := writes(empty, 0)
			stop := cpu(b)
			for b.Loop() {
				p, err := tryOpen(b, code, setting{host: plugins.Host{Cache: bm.cache}}, canned{})
				if err != nil {
					b.Fatal(err)
				}
				p.Close()
			}
			stop()
		})
	}
}

// BenchmarkImport is one call of an import.
func BenchmarkImport(b *testing.B) {
	g := newGuest("output_write", "input_len")
	c := asm.Code{}.I32(1000).LocalSet(0).Loop().Call(g.imported["input_len"]).Drop()
	c = c.LocalGet(0).I32(-1).I32Add().LocalTee(0).BrIf(0).End()
	p := open(b, g.export("rosterd_fetch", g.call(c, "output_write", empty).Drop().I32(0)).Bytes(), setting{}, canned{})
	r := engine.Request{User: user(b, "john@example.com")}
	stop := cpu(b)
	for b.Loop() {
		if _, err := p.Fetch(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/import")
	stop()
}
