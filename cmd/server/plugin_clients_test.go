//go:build clients

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPluginFixtures makes the module of the tests again, with wabt.
func TestPluginFixtures(t *testing.T) {
	made := filepath.Join(t.TempDir(), "made.wasm")
	if out, err := exec.CommandContext(t.Context(), "wat2wasm", "testdata/plugins/mod_people.wat", "-o", made).CombinedOutput(); err != nil {
		t.Fatalf("wat2wasm, of Debian's wabt: %v\n%s", err, out)
	}
	want, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("testdata/plugins/mod_people.wasm"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("testdata/plugins/mod_people.wasm is not what the text beside it says: %v", err)
	}
}

// TestPluginFromNothing goes the way of somebody who writes a plugin in each language: new, build, test, check, fuzz, bench.
func TestPluginFromNothing(t *testing.T) {
	for _, lang := range []string{"c", "rust", "go", "as"} {
		t.Run(lang, func(t *testing.T) {
			d := newDesk(t)
			t.Setenv("XDG_CACHE_HOME", filepath.Join(d.dir, "cache"))
			status, text := d.plugin("", "new", "--lang", lang, "DIR/team")
			if status != exitOK || !strings.Contains(text, "Build it: make -C DIR/team\n") {
				t.Fatalf("status %d:\n%s", status, text)
			}
			if status, text := d.plugin("", "test", "DIR/team"); status != exitFailed || !strings.Contains(text, "is it built? make -C DIR/team") {
				t.Errorf("status %d:\n%s", status, text)
			}
			if out, err := exec.CommandContext(t.Context(), "make", "-C", filepath.Join(d.dir, "team")).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, where := range []string{"inproc", "process"} {
				if status, text := d.plugin("", "test", "DIR/team", "--isolation", where); status != exitOK || !strings.Contains(text, "\n4 passed, 0 failed\n") {
					t.Errorf("%s: status %d:\n%s", where, status, text)
				}
			}
			if status, text := d.plugin("", "check", "DIR/team", "--option", "team_url=https://crm.example/%s"); status != exitOK || !strings.Contains(text, "  provides  rosters\n") {
				t.Errorf("status %d:\n%s", status, text)
			}
			if status, text := d.plugin("", "run", "DIR/team", "--user", "alice@example.com", "--option", "team_url="+people(t)); status != exitOK || !strings.Contains(text, "bob@example.com  both          Bob   Sales") {
				t.Errorf("status %d:\n%s", status, text)
			}
			if status, text := d.plugin("", "fuzz", "DIR/team", "--count", "500", "--seed", "1", "--time", "1m"); status != exitOK || !strings.Contains(text, "\n0 faults found\n") {
				t.Errorf("status %d:\n%s", status, text)
			}
			if status, text := d.plugin("", "bench", "DIR/team", "--count", "20"); status != exitOK || !strings.Contains(text, "contacts, inproc, 20 calls\n") {
				t.Errorf("status %d:\n%s", status, text)
			}
		})
	}
}

// TestPluginToolchains: what is missing to build a plugin is named.
func TestPluginToolchains(t *testing.T) {
	for lang, want := range map[string]string{"c": "apt-get install clang lld wasi-libc libclang-rt-dev-wasm32", "rust": "apt-get install rustc libstd-rust-dev-wasm32", "go": "apt-get install golang-go", "as": "apt-get install nodejs npm"} {
		d := newDesk(t)
		d.plugin("", "new", "--lang", lang, "DIR/team")
		tools := filepath.Join(d.dir, "tools") // with a shell, and without compilers
		for _, name := range []string{"sh", "echo", "rm", "touch"} {
			path, err := exec.LookPath(name)
			if err == nil {
				err = os.MkdirAll(tools, 0o755)
			}
			if err == nil {
				err = os.Symlink(path, filepath.Join(tools, name))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		makePath, err := exec.LookPath("make")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), makePath, "-C", filepath.Join(d.dir, "team"), "RUSTC=")
		cmd.Env = []string{"PATH=" + tools}
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", lang, err, out)
		}
	}
}
