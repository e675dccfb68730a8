package vm

import (
	"errors"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// goSource is the source name of the few lines of Lua below, which count as Go
// in messages and tracebacks.
const goSource = "[Go]"

// libraryPrefix begins the source name of libraries that come with rosterd: an error is where they were called.
const libraryPrefix = "[rosterd] "

// CompileLibrary compiles Lua that is ours: in errors and tracebacks it counts as Go.
func CompileLibrary(name string, src []byte) (*lua.FunctionProto, error) {
	return Compile(libraryPrefix+name, src)
}

// ours tells whether a source is none of a script's.
func ours(source string) bool {
	return source == goSource || strings.HasPrefix(source, libraryPrefix)
}

// glue compiles "return function … end" to that function. It has no tail call:
// that would leave no frame to return to.
func glue(src string) *lua.FunctionProto {
	proto, err := Compile(goSource, []byte(src))
	if err != nil {
		panic(err)
	}
	noTailCalls(proto)
	return proto.FunctionPrototypes[0]
}

func noTailCalls(p *lua.FunctionProto) {
	for i, inst := range p.Code {
		if int(inst>>opShift) == lua.OP_TAILCALL {
			p.Code[i] = inst&^(0x3f<<opShift) | uint32(lua.OP_CALL)<<opShift
		}
	}
	for _, inner := range p.FunctionPrototypes {
		noTailCalls(inner)
	}
}

var threadMain, guardMain, yieldGlue *lua.FunctionProto

// compileGlue is called by init, after it has told gopher-lua how to compile.
func compileGlue() {
	// threadMain runs a coroutine: Go functions cannot be the first function of
	// a thread, and gopher-lua makes one nil of no results.
	threadMain = glue(`return function(f, ...) return true, f(...) end`)
	// guardMain is the same for pcall. guarded tells whether all went well.
	guardMain = glue(`return function(guarded, f, ...) return guarded(f, ...) end`)
	// yieldGlue takes what resume brings as a list: gopher-lua puts it on the
	// stack without looking how many values are wanted.
	yieldGlue = glue(`return function(yield) return function(...) return yield(...) end end`).FunctionPrototypes[0]
}

var (
	guardedFunction = &lua.LFunction{IsG: true, GFunction: guarded}
	enterFunction   = &lua.LFunction{IsG: true, GFunction: enter}
	yieldFunction   = &lua.LFunction{IsG: true, GFunction: yield}
)

// guarded calls its first argument with the others, by gopher-lua's PCall.
func guarded(L *lua.LState) int {
	L.Insert(enterFunction, 1)
	err := L.PCall(L.GetTop()-1, lua.MultRet, nil)
	if err != nil {
		L.Push(lua.LFalse)
		L.Push(thrownBy(err))
		return 2
	}
	L.Insert(lua.LTrue, 1)
	return L.GetTop()
}

// enter is called by PCall to call the rest. PCall would describe the whole
// stack of every error if that were not done already.
func enter(L *lua.LState) int {
	L.Panic = func(L *lua.LState) {
		panic(&lua.ApiError{Type: lua.ApiErrorRun, Object: plainer(L, L.Get(-1)), StackTrace: "-"})
	}
	L.Call(L.GetTop()-1, lua.MultRet)
	return L.GetTop()
}

// protect calls fn so that its errors end there. It does so in a thread of its
// own: PCall detaches the captured variables of all callers on the thread, and
// after "n = n + 1" in one function the next still sees the old n.
//
// What ended the whole run is no error to survive, and goes on.
func protect(L *lua.LState, fn lua.LValue, args []lua.LValue) (results []lua.LValue, thrown lua.LValue) {
	if fn.Type() != lua.LTFunction && L.GetMetaField(fn, "__call").Type() != lua.LTFunction {
		return nil, lua.LString("attempt to call a " + fn.Type().String() + " value")
	}
	Charge(L, protectSteps)
	s := meterOf(L).state
	th := s.borrow(L)
	s.guards[th] = true
	defer delete(s.guards, th)
	state, values, err := s.resume(L, th, guardMain, append([]lua.LValue{guardedFunction, fn}, args...))
	if state != lua.ResumeOK { // a panic in gopher-lua; yield refuses, so that it was none
		return nil, thrownBy(err)
	}
	th.Dead = false
	if len(s.idle) < maxIdle {
		s.idle = append(s.idle, th)
	}
	if values[0] == lua.LFalse {
		return nil, values[1]
	}
	return values[1:], nil
}

// borrow gives a thread that has nothing on its stack.
func (s *State) borrow(L *lua.LState) *lua.LState {
	if n := len(s.idle); n > 0 {
		th := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return th
	}
	return s.newThread(L)
}

const maxIdle = 8 // threads kept for the next pcall

// What making a thread and calling in one cost.
const (
	threadSteps  = 500
	protectSteps = 50
)

// newThread makes a thread under the same meter. gopher-lua would derive a
// context of its own, which counts nothing and never ends.
func (s *State) newThread(L *lua.LState) *lua.LState {
	Charge(L, threadSteps)
	ctx := L.RemoveContext()
	th, _ := L.NewThread()
	L.SetContext(ctx)
	th.SetContext(ctx)
	return th
}

// resume starts th with main, or continues it if main is nil.
func (s *State) resume(L, th *lua.LState, main *lua.FunctionProto, args []lua.LValue) (lua.ResumeState, []lua.LValue, error) {
	if s.nested >= s.limits.CallDepth {
		L.RaiseError("stack overflow (too many nested pcalls and coroutines)")
	}
	s.nested++
	defer func() { s.nested-- }()
	var fn *lua.LFunction
	if main != nil {
		fn = L.NewFunctionFromProto(main)
	}
	state, err, values := L.Resume(th, fn, args...)
	if s.meter.err != nil {
		if p, _ := splitPlace(thrownBy(err).String()); s.meter.place.Line == 0 {
			s.meter.place = p
		}
		L.RaiseError("%s", s.meter.err)
	}
	return state, values, err
}

// thrownBy is the error object in what Resume returned.
func thrownBy(err error) lua.LValue {
	var api *lua.ApiError
	if errors.As(err, &api) {
		if msg, ok := api.Object.(lua.LString); ok { // raised by a Go function that threadMain called
			return lua.LString(strings.TrimPrefix(string(msg), goSource+":1: "))
		}
		return api.Object
	}
	if err != nil {
		return lua.LString(err.Error())
	}
	return lua.LNil
}

// Call calls fn protected, as Lua's pcall does: for Go functions that go on
// after an error of the Lua function they call. The error is a *RuntimeError.
// (L.PCall and a protected L.CallByParam break the captured variables of all
// Lua functions that are running.)
func Call(L *lua.LState, fn lua.LValue, args ...lua.LValue) ([]lua.LValue, error) {
	results, thrown := protect(L, fn, args)
	if thrown == nil {
		return results, nil
	}
	e := &RuntimeError{Value: thrown}
	e.Place, e.Msg = splitPlace(message(thrown))
	return nil, e
}

// rest is the arguments from n on.
func rest(L *lua.LState, n int) []lua.LValue {
	var list []lua.LValue
	for ; n <= L.GetTop(); n++ {
		list = append(list, L.Get(n))
	}
	return list
}

func pushAll(L *lua.LState, values []lua.LValue) int {
	for _, v := range values {
		L.Push(v)
	}
	return len(values)
}

func basePcall(L *lua.LState) int {
	results, thrown := protect(L, L.CheckAny(1), rest(L, 2))
	if thrown != nil {
		L.Push(lua.LFalse)
		L.Push(thrown)
		return 2
	}
	L.Push(lua.LTrue)
	return 1 + pushAll(L, results)
}

// baseXpcall calls the handler after the stack is gone: nothing here could
// look at it.
func baseXpcall(L *lua.LState) int {
	handler := L.CheckFunction(2)
	results, thrown := protect(L, L.CheckAny(1), rest(L, 3))
	if thrown == nil {
		L.Push(lua.LTrue)
		return 1 + pushAll(L, results)
	}
	L.Push(lua.LFalse)
	handled, again := protect(L, handler, []lua.LValue{thrown})
	switch {
	case again != nil:
		L.Push(lua.LString("error in error handling"))
	case len(handled) == 0:
		L.Push(lua.LNil)
	default:
		L.Push(handled[0])
	}
	return 2
}
