//go:build unix

package wasm

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// private refuses a folder that is not ours alone.
func private(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	switch s, ok := info.Sys().(*syscall.Stat_t); {
	case info.Mode()&fs.ModeSymlink != 0:
		return &privacyError{path, "is a symbolic link"}
	case !info.IsDir():
		return &privacyError{path, "is no folder"}
	case !ok:
		return &privacyError{path, "does not say whose it is"}
	case int(s.Uid) != os.Geteuid():
		return &privacyError{path, fmt.Sprintf("belongs to user %d and not to %d, who runs this", s.Uid, os.Geteuid())}
	case info.Mode().Perm()&0o022 != 0:
		return &privacyError{path, fmt.Sprintf("can be written to by others (%v)", info.Mode().Perm())}
	}
	return nil
}
