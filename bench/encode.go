package main

import (
	"fmt"
	"syscall"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/rosterproto"
)

// encodings are measured in this process: how long it takes to write a roster result and a push.
func encodings() (lines []string) {
	r := sampleRoster(500)
	result := perCall(func(dst []byte) []byte {
		return rosterproto.AppendResult(dst, registry.Asked{ID: "r1", Versioned: true}, "romeo@example.com/orchard", r)
	})
	renamed := r.Items()[0]
	renamed.Name = "Somebody Else"
	change := roster.Diff(r, r.Apply(roster.Change{Contact: renamed.JID, Old: &r.Items()[0], New: &renamed}))[0]
	push := perCall(func(dst []byte) []byte { return rosterproto.AppendPush(dst, 1, "romeo@example.com/orchard", change) })
	return []string{
		fmt.Sprintf("roster result, 500 items\t%.3g µs\t–\t–\t≤ 100 µs", result),
		fmt.Sprintf("roster push\t%.3g µs\t–\t–\t", push),
	}
}

func sampleRoster(n int) roster.Roster {
	items := make([]roster.Item, n)
	for i := range items {
		items[i] = roster.Item{JID: addr.MustBare(fmt.Sprintf("contact%d@example.com", i)), Name: fmt.Sprintf("Contact Number %d", i), Subscription: roster.Both, Groups: []string{"Friends"}}
	}
	r, _ := roster.New(addr.Bare{}, items...)
	return r
}

// perCall is the CPU time of one call in µs, the best of several runs.
func perCall(f func(dst []byte) []byte) float64 {
	buf := f(nil)
	best := 0.0
	for run := range 5 {
		n := 0
		before := cpuTime()
		for cpuTime()-before < 100*time.Millisecond {
			for range 100 {
				buf = f(buf[:0])
				n++
			}
		}
		if us := float64((cpuTime() - before).Nanoseconds()) / float64(n) / 1000; run == 0 || us < best {
			best = us
		}
	}
	return best
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
