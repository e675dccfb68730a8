package compare

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Report is what a comparison found. Its JSON form is that of `rosterd check --compare --json`.
type Report struct {
	User     string    `json:"user"`
	Servers  [2]Server `json:"servers"`
	Findings []Finding `json:"findings"`
}

// Server is one of the two.
type Server struct {
	Address  string `json:"address"`
	Software string `json:"software"` // as it calls itself (XEP-0092), or empty
}

// Finding is what came of one question.
type Finding struct {
	Probe       string       `json:"probe"`
	Same        int          `json:"same"` // facts that both have
	Differences []Difference `json:"differences,omitempty"`
}

// Difference is a fact that one server has and the other has not.
type Difference struct {
	Server int    `json:"server"` // 0 is the first, 1 the second
	Fact   string `json:"fact"`
	Why    string `json:"why,omitempty"` // why that is as it should be; empty: nobody knows
}

// Unexpected counts the differences that nobody has explained.
func (r *Report) Unexpected() (n int) {
	for _, f := range r.Findings {
		for _, d := range f.Differences {
			if d.Why == "" {
				n++
			}
		}
	}
	return n
}

// compare makes the findings, in the order in which the first server was asked.
func (r *Report) compare(a, b *seen) {
	both := [2]*seen{a, b}
	probes := slices.Clone(a.order)
	for _, p := range b.order {
		if !slices.Contains(probes, p) {
			probes = append(probes, p)
		}
	}
	for _, probe := range probes {
		at := [2]facts{a.by[probe], b.by[probe]}
		f := Finding{Probe: probe}
		for i, mine := range at {
			only := mine.without(at[1-i])
			f.Same = len(mine) - len(only)
			for _, fact := range only {
				why := expected(both[i], both[1-i], probe, fact)
				f.Differences = append(f.Differences, Difference{Server: i, Fact: fact, Why: why})
			}
		}
		r.Findings = append(r.Findings, f)
	}
}

// Write prints the report for people: first what nobody expects, and then the rest.
func (r *Report) Write(w io.Writer) {
	for i, s := range r.Servers {
		fmt.Fprintf(w, "%c is %s, %s\n", 'A'+i, s.Address, nameOf(s))
	}
	fmt.Fprintf(w, "As %s:\n", r.User)
	same, known := []string{}, 0
	for _, f := range r.Findings {
		if len(f.Differences) == 0 {
			same = append(same, f.Probe)
		}
		for _, d := range f.Differences {
			if d.Why == "" {
				fmt.Fprintf(w, "DIFFERS   %s: only %c: %s\n", f.Probe, 'A'+d.Server, d.Fact)
			}
		}
	}
	for _, f := range r.Findings {
		for _, g := range explained(f) {
			known += len(g.facts)
			fmt.Fprintf(w, "EXPECTED  %s: only %c: %s\n          %s\n", f.Probe, 'A'+g.server, strings.Join(g.facts, ", "), g.why)
		}
	}
	if len(same) > 0 {
		fmt.Fprintf(w, "SAME      %s\n", strings.Join(same, ", "))
	}
	fmt.Fprintf(w, "%d of %d answers are the same; %s; %d unexpected\n", len(same), len(r.Findings), plural(known, "expected difference"), r.Unexpected())
}

// A group is what is explained by one sentence.
type group struct {
	server int
	why    string
	facts  []string
}

func explained(f Finding) (groups []group) {
	for _, d := range f.Differences {
		if d.Why == "" {
			continue
		}
		i := slices.IndexFunc(groups, func(g group) bool { return g.server == d.Server && g.why == d.Why })
		if i < 0 {
			i, groups = len(groups), append(groups, group{server: d.Server, why: d.Why})
		}
		groups[i].facts = append(groups[i].facts, d.Fact)
	}
	return groups
}

func nameOf(s Server) string {
	if s.Software == "" {
		return "which does not say what it is"
	}
	return s.Software
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
