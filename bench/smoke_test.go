//go:build clients

package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/bench/report"
	"rosterd/bench/target"
	"rosterd/plugins/worker"
)

// TestMain lets the program be the worker of a plugin, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "plugin-worker" {
		os.Exit(worker.Main(engines()))
	}
	os.Exit(m.Run())
}

// atLeast is how little the scenarios are scaled down to: each does its work a few times, and takes a second or two.
const atLeast = 0.01

// unhurried are parts of the names of scenarios that take long however little is done: they watch for seconds what becomes
// of others, or Prosody takes long for each login. What they do otherwise is done by those beside them.
var unhurried = []string{"isolation", "overload", "outage", " 100 contacts", " 1000 contacts", "5000 users"}

// atMost bounds a scenario that hangs.
const atMost = time.Minute

// TestScenarios plays each scenario at its least against rosterd and Debian's Prosody. A scenario whose users do not get
// what they wait for fails; how fast anything is does not matter.
func TestScenarios(t *testing.T) {
	if err := os.Chdir(".."); err != nil { // as make bench is run
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, os.Chdir("bench")) })
	old := *scale
	*scale = atLeast
	t.Cleanup(func() { *scale = old })
	dir, err := os.MkdirTemp("", "rosterd-bench-") // a test's own is closed to others, and Prosody is somebody else
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	kinds, err := target.Kinds(t.Context(), dir, "", target.Rosterd, target.NotKept, target.Prosody, target.NoNagle)
	must(t, err)
	for _, sc := range scenarios {
		if slices.ContainsFunc(unhurried, func(name string) bool { return strings.Contains(sc.name, name) }) {
			continue
		}
		t.Run(sc.name, func(t *testing.T) {
			players := kinds
			if len(sc.servers) == 0 {
				players = []target.Kind{{}}
			}
			for _, k := range players {
				if len(sc.servers) > 0 && !slices.Contains(sc.servers, k.Name) {
					continue
				}
				ctx, cancel := context.WithTimeout(t.Context(), atMost)
				defer cancel()
				start := time.Now()
				var got []report.Result
				err := sc.play(ctx, k, func(r report.Result) { got = append(got, r) })
				must(t, target.UseAll())
				must(t, err)
				t.Logf("%s: %v", k.Name, time.Since(start).Round(10*time.Millisecond))
				checkResults(t, k.Name, got)
			}
		})
	}
}

// checkResults: something was measured, and every figure is one.
func checkResults(t *testing.T, server string, got []report.Result) {
	t.Helper()
	run := &report.Run{}
	for _, r := range got {
		run.Add(r)
	}
	if len(run.Results) == 0 {
		t.Errorf("%s: nothing was measured", server)
	}
	for _, r := range run.Results {
		if strings.HasSuffix(r.Bound, "was not measured in every round") || len(r.Values) == 0 {
			t.Errorf("%s: %+v", server, r)
		}
		for _, v := range r.Values {
			if v.Name == "" || len(v.Rounds) == 0 {
				t.Errorf("%s: %s %v has no figure %q", server, r.Scenario, r.Params, v.Name)
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
