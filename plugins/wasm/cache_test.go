package wasm_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/plugins"
)

// kept are the files of compiled code.
func kept(t *testing.T, cache string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(cache, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// folderOf is the folder of a module's code.
func folderOf(t *testing.T, cache string) string {
	t.Helper()
	entries, err := os.ReadDir(cache)
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	return filepath.Join(cache, entries[0].Name())
}

// TestCache keeps compiled code, and looks at what it finds there.
func TestCache(t *testing.T) {
	code := writes(empty, 0)
	use := func(t *testing.T, cache string) []string {
		t.Helper()
		w := &world{}
		p, err := tryOpen(t, code, setting{host: plugins.Host{Cache: cache}}, w)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Fetch(t.Context(), john(t)); err != nil {
			t.Fatal(err)
		}
		return w.said()
	}
	fresh := func(t *testing.T) string {
		cache := filepath.Join(t.TempDir(), "modules")
		if lines := use(t, cache); lines != nil {
			t.Errorf("said %q", lines)
		}
		return cache
	}
	compiled := func(t *testing.T, cache string) string {
		t.Helper()
		files := slices.DeleteFunc(kept(t, cache), func(f string) bool { return filepath.Base(f) == "SHA256SUMS" })
		if len(files) != 1 {
			t.Fatalf("%q", files)
		}
		return files[0]
	}
	t.Run("nobody else gets at it", func(t *testing.T) {
		cache := fresh(t)
		for _, dir := range []string{cache, folderOf(t, cache)} {
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
				t.Error(info.Mode(), err)
			}
		}
	})
	t.Run("it is used again", func(t *testing.T) {
		cache := fresh(t)
		file := compiled(t, cache)
		before, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if lines := use(t, cache); lines != nil {
			t.Errorf("said %q", lines)
		}
		if after, err := os.Stat(file); err != nil || !os.SameFile(before, after) {
			t.Error("it was compiled again", err)
		}
	})
	damaged := func(name string, damage func(t *testing.T, cache, file string) error, said string) {
		t.Run(name, func(t *testing.T) {
			cache := fresh(t)
			file := compiled(t, cache)
			good, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(t, cache, file); err != nil {
				t.Fatal(err)
			}
			if lines := fmt.Sprint(use(t, cache)); !strings.Contains(lines, said) {
				t.Errorf("said %s, not %s", lines, said)
			}
			if again, err := os.ReadFile(compiled(t, cache)); err != nil || len(again) != len(good) {
				t.Errorf("%d bytes are kept, not %d (%v)", len(again), len(good), err)
			}
			if lines := use(t, cache); lines != nil {
				t.Errorf("said %q the next time", lines)
			}
		})
	}
	const warning = "WARN compiled code was damaged and is made anew file "
	damaged("another byte", func(_ *testing.T, _, file string) error {
		b, err := os.ReadFile(file)
		b[len(b)/2] ^= 1
		return joined(err, os.WriteFile(file, b, 0o600))
	}, warning)
	damaged("a number of functions that there are not", func(_ *testing.T, _, file string) error {
		b, err := os.ReadFile(file)
		copy(b[12:], "\xff\xff\xff\xff\xff\xff\xff")
		return joined(err, os.WriteFile(file, b, 0o600))
	}, warning)
	damaged("half of it", func(_ *testing.T, _, file string) error { return os.Truncate(file, 40) }, warning)
	damaged("nothing of it", func(_ *testing.T, _, file string) error { return os.Truncate(file, 0) }, warning)
	damaged("it was being written when the power failed", func(t *testing.T, cache, _ string) error {
		return os.Remove(filepath.Join(folderOf(t, cache), "SHA256SUMS"))
	}, "[]")
	damaged("it is gone", func(_ *testing.T, _, file string) error { return os.Remove(file) }, "[]")
	damaged("the sums are something else", func(t *testing.T, cache, _ string) error {
		return os.WriteFile(filepath.Join(folderOf(t, cache), "SHA256SUMS"), []byte("hello\n"), 0o600)
	}, "[]")

	t.Run("others may write to it", func(t *testing.T) {
		for _, of := range []func(string) string{func(cache string) string { return cache }, func(cache string) string { return folderOf(t, cache) }} {
			cache := fresh(t)
			if err := os.Chmod(of(cache), 0o720); err != nil {
				t.Fatal(err)
			}
			_, err := tryOpen(t, code, setting{host: plugins.Host{Cache: cache}}, &world{})
			if err == nil || !strings.Contains(err.Error(), "crm.wasm: the folder of compiled modules, "+of(cache)+", can be written to by others (-rwx-w----), and what is in there would be run by the server: remove it, or name another in rosterd_plugin_cache") {
				t.Error(err)
			}
		}
	})
	t.Run("others may read it", func(t *testing.T) {
		cache := fresh(t)
		if err := os.Chmod(cache, 0o755); err != nil {
			t.Fatal(err)
		}
		use(t, cache)
	})
	t.Run("it is a link", func(t *testing.T) {
		cache := fresh(t)
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(cache, link); err != nil {
			t.Fatal(err)
		}
		if _, err := tryOpen(t, code, setting{host: plugins.Host{Cache: link}}, &world{}); err == nil || !strings.Contains(err.Error(), "is a symbolic link, and what is in there would be run by the server: remove it, or name another in rosterd_plugin_cache") {
			t.Error(err)
		}
	})
	t.Run("it belongs to somebody else", func(t *testing.T) {
		cache := fresh(t)
		if err := os.Chown(cache, 12345, -1); err != nil {
			t.Logf("only root can give it away: %v", err)
			return
		}
		if _, err := tryOpen(t, code, setting{host: plugins.Host{Cache: cache}}, &world{}); err == nil || !strings.Contains(err.Error(), "belongs to user 12345 and not to 0, who runs this") {
			t.Error(err)
		}
	})
	t.Run("there can be none", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if lines := use(t, filepath.Join(file, "modules")); len(lines) != 1 || !strings.HasPrefix(lines[0], "WARN compiled code cannot be kept folder "+file) {
			t.Errorf("said %q", lines)
		}
	})
	t.Run("what nobody uses goes", func(t *testing.T) {
		cache := fresh(t)
		old := time.Now().Add(-31 * 24 * time.Hour)
		folder := folderOf(t, cache)
		other := filepath.Join(cache, "notes")
		if err := joined(os.Mkdir(other, 0o700), os.Chtimes(other, old, old)); err != nil {
			t.Fatal(err)
		}
		young := strings.Repeat("ab", 32)
		recently := time.Now().Add(-29 * 24 * time.Hour)
		if err := joined(os.Mkdir(filepath.Join(cache, young), 0o700), os.Chtimes(filepath.Join(cache, young), recently, recently), os.Chtimes(folder, old, old)); err != nil {
			t.Fatal(err)
		}
		code := append(slices.Clone(code), 0, 2, 1, 'x') // another module
		if _, err := tryOpen(t, code, setting{host: plugins.Host{Cache: cache}}, &world{}); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(cache)
		if err != nil || len(entries) != 3 || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == filepath.Base(folder) }) {
			t.Error(entries, err)
		}
	})
	t.Run("what is used stays", func(t *testing.T) {
		cache := fresh(t)
		old := time.Now().Add(-31 * 24 * time.Hour)
		folder := folderOf(t, cache)
		if err := os.Chtimes(folder, old, old); err != nil {
			t.Fatal(err)
		}
		before := compiled(t, cache)
		use(t, cache)
		if after := compiled(t, cache); before != after {
			t.Error(before, after)
		}
	})
	t.Run("what another rosterd has left goes", func(t *testing.T) {
		cache := fresh(t)
		file := compiled(t, cache)
		old := filepath.Join(filepath.Dir(file), "old")
		sums := filepath.Join(folderOf(t, cache), "SHA256SUMS")
		b, err := os.ReadFile(sums)
		if err := joined(err, os.Rename(file, old), os.WriteFile(sums, []byte(strings.Replace(string(b), filepath.Base(file), "old", 1)), 0o600)); err != nil {
			t.Fatal(err)
		}
		if lines := use(t, cache); lines != nil || compiled(t, cache) != file {
			t.Errorf("said %q", lines)
		}
		if lines := use(t, cache); lines != nil || compiled(t, cache) != file {
			t.Errorf("said %q the next time", lines)
		}
	})
	t.Run("many at once", func(t *testing.T) {
		cache := filepath.Join(t.TempDir(), "modules")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { use(t, cache) })
		}
		all.Wait()
		if lines := use(t, cache); lines != nil {
			t.Errorf("said %q", lines)
		}
	})
	t.Run("a module that is none is not kept", func(t *testing.T) {
		cache := filepath.Join(t.TempDir(), "modules")
		g := newGuest()
		w := &world{}
		_, err := tryOpen(t, g.export("rosterd_fetch", nil).Bytes(), setting{host: plugins.Host{Cache: cache}}, w)
		if err == nil || len(w.said()) > 0 {
			t.Error(err, w.said())
		}
	})
}

func joined(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
