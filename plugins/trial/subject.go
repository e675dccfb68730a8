package trial

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rosterd/plugins"
)

// Subject is the plugin that is tried: a file mod_NAME.*, or of languages other than Lua also NAME.*, in a folder.
type Subject struct {
	Name, File, Dir string
	Paths           []string // where a Manager finds it; nil: it ships with rosterd
	Tests           string   // the folder of its cases; "" is tests in its own
}

// Find finds the plugin that an argument means: a file, with or without its ending, or a folder that holds one file with
// one of the endings.
func Find(arg string, endings ...string) (Subject, error) {
	info, err := os.Stat(arg)
	if errors.Is(err, fs.ErrNotExist) {
		for _, ending := range endings {
			if _, err := os.Stat(arg + ending); err == nil {
				return Find(arg+ending, endings...)
			}
		}
	}
	if err != nil {
		return Subject{}, err
	}
	if info.IsDir() {
		return findIn(arg, endings)
	}
	dir, base := filepath.Split(arg)
	ending := filepath.Ext(base)
	stem := strings.TrimSuffix(base, ending)
	name, marked := strings.CutPrefix(stem, "mod_")
	switch {
	case !slices.Contains(endings, ending), name == "", strings.HasPrefix(name, "."):
		return Subject{}, fmt.Errorf("%s: a plugin is a file %s", arg, forms(endings))
	case !marked && ending == ".lua":
		return Subject{}, fmt.Errorf("%s: a plugin's file begins with mod_, as modules of Prosody do: mod_%s", arg, base)
	}
	if !marked { // the server would find the other one first
		if other := filepath.Join(dir, "mod_"+base); regular(other) {
			return Subject{}, fmt.Errorf("%s: %s is beside it, which has the same name", arg, other)
		}
	}
	dir = filepath.Clean(dir)
	return Subject{Name: name, File: arg, Dir: dir, Paths: []string{dir}}, nil
}

// forms are the names that a plugin's file can have.
func forms(endings []string) string {
	var list []string
	for _, ending := range endings {
		if list = append(list, "mod_NAME"+ending); ending != ".lua" {
			list = append(list, "NAME"+ending)
		}
	}
	return strings.Join(list, " or ")
}

func regular(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}

func findIn(dir string, endings []string) (Subject, error) {
	var found []string
	for _, ending := range endings {
		pattern := "*" + ending
		if ending == ".lua" { // any other is not a module
			pattern = "mod_*.lua"
		}
		list, err := filepath.Glob(filepath.Join(escape(dir), pattern))
		if err != nil {
			return Subject{}, err
		}
		found = append(found, list...)
	}
	found = slices.DeleteFunc(found, func(f string) bool { return !regular(f) || strings.HasPrefix(filepath.Base(f), ".") })
	switch {
	case len(found) == 1:
		return Find(found[0], endings...)
	case len(found) > 1:
		return Subject{}, fmt.Errorf("%s: more than one plugin in it, name one: %s", dir, strings.Join(found, " "))
	case regular(filepath.Join(dir, "Makefile")):
		return Subject{}, fmt.Errorf("%s: no file %s in it; is it built? make -C %s", dir, forms(endings), dir)
	}
	return Subject{}, fmt.Errorf("%s: no file %s in it", dir, forms(endings))
}

// escape makes a path a pattern of itself.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// CaseDir is the folder of the plugin's cases.
func (s Subject) CaseDir() string {
	if s.Tests != "" {
		return s.Tests
	}
	return filepath.Join(s.Dir, "tests")
}

// Cases are the files of the plugin's cases: *.json in their folder.
func (s Subject) Cases() ([]string, error) {
	return filepath.Glob(filepath.Join(escape(s.CaseDir()), "*.json"))
}

// Load reads one of the plugin's cases. The files that it names are in the folder around that of the cases.
func (s Subject) Load(file string) (*Case, error) {
	return Load(filepath.Dir(filepath.Clean(s.CaseDir())), file)
}

// place has a Manager find this file and no other.
func (s Subject) place(m *plugins.Manager) {
	if s.Paths == nil {
		return
	}
	m.Paths, m.Shipped = s.Paths, nil
	m.Engines = maps.Clone(m.Engines)
	maps.DeleteFunc(m.Engines, func(ending string, _ plugins.Opener) bool { return ending != filepath.Ext(s.File) })
}
