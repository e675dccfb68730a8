//go:build !linux

package store

// steadyVFS is none: only Linux makes mapped memory ready in system calls.
func steadyVFS() string { return "" }
