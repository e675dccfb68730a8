package vm

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	lua "github.com/yuin/gopher-lua"
)

// Why a run was stopped, beside the end of its context. No pcall catches these.
var (
	ErrInstructions = errors.New("instruction limit reached")
	ErrMemory       = errors.New("memory limit reached")
)

// SyntaxError says where a source is not Lua, or is Lua that the VM cannot run.
type SyntaxError struct {
	File string
	Line int
	Msg  string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg) }

// Place is a line of a source; the zero Place is not known.
type Place struct {
	File string
	Line int
}

func (p Place) prefix() string {
	if p.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d: ", p.File, p.Line)
}

// RuntimeError is an error that Lua code raised and did not catch.
type RuntimeError struct {
	Place
	Msg       string     // without the place
	Value     lua.LValue // the error object
	Traceback []string   // innermost first, shortened
}

func (e *RuntimeError) Error() string { return e.prefix() + e.Msg }

// StopError is a run cut short. Err is ErrInstructions, ErrMemory or what the
// context's Err said.
type StopError struct {
	Place
	Err error
}

func (e *StopError) Error() string { return e.prefix() + e.Err.Error() }
func (e *StopError) Unwrap() error { return e.Err }

// placed is how gopher-lua begins messages: with the source's name and a line.
var placed = regexp.MustCompile(`^(.+?):(\d+):\s+`)

// splitPlace takes the place off a message.
func splitPlace(msg string) (Place, string) {
	m := placed.FindStringSubmatch(msg)
	if m == nil {
		return Place{}, msg
	}
	line, err := strconv.Atoi(m[2])
	if err != nil {
		return Place{}, msg
	}
	return Place{File: m[1], Line: line}, msg[len(m[0]):]
}
