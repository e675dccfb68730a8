package plugins

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// settings are a Config.
type settings map[string]any

func (s settings) Option(name string) (any, string, bool) {
	v, ok := s[name]
	return v, "prosody.cfg.lua:1", ok
}

func TestSame(t *testing.T) {
	was := settings{
		"url": "http://localhost/%s", "list": []any{"a", "b"}, "unread": "x",
		"rosterd_backend_headers": map[string]any{"X-Key": "k"},
	}
	for _, c := range []struct {
		name   string
		change func(m *Manager, dir string, s settings)
		want   bool
	}{
		{"nothing", func(*Manager, string, settings) {}, true},
		{"an option that nobody read", func(_ *Manager, _ string, s settings) { s["unread"] = "y" }, true},
		{"an option that was read", func(_ *Manager, _ string, s settings) { s["url"] = "http://127.0.0.1/%s" }, false},
		{"an option that was read during a call", func(_ *Manager, _ string, s settings) { s["late"] = true }, false},
		{"an entry of a list", func(_ *Manager, _ string, s settings) { s["list"] = []any{"a", "c"} }, false},
		{"an option that is gone", func(_ *Manager, _ string, s settings) { delete(s, "url") }, false},
		{"credentials", func(_ *Manager, _ string, s settings) {
			s["rosterd_backend_headers"] = map[string]any{"X-Key": "l"}
		}, false},
		{"secrets", func(_ *Manager, _ string, s settings) { s["rosterd_plugin_secrets"] = map[string]any{"a": "b"} }, false},
		{"where it runs", func(m *Manager, _ string, _ settings) { m.Isolate = m.Engines[".lua"] }, false},
		{"where others run", func(m *Manager, _ string, _ settings) {
			m.Isolate, m.InProcess = m.Engines[".lua"], func(host string) bool { return host == "example.com" }
		}, true},
		{"servers that may be asked", func(_ *Manager, _ string, s settings) { s["rosterd_plugin_http_allow"] = []any{"a.example"} }, false},
		{"a limit", func(m *Manager, _ string, _ settings) {
			m.Limits = func(string) Limits { return Limits{Contacts: 5} }
		}, false},
		{"the code", func(_ *Manager, dir string, _ settings) {
			if err := os.WriteFile(filepath.Join(dir, "one/mod_crm.lua"), []byte("new"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"the file", func(m *Manager, _ string, _ settings) { m.Paths = nil }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, dir := manager(t, map[string]string{"one/mod_crm.lua": "crm"})
			var opts *Options
			m.Engines[".lua"] = func(_ context.Context, _ Source, _ Host, o *Options, svc Services) (Plugin, error) {
				opts = o
				opts.Get("url")
				opts.Get("list")
				return fake{svc: svc}, nil
			}
			p, err := m.Open(t.Context(), "crm", "example.com", was)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			opts.Get("late")
			now := settings{}
			for name, v := range was {
				now[name] = v
			}
			c.change(m, dir, now)
			if got := p.Same(m, "crm", "example.com", now); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// A plugin that asks for options without end is not remembered by all of them. It is opened anew then.
func TestSameOfTooManyOptions(t *testing.T) {
	m, _ := manager(t, map[string]string{"one/mod_crm.lua": "crm"})
	var opts *Options
	m.Engines[".lua"] = func(_ context.Context, _ Source, _ Host, o *Options, svc Services) (Plugin, error) {
		opts = o
		return fake{svc: svc}, nil
	}
	for _, c := range []struct {
		name string
		read []string
		want bool
	}{
		{"few", slices.Repeat([]string{"a", "b"}, maxRead), true},
		{"a long name", []string{strings.Repeat("x", maxReadName+1)}, false},
		{"many", numbered(maxRead + 1), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := m.Open(t.Context(), "crm", "example.com", settings{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			for _, name := range c.read {
				opts.Get(name)
			}
			if n := len(opts.Read()); n > maxRead {
				t.Errorf("%d options are remembered", n)
			}
			if got := p.Same(m, "crm", "example.com", settings{}); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func numbered(n int) (names []string) {
	for i := range n {
		names = append(names, strconv.Itoa(i))
	}
	return names
}
