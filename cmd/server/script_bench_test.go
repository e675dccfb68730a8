package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
	"rosterd/plugins/lua"
	"rosterd/plugins/worker"
)

// mapped turns a foreign form of contacts into ours.
const mapped = `local http = require "net.http"
local url = module:get_option_string("url")
module:provides("roster", {
	fetch = function(username) return http.request(url..http.urlencode(username)) end,
	map = function(body)
		local items = {}
		for jid, c in pairs(body) do
			items[#items + 1] = { jid = jid, name = c.name, groups = c.groups, subscription = "both" }
		end
		return items
	end })`

// canned is a backend that answers at once, so that what is left is our own work.
type canned struct{ body []byte }

func (c canned) HTTP(context.Context, plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	return &plugins.HTTPResponse{Method: http.MethodGet, URL: "http://localhost/jim", Status: 200, Header: http.Header{}, Body: c.body}, nil
}
func (canned) Load(context.Context, string, string) ([]byte, bool, error)        { return nil, false, nil }
func (canned) Save(context.Context, string, string, []byte, time.Duration) error { return nil }
func (canned) Refresh(context.Context, []string) (plugins.Refreshed, error) {
	return plugins.Refreshed{}, nil
}
func (canned) Random([]byte)                                   {}
func (canned) Log(context.Context, slog.Level, string, ...any) {}
func (canned) Now() time.Time                                  { return time.Now() }
func (canned) Close()                                          {}

func cannedContacts(n int) canned {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"user%d@example.com":{"name":"Vorname Nachname %d","groups":["Friends","Team %d"]}`, i, i, i%10)
	}
	return canned{[]byte("{" + b.String()[1:] + "}")}
}

// openMapped opens the script with an engine, in this process or in a worker.
func openMapped(t testing.TB, open plugins.Opener, contacts int) plugins.Plugin {
	t.Helper()
	src := plugins.Source{Name: "mapped", File: "mod_mapped.lua", Code: []byte(mapped)}
	p, err := open(t.Context(), src, plugins.Host{Name: "example.com"}, plugins.NewOptions(attackConfig{"url": "http://localhost/"}), cannedContacts(contacts))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fetchMapped(t testing.TB, p plugins.Plugin, contacts int) {
	a, err := p.Fetch(t.Context(), engine.Request{User: addr.MustBare("jim@example.com"), Reason: engine.ReasonTest})
	if err != nil || a.Roster.Len() != contacts {
		t.Errorf("%d contacts, %v", a.Roster.Len(), err)
	}
}

// cpuTime is what this process and its children that have ended have used.
func cpuTime(t testing.TB) time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if err := syscall.Getrusage(who, &r); err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	return sum
}

// closeAndWait closes a plugin and waits until its worker has ended, and has been counted.
func closeAndWait(t testing.TB, p plugins.Plugin) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for children(t) {
		<-tick.C
	}
}

// children tells whether this process has any, where the system says so.
func children(t testing.TB) bool {
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range lists {
		if list, err := os.ReadFile(file); err == nil && len(list) > 0 { // else the thread is gone
			return true
		}
	}
	return false
}

// BenchmarkMapped is a script that maps 100 contacts, in both placements. The processor time of a worker is part of
// it, without what its start takes.
func BenchmarkMapped(b *testing.B) {
	for name, open := range map[string]plugins.Opener{"inproc": lua.Open, "process": worker.Opener(worker.Settings{})} {
		b.Run(name, func(b *testing.B) {
			start := cpuTime(b)
			closeAndWait(b, openMapped(b, open, 100))
			starting := cpuTime(b) - start
			b.ReportAllocs()
			start = cpuTime(b)
			p := openMapped(b, open, 100)
			for b.Loop() {
				fetchMapped(b, p, 100)
			}
			elapsed := b.Elapsed()
			closeAndWait(b, p)
			b.ReportMetric(float64(cpuTime(b)-start-starting)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(b.N)/elapsed.Seconds(), "calls/s")
		})
	}
}

// A thousand calls, eight at a time, leave neither the server nor the worker larger than those before did.
func TestManyCallsDoNotGrow(t *testing.T) {
	const contacts, most = 100, 48 << 20
	p := openMapped(t, worker.Opener(worker.Settings{}), contacts)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	calls := func(n int) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range n / 8 {
					fetchMapped(t, p, contacts)
				}
			})
		}
		all.Wait()
	}
	sizes := func() (here, there int64) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc), p.(interface{ Usage() plugins.Usage }).Usage().Memory
	}
	calls(200)
	here, there := sizes()
	for range 4 { // the collector of a worker takes its time, the more so of one that looks for races
		calls(1000)
		hereBefore, thereBefore := here, there
		here, there = sizes()
		if here-hereBefore <= most && there-thereBefore <= most {
			return
		}
	}
	t.Errorf("four times a thousand calls left more than %d MiB each: %d MiB in the end, and the worker %d MiB", most>>20, here>>20, there>>20)
}
