// Package scaffold writes the first files of a plugin: code that works, cases that pass, and a README that says how to go on.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

//go:embed lua
var templates embed.FS

// languages are the folders of templates. In them NAME stands for the plugin's name.
var languages = map[string]string{"lua": "lua"}

// ErrExists is wrapped by the error for a folder that is not empty.
var ErrExists = errors.New("there is something in it already")

// names are what a plugin can be called: it is a module's name and the beginning of its options.
var names = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// Write makes a plugin in a folder that is not there yet or is empty, and is called as the folder is. It returns the names
// of its files in the folder, the code first.
func Write(lang, dir string) ([]string, error) {
	root, ok := languages[lang]
	if !ok {
		return nil, fmt.Errorf("language %q is none of %s", lang, strings.Join(slices.Sorted(maps.Keys(languages)), ", "))
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(filepath.Base(full), "mod_")
	if !names.MatchString(name) {
		return nil, fmt.Errorf("%q cannot be the name of a plugin: small letters, digits and _, beginning with a letter", name)
	}
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return nil, fmt.Errorf("%s: %w", dir, ErrExists)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return copied(root, dir, name)
}

func copied(root, dir, name string) (files []string, err error) {
	err = fs.WalkDir(templates, root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := templates.ReadFile(path)
		if err != nil {
			return err
		}
		rel := strings.ReplaceAll(strings.TrimPrefix(path, root+"/"), "NAME", name)
		to := filepath.Join(dir, filepath.FromSlash(rel))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		files = append(files, rel)
		return os.WriteFile(to, []byte(strings.ReplaceAll(string(b), "NAME", name)), 0o644)
	})
	slices.SortStableFunc(files, func(a, b string) int { return rank(a) - rank(b) })
	return files, err
}

// rank puts the code first and the cases last.
func rank(file string) int {
	switch {
	case strings.HasPrefix(file, "mod_"):
		return 0
	case strings.Contains(file, "/"):
		return 2
	}
	return 1
}
