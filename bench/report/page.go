package report

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rosterd/bench/report/plot"
)

// Section is what a page says of a scenario.
type Section struct {
	Scenario string
	Title    string   // "" is the scenario's name
	Text     string   // what is done, and what the figures mean
	Across   string   // the parameter whose values are columns; "" has a column for each figure
	Values   []string // the figures that are shown, in this order; none: all
	Plots    []Plot
	Place    string // where on the page, if it is not among the other scenarios: <!-- plugins -->; without title and text
}

// Plot is a plot of a scenario's figures over one of its parameters: a line for each server and for each combination of
// the other parameters.
type Plot struct {
	File   string // "login-contacts.svg"
	Title  string
	Over   string  // the parameter along the axis: a number
	Value  string  // the figure
	Params []Param // only results that have these
	Linear bool    // linear axes; otherwise both are logarithmic
}

// Sections are those of a page with one added for every scenario that the run has and the list has not.
func (r *Run) Sections(list []Section) []Section {
	list = slices.Clone(list)
	for _, one := range r.Results {
		if !slices.ContainsFunc(list, func(s Section) bool { return s.Scenario == one.Scenario }) {
			list = append(list, Section{Scenario: one.Scenario})
		}
	}
	return slices.DeleteFunc(list, func(s Section) bool {
		return !slices.ContainsFunc(r.Results, func(one Result) bool { return one.Scenario == s.Scenario })
	})
}

// The places that a page has for what is measured.
const (
	placeMachine = "machine"
	placeTargets = "targets"
	placeFigures = "figures"
)

// Page puts a run into the places that a page has for it, and draws its plots, by the names of their files in folder,
// which is relative to the page. What is missing from the run is not on the page.
func (r *Run) Page(page []byte, folder string, marks []Mark, sections []Section) ([]byte, map[string][]byte, error) {
	plots := map[string][]byte{}
	figures := map[string]string{placeMachine: r.provenance(), placeTargets: Targets(r.Judge(marks)), placeFigures: ""}
	for _, s := range r.Sections(sections) {
		text := r.section(s, folder, plots)
		if s.Place == "" {
			s.Place, text = placeFigures, s.heading()+text
		}
		figures[s.Place] = strings.TrimPrefix(figures[s.Place]+"\n"+text, "\n")
	}
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		var err error
		if page, err = fill(page, name, figures[name]); err != nil {
			return nil, nil, err
		}
	}
	return page, plots, nil
}

// heading is what stands above a section's figures.
func (s Section) heading() string {
	text := "### " + cmp.Or(s.Title, s.Scenario) + "\n\n"
	if s.Text != "" {
		text += s.Text + "\n\n"
	}
	return text
}

// section are a section's figures and plots, which are drawn.
func (r *Run) section(s Section, folder string, plots map[string][]byte) string {
	text := r.Table(s)
	for _, p := range s.Plots {
		if svg := r.chart(s.Scenario, p).SVG(); svg != nil {
			plots[p.File] = svg
			text += fmt.Sprintf("\n![%s](%s/%s)\n", p.Title, folder, p.File)
		}
	}
	return text
}

// fill puts text between <!-- place --> and <!-- /place -->.
func fill(page []byte, place, text string) ([]byte, error) {
	where := regexp.MustCompile(`(?s)<!-- ` + place + ` -->.*<!-- /` + place + ` -->`)
	if !where.Match(page) {
		return nil, fmt.Errorf("the page has no <!-- %[1]s --> … <!-- /%[1]s -->", place)
	}
	return where.ReplaceAllLiteral(page, []byte("<!-- "+place+" -->\n\n"+text+"\n<!-- /"+place+" -->")), nil
}

// provenance says when, where and of what the figures are.
func (r *Run) provenance() string {
	var b strings.Builder
	b.WriteString("| | |\n| --- | --- |\n")
	row := func(name, value string) { fmt.Fprintf(&b, "| %s | %s |\n", name, cell(value)) }
	row("command", "`"+strings.Join(r.Command, " ")+"`")
	row("begun", r.Started.Format("2006-01-02 15:04 MST"))
	row("commit", r.Commit)
	for _, part := range r.Joined {
		if r.has(part.Started) {
			row("and of "+part.Started.Format("2006-01-02 15:04 MST")+", "+part.Commit, "`"+strings.Join(part.Command, " ")+"`")
		}
	}
	if took := r.took(); took > 0 {
		row("took", fmt.Sprintf("%.0f minutes", took.Minutes()))
	}
	row("machine", r.Machine.String())
	for _, program := range slices.Sorted(maps.Keys(r.Versions)) {
		row(program, r.Versions[program])
	}
	return b.String()
}

// has tells whether a result is of the run that began then.
func (r *Run) has(begun time.Time) bool {
	return slices.ContainsFunc(r.Results, func(one Result) bool { return one.Begun.Equal(begun) })
}

// took is how long all scenarios were played.
func (r *Run) took() time.Duration {
	var seconds float64
	for _, s := range r.Took {
		seconds += s
	}
	return (time.Duration(seconds) * time.Second).Round(time.Minute)
}

// Targets are verdicts as a table.
func Targets(list []Verdict) string {
	var b strings.Builder
	b.WriteString("| target | measured (rosterd, the other) | | command |\n| --- | --- | --- | --- |\n")
	texts := map[string]int{}
	for _, v := range list {
		texts[v.Text]++
	}
	for _, v := range list {
		if texts[v.Text] > 1 && len(v.Params) > 0 { // told apart by what they are about
			v.Text += ": " + describe(v.Params)
		}
		verdict := v.Short
		switch {
		case v.Met:
			verdict = strings.TrimSuffix("reached; "+v.Short, "; ")
		case v.Measured != "":
			verdict = "**falls short**: " + v.Short
		}
		fmt.Fprintf(&b, "| %s | %s | %s | `%s` |\n", cell(v.Text), cell(cmp.Or(v.Measured, "–")), cell(verdict), cell(v.command()))
	}
	return b.String()
}

// cell is text that stays in its cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// chart collects the figures of a plot.
func (r *Run) chart(scenario string, p Plot) plot.Chart {
	c := plot.Chart{Title: p.Title, X: plot.Axis{Name: p.Over, Log: !p.Linear, Label: count}, Y: plot.Axis{Name: p.Value, Log: !p.Linear}}
	at := map[string]int{}
	for _, one := range r.Results {
		v, ok := one.Value(p.Value)
		x, err := strconv.ParseFloat(one.Param(p.Over), 64)
		if one.Scenario != scenario || !ok || err != nil || !one.has(p.Params) {
			continue
		}
		base, factor := v.Unit, 1.0
		if scale, ok := scales[v.Unit]; ok {
			base, factor = scale.by, scale.factor
		}
		c.Y.Label = func(y float64) string { return Figure(y, base) }
		rest := slices.DeleteFunc(without(one.Params, p.Params), func(q Param) bool { return q.Name == p.Over })
		name := strings.TrimSuffix(one.Server+", "+describe(rest), ", ")
		i, ok := at[name]
		if !ok {
			i = len(c.Series)
			at[name] = i
			c.Series = append(c.Series, plot.Series{Name: name, Dashed: one.Server != ours})
		}
		c.Series[i].Points = append(c.Series[i].Points, plot.Point{X: x, Y: v.Median() * factor})
	}
	return c
}

// count is a number of things at an axis.
func count(x float64) string {
	switch {
	case x >= 1e6:
		return strconv.FormatFloat(x/1e6, 'g', 4, 64) + "M"
	case x >= 1e4:
		return strconv.FormatFloat(x/1e3, 'g', 4, 64) + "k"
	default:
		return strconv.FormatFloat(x, 'g', 6, 64)
	}
}

// Table are the figures of a scenario: a row for each combination of parameters, and in each cell rosterd's, then the
// other servers' with the ratios.
func (r *Run) Table(s Section) string {
	t := r.layout(s)
	var b bytes.Buffer
	b.WriteString("|")
	for _, name := range t.params {
		fmt.Fprintf(&b, " %s |", cell(name))
	}
	for _, c := range t.columns {
		fmt.Fprintf(&b, " %s |", cell(c.head))
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", len(t.params)+len(t.columns)) + "\n")
	notes := &notes{}
	for _, row := range t.rows {
		b.WriteString("|")
		for _, name := range t.params {
			fmt.Fprintf(&b, " %s |", cell((Result{Params: row}).Param(name)))
		}
		for _, c := range t.columns {
			fmt.Fprintf(&b, " %s |", cell(r.cell(s.Scenario, row, c, t.servers, notes)))
		}
		b.WriteString("\n")
	}
	for _, line := range notes.lines(t.servers) {
		b.WriteString("\n" + line + "\n")
	}
	return b.String()
}
