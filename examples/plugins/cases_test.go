package plugins_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/plugins"
	"rosterd/plugins/trial"
)

// TestCases runs the cases of every example, as rosterd plugin test does.
func TestCases(t *testing.T) {
	for _, name := range examples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if n := runCases(t, name); n < 5 {
				t.Errorf("%d cases: the good answer, the unknown user, the outage, the refused token, the one that is not as agreed", n)
			}
		})
	}
}

// TestGuideCase runs the case that the guide shows with the script that it shows.
func TestGuideCase(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tests"), 0o750); err != nil {
		t.Fatal(err)
	}
	for _, bl := range blocks(read(t, guide)) {
		file := ""
		switch {
		case strings.HasPrefix(bl.text, "-- mod_intranet.lua\n"):
			file = "mod_intranet.lua"
		case bl.info == "json" && strings.Contains(bl.text, `"expect"`):
			file = filepath.Join("tests", "guide.json")
		default:
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(bl.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := runCases(t, dir); n != 1 {
		t.Errorf("the guide shows %d cases", n)
	}
}

// runCases runs the cases of the plugin in a folder and counts them.
func runCases(t *testing.T, dir string) int {
	t.Helper()
	subject, err := trial.Find(dir, ".lua")
	if err != nil {
		t.Fatal(err)
	}
	files, err := subject.Cases()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		c, err := trial.Load(dir, file)
		if err != nil {
			t.Error(err)
			continue
		}
		t.Run(c.Name(), func(t *testing.T) {
			p, err := trial.Trial{Subject: subject, Case: c, Manager: &plugins.Manager{Engines: engines()}}.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			out, err := p.Call(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range c.Judge(out) {
				t.Error(problem)
			}
		})
	}
	return len(files)
}
