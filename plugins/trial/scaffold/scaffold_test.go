package scaffold

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rosterd/plugins/sdk"
)

// TestWrite: what is written is whole, and nothing of the template is left in it.
func TestWrite(t *testing.T) {
	for lang, want := range map[string][]string{
		"lua":  {"mod_team.lua", "README.md"},
		"c":    {"team.c", "README.md", "Makefile", "rosterd.h"},
		"rust": {"team.rs", "README.md", "Makefile", "rosterd.rs"},
		"go":   {"main.go", "README.md", "Makefile", "go.mod", "rosterd/rosterd.go"},
		"as":   {"team.ts", "README.md", "Makefile", "package-lock.json", "package.json", "rosterd.ts"},
	} {
		t.Run(lang, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "mod_team")
			p, err := Write(lang, dir)
			if err != nil {
				t.Fatal(err)
			}
			if want = append(want, "tests/contacts.json", "tests/not-found.json", "tests/temporary.json", "tests/unreadable.json"); !slices.Equal(p.Files, want) {
				t.Errorf("%q, want %q", p.Files, want)
			}
			if (p.Build == "") != (lang == "lua") {
				t.Errorf("built by %q", p.Build)
			}
			for _, name := range p.Files {
				b, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(filepath.Base(name), "rosterd.") {
					if _, ours, err := sdk.File(languages[lang].sdk); err != nil || !bytes.Equal(b, ours) {
						t.Errorf("%s is not the SDK's: %v", name, err)
					}
					continue
				}
				for _, mark := range []string{"NAME", "CODE", "SDK", "NEEDS"} {
					if bytes.Contains(b, []byte(mark)) {
						t.Errorf("%s has %s in it", name, mark)
					}
				}
			}
		})
	}
}

// TestLanguages: there is a template for whatever there is an SDK for.
func TestLanguages(t *testing.T) {
	var sdks []string
	for _, l := range languages {
		if l.sdk != "" {
			sdks = append(sdks, l.sdk)
		}
	}
	if slices.Sort(sdks); !slices.Equal(sdks, sdk.Languages()) {
		t.Errorf("%q, and SDKs for %q", sdks, sdk.Languages())
	}
}

// TestPinned: plugins in AssemblyScript are built with the compiler that the SDK is built with.
func TestPinned(t *testing.T) {
	ours, err := os.ReadFile("../../sdk/assemblyscript/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := templates.ReadFile("as/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.ReplaceAll(string(ours), `"rosterd-plugins"`, `"NAME"`); string(theirs) != want {
		t.Errorf("package-lock.json is\n%s\nand that of the SDK\n%s", theirs, want)
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, c := range []struct{ name, lang, dir, want string }{
		{"a language that nobody knows", "cobol", "team", `"cobol" is none of as, c, go, lua, rust`},
		{"a name that is none", "lua", "Team!", `cannot be the name of a plugin`},
		{"the name of the SDK", "rust", "rosterd", "another name is needed"},
		{"a folder that is in use", "c", "full", ErrExists.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), c.dir)
			if c.dir == "full" {
				if err := os.CopyFS(dir, os.DirFS("tests")); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Write(c.lang, dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "README.md")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("written after all: %v", err)
			}
		})
	}
}
