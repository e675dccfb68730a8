// Package converse has npm fetch Converse.js, an XMPP client for browsers: for the demo, and for tests. It is no part of
// rosterd.
package converse

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// npmPackage is a package of the npm registry, in exactly one version.
type npmPackage struct {
	name, version string
	integrity     string // of the archive: base64 of its SHA-512
}

var converseJS = npmPackage{
	name: "converse.js", version: "14.0.0",
	integrity: "LFUg030jDalV47vI/vyVPqYPZfJYXFbubq8v0cFDe2zXNeeGEk3Up0Fj/WTzT6t+6do+cAIToy73eAj7RNDj2Q==",
}

// Name is what is fetched, as npm calls it.
var Name = converseJS.String()

// Fetch returns the folder in which a page finds converse.min.js and what belongs to it. It is below a cache, which is
// made, and filled if need be: about is called when that begins to take time. Nothing is written elsewhere, and nothing
// is left half done. ErrNoNPM says that there is no npm to do it.
func Fetch(ctx context.Context, cache string, about func()) (string, error) {
	dir, err := converseJS.fetch(ctx, cache, about)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "dist"), nil
}

// ErrNoNPM means that there is no npm to fetch packages with.
var ErrNoNPM = errors.New("npm is not installed")

const (
	fetchTime    = 2 * time.Minute
	goodBye      = 5 * time.Second // for what npm has started, when npm is stopped
	archiveBytes = 64 << 20        // an archive has no more
	packageBytes = 256 << 20       // nor what is unpacked
)

func (p npmPackage) String() string { return p.name + "@" + p.version }

// fetch returns the folder of the package in a cache.
func (p npmPackage) fetch(ctx context.Context, cache string, about func()) (string, error) {
	cache, err := filepath.Abs(cache) // npm is run in another folder
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, p.name+"-"+p.version)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return dir, err
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", ErrNoNPM
	}
	about()
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return "", err
	}
	archive, err := p.pack(ctx, npm, tmp)
	if err == nil {
		err = p.check(archive)
	}
	fresh := filepath.Join(tmp, "unpacked")
	if err == nil {
		err = unpack(archive, fresh)
	}
	if err == nil {
		err = os.Rename(fresh, dir)
	}
	return dir, errors.Join(err, os.RemoveAll(tmp))
}

// pack has npm put the package's archive into a folder, which is also where npm keeps what it needs meanwhile.
func (p npmPackage) pack(ctx context.Context, npm, dir string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "pack", p.String(), "--pack-destination", dir, "--cache", filepath.Join(dir, "cache"),
		"--ignore-scripts", "--fetch-retries=0", "--logs-max=0", "--no-update-notifier", "--loglevel=error")
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = dir, &stderr, goodBye
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("npm pack %s: %w%s", p, err, firstLine(stderr.String()))
	}
	f, err := os.Open(filepath.Join(dir, p.name+"-"+p.version+".tgz"))
	if err != nil {
		return nil, fmt.Errorf("npm pack %s: %w", p, err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, archiveBytes))
}

// firstLine is the gist of what npm had to say: its error's code.
func firstLine(text string) string {
	if text, _, _ = strings.Cut(strings.TrimSpace(text), "\n"); text == "" {
		return ""
	}
	return ": " + text
}

// check refuses an archive that is not the one we know.
func (p npmPackage) check(archive []byte) error {
	sum := sha512.Sum512(archive)
	if got := base64.StdEncoding.EncodeToString(sum[:]); got != p.integrity {
		return fmt.Errorf("npm's archive of %s has the SHA-512 %s, and not %s: it is not used", p, got, p.integrity)
	}
	return nil
}

// unpack puts the files of an archive into a folder, but for source maps, which are for those who work on the package.
func unpack(archive []byte, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	left := int64(packageBytes)
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case h.Typeflag != tar.TypeReg || strings.HasSuffix(h.Name, ".map"):
			continue
		}
		if left -= h.Size; left < 0 {
			return fmt.Errorf("%s: the package is larger than %d bytes", h.Name, packageBytes)
		}
		if err := unpackFile(root, h.Name, t); err != nil {
			return err
		}
	}
}

// unpackFile writes a file below the folder all files of an npm package are in.
func unpackFile(root *os.Root, name string, content io.Reader) error {
	_, name, _ = strings.Cut(name, "/")
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
