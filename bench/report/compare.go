package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Change is a figure that two runs have, and that differs by more than the rounds of each do.
type Change struct {
	Result
	Old, New Value
	By       float64 // new in terms of old: 1.2 is a fifth more
	Other    float64 // the same figure of the server that ours is compared with, likewise; 0 if it is not known
}

// small is a difference that is none, however still the rounds were; single is that of figures without rounds to tell.
const small, single = 0.02, 0.15

// Compare finds what has changed since an older run: where all rounds of the new are on one side of all of the old. The
// greatest changes are first.
func Compare(old, new *Run) []Change {
	var list []Change
	for _, one := range new.Results {
		before, ok := old.beside(one.Server, one)
		if !ok {
			continue
		}
		for _, v := range one.Values {
			was, ok := before.Value(v.Name)
			if !ok || len(v.Rounds) == 0 || was.Unit != v.Unit || !changed(was, v) {
				continue
			}
			list = append(list, Change{Result: one, Old: was, New: v, By: v.Median() / was.Median(), Other: drift(old, new, one, v.Name)})
		}
	}
	slices.SortStableFunc(list, func(a, b Change) int {
		return cmp.Compare(math.Abs(math.Log(b.By)), math.Abs(math.Log(a.By)))
	})
	return list
}

// changed tells whether two figures differ by more than their spread. Only figures above nothing are compared.
func changed(old, new Value) bool {
	a, b := old.Median(), new.Median()
	if !(a > 0) || !(b > 0) {
		return false
	}
	least := small
	if len(old.Rounds) == 1 || len(new.Rounds) == 1 {
		least = single
	}
	oldLow, oldHigh := old.Range()
	newLow, newHigh := new.Range()
	return (newLow > oldHigh || newHigh < oldLow) && math.Abs(b/a-1) > least
}

// drift is how the same figure of Prosody, which has not been changed, differs: that is the machine.
func drift(old, new *Run, one Result, value string) float64 {
	if one.Server != ours {
		return 0
	}
	before, ok1 := old.beside(theirs, one)
	after, ok2 := new.beside(theirs, one)
	was, ok3 := before.Value(value)
	is, ok4 := after.Value(value)
	if !ok1 || !ok2 || !ok3 || !ok4 || was.Unit != is.Unit || !(was.Median() > 0) {
		return 0
	}
	return is.Median() / was.Median()
}

// WriteChanges says what has changed between two runs.
func WriteChanges(w io.Writer, old, new *Run) {
	fmt.Fprintf(w, "since %s, %s:\n", old.Commit, old.Started.Format("2006-01-02 15:04 MST"))
	if old.Machine != new.Machine {
		fmt.Fprintf(w, "another machine: it was %s, and is %s\n", old.Machine, new.Machine)
	}
	changes := Compare(old, new)
	if len(changes) == 0 {
		fmt.Fprintln(w, "nothing has changed by more than its rounds are apart")
		return
	}
	var b strings.Builder
	b.WriteString("| scenario | | server | figure | was | is | change | Prosody meanwhile |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, c := range changes {
		meanwhile := "–"
		if c.Other > 0 {
			meanwhile = percent(c.Other)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", c.Scenario, cmp.Or(describe(c.Params), "–"), c.Server, c.New.Name,
			Figure(c.Old.Median(), c.Old.Unit), Figure(c.New.Median(), c.New.Unit), percent(c.By), meanwhile)
	}
	Print(w, b.String())
}

// percent is a change for people.
func percent(by float64) string { return fmt.Sprintf("%+.0f %%", 100*(by-1)) }
