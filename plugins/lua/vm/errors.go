package vm

import (
	"errors"
	"fmt"

	lua "github.com/yuin/gopher-lua"
)

var (
	ErrInstructions = errors.New("instruction limit reached")
	ErrMemory       = errors.New("memory limit reached")
)

// SyntaxError says where a source is not Lua, or is Lua that this VM cannot run.
type SyntaxError struct {
	File string
	Line int
	Msg  string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg) }

// RuntimeError is an error raised by Lua code and not caught by it.
type RuntimeError struct {
	File      string     // "" if the place is not known
	Line      int        // 0 if the place is not known
	Msg       string     // without the place
	Value     lua.LValue // the error object
	Traceback []string   // innermost first, at most 20
}

func (e *RuntimeError) Error() string {
	if e.File == "" {
		return e.Msg
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}
