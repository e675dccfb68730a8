package wasm

import (
	"fmt"
	"strings"
	"testing"
)

// A module may lack more than anybody wants to read in a log.
func TestRefusalIsShort(t *testing.T) {
	var problems []string
	for i := range 10_000 {
		problems = append(problems, fmt.Sprintf("needs env.f%d", i))
	}
	for n, want := range map[int]struct {
		lines int
		last  string
	}{
		1:           {1, "crm.wasm: needs env.f0"},
		maxProblems: {maxProblems, "crm.wasm: needs env.f19"},
		10_000:      {maxProblems + 1, `crm.wasm: 9980 more problems, which "rosterd plugin check" names`},
	} {
		lines := strings.Split(refusal("crm.wasm", problems[:n]).Error(), "\n")
		if last := lines[len(lines)-1]; len(lines) != want.lines || last != want.last {
			t.Errorf("%d problems: %d lines, the last %q", n, len(lines), last)
		}
	}
}
