package presence_test

import (
	"fmt"
	"sync"
	"testing"

	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/session"
)

// counted counts what is written.
type counted struct {
	wire
	writes, bytes int
}

func (w *counted) Write(b []byte) error {
	w.writes, w.bytes = w.writes+1, w.bytes+len(b)
	return nil
}

// A group of people who all see each other come online at once, and go.
func BenchmarkGroup(b *testing.B) {
	for _, pace := range []int{4, -1} {
		for _, n := range []int{100, 1000} {
			b.Run(fmt.Sprintf("pace=%d/people=%d", pace, n), func(b *testing.B) {
				h := newHouse()
				var contacts []roster.Item
				for i := range n {
					contacts = append(contacts, item(fmt.Sprintf("m%d@example.com", i), roster.Both))
				}
				wires := make([]counted, n)
				people := make([]*registry.Resource, n)
				for i := range people {
					people[i] = h.bind(contacts[i].JID.String()+"/x", &wires[i], session.Limits{Hard: 1 << 30, Pace: session.Pace{Rate: pace}}, contacts...)
				}
				st, err := parse("<presence><status>here</status></presence>")
				if err != nil {
					b.Fatal(err)
				}
				each := func(f func(r *registry.Resource)) {
					var all sync.WaitGroup
					for _, r := range people {
						all.Go(func() { r.Account.Turn.Do(func() { f(r) }) })
					}
					all.Wait()
				}
				b.ReportAllocs()
				for b.Loop() {
					each(func(r *registry.Resource) { h.Available(r, st, 0) })
					each(func(r *registry.Resource) { h.Gone(r) })
				}
				writes := 0
				for i := range wires {
					people[i].Close(nil)
					people[i].Wait()
					writes += wires[i].writes
				}
				b.ReportMetric(float64(writes)/float64(b.N*n*n), "writes/delivery")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*n), "ns/delivery")
			})
		}
	}
}
