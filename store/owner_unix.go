//go:build unix

package store

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives f the owner and group of the file it replaces, or the owner of its folder. It is an error if
// it may not: Prosody, which often runs as another user than who calls us, could not read the file any more.
func keepOwner(f *os.File, model fs.FileInfo) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	is, ok1 := info.Sys().(*syscall.Stat_t)
	want, ok2 := model.Sys().(*syscall.Stat_t)
	if !ok1 || !ok2 || is.Uid == want.Uid && (is.Gid == want.Gid || model.IsDir()) {
		return nil
	}
	if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("keep the owner of %s: %w", model.Name(), err)
	}
	return nil
}

// accessible tells why a file cannot be read and written, without opening it.
func accessible(path string) error {
	const readAndWrite = 4 | 2 // access(2)
	if err := syscall.Access(path, readAndWrite); err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return nil
}
