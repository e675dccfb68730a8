// Package known names every option and module that Prosody, its bundled modules and the community
// modules are known to read, so that a line of a configuration can be explained even where rosterd
// does not honour it. The tables are data; nothing here decides what rosterd does.
package known

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// Option is one row of options.tsv.
type Option struct {
	Name       string
	Types      []string // of the getters that read it; "any" where code looks at the raw value
	Origin     string   // "core", "bundled", "community" or "legacy"
	Owners     []string // modules that read it; "(core)" for Prosody itself
	GlobalOnly bool     // read from the global section only
	Replaced   string   // what replaces it, "obsolete", or ""
	Default    string   // what Prosody assumes, in Lua, or ""
	Meaning    string   // one line
}

// Module is one row of modules.tsv.
type Module struct {
	Name    string
	Bundled bool   // comes with Prosody; otherwise a community module
	Meaning string // one line
}

//go:embed options.tsv
var optionsTSV string

//go:embed modules.tsv
var modulesTSV string

var options = sync.OnceValue(func() map[string]Option {
	m := map[string]Option{}
	for row := range rows(optionsTSV, 9) {
		m[row[0]] = Option{
			Name: row[0], Types: strings.Split(row[1], "/"), Origin: row[2],
			Owners: owners(row[3]), GlobalOnly: row[4] == "yes", Replaced: row[5],
			Default: row[7], Meaning: row[8],
		}
	}
	return m
})

var modules = sync.OnceValue(func() map[string]Module {
	m := map[string]Module{}
	for row := range rows(modulesTSV, 5) {
		m[row[0]] = Module{Name: row[0], Bundled: row[1] == "bundled", Meaning: row[4]}
	}
	return m
})

// rows yields the rows below the heading, each with at least n columns.
func rows(tsv string, n int) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		heading := true
		for line := range strings.Lines(tsv) {
			cols := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
			for len(cols) < n {
				cols = append(cols, "")
			}
			if !heading && cols[0] != "" && !yield(cols) {
				return
			}
			heading = false
		}
	}
}

// owners splits a list that may end in "+3": three more, not named.
func owners(s string) []string {
	var list []string
	for name := range strings.SplitSeq(s, ",") {
		if name != "" && !strings.HasPrefix(name, "+") {
			list = append(list, name)
		}
	}
	return list
}

// LookupOption finds an option by its exact name.
func LookupOption(name string) (Option, bool) {
	o, ok := options()[name]
	return o, ok
}

// LookupModule finds a module by its exact name.
func LookupModule(name string) (Module, bool) {
	m, ok := modules()[name]
	return m, ok
}

// Options returns all names, sorted.
func Options() []string { return names(options()) }

// Modules returns all names, sorted.
func Modules() []string { return names(modules()) }

func names[T any](m map[string]T) []string {
	list := make([]string, 0, len(m))
	for name := range m {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}
