package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"rosterd/config"
)

// A configuration is a program. That of a stranger, which somebody wants looked at before it is taken, is run by a
// process of its own: check --isolate. The bounds of config.Load stop what is known to take for ever; the kernel stops
// the rest.

// isolation is what the process may take.
type isolation struct {
	memory uint64 // bytes beyond what the program itself has
	cpu    uint64 // seconds
	time   time.Duration
}

var checkIsolation = isolation{memory: 512 << 20, cpu: 20, time: time.Minute}

const isolatedOutput = 16 << 20 // bytes

// isolatedWord is how the process is told apart: rosterd check-isolated MEMORY CPU ARGUMENTS OF CHECK…
const isolatedWord = "check-isolated"

// isolated is what the process sends over its standard output, as JSON and at its end.
type isolated struct {
	Out    string `json:"out"`
	Err    string `json:"err"`
	Status int    `json:"status"`
	Failed string `json:"failed,omitempty"` // why nothing was looked at
}

// checkIsolated runs check in a process of its own and gives out what that says.
func checkIsolated(ctx context.Context, args []string, path string, asJSON bool, c console) int {
	said, err := checkIsolation.run(ctx, args)
	if err == nil {
		io.WriteString(c.out, said.Out)
		io.WriteString(c.err, said.Err)
		return said.Status
	}
	d := config.Diag{Severity: config.Refused, Code: config.CodeLoad, Pos: config.Pos{File: path},
		Message: "the configuration could not be looked at: " + err.Error()}
	if asJSON {
		printJSON(c, checkReport{Files: []string{}, Env: []config.EnvRead{}, Diags: []config.Diag{d}, Hosts: []checkedHost{}, Status: exitUsage})
	} else {
		fmt.Fprintln(c.err, d)
	}
	return exitUsage
}

func (l isolation) run(ctx context.Context, args []string) (said isolated, err error) {
	program, err := os.Executable()
	if err != nil {
		return said, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.time)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{isolatedWord, strconv.FormatUint(l.memory, 10), strconv.FormatUint(l.cpu, 10)}, args...)...)
	var out bytes.Buffer
	cmd.Stdout = &upTo{&out, isolatedOutput}
	cmd.WaitDelay = time.Second
	runErr := cmd.Run()
	if ctx.Err() != nil {
		return said, fmt.Errorf("it took longer than %v", l.time)
	}
	return l.read(out.Bytes(), runErr)
}

// read is what the process has said, or why it has not.
func (l isolation) read(out []byte, runErr error) (said isolated, err error) {
	if json.Unmarshal(out, &said) == nil && runErr == nil {
		if said.Failed != "" {
			return said, errors.New(said.Failed)
		}
		return said, nil
	}
	if len(out) == isolatedOutput {
		return said, fmt.Errorf("there is more to say of it than %d MiB", isolatedOutput>>20)
	}
	return said, fmt.Errorf("it took more than %d MiB of memory or %d s of processor time (%w)", l.memory>>20, l.cpu, runErr)
}

// upTo keeps the first bytes that are written to it.
type upTo struct {
	to   *bytes.Buffer
	left int
}

func (u *upTo) Write(p []byte) (int, error) {
	n := min(len(p), u.left)
	u.left -= n
	u.to.Write(p[:n])
	return len(p), nil
}

// isolatedMain is the process: it limits itself and checks.
func isolatedMain(args []string) int {
	var l isolation
	var err error
	if len(args) < 2 {
		return exitUsage
	}
	if l.memory, err = strconv.ParseUint(args[0], 10, 64); err == nil {
		l.cpu, err = strconv.ParseUint(args[1], 10, 64)
	}
	if err == nil {
		err = l.limitProcess()
	}
	var said isolated
	if err != nil {
		said.Failed = err.Error()
	} else {
		var out, errs bytes.Buffer
		said.Status = check(context.Background(), append(args[2:], "--isolate=false"), console{in: bytes.NewReader(nil), out: &out, err: &errs})
		said.Out, said.Err = out.String(), errs.String()
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		return exitFailed
	}
	return exitOK
}
