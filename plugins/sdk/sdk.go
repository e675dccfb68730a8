// Package sdk holds what plugins in WebAssembly are written with: one file for each language, which knows the ABI of
// docs/PLUGINS.md. Authors copy it beside their code.
package sdk

import (
	"embed"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

//go:embed assemblyscript/rosterd.ts c/rosterd.h go/rosterd.go rust/rosterd.rs
var files embed.FS

// paths are where the files are, by the name of the language.
var paths = map[string]string{
	"as":   "assemblyscript/rosterd.ts",
	"c":    "c/rosterd.h",
	"go":   "go/rosterd.go",
	"rust": "rust/rosterd.rs",
}

// Languages are the names of those that there is a file for.
func Languages() []string { return slices.Sorted(maps.Keys(paths)) }

// File is the file of a language, and what it is called beside a plugin's code.
func File(lang string) (name string, text []byte, err error) {
	p, ok := paths[lang]
	if !ok {
		return "", nil, fmt.Errorf("language %q is none of %s", lang, strings.Join(Languages(), ", "))
	}
	text, err = files.ReadFile(p)
	return path.Base(p), text, err
}
