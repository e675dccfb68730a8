package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// packed is an archive of files as npm makes it; "large" says that it is larger than what is taken.
func packed(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range names {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(name))}
		if name == "large" {
			h.Size = packageBytes + 1
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, name); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	z.Close()
	return b.Bytes()
}

// TestFetch: a package comes from npm once, whole, and as it is known; or not at all.
func TestFetch(t *testing.T) {
	const copies = `cp "$ARCHIVE" "$4/$NAME"`
	for _, tt := range []struct {
		name    string
		npm     string // what it does, in shell; "": there is none
		archive []byte
		changed bool     // on the way
		want    []string // files, or
		err     string
	}{
		{"a package", copies, packed(t, "package/package.json", "package/dist/a.js", "package/dist/a.js.map", "package/dist/sub/b.css"), false,
			[]string{"dist/a.js", "dist/sub/b.css", "package.json"}, ""},
		{"no npm", "", nil, false, nil, "npm is not installed"},
		{"offline", "echo npm error code ENOTFOUND >&2\necho npm error nobody there >&2\nexit 1", nil, false, nil, "npm pack it@1.0.0: exit status 1: npm error code ENOTFOUND"},
		{"npm that does nothing", "exit 0", nil, false, nil, "npm pack it@1.0.0: open "},
		{"another archive", copies, packed(t, "package/evil.js"), true, nil, "npm's archive of it@1.0.0 has the SHA-512 "},
		{"no archive", copies, []byte("<html>not found</html>"), false, nil, "gzip: invalid header"},
		{"files outside", copies, packed(t, "package/a.js", "package/../../outside.js"), false, nil, "escapes"},
		{"the same file twice", copies, packed(t, "package/a.js", "package/a.js"), false, nil, "file exists"},
		{"too large", copies, packed(t, "package/a.js", "large"), false, nil, "larger than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bin, cache := t.TempDir(), filepath.Join(t.TempDir(), "rosterd")
			t.Setenv("NAME", "it-1.0.0.tgz")
			t.Setenv("ARCHIVE", filepath.Join(bin, "archive"))
			if err := os.WriteFile(os.Getenv("ARCHIVE"), tt.archive, 0o600); err != nil {
				t.Fatal(err)
			}
			if tt.npm == "" {
				t.Setenv("PATH", bin)
			} else {
				t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
				if err := os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\n"+tt.npm+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			sum := sha512.Sum512(tt.archive)
			if tt.changed {
				sum[0]++
			}
			p := npmPackage{"it", "1.0.0", base64.StdEncoding.EncodeToString(sum[:])}
			dir, err := p.fetch(t.Context(), cache, func() {})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				equal(t, "left in the cache", filesBelow(t, cache), nil)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "files", filesBelow(t, dir), tt.want)
			equal(t, "all files", len(filesBelow(t, cache)), len(tt.want))
			t.Setenv("PATH", "")
			again, err := p.fetch(t.Context(), cache, func() { t.Error("fetched once more") })
			if err != nil || again != dir {
				t.Errorf("the second time: %s, %v", again, err)
			}
		})
	}
}

func filesBelow(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			path, err = filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(path))
		}
		if os.IsNotExist(err) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestFetchIsInterrupted: whoever stops the demo does not wait for npm.
func TestFetchIsInterrupted(t *testing.T) {
	bin := t.TempDir()
	started := filepath.Join(bin, "started")
	if err := syscall.Mkfifo(started, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("STARTED", started)
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\necho > $STARTED\nexec sleep 1000\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	go func() {
		defer cancel()
		if _, err := os.ReadFile(started); err != nil {
			t.Error(err)
		}
	}()
	if _, err := (npmPackage{"it", "1.0.0", ""}).fetch(ctx, filepath.Join(bin, "cache"), func() {}); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("got %v", err)
	}
	equal(t, "left in the cache", filesBelow(t, filepath.Join(bin, "cache")), nil)
}

// TestDemoLines: the browser sees what the terminal does, from the last lines on.
func TestDemoLines(t *testing.T) {
	view := newDemoView(io.Discard)
	for i := range demoLines + 50 {
		view.say("backend", "%d", i)
	}
	server := httptest.NewServer(http.HandlerFunc((&sampleBackend{view: view}).events))
	defer server.Close()
	req, err := http.NewRequestWithContext(testContext(t), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	equal(t, "type", res.Header.Get("Content-Type"), "text/event-stream")
	lines := bufio.NewScanner(res.Body)
	next := func() (text string) {
		for lines.Scan() && lines.Text() != "" {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				t.Errorf("a line of an event is %q", lines.Text())
			}
			text += data + "|"
		}
		return strings.TrimSuffix(text, "|")
	}
	for i := range demoLines {
		if got := next(); !strings.HasSuffix(got, fmt.Sprintf("  backend   %d", i+50)) {
			t.Fatalf("line %d is %q", i, got)
		}
	}
	view.say("push", "one\nmore")
	if got := next(); !strings.HasSuffix(got, "  push      one|more") {
		t.Errorf("then came %q", got)
	}
}

// TestDemoView: the log of the demo shows refreshes, and not what browsers load.
func TestDemoView(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newDemoView(&out))
	log.Info("HTTP request", "path", "/files/dist/converse.min.js", "route", "files")
	log.Info("HTTP request", "path", "/favicon.ico")
	log.Info("HTTP request", "path", "/roster_admin/refresh", "route", "roster_admin")
	log.Info("logged in", "user", "alice@localhost", "route", "files")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "/roster_admin/refresh") }) {
		t.Errorf("shown: %q", lines)
	}
}

// wantPage gets a page.
func wantPage(t *testing.T, address string) string {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", address, res.Status, err)
	}
	return string(text)
}
