package wasm

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"rosterd/engine"
)

// trap is how an import ends a call.
type trap struct {
	kind string // of engine.FaultError; "" if err is a context's end
	err  error
}

func (t *trap) Error() string { return t.err.Error() }
func (t *trap) Unwrap() error { return t.err }

func trapf(kind, format string, a ...any) { panic(&trap{kind, fmt.Errorf(format, a...)}) }

// protocolError is a result of the wrong shape.
type protocolError struct{ msg string }

func (e *protocolError) Error() string { return e.msg }

func wrong(format string, a ...any) error { return &protocolError{brief(fmt.Sprintf(format, a...))} }

// loadError says where, whatever went wrong.
func (p *Plugin) loadError(c *call, err error) error {
	return fmt.Errorf("%s: %w", p.file, plain(err))
}

// failure says whose fault it was that a call ended early: the module's, the backend's, or the caller's who no longer
// wants the answer.
func (p *Plugin) failure(c *call, err error) error {
	var end *ended
	if errors.As(err, &end) {
		return end.err
	}
	var temporary *engine.TemporaryError
	if errors.As(err, &temporary) {
		return err
	}
	where := fmt.Errorf("%s: %s: %w", p.file, c.subject(), plain(err))
	var protocol *protocolError
	var t *trap
	switch {
	case errors.As(err, &protocol):
		return &engine.FaultError{Kind: "protocol", Err: where}
	case errors.As(err, &t) && t.kind != "":
		return &engine.FaultError{Kind: t.kind, Err: where}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return p.late(c, where)
	case c.in != nil && c.in.memory.refused:
		return &engine.FaultError{Kind: "memory", Err: fmt.Errorf("%w; it was refused more than %d MiB of memory", where, p.most>>20)}
	}
	return &engine.FaultError{Kind: "trap", Err: where}
}

// late is a call that its context ended: in a request, or in the module. A backend that took most of the time for its
// answers is to blame even where the module was left no time for the rest.
func (p *Plugin) late(c *call, err error) error {
	if c.Err() != nil && c.httpErr != nil && errors.Is(c.httpErr, c.Err()) {
		return &engine.TemporaryError{Err: c.httpErr}
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if took := p.svc.Now().Sub(c.started); c.waited > took/2 {
		return &engine.TemporaryError{Err: fmt.Errorf("%w: of %v the backend took %v", err, took, c.waited)}
	}
	return &engine.FaultError{Kind: "deadline", Err: err}
}

// stacked is an error of the runtime in our words, with the functions in which it happened.
type stacked struct {
	err   error
	text  string
	stack []string
}

func (e *stacked) Error() string {
	if len(e.stack) == 0 {
		return e.text
	}
	return e.text + " (in " + strings.Join(e.stack, " ← ") + ")"
}

func (e *stacked) Unwrap() error { return e.err }

// maxFrames is how many functions an error names, the innermost first.
const maxFrames = 6

// frameType is what follows the name of a function in a trace.
var frameType = regexp.MustCompile(`\([a-z0-9,]*\)(?: [a-z0-9]+| \([a-z0-9,]+\))?$`)

// startFailed is what the runtime says before the trap of a start function, with the name of another function.
var startFailed = regexp.MustCompile(`^start function\[.*?\] (?:export\[.*?\] )?failed: `)

// numbered gives a function without a name the number that it has in the file: the tick is before it in the rewritten module.
func numbered(name string) string {
	if n, err := strconv.Atoi(strings.TrimPrefix(name, "$")); err == nil && name[0] == '$' {
		return "$" + strconv.Itoa(n-1)
	}
	return name
}

// plain puts what the runtime says into one line.
func plain(err error) error {
	text, trace, found := strings.Cut(err.Error(), "\nwasm stack trace:\n")
	if !found {
		return err
	}
	text = strings.TrimSuffix(text, " (recovered by wazero)")
	start := startFailed.FindString(text)
	text = strings.TrimPrefix(text[len(start):], "wasm error: ")
	if start != "" {
		text = "the start function: " + text
	}
	var frames []string
	for line := range strings.SplitSeq(trace, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "...") {
			break
		}
		if strings.HasPrefix(line, fuelModule+".") {
			continue
		}
		_, name, _ := strings.Cut(frameType.ReplaceAllString(line, ""), ".") // before it stands what the module calls itself
		if frames = append(frames, numbered(name)); len(frames) == maxFrames {
			break
		}
	}
	return &stacked{err, text, frames}
}
