package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVisible(t *testing.T) {
	var out strings.Builder
	v := &visible{to: &out}
	for _, s := range []string{"a\x1b[2Jb\r\n\tc\x07", "\u009b31m", "\x9b31m", "d\u202ee", "gr\xc3", "\xbc\xe2\x82", "\xac ", "\xf0\x9f\x99\x82", "\x7f."} {
		if n, err := io.WriteString(v, s); n != len(s) || err != nil {
			t.Errorf("%q: %d, %v", s, n, err)
		}
	}
	if want := "a\uFFFD[2Jb\uFFFD\n\tc\uFFFD\uFFFD31m\uFFFD31md\uFFFDegrü€ 🙂\uFFFD."; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// TestToolsAndTerminals: what a script says does nothing to the terminal of those who try it.
func TestToolsAndTerminals(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"mod_odd.lua": `module:log("info", "\27[2J") module:provides("roster", { fetch = function() print("\27]52;c;AAAA\7") return { ["bad\27[2J"] = {}, ["a@example.com"] = { name = "\194\155" } } end })`,
		"mod_no.lua":  `module:provides("roster", { fetch = print }) error("\27[2J")`,
		"prosody.cfg.lua": `plugin_paths = { "` + dir + `" }
VirtualHost "example.com"
  modules_enabled = { "no" }`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{
		"plugin run " + dir + "/mod_odd.lua --user john@example.com", "plugin check " + dir + "/mod_odd.lua", "plugin test " + dir + "/mod_odd.lua",
		"plugin run " + dir + "/mod_no.lua --user john@example.com", "plugin check " + dir + "/mod_no.lua", "check --config " + dir + "/prosody.cfg.lua",
	} {
		var out strings.Builder
		run(t.Context(), strings.Fields(args), console{in: strings.NewReader(""), out: &out, err: &out})
		if s := out.String(); s == "" || strings.ContainsAny(s, "\x1b\x07\u009b") {
			t.Errorf("%s: %q", args, s)
		}
	}
}
