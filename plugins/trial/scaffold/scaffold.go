// Package scaffold writes the first files of a plugin: code that works, cases that pass, and a README that says how to go on.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"rosterd/plugins/sdk"
)

// In the templates NAME stands for the plugin's name. Files whose names would mean something to Go or npm here end in .txt.
//
//go:embed lua c rust go as tests readme.md
var templates embed.FS

// language is what plugins can be written in. Its templates are in the folder of its name.
type language struct {
	code string // the file that the author goes on with
	sdk  string // what package sdk calls it; "" if it needs none
	into string // the folder of the SDK's file
	need string // what it is built with
}

var languages = map[string]language{
	"lua":  {code: "mod_NAME.lua"},
	"c":    {code: "NAME.c", sdk: "c", need: "Debian's packages `clang`, `lld`, `wasi-libc` and `libclang-rt-dev-wasm32`"},
	"rust": {code: "NAME.rs", sdk: "rust", need: "Debian's packages `rustc` and `libstd-rust-dev-wasm32`, or rustup's target `wasm32-unknown-unknown`"},
	"go":   {code: "main.go", sdk: "go", into: "rosterd", need: "Go 1.24 or newer, `golang-go` in Debian"},
	"as":   {code: "NAME.ts", sdk: "as", need: "Debian's packages `nodejs`, 20 or newer, and `npm`, which fetches the compiler"},
}

// Languages are the names of the languages.
func Languages() []string { return slices.Sorted(maps.Keys(languages)) }

// ErrExists is wrapped by the error for a folder that is not empty.
var ErrExists = errors.New("there is something in it already")

// names are what a plugin can be called: it is a module's name and the beginning of its options.
var names = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// Plugin is what was written.
type Plugin struct {
	Files []string // in the folder, the code first
	Build string   // the command that makes a module of it, in the folder; "" if none has to
}

// Write makes a plugin in a folder that is not there yet or is empty, and is called as the folder is.
func Write(lang, dir string) (Plugin, error) {
	l, ok := languages[lang]
	if !ok {
		return Plugin{}, fmt.Errorf("language %q is none of %s", lang, strings.Join(Languages(), ", "))
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return Plugin{}, err
	}
	name := strings.TrimPrefix(filepath.Base(full), "mod_")
	switch {
	case !names.MatchString(name):
		return Plugin{}, fmt.Errorf("%q cannot be the name of a plugin: small letters, digits and _, beginning with a letter", name)
	case name == "rosterd" && l.sdk != "":
		return Plugin{}, fmt.Errorf("%q is what the file is called that rosterd provides: another name is needed", name)
	}
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return Plugin{}, fmt.Errorf("%s: %w", dir, ErrExists)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return Plugin{}, err
	}
	files, err := l.files(lang, name)
	if err != nil {
		return Plugin{}, err
	}
	p := Plugin{Files: slices.Sorted(maps.Keys(files))}
	if l.sdk != "" {
		p.Build = "make"
	}
	code := strings.ReplaceAll(l.code, "NAME", name)
	slices.SortStableFunc(p.Files, func(a, b string) int { return rank(a, code) - rank(b, code) })
	return p, write(dir, files)
}

// files are those of a plugin, with what is in them.
func (l language) files(lang, name string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for root, to := range map[string]string{lang: "", "tests": "tests"} {
		err := fs.WalkDir(templates, root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := templates.ReadFile(file)
			rel := strings.TrimSuffix(strings.TrimPrefix(file, root+"/"), ".txt")
			files[path.Join(to, strings.ReplaceAll(rel, "NAME", name))] = b
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if l.sdk == "" {
		return replaced(files, "NAME", name), nil
	}
	own, b, err := sdk.File(l.sdk)
	if err != nil {
		return nil, err
	}
	own = path.Join(l.into, own)
	if files["README.md"], err = templates.ReadFile("readme.md"); err != nil {
		return nil, err
	}
	replaced(files, "NAME", name, "CODE", strings.ReplaceAll(l.code, "NAME", name), "SDK", own, "NEEDS", l.need)
	files[own] = b // as it is
	return files, nil
}

func replaced(files map[string][]byte, pairs ...string) map[string][]byte {
	text := strings.NewReplacer(pairs...)
	for file, b := range files {
		files[file] = []byte(text.Replace(string(b)))
	}
	return files
}

func write(dir string, files map[string][]byte) error {
	for name, b := range files {
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// rank puts the code first, what it is built with behind it, and the cases last.
func rank(file, code string) int {
	switch {
	case file == code:
		return 0
	case strings.HasPrefix(file, "tests/"):
		return 3
	case file == "README.md":
		return 1
	}
	return 2
}
