package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// layout is what the rows and columns of a table are.
type layout struct {
	params  []string // in front of each row
	rows    [][]Param
	columns []column
	servers []string // in the order in which they stand in a cell
}

// column is a figure, or a figure of results with one more parameter.
type column struct {
	head  string
	value string
	param []Param
}

// layout finds out in what results of a scenario differ. Rows are in the order in which they were measured.
func (r *Run) layout(s Section) layout {
	var t layout
	var across, values []string
	for _, one := range r.Results {
		if one.Scenario != s.Scenario {
			continue
		}
		t.servers = addNew(t.servers, one.Server)
		row := slices.DeleteFunc(slices.Clone(one.Params), func(p Param) bool { return p.Name == s.Across })
		if !slices.ContainsFunc(t.rows, func(old []Param) bool { return slices.Equal(old, row) }) {
			t.rows = append(t.rows, row)
		}
		for _, p := range row {
			t.params = addNew(t.params, p.Name)
		}
		if s.Across != "" && one.Param(s.Across) != "" {
			across = addNew(across, one.Param(s.Across))
		}
		for _, v := range one.Values {
			values = addNew(values, v.Name)
		}
	}
	slices.SortStableFunc(t.servers, func(a, b string) int { return cmp.Compare(place(a), place(b)) })
	if len(s.Values) > 0 {
		values = s.Values
	}
	for _, v := range values {
		if len(across) == 0 {
			t.columns = append(t.columns, column{head: v, value: v})
		}
		for _, p := range across {
			head := s.Across + " " + p
			if len(values) > 1 {
				head = v + ", " + head
			}
			t.columns = append(t.columns, column{head, v, []Param{{s.Across, p}}})
		}
	}
	return t
}

func addNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// place is where a server stands beside the others.
func place(server string) int {
	switch server {
	case ours:
		return 0
	case theirs:
		return 1
	default:
		return 2
	}
}

// unsteady is the spread beyond which a figure says so.
const unsteady = 0.25

// cell is one figure of all servers: "0.28 ms, 3.4 ms, 12 ×".
func (r *Run) cell(scenario string, row []Param, c column, servers []string, n *notes) string {
	var parts []string
	var first *Value
	var begun time.Time
	for _, server := range servers {
		one, ok := r.exact(server, scenario, row, c.param)
		v, has := one.Value(c.value)
		if !ok || !has {
			if len(servers) > 1 {
				parts = append(parts, "–")
			}
			continue
		}
		text := Figure(v.Median(), v.Unit)
		if v.Spread() > unsteady {
			text = "~" + text
			n.unsteady = true
		}
		text += n.of(server, one.Bound)
		parts = append(parts, text)
		if server == ours {
			first, begun = &v, one.Begun
		} else if first != nil {
			if by, ok := ratio(*first, v); ok {
				another := ""
				if !one.Begun.Equal(begun) {
					another = n.of(server, "measured in another run than "+ours)
				}
				parts = append(parts, "**"+times(by)+"**"+another)
			}
		}
	}
	return strings.Join(parts, ", ")
}

// exact is the result of a server with these parameters and no others.
func (r *Run) exact(server, scenario string, row, more []Param) (Result, bool) {
	for _, one := range r.of(server, scenario, append(slices.Clone(row), more...)) {
		if len(one.Params) == len(row)+len(more) {
			return one, true
		}
	}
	return Result{}, false
}

// notes are what stands below a table.
type notes struct {
	unsteady bool
	bounds   []string
}

// of is the sign for why a figure says nothing.
func (n *notes) of(server, bound string) string {
	if bound == "" {
		return ""
	}
	n.bounds = addNew(n.bounds, server+": "+bound)
	return strings.Repeat("†", slices.Index(n.bounds, server+": "+bound)+1)
}

func (n *notes) lines(servers []string) (list []string) {
	if len(servers) > 1 {
		list = append(list, "In each cell: "+strings.Join(servers, "; ")+".")
	}
	if n.unsteady {
		list = append(list, fmt.Sprintf("~: the rounds were more than %.0f %% apart.", 100*unsteady))
	}
	for i, bound := range n.bounds {
		list = append(list, strings.Repeat("†", i+1)+" "+bound+".")
	}
	return list
}

// Print writes a table of a page as it is read on a terminal.
func Print(w io.Writer, table string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(strings.NewReplacer("**", "", `\|`, "\x00").Replace(line))
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "\x00", "|")
		}
		text := strings.Join(cells, "\t")
		if strings.Trim(text, "-\t") != "" {
			fmt.Fprintln(t, text)
		}
	}
	_ = t.Flush() // the terminal
}
