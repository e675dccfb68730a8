package converse

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"io"
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
			bin, cache := t.TempDir(), "rosterd"
			t.Chdir(t.TempDir())
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
				if left := filesBelow(t, cache); len(left) > 0 {
					t.Errorf("left in the cache: %q", left)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := filesBelow(t, dir); !slices.Equal(got, tt.want) {
				t.Errorf("files: got %q, want %q", got, tt.want)
			}
			if all := filesBelow(t, cache); len(all) != len(tt.want) {
				t.Errorf("in the cache: %q", all)
			}
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
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		if _, err := os.ReadFile(started); err != nil {
			t.Error(err)
		}
	}()
	if _, err := (npmPackage{"it", "1.0.0", ""}).fetch(ctx, filepath.Join(bin, "cache"), func() {}); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("got %v", err)
	}
	if left := filesBelow(t, filepath.Join(bin, "cache")); len(left) > 0 {
		t.Errorf("left in the cache: %q", left)
	}
}
