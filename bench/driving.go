package main

import (
	"context"
	"fmt"
	"time"

	"rosterd/bench/load"
	"rosterd/bench/report"
	"rosterd/bench/target"
)

// driven starts a server, has f drive it, and stops it. What the server has printed is told with an error.
func driven(ctx context.Context, k target.Kind, s target.Settings, f func(*target.Server) error) error {
	v, err := k.Start(ctx, s)
	if err != nil {
		return err
	}
	defer v.Stop()
	if err := f(v); err != nil {
		return fmt.Errorf("%w\n%s", err, v.Log())
	}
	return nil
}

// bearable is an amount of work that a server does in a time that somebody waits for: what is measured is the cost of one.
func bearable(k target.Kind, n int) int {
	if k.Name == target.Prosody || k.Name == target.NoNagle {
		return max(1, n/10)
	}
	return n
}

// cpu is the CPU time of the server for each of n.
func cpu(c target.Cost, n int) report.Value {
	return report.One("cpu", "s", c.CPU.Seconds()/float64(max(n, 1)))
}

// loadCPU is the CPU time of the load program and the backend for each of n: where it nears that of the server, figures by the
// clock are theirs as much.
func loadCPU(c target.Cost, n int) report.Value {
	return report.One("load program", "s", c.LoadCPU.Seconds()/float64(max(n, 1)))
}

// percentiles are p50, p95 and p99 of latencies, with a word in front.
func percentiles(prefix string, l *load.Latencies) (list []report.Value) {
	if prefix != "" {
		prefix += " "
	}
	for _, p := range []float64{50, 95, 99} {
		list = append(list, report.Took(fmt.Sprintf("%sp%.0f", prefix, p), l.Percentile(p)))
	}
	return list
}

// awhile is how long something is watched that takes its time: less where little work is wanted.
func awhile(d time.Duration) time.Duration {
	return time.Duration(float64(d) * min(1, max(0.02, *scale)))
}
