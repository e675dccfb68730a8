package compare

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/QUIRKS.md anew")

// TestDocs: what a comparison calls expected stands in docs/QUIRKS.md.
func TestDocs(t *testing.T) {
	const path = "../docs/QUIRKS.md"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?s)<!-- table: expectations -->\n.*?<!-- end -->`)
	if !table.Match(b) {
		t.Fatalf("%s has no table", path)
	}
	text := table.ReplaceAllLiteralString(string(b), "<!-- table: expectations -->\n\n"+expectationTable()+"\n<!-- end -->")
	if text == string(b) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the code says; go test ./compare -run TestDocs -update writes it", path)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// expectationTable is a row for each reason and each question.
func expectationTable() string {
	var b strings.Builder
	b.WriteString("| of what | only there | only here | why |\n| --- | --- | --- | --- |\n")
	type key struct{ probe, why string }
	var order []key
	cells := map[key][2][]string{}
	for _, e := range expectations {
		k := key{e.probe, e.why}
		c, known := cells[k]
		if !known {
			order = append(order, k)
		}
		fact := "anything"
		if e.fact != "" {
			fact = "`" + strings.TrimSpace(e.fact) + "`"
		}
		if e.has != rosterd {
			c[0] = append(c[0], fact)
		}
		if e.has != prosody {
			c[1] = append(c[1], fact)
		}
		cells[k] = c
	}
	for _, k := range order {
		c, probe := cells[k], k.probe
		if probe == "" {
			probe = "anything"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", probe, strings.Join(c[0], ", "), strings.Join(c[1], ", "), k.why)
	}
	fmt.Fprintf(&b, "| %s | the old name and groups of a contact | the new ones | %s |\n", pushes+", "+after, renamed)
	return b.String()
}
