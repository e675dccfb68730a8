package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
	"rosterd/plugins/lua/vm"
)

// clock is services without any backend, at a given time.
type clock struct {
	plugins.Services // for the rest, which nobody here asks for
	now              time.Time
}

func (clock) HTTP(context.Context, plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	return nil, errors.New("no backend")
}
func (clock) Log(context.Context, slog.Level, string, ...any) {}
func (c clock) Now() time.Time                                { return c.now }
func (clock) Close()                                          {}

func openHere(t *testing.T, code string, shipped bool) *Plugin {
	t.Helper()
	src := plugins.Source{Name: "test", File: "mod_test.lua", Code: []byte(code), Shipped: shipped}
	p, err := Open(t.Context(), src, plugins.Host{Name: "example.com"}, plugins.NewOptions(nil), clock{now: time.Unix(100, 0)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p.(*Plugin)
}

// Whose fault it was when a call ended early.
func TestFailure(t *testing.T) {
	over, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	left, leave := context.WithCancel(t.Context())
	leave()
	p := openHere(t, `module:provides("roster", { fetch = function() end })`, true)
	thrownError := &glua.LUserData{Value: thrown{&engine.PermanentError{Err: errors.New("thrown")}}}
	deadline := &vm.StopError{Err: context.DeadlineExceeded}
	answer := &plugins.HTTPResponse{Status: 200}
	for _, tt := range []struct {
		name string
		ctx  context.Context
		call call
		err  error
		kind string
	}{
		{"shape of the result", t.Context(), call{}, wrong("x"), "fault protocol"},
		{"instructions", t.Context(), call{}, &vm.StopError{Err: vm.ErrInstructions}, "fault instructions"},
		{"memory", t.Context(), call{}, &vm.StopError{Err: vm.ErrMemory}, "fault memory"},
		{"error", t.Context(), call{}, &vm.RuntimeError{Msg: "x", Value: glua.LString("x")}, "fault trap"},
		{"error after the end", over, call{}, &vm.RuntimeError{Msg: "x", Value: glua.LString("x")}, "fault trap"},
		{"error of ours", t.Context(), call{}, &vm.RuntimeError{Msg: "x", Value: thrownError}, "permanent"},
		{"shape of what map made", t.Context(), call{mapped: answer}, wrong("x"), "temporary"},
		{"error in map", t.Context(), call{mapped: answer}, &vm.RuntimeError{Msg: "x", Value: glua.LString("x")}, "temporary"},
		{"instructions in map", t.Context(), call{mapped: answer}, &vm.StopError{Err: vm.ErrInstructions}, "fault instructions"},
		{"memory in map", t.Context(), call{mapped: answer}, &vm.StopError{Err: vm.ErrMemory}, "fault memory"},
		{"deadline in map", over, call{started: time.Unix(95, 0), mapped: answer}, deadline, "fault deadline"},
		{"script all the time", over, call{started: time.Unix(95, 0)}, deadline, "fault deadline"},
		{"backend most of the time", over, call{started: time.Unix(95, 0), waited: 4 * time.Second}, deadline, "temporary"},
		{"script most of the time", over, call{started: time.Unix(95, 0), waited: time.Second}, deadline, "fault deadline"},
		{"in a request", over, call{httpErr: fmt.Errorf("GET x: %w", context.DeadlineExceeded)}, deadline, "temporary"},
		{"after a request that failed", over, call{httpErr: errors.New("refused"), started: time.Unix(95, 0)}, deadline, "fault deadline"},
		{"nobody waits any more", left, call{}, &vm.StopError{Err: context.Canceled}, "other"},
		{"nobody waits any more for a request", left, call{httpErr: fmt.Errorf("GET x: %w", context.Canceled)}, &vm.StopError{Err: context.Canceled}, "temporary"},
	} {
		tt.call.request.User = addr.MustBare("jim@example.com")
		err := p.failure(tt.ctx, &tt.call, tt.err)
		kind := "other"
		var temporary *engine.TemporaryError
		var permanent *engine.PermanentError
		var fault *engine.FaultError
		switch {
		case errors.As(err, &temporary):
			kind = "temporary"
		case errors.As(err, &permanent):
			kind = "permanent"
		case errors.As(err, &fault):
			kind = "fault " + fault.Kind
		}
		if kind != tt.kind {
			t.Errorf("%s: %s: %v; want %s", tt.name, kind, err, tt.kind)
		}
	}
}

// limit has the calls from now on run under limits.
func limit(t *testing.T, p *Plugin, limits vm.Limits) {
	t.Helper()
	p.limits = limits
	for _, m := range p.idle {
		m.close()
	}
	p.idle = nil
}

func fetchFor(ctx context.Context, p *Plugin, user string) (engine.Answer, error) {
	return p.Fetch(ctx, engine.Request{User: addr.MustBare(user + "@example.com")})
}

// A script that runs away costs its own request: those beside it and after it are served.
func TestRunaways(t *testing.T) {
	for name, code := range map[string]string{
		"loop":                `while true do end`,
		"loop in pcall":       `while true do pcall(function() while true do end end) end`,
		"loop in a handler":   `xpcall(function() error("x") end, function() while true do end end)`,
		"loop in a coroutine": `coroutine.wrap(function() while true do end end)()`,
		"loop in a method":    `tostring(setmetatable({}, { __tostring = function() while true do end end }))`,
		"loop while logging":  `module:log("info", "%s", setmetatable({}, { __tostring = function() while true do end end }))`,
		"backtracking":        `while true do pcall(string.find, ("a"):rep(30), ("a?"):rep(30)..("a"):rep(30)) end`,
		"much JSON":           `while true do pcall(require "util.json".decode, "[" .. ("0,"):rep(100000) .. "0]") end`,
	} {
		t.Run(name, func(t *testing.T) {
			p := openHere(t, `module:provides("roster", { fetch = function(username)
				if username == "mallory" then `+code+` end
				return { { jid = username.."@x" } };
			end });`, true)
			limit(t, p, vm.Limits{Instructions: 200_000})
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := fetchFor(t.Context(), p, "mallory")
				var fault *engine.FaultError
				if !errors.As(err, &fault) || fault.Kind != "instructions" ||
					!strings.Contains(err.Error(), "mod_test.lua: roster of mallory@example.com: mod_test.lua:2: ") {
					t.Errorf("the runaway ends with %v", err)
				}
			})
			for i := range 20 {
				user := fmt.Sprintf("user%d", i)
				wg.Go(func() {
					if a, err := fetchFor(t.Context(), p, user); err != nil || a.Roster.Len() != 1 {
						t.Errorf("%s: %d contacts, %v", user, a.Roster.Len(), err)
					}
				})
			}
			wg.Wait()
			if a, err := fetchFor(t.Context(), p, "later"); err != nil || a.Roster.Len() != 1 {
				t.Errorf("later: %d contacts, %v", a.Roster.Len(), err)
			}
		})
	}
}

func TestDeadlineInTheScript(t *testing.T) {
	p := openHere(t, `module:provides("roster", { fetch = function() while true do end end });`, true)
	limit(t, p, vm.Limits{Instructions: math.MaxInt64 / 2})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := fetchFor(ctx, p, "jim")
	var fault *engine.FaultError
	if !errors.As(err, &fault) || fault.Kind != "deadline" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// Machines are kept for the next call, but not after an error, nor for ever.
func TestMachines(t *testing.T) {
	p := openHere(t, `module:provides("roster", { fetch = function(username) if username == "bad" then error("x") end return {} end })`, true)
	fetch := func(user string) { _, _ = fetchFor(t.Context(), p, user) }
	first := p.idle[0]
	fetch("good")
	if len(p.idle) != 1 || p.idle[0] != first {
		t.Error("the machine is not used again")
	}
	fetch("bad")
	if len(p.idle) != 0 {
		t.Error("the machine is used again after an error")
	}
	fetch("good")
	second := p.idle[0]
	second.calls = maxCalls - 1
	fetch("good")
	if len(p.idle) != 0 {
		t.Error("the machine is used for ever")
	}
	for range maxIdle + 5 {
		p.put(newMachine(p))
	}
	if len(p.idle) != maxIdle {
		t.Errorf("%d machines wait", len(p.idle))
	}
	if openHere(t, `module:provides("roster", { fetch = print })`, false).limits.HeapBytes == 0 {
		t.Error("nobody watches the memory of a script from outside")
	}
}

// What ends the loading of a script is said with one place.
func TestLoadErrorPlaces(t *testing.T) {
	p := &Plugin{file: "mod_test.lua"}
	at := vm.Place{File: "mod_test.lua", Line: 3}
	for want, err := range map[string]error{
		"mod_test.lua:3: instruction limit reached": &vm.StopError{Place: at, Err: vm.ErrInstructions},
		"mod_test.lua:3: x":                         &vm.RuntimeError{Place: at, Msg: "x"},
		"mod_test.lua: instruction limit reached":   &vm.StopError{Err: vm.ErrInstructions},
		"mod_test.lua: x":                           errors.New("x"),
	} {
		if got := p.loadError(err).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
