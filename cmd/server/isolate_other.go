//go:build !linux

package main

import "errors"

// limitProcess needs what only Linux counts.
func (isolation) limitProcess() error { return errors.New("--isolate works on Linux alone") }
