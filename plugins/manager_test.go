package plugins

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

type fake struct {
	Nothing
	svc Services
}

func (f fake) Close() error { f.svc.Close(); return nil }

func manager(t *testing.T, files map[string]string) (m *Manager, dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, code := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(code), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &Manager{
		Shipped: fstest.MapFS{"mod_built_in.lua": {Data: []byte("ours")}},
		Paths:   []string{filepath.Join(dir, "absent"), filepath.Join(dir, "one"), filepath.Join(dir, "two")},
		Log:     slog.New(slog.DiscardHandler),
		Engines: map[string]Opener{".lua": func(_ context.Context, src Source, _ Host, _ *Options, svc Services) (Plugin, error) {
			if string(src.Code) == "broken" {
				return nil, errors.New(src.File + ":1: broken")
			}
			return fake{svc: svc}, nil
		}},
	}, dir
}

func TestFind(t *testing.T) {
	m, dir := manager(t, map[string]string{
		"one/mod_built_in.lua":     "theirs",
		"one/mod_crm/mod_crm.lua":  "crm in a folder",
		"two/mod_crm.lua":          "crm further on",
		"two/mod_hr.lua":           "hr",
		"two/mod_other.py":         "python",
		"two/mod_dir.lua/file.txt": "a directory of that name",
		"mod_outside.lua":          "outside",
	})
	for name, want := range map[string]Source{
		"built_in": {Name: "built_in", File: "mod_built_in.lua", Code: []byte("ours"), Shipped: true, Unused: filepath.Join(dir, "one/mod_built_in.lua")},
		"crm":      {Name: "crm", File: filepath.Join(dir, "one/mod_crm/mod_crm.lua"), Code: []byte("crm in a folder")},
		"hr":       {Name: "hr", File: filepath.Join(dir, "two/mod_hr.lua"), Code: []byte("hr")},
	} {
		got, err := m.Find(name)
		if err != nil || got.Name != want.Name || got.File != want.File || !bytes.Equal(got.Code, want.Code) || got.Shipped != want.Shipped || got.Unused != want.Unused {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
	for _, name := range []string{"absent", "other", "dir", "", ".", "..", "../mod_outside", "x/../../mod_outside", `a\b`} {
		if s, err := m.Find(name); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %+v, %v", name, s, err)
		}
	}
}

func TestFindInstead(t *testing.T) {
	m, dir := manager(t, map[string]string{"one/mod_built_in.lua": "theirs"})
	m.Instead = []string{"built_in", "other"}
	want := Source{Name: "built_in", File: filepath.Join(dir, "one/mod_built_in.lua")}
	if got, err := m.Find("built_in"); err != nil || got.Name != want.Name || got.File != want.File || string(got.Code) != "theirs" || got.Shipped || got.Unused != "" {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	m.Paths = nil
	if got, err := m.Find("built_in"); err != nil || !got.Shipped {
		t.Errorf("without a file: %+v, %v", got, err)
	}
}

func TestFindTooLarge(t *testing.T) {
	m, _ := manager(t, map[string]string{"one/mod_big.lua": strings.Repeat(" ", maxCode+1)})
	if _, err := m.Find("big"); err == nil || !strings.Contains(err.Error(), "larger than 8 MiB") {
		t.Errorf("error %v", err)
	}
}

func TestOpen(t *testing.T) {
	m, _ := manager(t, map[string]string{"one/mod_built_in.lua": "theirs", "one/mod_bad.lua": "broken"})
	var log bytes.Buffer
	m.Log = slog.New(slog.NewTextHandler(&log, nil))
	m.Now = func() time.Time { return time.Unix(1, 0) }
	p, err := m.Open(t.Context(), "built_in", "example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	svc := p.Plugin.(fake).svc
	if !svc.Now().Equal(time.Unix(1, 0)) {
		t.Error("the clock is not the manager's")
	}
	svc.Log(t.Context(), slog.LevelInfo, "hello", "user", "jim")
	for _, want := range []string{"file is not used", "mod_built_in.lua", "msg=hello plugin=built_in host=example.com user=jim"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, &log)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := m.Open(t.Context(), "bad", "example.com", nil); err == nil || !strings.Contains(err.Error(), "plugin bad for example.com: ") || !strings.Contains(err.Error(), "mod_bad.lua:1: broken") {
		t.Errorf("error %v", err)
	}
	if _, err := m.Open(t.Context(), "absent", "example.com", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}
}
