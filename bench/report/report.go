// Package report holds what was measured: the figures of a run's rounds, what they come to, and how they are shown, as
// JSON, as a page with tables and plots, and beside an earlier run.
package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// format is the form of the JSON; it changes when what is there already means something else.
const format = 1

// Run is what one run of the program has measured. Its JSON is what two runs are compared by.
type Run struct {
	Format   int                `json:"format"` // 1
	Started  time.Time          `json:"started"`
	Command  []string           `json:"command"`
	Commit   string             `json:"commit"` // with "+" if files have been changed since
	Machine  Machine            `json:"machine"`
	Versions map[string]string  `json:"versions"` // of the programs that took part
	Joined   []Part             `json:"joined,omitempty"`
	Took     map[string]float64 `json:"took,omitempty"` // seconds of each scenario's playing, by its name
	Results  []Result           `json:"results"`
}

// Part is a later run of which something was taken over.
type Part struct {
	Started time.Time `json:"started"`
	Command []string  `json:"command"`
	Commit  string    `json:"commit"`
}

// Result is what a scenario with some parameters has measured of one server, over all rounds.
type Result struct {
	Scenario string    `json:"scenario"`
	Params   []Param   `json:"params,omitempty"`
	Server   string    `json:"server"`
	Values   []Value   `json:"values"`
	Begun    time.Time `json:"begun,omitzero"`  // of the run that has measured it, where runs were joined
	Bound    string    `json:"bound,omitempty"` // why the figures say nothing of the server: "the load program was the bottleneck"
}

// Param is one parameter of a scenario: contacts, 100.
type Param struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Params are parameters from names and values in turn.
func Params(pairs ...any) []Param {
	var list []Param
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, Param{fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1])})
	}
	return list
}

// Value is one figure, as each of the rounds has it. Units "s", "ms", "µs", "B", "KiB" and "MiB" are shown as it suits
// the figure. More is better where the unit ends in "/s" or is "%"; everywhere else the figure is a cost.
type Value struct {
	Name   string    `json:"name"` // "cpu", "p50", "p99", "memory", "answer", …
	Unit   string    `json:"unit"`
	Rounds []float64 `json:"rounds"`
}

// One is the figure of a single round.
func One(name, unit string, x float64) Value { return Value{name, unit, []float64{x}} }

// Took is a time of a single round.
func Took(name string, d time.Duration) Value { return One(name, "s", d.Seconds()) }

// Median is the figure that counts; NaN if there is none.
func (v Value) Median() float64 {
	if len(v.Rounds) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(v.Rounds))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Range are the least and the greatest of the rounds; there must be one.
func (v Value) Range() (low, high float64) { return slices.Min(v.Rounds), slices.Max(v.Rounds) }

// Spread is how far the rounds are apart, in terms of their median.
func (v Value) Spread() float64 {
	if len(v.Rounds) == 0 {
		return 0
	}
	low, high := v.Range()
	if m := math.Abs(v.Median()); m > 0 {
		return (high - low) / m
	}
	return 0
}

// moreIsBetter tells whether the figure is no cost.
func (v Value) moreIsBetter() bool { return strings.HasSuffix(v.Unit, "/s") || v.Unit == "%" }

// Value is the one of a name.
func (r Result) Value(name string) (Value, bool) {
	i := slices.IndexFunc(r.Values, func(v Value) bool { return v.Name == name })
	if i < 0 || len(r.Values[i].Rounds) == 0 {
		return Value{}, false
	}
	return r.Values[i], true
}

// Param is the value of a parameter, "" if it has none.
func (r Result) Param(name string) string {
	for _, p := range r.Params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// has tells whether all of some parameters are among the result's.
func (r Result) has(params []Param) bool {
	for _, p := range params {
		if !slices.Contains(r.Params, p) {
			return false
		}
	}
	return true
}

// same tells whether two results are rounds of one.
func (r Result) same(o Result) bool {
	return r.Scenario == o.Scenario && r.Server == o.Server && slices.Equal(r.Params, o.Params)
}

// Add takes in what a round has measured, beside the rounds before. What is no number is left out, and said.
func (r *Run) Add(round Result) {
	at := slices.IndexFunc(r.Results, round.same)
	if at < 0 {
		at = len(r.Results)
		r.Results = append(r.Results, Result{Scenario: round.Scenario, Params: slices.Clone(round.Params), Server: round.Server})
	}
	all := &r.Results[at]
	if round.Bound != "" {
		all.Bound = round.Bound
	}
	for _, v := range round.Values {
		i := slices.IndexFunc(all.Values, func(old Value) bool { return old.Name == v.Name && old.Unit == v.Unit })
		if i < 0 {
			i = len(all.Values)
			all.Values = append(all.Values, Value{Name: v.Name, Unit: v.Unit})
		}
		for _, x := range v.Rounds {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				all.Bound = v.Name + " was not measured in every round"
				continue
			}
			all.Values[i].Rounds = append(all.Values[i].Rounds, x)
		}
	}
}

// of are the results of one server for a scenario, with all of some parameters.
func (r *Run) of(server, scenario string, params []Param) (list []Result) {
	for _, one := range r.Results {
		if one.Server == server && one.Scenario == scenario && one.has(params) {
			list = append(list, one)
		}
	}
	return list
}

// beside is what another server was measured with in the same scenario, with the same parameters.
func (r *Run) beside(server string, ours Result) (Result, bool) {
	ours.Server = server
	i := slices.IndexFunc(r.Results, ours.same)
	if i < 0 {
		return Result{}, false
	}
	return r.Results[i], true
}

// ratio says how much better the first is: how many times as much the second costs, or does less. Costs of nothing
// are in no ratio.
func ratio(ours, theirs Value) (float64, bool) {
	x, y := theirs.Median(), ours.Median()
	if ours.moreIsBetter() {
		x, y = y, x
	}
	if ours.Unit != theirs.Unit || !(x > 0) || !(y > 0) {
		return 0, false
	}
	return x / y, true
}

// Save writes a run as JSON, a line for each figure, so that two can be told apart by diff as well.
func (r *Run) Save(path string) error {
	r.Format = format
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	next := path + ".new" // a run that is ended while it writes leaves the one before
	if err := os.WriteFile(next, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// Load reads runs that were saved, as one: see Join.
func Load(paths ...string) (*Run, error) {
	var runs []*Run
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		one := &Run{}
		if err := json.Unmarshal(b, one); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if one.Format != format {
			return nil, fmt.Errorf("%s: its form is %d, and this program knows %d", path, one.Format, format)
		}
		runs = append(runs, one)
	}
	return Join(runs...)
}

// Join makes one of several runs: what a later one has measured of a server in a scenario with some parameters replaces what
// an earlier one has of that. Runs of different machines are no run.
func Join(runs ...*Run) (*Run, error) {
	whole := &Run{}
	for i, one := range runs {
		if i == 0 {
			*whole = *one
			whole.Versions, whole.Took = maps.Clone(one.Versions), maps.Clone(one.Took)
			whole.Results, whole.Joined = slices.Clone(one.Results), slices.Clone(one.Joined)
			continue
		}
		if one.Machine != whole.Machine {
			return nil, fmt.Errorf("one run is of %s, another of %s", whole.Machine, one.Machine)
		}
		if len(one.Results) > 0 {
			whole.replace(one)
		}
	}
	return whole, nil
}

// replace takes over the results of a later run, each at the place of the earlier one, or behind the others of its scenario.
func (r *Run) replace(later *Run) {
	r.Results = r.dated()
	for _, one := range later.dated() {
		at := slices.IndexFunc(r.Results, one.same)
		if at >= 0 {
			r.Results[at] = one
			continue
		}
		at = len(r.Results)
		for i, old := range r.Results {
			if old.Scenario == one.Scenario {
				at = i + 1
			}
		}
		r.Results = slices.Insert(r.Results, at, one)
	}
	r.Joined = append(append(r.Joined, Part{later.Started, later.Command, later.Commit}), later.Joined...)
	for commit := range strings.SplitSeq(later.Commit, ", ") {
		if !slices.Contains(strings.Split(r.Commit, ", "), commit) {
			r.Commit += ", " + commit
		}
	}
	if r.Versions == nil {
		r.Versions = map[string]string{}
	}
	maps.Copy(r.Versions, later.Versions)
	if r.Took == nil {
		r.Took = map[string]float64{}
	}
	maps.Copy(r.Took, later.Took)
}

// dated are the results, each with the beginning of the run that has measured it.
func (r *Run) dated() []Result {
	list := slices.Clone(r.Results)
	for i := range list {
		if list[i].Begun.IsZero() {
			list[i].Begun = r.Started
		}
	}
	return list
}
