//go:build !unix

package wasm

import "os"

// private leaves it to who has made the folder: here its permissions do not say who may write to it.
func private(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		err = &privacyError{path, "is no folder"}
	}
	return err
}
