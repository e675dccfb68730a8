package main

import (
	"context"
	"fmt"
	"time"

	"rosterd/bench/report"
	"rosterd/bench/target"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/rosterproto"
)

func init() {
	scenarios = append(scenarios, scenario{name: "roster result and push, encoding alone", play: encodings, marks: []report.Mark{
		{Scenario: "encoding", Params: report.Params("of", "roster result, 500 items"), Value: "cpu", Most: 100, Text: "a roster result of 500 items is written in ≤ 100 µs"},
	}})
}

// encodings are measured in this process: how long it takes to write a roster result and a push.
func encodings(_ context.Context, _ target.Kind, add func(report.Result)) error {
	r := sampleRoster(500)
	result := perCall(func(dst []byte) []byte {
		return rosterproto.AppendResult(dst, registry.Asked{ID: "r1", Versioned: true}, "romeo@example.com/orchard", r)
	})
	renamed := r.Items()[0]
	renamed.Name = "Somebody Else"
	change := roster.Diff(r, r.Apply(roster.Change{Contact: renamed.JID, Old: &r.Items()[0], New: &renamed}))[0]
	push := perCall(func(dst []byte) []byte { return rosterproto.AppendPush(dst, 1, "romeo@example.com/orchard", change) })
	for what, us := range map[string]float64{"roster result, 500 items": result, "roster push": push} {
		add(report.Result{Scenario: "encoding", Params: report.Params("of", what), Server: target.Rosterd, Values: []report.Value{report.One("cpu", "µs", us)}})
	}
	return nil
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
		before := target.CPU(0)
		for target.CPU(0)-before < 100*time.Millisecond {
			for range 100 {
				buf = f(buf[:0])
				n++
			}
		}
		if us := float64((target.CPU(0) - before).Nanoseconds()) / float64(n) / 1000; run == 0 || us < best {
			best = us
		}
	}
	return best
}
