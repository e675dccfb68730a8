package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/bench/target"
)

// TestMarkCommands: what a target's command plays is what the target is of, and nothing else.
func TestMarkCommands(t *testing.T) {
	oldAll := *all
	t.Cleanup(func() { *all = oldAll })
	for _, sc := range scenarios {
		for _, m := range marks([]scenario{sc}) {
			_, name, ok := strings.Cut(m.Command, "-only '")
			*all = strings.Contains(m.Command, " -all ")
			got, err := chosen(strings.TrimSuffix(name, "'"))
			if !ok || err != nil || len(got) != 1 || got[0].name != sc.name {
				t.Errorf("%s: %s plays %d scenarios: %v", m.Text, m.Command, len(got), err)
			}
		}
	}
}

// TestChosen: an expression that names nothing is a mistake; a page of no scenario would be an empty one.
func TestChosen(t *testing.T) {
	for _, c := range []struct {
		names string
		fails bool
	}{
		{"", false}, {"login", false}, {"^message, batched$|^presence", false}, {"logins", true}, {"outage", true}, {"(", true},
	} {
		if got, err := chosen(c.names); (err != nil) != c.fails || (len(got) == 0) != c.fails {
			t.Errorf("%q: %d scenarios, %v", c.names, len(got), err)
		}
	}
}

// TestTimes: how often a scenario is played.
func TestTimes(t *testing.T) {
	old := *rounds
	t.Cleanup(func() { *rounds = old })
	for _, c := range []struct {
		name          string
		sc            scenario
		rounds        int
		ours, Prosody int
	}{
		{"as it comes", scenario{}, 0, 3, 3},
		{"its own", scenario{rounds: 5}, 0, 5, 5},
		{"asked for", scenario{rounds: 5}, 2, 2, 2},
		{"takes long", scenario{rounds: 5, most: 1}, 4, 1, 1},
		{"takes Prosody long", scenario{slow: 2}, 0, 3, 2},
		{"takes Prosody long, and once is asked for", scenario{slow: 2}, 1, 1, 1},
	} {
		*rounds = c.rounds
		if ours, theirs := c.sc.times(target.Rosterd), c.sc.times(target.Prosody); ours != c.ours || theirs != c.Prosody {
			t.Errorf("%s: %d and %d times, want %d and %d", c.name, ours, theirs, c.ours, c.Prosody)
		}
	}
}

// TestPlan: the plan says how long each took when it was last played, and all of them.
func TestPlan(t *testing.T) {
	run := measured()
	run.Took = map[string]float64{"a": 90, "b": 30}
	file := filepath.Join(t.TempDir(), "RUN.json")
	if err := run.Save(file); err != nil {
		t.Fatal(err)
	}
	list := []scenario{{name: "a", servers: everyone, rounds: 5, slow: 1}, {name: "b", rounds: 2}}
	for name, wants := range map[string][]string{
		file:                                  {"a            5       1           90 s", "b            2       –           30 s", "2 scenarios                      2 minutes"},
		filepath.Join(t.TempDir(), "NO.json"): {"a            5", "2 scenarios"},
	} {
		var b strings.Builder
		if err := plan(&b, list, name); err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%q is missing from\n%s", want, &b)
			}
		}
	}
	bad := filepath.Join(t.TempDir(), "BAD.json")
	if err := os.WriteFile(bad, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := plan(&strings.Builder{}, list, bad); err == nil {
		t.Error("a file that is no run is read")
	}
}
