package report

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rounds         []float64
		median, spread float64
	}{
		{[]float64{3}, 3, 0},
		{[]float64{9, 1, 2}, 2, 4},
		{[]float64{4, 1, 2, 3}, 2.5, 1.2},
	} {
		v := Value{Rounds: c.rounds}
		if v.Median() != c.median || v.Spread() != c.spread {
			t.Errorf("%v: median %v, spread %v", c.rounds, v.Median(), v.Spread())
		}
	}
	if !math.IsNaN(Value{}.Median()) {
		t.Error("nothing has a median")
	}
}

func TestFigure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x    float64
		unit string
		want string
	}{
		{0.00028, "s", "280 µs"},
		{0.0034, "s", "3.40 ms"},
		{0.9999, "s", "1.00 s"},
		{224, "ms", "224 ms"},
		{1900, "ms", "1.90 s"},
		{12, "ns", "12 ns"},
		{0, "s", "0 s"},
		{5.8, "KiB", "5.80 KiB"},
		{600, "KiB", "600 KiB"},
		{3 << 30, "B", "3 GiB"},
		{123.4, "logins/s", "123 logins/s"},
		{530000, "/s", "530000 /s"},
		{12.34, "", "12.3"},
		{math.NaN(), "s", "– ns"},
	} {
		if got := Figure(c.x, c.unit); got != c.want {
			t.Errorf("%v %s: %q, want %q", c.x, c.unit, got, c.want)
		}
	}
}

func TestAdd(t *testing.T) {
	t.Parallel()
	r := &Run{}
	for _, x := range []float64{2, 1, math.Inf(1)} {
		r.Add(Result{Scenario: "login", Params: Params("contacts", 10), Server: ours, Values: []Value{One("cpu", "s", x)}})
	}
	r.Add(Result{Scenario: "login", Params: Params("contacts", 100), Server: ours, Values: []Value{Took("cpu", 5*time.Second)}, Bound: "the load program was the bottleneck"})
	want := []Result{
		{Scenario: "login", Params: Params("contacts", 10), Server: ours, Values: []Value{{"cpu", "s", []float64{2, 1}}}, Bound: "cpu was not measured in every round"},
		{Scenario: "login", Params: Params("contacts", 100), Server: ours, Values: []Value{{"cpu", "s", []float64{5}}}, Bound: "the load program was the bottleneck"},
	}
	if !reflect.DeepEqual(r.Results, want) {
		t.Errorf("%+v", r.Results)
	}
}

// measured is a run of one scenario over contacts, with a throughput that Prosody has half of.
func measured() *Run {
	r := &Run{Started: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Command: []string{"go", "run", "./bench"}, Commit: "abc", Machine: Machine{"Processor", 2, 1 << 30, "Linux 1"}, Versions: map[string]string{"Prosody": "0.12.3"}}
	add := func(server string, contacts int, cpu, rate float64) {
		for _, noise := range []float64{0.99, 1, 1.01} {
			r.Add(Result{Scenario: "login", Params: Params("contacts", contacts, "mechanism", "PLAIN"), Server: server,
				Values: []Value{One("cpu", "ms", noise*cpu), One("logins", "/s", noise*rate)}})
		}
	}
	add("prosody", 10, 3.4, 100)
	add(ours, 10, 0.2, 200)
	add("prosody", 100, 20, 50)
	add(ours, 100, 2, 100)
	return r
}

func TestJudge(t *testing.T) {
	t.Parallel()
	r := measured()
	r.Add(Result{Scenario: "ping", Server: ours, Values: []Value{One("p99", "ms", 3)}, Bound: "the load program was the bottleneck"})
	for _, c := range []struct {
		name            string
		mark            Mark
		met             bool
		measured, short string
	}{
		{"a ratio", Mark{Scenario: "login", Params: Params("contacts", 10), Value: "cpu", Ratio: 12}, true, "17 × (200 µs, 3.40 ms), mechanism PLAIN", ""},
		{"the worst counts", Mark{Scenario: "login", Value: "cpu", Ratio: 12}, false, "10 × (2 ms, 20 ms), contacts 100, mechanism PLAIN", "83 % of the ratio"},
		{"more is better", Mark{Scenario: "login", Params: Params("contacts", 10, "mechanism", "PLAIN"), Value: "logins", Ratio: 2}, true, "2.0 × (200 /s, 100 /s)", ""},
		{"at most", Mark{Scenario: "login", Params: Params("contacts", 100), Value: "cpu", Most: 1.5}, false, "2 ms, mechanism PLAIN", "500 µs too much"},
		{"at least", Mark{Scenario: "login", Params: Params("contacts", 10), Value: "logins", Least: 150}, true, "200 /s, mechanism PLAIN", ""},
		{"bound", Mark{Scenario: "ping", Value: "p99", Most: 5}, true, "3 ms", "the load program was the bottleneck"},
		{"another server that is not there", Mark{Scenario: "login", Value: "cpu", Ratio: 1, Against: "prototype"}, false, "", "not measured in this run"},
		{"another scenario", Mark{Scenario: "logout", Value: "cpu", Most: 1}, false, "", "not measured in this run"},
	} {
		got := r.Judge([]Mark{c.mark})[0]
		if got.Met != c.met || got.Measured != c.measured || got.Short != c.short {
			t.Errorf("%s: %v %q %q", c.name, got.Met, got.Measured, got.Short)
		}
	}
}

func TestSave(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "runs", "1.json"), filepath.Join(dir, "2.json")
	r := measured()
	if err := r.Save(one); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(one); err != nil || !reflect.DeepEqual(got, r) {
		t.Fatalf("%v %+v", err, got)
	}
	later := measured()
	later.Commit, later.Versions = "def", map[string]string{"Go": "1.26"}
	later.Results = later.Results[:1]
	later.Add(Result{Scenario: "ping", Server: ours, Values: []Value{One("p99", "ms", 3)}})
	if err := later.Save(two); err != nil {
		t.Fatal(err)
	}
	got, err := Load(one, two)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Results) != len(r.Results)+1 || got.Commit != "abc, def" || len(got.Versions) != 2 {
		t.Errorf("%+v", got)
	}
	later.Machine.Processors++
	if err := later.Save(two); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(one, two); err == nil {
		t.Error("runs of two machines are one")
	}
	if err := os.WriteFile(two, []byte(`{"format": 2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(two); err == nil {
		t.Error("another form is read")
	}
}

// TestJoin: a later run replaces what it has measured again, of that server with those parameters, and nothing else. What
// belongs together stays together, in its order.
func TestJoin(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	run := func(hours int, commit string, results ...Result) *Run {
		return &Run{Started: first.Add(time.Duration(hours) * time.Hour), Command: []string{"bench", commit}, Commit: commit, Took: map[string]float64{commit: 1}, Results: results}
	}
	one := func(scenario, server string, sessions int, memory float64) Result {
		return Result{Scenario: scenario, Server: server, Params: Params("sessions", sessions), Values: []Value{One("memory", "B", memory)}}
	}
	got, err := Join(
		run(0, "abc", one("idle", ours, 1000, 1), one("idle", theirs, 1000, 2), one("login", ours, 1000, 3)),
		run(1, "def", one("idle", ours, 10_000, 4), one("ping", ours, 1, 5)),
		run(2, "abc", one("idle", ours, 1000, 6)))
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, r := range got.Results {
		order = append(order, fmt.Sprintf("%s %s %s %v %d", r.Scenario, r.Server, r.Param("sessions"), r.Values[0].Median(), int(r.Begun.Sub(first).Hours())))
	}
	want := []string{"idle rosterd 1000 6 2", "idle prosody 1000 2 0", "idle rosterd 10000 4 1", "login rosterd 1000 3 0", "ping rosterd 1 5 1"}
	if !slices.Equal(order, want) {
		t.Errorf("%q\nwant\n%q", order, want)
	}
	if got.Commit != "abc, def" || !reflect.DeepEqual(got.Took, map[string]float64{"abc": 1, "def": 1}) {
		t.Errorf("%+v", got)
	}
	if len(got.Joined) != 2 || got.Joined[0].Commit != "def" || !got.Joined[1].Started.Equal(first.Add(2*time.Hour)) {
		t.Errorf("joined: %+v", got.Joined)
	}
	again, err := Join(got, run(3, "ghi")) // which has measured nothing yet
	if err != nil || len(again.Joined) != 2 {
		t.Errorf("%v, joined: %+v", err, again.Joined)
	}
	mark := Mark{Scenario: "idle", Params: Params("sessions", 1000), Value: "memory", Ratio: 0.1}
	if v := got.Judge([]Mark{mark})[0]; !v.Met || v.Short != "the two are of different runs" {
		t.Errorf("a ratio of two runs: %+v", v)
	}
	got.Results[0].Bound = "extrapolated"
	if v := got.Judge([]Mark{mark})[0]; v.Short != "extrapolated; the two are of different runs" {
		t.Errorf("a ratio of two runs, one of which is bound: %+v", v)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		old, new []float64
		want     bool
	}{
		{"slower", []float64{1, 1.1, 1.2}, []float64{1.3, 1.4, 1.5}, true},
		{"quicker", []float64{1, 1.1, 1.2}, []float64{0.8, 0.9, 0.8}, true},
		{"as far as the rounds", []float64{1, 1.1, 1.4}, []float64{1.3, 1.4, 1.5}, false},
		{"next to nothing", []float64{1, 1, 1}, []float64{1.01, 1.01, 1.01}, false},
		{"one round", []float64{1}, []float64{1.1}, false},
		{"one round, far off", []float64{1}, []float64{1.2}, true},
		{"nothing to compare", []float64{0, 0}, []float64{1, 1}, false},
	} {
		run := func(rounds []float64) *Run {
			return &Run{Results: []Result{{Scenario: "s", Server: ours, Values: []Value{{"cpu", "s", rounds}}}}}
		}
		if got := Compare(run(c.old), run(c.new)); (len(got) == 1) != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestWriteChanges(t *testing.T) {
	t.Parallel()
	old, now := measured(), measured()
	for i, r := range now.Results {
		for k := range r.Values[0].Rounds {
			if r.Server == ours {
				r.Values[0].Rounds[k] *= 2
			} else {
				now.Results[i].Values[0].Rounds[k] *= 1.1
			}
		}
	}
	var b bytes.Buffer
	WriteChanges(&b, old, now)
	for _, want := range []string{"since abc, 2026-11-23 12:00 UTC", "login     contacts 10, mechanism PLAIN   rosterd  cpu     200 µs   400 µs   +100 %  +10 %\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing from\n%s", want, &b)
		}
	}
	b.Reset()
	if WriteChanges(&b, old, old); !strings.Contains(b.String(), "nothing has changed") {
		t.Errorf("the same run: %s", &b)
	}
}
