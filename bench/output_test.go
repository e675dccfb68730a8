package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/bench/report"
)

// measured is a run of some scenarios that the page knows.
func measured() *report.Run {
	run := &report.Run{Commit: "abc"}
	for _, contacts := range []int{10, 100} {
		run.Add(report.Result{Scenario: "growth over contacts", Params: report.Params("contacts", contacts), Server: "rosterd", Values: []report.Value{report.One("login", "s", 1), report.One("roster get", "s", 1)}})
		run.Add(report.Result{Scenario: "plugin", Params: report.Params("language", "C", "where", "in a worker", "contacts", contacts), Server: "rosterd", Values: []report.Value{report.One("cpu", "s", 1)}})
	}
	return run
}

// TestPage: the page of the repository has a place for everything, and what people have written on it stays.
func TestPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/PERFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "PERFORMANCE.md")
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writePage(copied, measured(), marks(scenarios)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"### As rosters grow", "| C | in a worker | 1 s | 1 s |", "(performance/contacts-login.svg)", "\n## Hot spots\n", "\n## What is not reached, and why\n"} {
		if !bytes.Contains(got, []byte(want)) {
			t.Errorf("%q is not on the page", want)
		}
	}
	for _, m := range marks(scenarios) {
		if !strings.Contains(string(got), strings.ReplaceAll(m.Text, "|", `\|`)) {
			t.Errorf("the target %q is not on the page", m.Text)
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(copied), "performance", "contacts-get.svg")); err != nil {
		t.Error(err)
	}
}

// TestMarks: a mark says what it wants, of a scenario that is measured, and what measures it.
func TestMarks(t *testing.T) {
	t.Parallel()
	for _, m := range marks(scenarios) {
		if m.Scenario == "" || m.Value == "" || m.Text == "" || m.Ratio <= 0 && m.Most <= 0 && m.Least <= 0 || !strings.HasPrefix(m.Command, "go run ./bench ") {
			t.Errorf("%+v", m)
		}
	}
}

// TestKeeper: what was measured before stays, unless it is measured again.
func TestKeeper(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "runs", "RUN.json")
	keep := func(only string, run *report.Run) *report.Run {
		t.Helper()
		k, err := newKeeper(file, only)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.save(&report.Run{}); err != nil { // as when nothing has been played yet
			t.Fatal(err)
		}
		whole, err := k.save(run)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := report.Load(file)
		if err != nil || len(kept.Results) != len(whole.Results) {
			t.Fatalf("%v: kept %+v of %+v", err, kept, whole)
		}
		return kept
	}
	first := measured()
	keep("", first)
	again := &report.Run{}
	again.Add(report.Result{Scenario: "plugin", Params: first.Results[1].Params, Server: "rosterd", Values: []report.Value{report.One("cpu", "s", 2)}})
	again.Add(report.Result{Scenario: "plugin", Params: first.Results[1].Params, Server: "prosody", Values: []report.Value{report.One("cpu", "s", 3)}})
	if got := keep("plugin", again); len(got.Results) != 5 || got.Results[1].Values[0].Median() != 2 {
		t.Errorf("with -only: %+v", got.Results)
	}
	if got := keep("", again); len(got.Results) != 2 {
		t.Errorf("without: %+v", got.Results)
	}
}

// TestShow: an older run that is not there is a mistake, not nothing to say.
func TestShow(t *testing.T) {
	old := *against
	t.Cleanup(func() { *against = old })
	if err := flag.Set("against", filepath.Join(t.TempDir(), "none.json")); err != nil {
		t.Fatal(err)
	}
	if err := show(&bytes.Buffer{}, measured(), nil); err == nil {
		t.Error("there is no such run")
	}
}
