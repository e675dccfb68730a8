// Package vm is gopher-lua made safe and closer to Lua 5.4: an own parser, an
// own library, and budgets that a script can neither outrun nor swallow.
//
// Parse and Compile read Lua in the spelling of 5.1 to 5.4. New makes a state
// whose library touches neither files nor environment and loads no code. Run
// calls into it under a context, an instruction budget and, if wanted, a limit
// on memory.
//
// What stays of gopher-lua: every number is a float64, so integers are exact
// up to 2^53 and print without ".0", and bit operators refuse larger ones;
// there is no <close>, no weak table and no finalizer; coroutines cannot yield
// across pcall, a metamethod or an iterator. TestDifferences has the list.
//
// A Go function that Lua calls must use the L it is given: pcall and coroutines
// run in threads of their own.
package vm

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

func init() {
	// Both are variables of the process, and states and compiled code must
	// agree about them.
	lua.MaxArrayIndex = 1 << 20 // t[67108863] = 1 took a gigabyte
	lua.CompatVarArg = false    // no "arg" table in every vararg function
	compileGlue()
}

// Limits bounds what scripts may use. A zero field means its default.
type Limits struct {
	Instructions  int64  // VM instructions and library steps of one Run; default 50 million
	CallDepth     int    // nested calls, and nested pcalls; 200
	StringBytes   int    // longest string that a library function makes; 1 MiB
	SubjectBytes  int    // longest string that patterns are matched against; 4 MiB
	PatternSteps  int64  // steps of one pattern function; 10 million
	MaxCoroutines int    // unfinished coroutines among those made in one Run; 64
	HeapBytes     uint64 // growth of the whole process's heap during one Run; not watched
}

func (l Limits) withDefaults() Limits {
	l.Instructions = cmp.Or(l.Instructions, 50_000_000)
	l.CallDepth = cmp.Or(l.CallDepth, 200)
	l.StringBytes = cmp.Or(l.StringBytes, 1<<20)
	l.SubjectBytes = cmp.Or(l.SubjectBytes, 4<<20)
	l.PatternSteps = cmp.Or(l.PatternSteps, 10_000_000)
	l.MaxCoroutines = cmp.Or(l.MaxCoroutines, 64)
	return l
}

const (
	registryMax = 32 << 10 // values on one thread's stack
	maxUnpack   = 10_000   // values that one function returns
)

// State is one Lua state. It is for one goroutine at a time.
type State struct {
	l       *lua.LState
	limits  Limits
	meter   *meter
	running bool
	broken  error // set by a panic that left the state half way

	patterns   map[string]*pattern  // compiled, a few
	guards     map[*lua.LState]bool // threads in which pcall runs a function now
	idle       []*lua.LState        // threads for pcall to use again
	coroutines int                  // unfinished, of this run
	nested     int                  // pcalls and resumes in progress
	random     *random              // of this run, once it has been asked for

	now     func() time.Time // what time it is for scripts
	entropy func(b []byte)   // seeds their random numbers
	started time.Time        // this run, by now
}

// New makes a state with the hardened library.
func New(limits Limits) *State {
	limits = limits.withDefaults()
	s := &State{
		limits:   limits,
		patterns: map[string]*pattern{},
		guards:   map[*lua.LState]bool{},
		now:      time.Now,
		entropy:  func(b []byte) { _, _ = rand.Read(b) }, // never fails
	}
	s.l = lua.NewState(lua.Options{
		SkipOpenLibs: true, CallStackSize: limits.CallDepth,
		RegistrySize: 512, RegistryMaxSize: registryMax, RegistryGrowStep: 1024,
	})
	s.l.Options.RegistrySize = 128 // of its threads
	s.meter = &meter{state: s, err: errNotRunning}
	s.meter.halt.Store(true)
	s.l.SetContext(s.meter)
	s.open()
	return s
}

// SetClock makes scripts take the time from now instead of time.Now.
func (s *State) SetClock(now func() time.Time) { s.now = now }

// SetEntropy makes scripts take their random numbers, which begin anew with every Run, from what fill writes.
func (s *State) SetEntropy(fill func(b []byte)) { s.entropy = fill }

// L is the state, to put tables and functions into. Lua code runs only inside Run.
func (s *State) L() *lua.LState { return s.l }

// Close releases the state.
func (s *State) Close() { s.l.Close() }

var errRunning = errors.New("vm: Run inside Run")

// Run calls f, which calls Lua code unprotected (L.Call). What ends f early is
// returned: a Lua error as *RuntimeError; a spent budget or the end of ctx as
// *StopError, for errors.Is(err, ErrInstructions), ErrMemory or
// context.DeadlineExceeded. Else the result is f's own.
//
// f must use the L it gets. It protects calls of its own with Call.
func (s *State) Run(ctx context.Context, f func(L *lua.LState) error) (err error) {
	if s.running {
		return errRunning
	}
	if s.broken != nil {
		return s.broken
	}
	if err := ctx.Err(); err != nil {
		return &StopError{Err: err}
	}
	s.running, s.coroutines = true, 0
	s.random, s.started = nil, s.now()
	disarm := s.meter.start(ctx, s.limits)
	defer func() { disarm(); s.running = false }()
	defer func() {
		// PCall panics where it describes an error that left a frame half made.
		if r := recover(); r != nil {
			msg := fmt.Sprintf("internal error: %v", r)
			if full := fmt.Sprintf("with length %d", registryMax); strings.HasSuffix(msg, full) || strings.HasSuffix(msg, "out of range [-1]") {
				msg = "stack overflow (too many values at once)"
			}
			err = &RuntimeError{Msg: msg, Value: lua.LNil}
			s.broken = fmt.Errorf("vm: state not usable after %w", err)
		}
	}()

	var result error
	s.l.Push(s.l.NewFunction(func(L *lua.LState) int {
		L.Panic = raise
		result = f(L)
		return 0
	}))
	err = s.l.PCall(0, 0, nil)
	if s.meter.err != nil {
		return &StopError{Place: s.meter.place, Err: s.meter.err}
	}
	if err != nil {
		return uncaught(err)
	}
	return result
}

// Used is how many instructions and library steps the last Run took.
func (s *State) Used() int64 { return s.meter.used }

// raised is an error on its way to Run. It travels as the error object.
type raised struct {
	lua.LValue
	err *RuntimeError
}

// raise is the main thread's Panic: it notes where an error comes from while
// the stack is there to tell. gopher-lua's own traceback lists every tail call
// of a loop of them; a million took 600 MB.
func raise(L *lua.LState) {
	v := plainer(L, L.Get(-1))
	m := meterOf(L)
	top := place(L, 0)
	if m.err != nil {
		m.place = cmp.Or(m.place, top)
	}
	e := &RuntimeError{Place: top, Value: v, Traceback: traceback(L)}
	e.Msg = shortened(message(v))
	if p, rest := splitPlace(e.Msg); p.Line != 0 && (p == top || sourceOnStack(L, p.File)) {
		e.Place, e.Msg = p, rest
	}
	panic(&lua.ApiError{Type: lua.ApiErrorRun, Object: raised{v, e}, StackTrace: "-"})
}

// plainer says what gopher-lua says in words that nobody understands, and of lines that the script has.
func plainer(L *lua.LState, v lua.LValue) lua.LValue {
	msg, ok := v.(lua.LString)
	if !ok {
		return v
	}
	if strings.HasPrefix(string(msg), libraryPrefix) {
		_, rest := splitPlace(string(msg))
		msg = lua.LString(place(L, 0).prefix() + rest)
	}
	for cryptic, plain := range map[string]string{
		"__len undefined": "attempt to get the length of a value that is no table and no string",
		"__unm undefined": "attempt to perform arithmetic on a value that is no number",
	} {
		if before, found := strings.CutSuffix(string(msg), cryptic); found {
			return lua.LString(before + plain)
		}
	}
	if strings.HasPrefix(string(msg), libraryPrefix) { // the library is not to blame
		if _, rest := splitPlace(string(msg)); rest != string(msg) {
			return lua.LString(place(L, 0).prefix() + rest)
		}
	}
	if strings.HasSuffix(string(msg), "attempt to call a non-function object") {
		return msg + lua.LString(nearCall(L))
	}
	return msg
}

// uncaught makes Run's error of what PCall returned.
func uncaught(err error) error {
	var api *lua.ApiError
	if !errors.As(err, &api) {
		return err
	}
	if r, ok := api.Object.(raised); ok {
		return r.err
	}
	return &RuntimeError{Msg: api.Object.String(), Value: api.Object} // a panic of a Go function
}

// message is what an error object says.
func message(v lua.LValue) string {
	switch v := v.(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return formatNumber(float64(v))
	}
	return fmt.Sprintf("(error object is a %s value)", v.Type())
}

// maxLevels is how far down the stack a script's line is looked for: libraries may be deep in themselves.
const maxLevels = 256

// longestMessage is what is kept of an error that nobody caught: it goes into logs.
const longestMessage = 1024

func shortened(msg string) string {
	if len(msg) <= longestMessage {
		return msg
	}
	return strings.ToValidUTF8(msg[:longestMessage], "") + "…"
}

// frames calls f for each frame of L from level on, innermost first, as far as
// f wants. Where there were tail calls, gopher-lua counts them as levels and
// shows the outermost frame for each; those are left out.
func frames(L *lua.LState, level int, f func(fn *lua.LFunction, d *lua.Debug) bool) {
	var lastFn *lua.LFunction
	lastLine := 0
	for n := 0; n < maxLevels; n++ {
		d, ok := L.GetStack(level + n)
		if !ok {
			return
		}
		v, err := L.GetInfo("fnSl", d, nil)
		fn, isFn := v.(*lua.LFunction)
		if err != nil || !isFn {
			return
		}
		if fn == lastFn && d.CurrentLine == lastLine {
			continue
		}
		lastFn, lastLine = fn, d.CurrentLine
		if !f(fn, d) {
			return
		}
	}
}

// place is where the innermost Lua function from level on is.
func place(L *lua.LState, level int) (p Place) {
	frames(L, level, func(fn *lua.LFunction, d *lua.Debug) bool {
		if fn.IsG || ours(fn.Proto.SourceName) {
			return true
		}
		p = Place{File: d.Source, Line: d.CurrentLine}
		return false
	})
	return p
}

func sourceOnStack(L *lua.LState, file string) (found bool) {
	frames(L, 0, func(fn *lua.LFunction, d *lua.Debug) bool {
		found = !fn.IsG && d.Source == file
		return !found
	})
	return found
}

const maxTraceback = 12

func traceback(L *lua.LState) (lines []string) {
	frames(L, 0, func(fn *lua.LFunction, d *lua.Debug) bool {
		switch {
		case fn.IsG && d.Name != "main chunk": // which is Run itself
			lines = append(lines, "[Go]: in "+d.Name)
		case !fn.IsG && !ours(fn.Proto.SourceName):
			name := d.Name
			if d.LineDefined == 0 {
				name = "main chunk"
			}
			lines = append(lines, fmt.Sprintf("%s:%d: in %s", d.Source, d.CurrentLine, name))
		}
		return len(lines) < maxTraceback
	})
	return lines
}

// nearCall names the functions called on the line of a failed call, of which
// one is none. gopher-lua does not say which.
func nearCall(L *lua.LState) (near string) {
	frames(L, 0, func(fn *lua.LFunction, d *lua.Debug) bool {
		if fn.IsG {
			return false
		}
		var names []string
		for _, c := range fn.Proto.DbgCalls {
			if c.Pc < len(fn.Proto.DbgSourcePositions) && fn.Proto.DbgSourcePositions[c.Pc] == d.CurrentLine && isLetter((c.Name + " ")[0]) {
				names = append(names, "'"+c.Name+"'")
			}
		}
		if len(names) > 0 && len(names) <= 3 {
			near = " (near the call of " + strings.Join(names, ", ") + ")"
		}
		return false
	})
	return near
}
