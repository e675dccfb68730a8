package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// keepUnused is how long compiled code stays that nobody opens.
const keepUnused = 30 * 24 * time.Hour

// sumsFile holds the checksums of what a folder of compiled code holds: it is run as it is.
const sumsFile = "SHA256SUMS"

// folder is where the compiled code of one module is kept.
type folder struct {
	path string
	good map[string]string // what check has found to be as it was, with its checksum
	log  journal
}

// openFolder makes sure that there is the folder of a module, that nobody but us can have written what is in there, and
// that it is what we have written.
func openFolder(ctx context.Context, p *Plugin, cache string, code [sha256.Size]byte) (*folder, error) {
	f := &folder{path: filepath.Join(cache, hex.EncodeToString(code[:])), log: p.journal(ctx)}
	for _, dir := range []string{cache, f.path} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		if err := private(dir); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	if err := os.Chtimes(f.path, now, now); err != nil {
		return nil, err
	}
	f.sweep(cache, now.Add(-keepUnused))
	return f, f.check()
}

// privacyError is a folder that others can write to, or may have written to.
type privacyError struct{ path, reason string }

func (e *privacyError) Error() string {
	return fmt.Sprintf("the folder of compiled modules, %s, %s, and what is in there would be run by the server: remove it, or name another in rosterd_plugin_cache", e.path, e.reason)
}

// sweep removes what has not been used since then.
func (f *folder) sweep(cache string, since time.Time) {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return // the next one who opens a module sweeps
	}
	for _, e := range entries {
		if name, err := hex.DecodeString(e.Name()); err != nil || len(name) != sha256.Size || !e.IsDir() {
			continue
		}
		if info, err := e.Info(); err == nil && info.ModTime().Before(since) {
			_ = os.RemoveAll(filepath.Join(cache, e.Name()))
		}
	}
}

// check removes compiled code that is not what was written: it would crash the server, or make it compute something else.
func (f *folder) check() error {
	want, err := f.readSums()
	if err != nil {
		return err
	}
	f.good = map[string]string{}
	return f.files(func(name, path string) error {
		sum, err := sumOf(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // somebody else has found it wrong
		case err != nil:
			return err
		case want[name] == sum:
			f.good[name] = sum
			return nil
		case want[name] != "": // else it was never finished, or is being written now
			f.log.Warn("compiled code was damaged and is made anew", "file", path)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// seal notes what has been compiled since, and what it looks like. What was there before is of another rosterd then.
func (f *folder) seal() error {
	var lines []string
	var old []string
	err := f.files(func(name, path string) error {
		if f.good[name] != "" {
			old = append(old, path)
			return nil
		}
		sum, err := sumOf(path)
		lines = append(lines, sum+"  "+name+"\n")
		return err
	})
	if err != nil || len(lines) == 0 {
		return err
	}
	for _, path := range old {
		_ = os.Remove(path) // else the next one does
	}
	return f.write(strings.Join(lines, ""))
}

// write exchanges the checksums as a whole: others may be reading them.
func (f *folder) write(sums string) error {
	t, err := os.CreateTemp(f.path, sumsFile+".*.tmp")
	if err != nil {
		return err
	}
	_, err = t.WriteString(sums)
	if err = errors.Join(err, t.Close()); err == nil {
		err = os.Rename(t.Name(), filepath.Join(f.path, sumsFile))
	}
	if err != nil {
		_ = os.Remove(t.Name())
	}
	return err
}

// files walks the compiled code, by its path below the folder.
func (f *folder) files(each func(name, path string) error) error {
	return filepath.WalkDir(f.path, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(f.path, path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir(), name == sumsFile, strings.HasSuffix(name, ".tmp"):
			return nil
		}
		return each(filepath.ToSlash(name), path)
	})
}

func (f *folder) readSums() (map[string]string, error) {
	b, err := os.ReadFile(filepath.Join(f.path, sumsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if sum, name, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			sums[name] = sum
		}
	}
	return sums, nil
}

func sumOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
