package vm

import (
	"runtime"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

var coroutineLib = map[string]lua.LGFunction{
	"create":      coCreate,
	"wrap":        coWrap,
	"resume":      coResume,
	"status":      func(L *lua.LState) int { L.Push(lua.LString(statusOf(L, L.CheckThread(1)))); return 1 },
	"running":     coRunning,
	"isyieldable": func(L *lua.LState) int { L.Push(lua.LBool(yieldable(L))); return 1 },
	"close":       coClose,
}

// newCoroutine makes a suspended thread with its function waiting on its stack.
func newCoroutine(L *lua.LState, fn *lua.LFunction) *lua.LState {
	s := meterOf(L).state
	if s.coroutines >= s.limits.MaxCoroutines {
		L.RaiseError("too many unfinished coroutines (limit is %d)", s.limits.MaxCoroutines)
	}
	s.coroutines++
	th := s.newThread(L)
	th.Push(fn)
	return th
}

func coCreate(L *lua.LState) int {
	L.Push(newCoroutine(L, L.CheckFunction(1)))
	return 1
}

func coWrap(L *lua.LState) int {
	th := newCoroutine(L, L.CheckFunction(1))
	L.Push(L.NewFunction(func(L *lua.LState) int {
		values, thrown := resumeCoroutine(L, th, rest(L, 1))
		if thrown != nil {
			L.Error(thrown, 0)
		}
		return pushAll(L, values)
	}))
	return 1
}

func coResume(L *lua.LState) int {
	values, thrown := resumeCoroutine(L, L.CheckThread(1), rest(L, 2))
	if thrown != nil {
		L.Push(lua.LFalse)
		L.Push(thrown)
		return 2
	}
	L.Push(lua.LTrue)
	return 1 + pushAll(L, values)
}

func resumeCoroutine(L, th *lua.LState, args []lua.LValue) (values []lua.LValue, thrown lua.LValue) {
	if st := statusOf(L, th); st == "dead" {
		return nil, lua.LString("cannot resume dead coroutine")
	} else if st != "suspended" {
		return nil, lua.LString("cannot resume non-suspended coroutine")
	}
	s := meterOf(L).state
	var main *lua.FunctionProto
	if !started(th) {
		main = threadMain
		args = append([]lua.LValue{th.Get(1)}, args...)
		th.SetTop(0)
	}
	state, values, err := s.resume(L, th, main, args)
	if state != lua.ResumeYield {
		s.finished()
	}
	if state == lua.ResumeError {
		return nil, thrownBy(err)
	}
	return values[1:], nil // the mark of threadMain or of yield
}

// finished counts a coroutine down; one of an earlier run was not counted.
func (s *State) finished() { s.coroutines = max(s.coroutines-1, 0) }

func started(th *lua.LState) bool {
	_, ok := th.GetStack(0)
	return ok
}

// current is the coroutine that L runs in, leaving out the threads of pcall.
func current(L *lua.LState) *lua.LState {
	guards := meterOf(L).state.guards
	for guards[L] {
		L = L.Parent
	}
	return L
}

func statusOf(L, th *lua.LState) string {
	switch {
	case th.Dead:
		return "dead"
	case current(L) == th:
		return "running"
	case th.Parent != nil || th == L.G.MainThread:
		return "normal" // it resumed another
	}
	return "suspended"
}

func coRunning(L *lua.LState) int {
	co := current(L)
	L.Push(co)
	L.Push(lua.LBool(co == L.G.MainThread))
	return 2
}

func coClose(L *lua.LState) int {
	th := L.CheckThread(1)
	switch st := statusOf(L, th); st {
	case "suspended":
		th.Dead = true
		meterOf(L).state.finished()
	case "dead":
	default:
		L.RaiseError("cannot close a %s coroutine", st)
	}
	L.Push(lua.LTrue)
	return 1
}

// yieldable is false on the main thread and in a function that pcall calls.
func yieldable(L *lua.LState) bool {
	return L != L.G.MainThread && !meterOf(L).state.guards[L]
}

// yield gives its arguments, after a mark, to whoever resumed the thread. It is
// called by yieldGlue.
func yield(L *lua.LState) int {
	refuse := ""
	switch {
	case L == L.G.MainThread:
		refuse = "attempt to yield from outside a coroutine"
	case !yieldable(L):
		refuse = "attempt to yield across pcall"
	case crossesGo():
		refuse = "attempt to yield across a metamethod, an iterator or a Go function"
	}
	if refuse != "" {
		L.Error(lua.LString(levelPlace(L, 2).prefix()+refuse), 0)
	}
	return L.Yield(append([]lua.LValue{lua.LTrue}, rest(L, 1)...)...)
}

// crossesGo says whether between the yield that calls it and the resume there
// is a call made by Go code. gopher-lua could not come back to that: it would
// run on as if nothing had been yielded. Only the Go stack tells.
func crossesGo() bool {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		switch {
		case strings.HasSuffix(f.Function, "gopher-lua.threadRun"):
			return false
		case strings.HasSuffix(f.Function, "gopher-lua.(*LState).callR"), !more:
			return true
		}
	}
}
