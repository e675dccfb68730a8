//go:build !unix

package stream

import "errors"

// Elsewhere a session keeps a buffer while it waits.
const pollable = false

func readFD(uintptr, []byte) (int, bool, error)  { return 0, false, errors.ErrUnsupported }
func writeFD(uintptr, []byte) (int, bool, error) { return 0, false, errors.ErrUnsupported }
func readyFD(uintptr) bool                       { return true }
