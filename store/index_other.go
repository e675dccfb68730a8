//go:build !linux

package store

import "errors"

// steadyVFS is none: only Linux makes mapped memory ready in system calls.
func steadyVFS() (string, error) { return "", errors.ErrUnsupported }

// steady has nothing to say where it is not to be had.
func steady(string) error { return nil }
