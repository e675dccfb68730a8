package report

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

const empty = "# How fast\n\n<!-- machine --><!-- /machine -->\n\nWords.\n\n<!-- targets --><!-- /targets -->\n\n<!-- figures -->\nold\n<!-- /figures -->\nThe end.\n"

func TestPage(t *testing.T) {
	t.Parallel()
	r := measured()
	marks := []Mark{{Scenario: "login", Params: Params("contacts", 10), Value: "cpu", Ratio: 12, Text: "a login | 12 ×"}, {Scenario: "login", Params: Params("contacts", 100), Value: "cpu", Ratio: 25, Text: "a login with 100"},
		{Scenario: "login", Params: Params("contacts", 100), Value: "logins", Least: 1, Text: "many logins"}, {Scenario: "login", Params: Params("contacts", 10), Value: "logins", Least: 1, Text: "many logins"}}
	sections := []Section{{Scenario: "login", Title: "Logins", Text: "One after the other.", Plots: []Plot{{File: "login.svg", Title: "A login", Over: "contacts", Value: "cpu"}, {File: "none.svg", Over: "users", Value: "cpu"}}}, {Scenario: "absent", Title: "Absent"}}
	page, plots, err := r.Page([]byte(empty), "performance", marks, sections)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# How fast\n\n<!-- machine -->\n\n| | |\n",
		"| command | `go run ./bench` |\n| begun | 2026-11-23 12:00 UTC |\n| commit | abc |\n| machine | 2 × Processor, 1 GiB, Linux 1 |\n| Prosody | 0.12.3 |\n",
		"| a login \\| 12 × | 17 × (200 µs, 3.40 ms), mechanism PLAIN | reached | `go run ./bench -only 'login'` |\n",
		"| a login with 100 | 10 × (2 ms, 20 ms), mechanism PLAIN | **falls short**: 40 % of the ratio | `go run ./bench -only 'login'` |\n",
		"| many logins: contacts 10 | 200 /s, mechanism PLAIN | reached |",
		"### Logins\n\nOne after the other.\n\n| contacts | mechanism | cpu | logins |\n| --- | --- | --- | --- |\n| 10 | PLAIN | 200 µs, 3.40 ms, **17 ×** | 200 /s, 100 /s, **2.0 ×** |\n",
		"In each cell: rosterd; prosody.\n",
		"\n![A login](performance/login.svg)\n",
		"<!-- /figures -->\nThe end.\n",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("%q is missing from\n%s", want, page)
		}
	}
	if strings.Contains(string(page), "Absent") || strings.Contains(string(page), "old") {
		t.Errorf("what was not measured is on the page:\n%s", page)
	}
	if len(plots) != 1 || !bytes.Contains(plots["login.svg"], []byte("rosterd, mechanism PLAIN")) {
		t.Errorf("plots: %q", plots)
	}
	again, _, err := r.Page(page, "performance", marks, sections)
	if err != nil || !bytes.Equal(again, page) {
		t.Errorf("the page is another when it is written again: %v\n%s", err, again)
	}
	if _, _, err := r.Page([]byte("# How fast"), "performance", nil, nil); err == nil {
		t.Error("a page without places is written")
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		run     *Run
		section Section
		want    string
	}{
		{
			name:    "across",
			run:     measured(),
			section: Section{Scenario: "login", Across: "contacts", Values: []string{"cpu"}},
			want: "| mechanism | contacts 10 | contacts 100 |\n| --- | --- | --- |\n| PLAIN | 200 µs, 3.40 ms, **17 ×** | 2 ms, 20 ms, **10 ×** |\n" +
				"\nIn each cell: rosterd; prosody.\n",
		},
		{
			name: "one server, unsteady, and bound",
			run: &Run{Results: []Result{
				{Scenario: "login", Server: ours, Values: []Value{{"cpu", "s", []float64{1, 1.5}}}, Bound: "the load program was the bottleneck"},
			}},
			section: Section{Scenario: "login"},
			want: "| cpu |\n| --- |\n| ~1.25 s† |\n\n~: the rounds were more than 25 % apart.\n" +
				"\n† rosterd: the load program was the bottleneck.\n",
		},
		{
			name: "what the other has not",
			run: &Run{Results: []Result{
				{Scenario: "login", Server: ours, Params: Params("users", 1), Values: []Value{One("cpu", "s", 1)}},
				{Scenario: "login", Server: "prosody", Params: Params("users", 1), Values: []Value{One("cpu", "s", 3)}},
				{Scenario: "login", Server: ours, Params: Params("users", 2), Values: []Value{One("cpu", "s", 2)}},
			}},
			section: Section{Scenario: "login"},
			want:    "| users | cpu |\n| --- | --- |\n| 1 | 1 s, 3 s, **3.0 ×** |\n| 2 | 2 s, – |\n\nIn each cell: rosterd; prosody.\n",
		},
		{
			name: "of two runs",
			run: &Run{Started: time.Unix(0, 0), Results: []Result{
				{Scenario: "login", Server: ours, Values: []Value{One("cpu", "s", 1)}, Begun: time.Unix(9, 0)},
				{Scenario: "login", Server: "prosody", Values: []Value{One("cpu", "s", 3)}},
			}},
			section: Section{Scenario: "login"},
			want:    "| cpu |\n| --- |\n| 1 s, 3 s, **3.0 ×**† |\n\nIn each cell: rosterd; prosody.\n\n† prosody: measured in another run than rosterd.\n",
		},
	} {
		if got := c.run.Table(c.section); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	Print(&b, measured().Table(Section{Scenario: "login", Values: []string{"cpu"}}))
	want := "contacts  mechanism  cpu\n10        PLAIN      200 µs, 3.40 ms, 17 ×\n100       PLAIN      2 ms, 20 ms, 10 ×\nIn each cell: rosterd; prosody.\n"
	if b.String() != want {
		t.Errorf("%q", &b)
	}
}
