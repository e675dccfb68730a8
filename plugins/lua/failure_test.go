package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
	"rosterd/plugins/lua/vm"
)

// clock is services without any backend, at a given time.
type clock struct{ now time.Time }

func (clock) HTTP(context.Context, plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	return nil, errors.New("no backend")
}
func (clock) Log(context.Context, slog.Level, string, ...any) {}
func (c clock) Now() time.Time                                { return c.now }
func (clock) Close()                                          {}

func openHere(t *testing.T, code string, shipped bool) *Plugin {
	t.Helper()
	src := plugins.Source{Name: "test", File: "mod_test.lua", Code: []byte(code), Shipped: shipped}
	p, err := Open(t.Context(), src, "example.com", plugins.NewOptions(nil), clock{time.Unix(100, 0)})
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

func TestInstructionLimit(t *testing.T) {
	p := openHere(t, `module:provides("roster", { fetch = function() while true do end end })`, true)
	p.limits.Instructions = 10_000
	m, err := p.get()
	if err != nil {
		t.Fatal(err)
	}
	m.close() // it has the old limits
	_, err = p.Fetch(t.Context(), engine.Request{User: addr.MustBare("jim@example.com")})
	var fault *engine.FaultError
	if !errors.As(err, &fault) || fault.Kind != "instructions" || !strings.Contains(err.Error(), "mod_test.lua:1: ") {
		t.Errorf("error %v", err)
	}
}

// Machines are kept for the next call, but not after an error, nor for ever.
func TestMachines(t *testing.T) {
	p := openHere(t, `module:provides("roster", { fetch = function(username) if username == "bad" then error("x") end return {} end })`, true)
	fetch := func(user string) {
		_, _ = p.Fetch(t.Context(), engine.Request{User: addr.MustBare(user + "@example.com")})
	}
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

// The tag is kept with rosters: it holds no password.
func TestTagWithoutUserinfo(t *testing.T) {
	for in, want := range map[string]string{
		"http://jim:secret@localhost/%s":    "http://localhost/%s",
		"http://jim:s@cret@localhost/a@b/c": "http://localhost/a@b/c",
		"http://localhost/a@b":              "http://localhost/a@b",
		"jim@example.com":                   "jim@example.com",
	} {
		if got := withoutUserinfo(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if withoutUserinfo(int64(5)) != int64(5) {
		t.Error("a number is changed")
	}
}
