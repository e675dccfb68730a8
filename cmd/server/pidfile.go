package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// writePidFile takes the pidfile and locks it for as long as the process lives, as Prosody does (fcntl(2), F_SETLK). The
// lock tells a process that runs from one that was killed: its number may long be that of another program.
func writePidFile(path string) (remove func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := lockPidFile(path)
	if err != nil {
		return nil, fmt.Errorf("pidfile %w", err)
	}
	if _, err = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("pidfile: %w", err), os.Remove(path), f.Close())
	}
	return func() { os.Remove(path); f.Close() }, nil
}

// lockPidFile returns an empty file that others see under that path.
func lockPidFile(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		if err := lock(f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		is, err1 := f.Stat()
		named, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(is, named) {
			if err := f.Truncate(0); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return f, nil
		}
		f.Close() // whose it was has ended meanwhile, and removed it
	}
}

func lock(f *os.File) error {
	err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart})
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		pid, _ := io.ReadAll(io.LimitReader(f, 20)) // for the message alone
		return fmt.Errorf("%s names process %s, which is running", f.Name(), strings.TrimSpace(string(pid)))
	}
	return err
}
