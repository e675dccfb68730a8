package report

import (
	"cmp"
	"fmt"
	"strings"
)

// The servers as results name them.
const (
	ours   = "rosterd"
	theirs = "prosody"
)

// Mark is a target: of a ratio, or of a figure. One of Ratio, Most and Least counts.
type Mark struct {
	Scenario string
	Params   []Param // that a result must have, besides others; of several results the worst counts
	Value    string
	Ratio    float64 // how many times as much it costs the other server, at least
	Against  string  // the other server; "" is Prosody
	Most     float64 // in the unit of the value
	Least    float64 // in the unit of the value
	Text     string  // the target in words
	Command  string  // what measures it, if that is more than the scenario's name
}

// Verdict is what a run says of a mark.
type Verdict struct {
	Mark
	Measured string // the ratio or the figure, and of what; "" if it was not measured
	Met      bool
	Short    string // by how much it falls short, or why nothing is known
	far      float64
}

// Judge holds a run against marks.
func (r *Run) Judge(marks []Mark) []Verdict {
	var list []Verdict
	for _, m := range marks {
		list = append(list, r.judge(m))
	}
	return list
}

// judge looks at all results that a mark is about. The worst counts.
func (r *Run) judge(m Mark) Verdict {
	worst := Verdict{Mark: m, Short: "not measured in this run"}
	for _, one := range r.of(ours, m.Scenario, m.Params) {
		v, ok := r.verdict(m, one)
		if ok && (worst.Measured == "" || v.far < worst.far) {
			worst = v
		}
	}
	return worst
}

// verdict is that of one result. Its far is how far the mark is surpassed: below 1 it is not met.
func (r *Run) verdict(m Mark, one Result) (Verdict, bool) {
	v := Verdict{Mark: m}
	value, ok := one.Value(m.Value)
	if !ok {
		return v, false
	}
	figure := Figure(value.Median(), value.Unit)
	switch {
	case m.Ratio > 0:
		other, ok := r.beside(cmp.Or(m.Against, theirs), one)
		their, has := other.Value(m.Value)
		if !ok || !has {
			return v, false
		}
		by, ok := ratio(value, their)
		if !ok {
			return v, false
		}
		v.far = by / m.Ratio
		v.Measured = fmt.Sprintf("%s (%s, %s)", times(by), figure, Figure(their.Median(), their.Unit))
		v.Short = fmt.Sprintf("%.0f %% of the ratio", 100*v.far)
		one.Bound = cmp.Or(one.Bound, other.Bound)
		if !one.Begun.Equal(other.Begun) {
			one.Bound = strings.TrimPrefix(one.Bound+"; the two are of different runs", "; ")
		}
	case m.Most > 0:
		v.far, v.Measured = m.Most/value.Median(), figure
		if value.Median() <= 0 {
			v.far = 1e9
		}
		v.Short = Figure(value.Median()-m.Most, value.Unit) + " too much"
	default:
		v.far, v.Measured = value.Median()/m.Least, figure
		v.Short = Figure(m.Least-value.Median(), value.Unit) + " too little"
	}
	if rest := without(one.Params, m.Params); len(rest) > 0 {
		v.Measured += ", " + describe(rest)
	}
	if v.Met = v.far >= 1; v.Met {
		v.Short = ""
	}
	if one.Bound != "" {
		v.Short = strings.TrimPrefix(v.Short+"; "+one.Bound, "; ")
	}
	return v, true
}

// without are the parameters that a mark does not name.
func without(all, named []Param) (rest []Param) {
	for _, p := range all {
		if !(Result{Params: named}).has([]Param{p}) {
			rest = append(rest, p)
		}
	}
	return rest
}

// command is what measures a mark.
func (m Mark) command() string {
	if m.Command != "" {
		return m.Command
	}
	return fmt.Sprintf("go run ./bench -only '%s'", m.Scenario)
}
