//go:build unix && !linux

package worker

import (
	"os"
	"os/exec"
	"syscall"
)

// executable is the file of the program that runs; if it was replaced meanwhile, the new one.
func executable() (string, error) { return os.Executable() }

// isolate says how a child stands apart: Ctrl-C in a terminal is for the parent alone.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func fork(cmd *exec.Cmd) error { return cmd.Start() }

// resident is unknown.
func resident(int) int64 { return 0 }

// peak is unknown.
func peak(*os.ProcessState) int64 { return 0 }
