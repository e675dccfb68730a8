package plugins

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/fstest"
)

// TestFenced: whoever stands before the services of a plugin learns which servers it may ask.
func TestFenced(t *testing.T) {
	var given Services
	m := &Manager{
		Shipped: fstest.MapFS{"mod_crm.lua": {}},
		Engines: map[string]Opener{".lua": func(_ context.Context, _ Source, _ Host, opts *Options, svc Services) (Plugin, error) {
			_, _, err := opts.String("crm_url")
			if svc != given {
				t.Error("the plugin was not given what Wrap returned")
			}
			return Nothing{}, err
		}},
		Wrap: func(svc Services) Services { given = struct{ Services }{svc}; return given },
	}
	cfg := ConfigFunc(func(name string) (any, string, bool) {
		v, ok := map[string]any{"crm_url": "https://crm.example/people/%s", "rosterd_plugin_http_allow": []any{"Hr.example", "https://crm.example"}}[name]
		return v, "", ok
	})
	p, err := m.Open(t.Context(), "crm", "example.com", cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	fence := given.(struct{ Services }).Services.(Fenced)
	if got, want := fence.Servers(), []string{"hr.example", "https://crm.example:443"}; !slices.Equal(got, want) {
		t.Errorf("servers %q, want %q", got, want)
	}
	for url, allowed := range map[string]bool{
		"https://crm.example/x": true, "http://hr.example:8080/": true, "http://crm.example/": false, "https://other.example/": false, "ftp://crm.example/": false, ":": false,
	} {
		if err := fence.Allows(url); (err == nil) != allowed {
			t.Errorf("%s: %v", url, err)
		}
	}
	if err := fence.Allows("https://other.example/"); !errors.Is(err, ErrRefused) {
		t.Errorf("%v is not ErrRefused", err)
	}
}

// A URL in an option of somebody else's is not there for a plugin to ask, unless the plugin came with rosterd.
func TestFencedByOptionsOfOthers(t *testing.T) {
	for _, shipped := range []bool{true, false} {
		m, _ := manager(t, map[string]string{"one/mod_crm.lua": ""})
		if shipped {
			m.Shipped = fstest.MapFS{"mod_crm.lua": {}}
		}
		var fence Fenced
		m.Foreign = func(option string) bool { return option == "http_external_url" }
		m.Engines[".lua"] = func(_ context.Context, _ Source, _ Host, opts *Options, svc Services) (Plugin, error) {
			fence = svc.(Fenced)
			for _, name := range []string{"crm_url", "http_external_url"} {
				if _, ok, err := opts.String(name); !ok || err != nil {
					t.Errorf("%s: %v, %v", name, ok, err)
				}
			}
			return Nothing{}, nil
		}
		cfg := ConfigFunc(func(name string) (any, string, bool) { return "https://" + name + ".example/", "", true })
		p, err := m.Open(t.Context(), "crm", "example.com", ConfigFunc(func(name string) (any, string, bool) {
			if name != "crm_url" && name != "http_external_url" {
				return nil, "", false
			}
			return cfg(name)
		}))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"https://crm_url.example:443"}
		if shipped {
			want = append(want, "https://http_external_url.example:443")
		}
		if got := fence.Servers(); !slices.Equal(got, want) {
			t.Errorf("shipped %v: servers %q, want %q", shipped, got, want)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
