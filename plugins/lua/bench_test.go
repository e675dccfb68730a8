package lua_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/lua"
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

// contacts is a roster of n in the standard form.
func contacts(n int) []byte {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"user%d@example.com":{"name":"Vorname Nachname %d","groups":["Friends","Team %d"]}`, i, i, i%10)
	}
	b.WriteByte('}')
	return []byte(b.String())
}

func bench(b *testing.B, code string, body []byte) {
	b.Helper()
	src := plugins.Source{Name: "bench", File: "mod_bench.lua", Code: []byte(code), Shipped: true}
	svc := canned{plugins.HTTPResponse{Method: "GET", URL: "http://localhost/jim", Status: 200, Header: http.Header{}, Body: body}}
	p, err := lua.Open(b.Context(), src, plugins.Host{Name: "example.com"}, plugins.NewOptions(options{"url": "http://localhost/"}), svc)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	defer cpu(b)()
	for b.Loop() {
		if _, err := p.Fetch(b.Context(), request("jim")); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLua is the Lua of a fetch by the standard module: its environment, the script and its function.
func BenchmarkLua(b *testing.B) {
	code, err := lua.Shipped().(interface{ ReadFile(string) ([]byte, error) }).ReadFile("mod_http_roster_admin.lua")
	if err != nil {
		b.Fatal(err)
	}
	bench(b, string(code), []byte("{}"))
}

// BenchmarkFetchStandard is a whole fetch by the standard module over HTTP on loopback.
func BenchmarkFetchStandard(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			body := contacts(n)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(body) }))
			defer srv.Close()
			p := standard(b, options{"http_roster_url": srv.URL + "/%s"})
			defer cpu(b)()
			for b.Loop() {
				a, err := p.Fetch(b.Context(), engine.Request{User: request("jim").User})
				if err != nil || a.Roster.Len() != n {
					b.Fatal(a.Roster.Len(), err)
				}
			}
		})
	}
}

// BenchmarkMapped is a script that turns a foreign form of 100 contacts into ours.
func BenchmarkMapped(b *testing.B) {
	bench(b, `local http = require "net.http"
		module:provides("roster", {
			fetch = function(username) return http.request("http://localhost/"..http.urlencode(username)) end,
			map = function(body)
				local items = {}
				for jid, c in pairs(body) do
					items[#items + 1] = { jid = jid, name = c.name, groups = c.groups, subscription = "both" }
				end
				return items
			end })`, contacts(100))
}
