package config

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzLoad: whatever a file holds, loading it ends, without a panic, with an error that names the file
// or with a configuration of which everything can be read.
func FuzzLoad(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.cfg.lua")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range seeds {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	for _, s := range snippets(f) {
		f.Add(s.source)
	}
	for _, src := range []string{
		"", "#!\n", "\xef\xbb\xbf", "\x1bLua", "VirtualHost", "VirtualHost ''", "VirtualHost 'a' { x = 1 }", "Component 'a' 'b' { }", "a = { { { } } }", "a = ENV_X", "a:append{}", "Lua._G.x = 1",
		"t = {} t[1] = t a = t", "modules_enabled = { 'x', nil, 'y', k = 'z' }", "a = function() end", "log = { { to = {} } }", "limits = { c2s = { rate = {} } }", "Include '*'", "Include '?'", "a = FileLine 'prosody.cfg.lua'",
		"ssl = { key = {}, [1] = 2 }", "storage = { [1] = 'x', [true] = 'y', z = {} }", "c2s_ports = { -1, 1e308, 0/0, '0x1F90' }", "http_paths = { a = 1 }", "for i=1,3 do VirtualHost('h'..i) end",
		"setmetatable(_G, { __index = function() error() end })", "goto x ::x::", "a = '\\x41\\u{10FFFF}\\z  '", "disco_items = { { 'a', {} }, 5, { { } } }", "rosterd_backend_timeout = '5 m'", "error(nil)", "a.b = 1", "enabled = {}",
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		file := filepath.Join(t.TempDir(), "prosody.cfg.lua")
		if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(file, LoadOptions{LookupEnv: environment(map[string]string{"X": "x"}), Time: 200 * time.Millisecond})
		if err != nil {
			if !strings.Contains(err.Error(), "prosody.cfg.lua") && !strings.Contains(src, "Include") && !strings.Contains(src, "include") {
				t.Errorf("the error names no file: %v", err)
			}
			return
		}
		readEverything(t, c)
	})
}

func readEverything(t *testing.T, c *Config) {
	t.Helper()
	for _, h := range append([]*Host{c.Global()}, c.Hosts()...) {
		for _, o := range registry {
			for _, name := range append([]string{o.spec().Name}, o.spec().Aliases...) {
				if st := h.find(name, o.spec().Scope); st != nil {
					o.examine(c, st)
				}
			}
		}
		Limits.Get(h)
		Log.Get(h)
		RefreshToken.Get(h)
		Admins.Get(h)
		h.Modules()
		h.Providers()
		h.StorageDriver("accounts")
		h.HTTPPath("roster_admin", "/roster_admin")
		for _, s := range []TLSService{STARTTLS, DirectTLS, HTTPS} {
			h.MinTLSVersion(s)
			h.TLSName(s)
		}
		for name := range h.section.set {
			h.PluginOption(name)
		}
	}
	for name := range services {
		c.Listeners(name)
	}
	for _, shown := range []any{c.Raw(), c.Views(), Collapse(Check(c), c.Files)} {
		if _, err := json.Marshal(shown); err != nil {
			t.Errorf("it cannot be shown: %v", err)
		}
	}
	if d := Diff(c, c); !d.Empty() {
		t.Errorf("it is different from itself: %+v", d)
	}
	for _, d := range Check(c) {
		if d.Message == "" || d.Code == "" || d.Pos.File == "" {
			t.Errorf("half a message: %+v", d)
		}
	}
}

// FuzzPeriod: a period that is read is never negative, and one number with one unit is that many.
func FuzzPeriod(f *testing.F) {
	for _, s := range []string{"90s", "30 min", "30m", "1.5h", "3600", "2 days", "9999999999999999999999 years", "never", "x1y", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, clear, ok := parsePeriod(s)
		if d < 0 || clear && !ok || !ok && d != 0 {
			t.Errorf("parsePeriod(%q) = %v, %v, %v", s, d, clear, ok)
		}
	})
}

// FuzzGlob compares with the pattern language of path.Match where the two agree.
func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"*.cfg.lua", "a.cfg.lua"}, {"a*b*c", "axxbyyc"}, {"?", "x"}, {"**", ""}, {"*a", "aaab"}, {"", ""}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		for _, s := range []string{pattern, name} {
			if strings.ContainsAny(s, `[]\/`) || len(s) > 50 || strings.ToValidUTF8(s, "") != s || strings.ContainsFunc(s, func(r rune) bool { return r > 127 }) {
				return
			}
		}
		want, err := path.Match(pattern, name)
		if err != nil {
			t.Fatal(err)
		}
		if got := glob(pattern, name); got != want {
			t.Errorf("glob(%q, %q) = %v, path.Match says %v", pattern, name, got, want)
		}
	})
}

// FuzzLua: a value that is written as a configuration would write it is read back as it was.
func FuzzLua(f *testing.F) {
	for _, s := range []string{"", "a", "a\"\\b", "\x00\n\r\x7f9", "end", "é\xff", "[[", "--", "1", "00", "-0", "${A}", "{{ b }}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1000 {
			return
		}
		want := map[string]any{s: []any{s, int64(len(s))}, "x": map[string]any{"y": s}}
		file := filepath.Join(t.TempDir(), "prosody.cfg.lua")
		if err := os.WriteFile(file, []byte("x = "+Lua(want)), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(file, LoadOptions{LookupEnv: environment(nil)})
		if err != nil {
			t.Fatalf("%s: %v", Lua(want), err)
		}
		if got := c.Raw()["*"]["x"]; !reflect.DeepEqual(got, any(want)) {
			t.Errorf("%s is read back as %#v", Lua(want), got)
		}
	})
}
