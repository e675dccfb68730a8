package bosh_test

import (
	"fmt"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"rosterd/xmppcore/bosh"
	"rosterd/xmppcore/stream"
)

// BenchmarkExchange is a request with an IQ and the response with its answer, without HTTP below it.
func BenchmarkExchange(b *testing.B) {
	c := newEcho(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		c.rid++
		r := httptest.NewRequest("POST", "/http-bind", strings.NewReader(c.with(c.rid, "", ping)))
		rec := httptest.NewRecorder()
		c.handler.ServeHTTP(rec, r)
		if !strings.Contains(rec.Body.String(), "echo") {
			b.Fatal(rec.Body)
		}
	}
}

// BenchmarkHTTP is the same over one connection, both ends of it.
func BenchmarkHTTP(b *testing.B) {
	c := newEcho(b, nil)
	web := httptest.NewServer(c.handler)
	b.Cleanup(web.Close)
	conn := raw(b, web)
	b.ReportAllocs()
	for b.Loop() {
		c.rid++
		if got := conn.post(c.with(c.rid, "", ping)); !strings.Contains(got, "echo") {
			b.Fatal(got)
		}
	}
}

// BenchmarkIdle reports what a bound session costs while a request of it is held: all of it, with net/http's
// connection and the descriptor of the client's end.
func BenchmarkIdle(b *testing.B) {
	const n = 500
	for b.Loop() {
		w := newLimitedWorld(b, bosh.Settings{}, stream.Limits{PerAddress: -1, Close: 1})
		web := httptest.NewServer(w.handler)
		before := memory()
		conns := make([]net.Conn, 0, n)
		for i := range n {
			c := raw(b, web)
			s := &client{sid: attribute(b, c.post(fmt.Sprintf(creation, first, 60, 1, "")), "sid"), rid: first + 4}
			c.post(s.with(first+1, "", plain(fmt.Sprintf("user%d", i))))
			c.post(s.with(first+2, " xmpp:restart='true'", ""))
			c.post(s.with(first+3, "", bind("orchard")))
			c.send(s.with(first+4, "", ""))
			w.waiters(s.sid, 1)
			conns = append(conns, c.Conn)
		}
		b.ReportMetric(float64(memory()-before)/n, "B/session")
		w.close()
		for _, c := range conns {
			c.Close()
		}
		web.Close()
	}
}

// memory is what is in use, stacks included.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
