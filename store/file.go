package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// newFileMode is that of files which Prosody makes, with its usual umask of 027.
const newFileMode = 0o640

// writeFile puts a file in its place in one step, so that whoever reads it, Prosody too, sees the old content or
// the new. A file that is replaced keeps its mode and owner, a new one belongs to whom its folder belongs to.
func writeFile(path string, content []byte) error {
	dir, mode := filepath.Dir(path), fs.FileMode(newFileMode)
	model, err := os.Stat(path)
	switch {
	case err == nil:
		mode = model.Mode().Perm()
	case errors.Is(err, fs.ErrNotExist):
		model, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".rosterd-") // no .dat at the end: Prosody does not take it for a user
	if err != nil {
		return err
	}
	err = errors.Join(fill(tmp, content, mode, model), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return syncDir(dir)
}

func fill(f *os.File, content []byte, mode fs.FileMode, model fs.FileInfo) error {
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := keepOwner(f, model); err != nil {
		return err
	}
	return f.Sync()
}

// syncDir makes a rename last (fsync(2)).
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
