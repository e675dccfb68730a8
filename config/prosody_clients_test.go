//go:build clients

package config

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
)

// prosodyDumps asks Prosody's configmanager what it makes of files. Prosody shortens long names in a way that makes it fail
// , so the files are in a directory with a short one.
func prosodyDumps(t *testing.T, names []string, env map[string]string) [][]byte {
	t.Helper()
	library := "../.cache/prosody/usr/lib/prosody"
	if _, err := os.Stat(library); err != nil {
		library = "/usr/lib/prosody"
	}
	cmd := exec.Command("lua5.4", append([]string{"testdata/prosody/dump.lua", library}, names...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("lua5.4 with Prosody's configmanager: %v", err)
	}
	lines := bytes.Split(bytes.TrimSuffix(out, []byte("\n")), []byte("\n"))
	if len(lines) != len(names) {
		t.Fatalf("%d dumps of %d configurations", len(lines), len(names))
	}
	return lines
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// What is recorded of Prosody is what it says.
func TestSnippetsInProsody(t *testing.T) {
	dir := shortDir(t)
	list := snippets(t)
	var names []string
	for i, s := range list {
		at := filepath.Join(dir, strconv.Itoa(i))
		s.put(t, at)
		names = append(names, filepath.Join(at, "prosody.cfg.lua"))
	}
	lines := prosodyDumps(t, names, snippetEnv)
	if *update {
		var out bytes.Buffer
		for i, s := range list {
			out.WriteString(s.name + "\t")
			out.Write(bytes.ReplaceAll(lines[i], []byte(filepath.Join(dir, strconv.Itoa(i))+"/"), nil))
			out.WriteString("\n")
		}
		if err := os.WriteFile(goldenSnippets, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said := golden(t)
	for i, s := range list {
		got := parseDump(t, lines[i])
		if want := said[s.name]; !reflect.DeepEqual(got.Config, want.Config) || (got.Error == "") != (want.Error == "") {
			t.Errorf("%s: Prosody says %s, recorded is %v %s", s.name, lines[i], want.Config, want.Error)
		}
	}
}

// The configurations that the other tests check, and Debian's own, are loaded as Prosody does.
func TestConfigurationsInProsody(t *testing.T) {
	names, err := filepath.Glob("testdata/*.cfg.lua")
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	if out, err := exec.Command("cp", "-r", "testdata/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for i := range names {
		names[i] = filepath.Join(dir, filepath.Base(names[i]))
	}
	for i, line := range prosodyDumps(t, names, nil) {
		want := parseDump(t, line)
		c, err := Load(names[i], LoadOptions{LookupEnv: environment(nil)})
		if err != nil || want.Error != "" {
			t.Errorf("%s: %v; Prosody: %s", names[i], err, want.Error)
			continue
		}
		wantSameConfig(t, dumped(t, c), want.Config, nil)
	}
}
