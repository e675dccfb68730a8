package lua

import (
	"log/slog"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

// promise is util.promise as one call has it: what its promises have as metatable, and the function that makes one, with
// the functions that settle it.
type promise struct {
	meta    *glua.LTable
	pending *glua.LFunction
}

func init() {
	libraries["util.promise"] = &library{chunk: true, funcs: map[string]native{"introduce": (*machine).introducePromise, "rejected": (*machine).promiseRejected}}
	libraries["util.async"] = &library{chunk: true, funcs: map[string]native{"step": (*machine).asyncStep, "after": (*machine).asyncAfter, "ready": (*machine).asyncReady}}
}

// introducePromise is how the library makes itself known.
func (m *machine) introducePromise(l *glua.LState) int {
	m.call.promise = &promise{l.CheckTable(1), l.CheckFunction(2)}
	return 0
}

// newPromise makes a promise that Go code settles.
func (m *machine) newPromise(l *glua.LState) (p *glua.LTable, resolve, reject *glua.LFunction) {
	if m.call.promise == nil {
		m.library(l, "util.promise")
	}
	r := m.invokePlain(l, m.call.promise.pending)
	return r[0].(*glua.LTable), r[1].(*glua.LFunction), r[2].(*glua.LFunction)
}

// promiseRejected is told of a promise that is rejected before anybody looks at it, which he may do later.
func (m *machine) promiseRejected(l *glua.LState) int {
	if c := m.call; len(c.alone) < maxLines {
		c.alone = append(c.alone, l.CheckTable(1))
	}
	return 0
}

// uncaught finds promises that were rejected and that nobody has looked at when the call ends. An error in a handler is the
// call's; whatever else there is, is for the log.
func (m *machine) uncaught(l *glua.LState) error {
	for _, p := range m.call.alone {
		reason := p.RawGetString("reason")
		switch {
		case p.RawGetString("_seen") == glua.LTrue:
		case p.RawGetString("_raised") == glua.LTrue:
			return raisedBy(l, reason)
		default:
			m.log(slog.LevelWarn, "nobody catches a promise that is rejected: "+l.ToStringMeta(reason).String())
		}
	}
	return nil
}

func raisedBy(l *glua.LState, reason glua.LValue) error {
	return &vm.RuntimeError{Msg: l.ToStringMeta(reason).String(), Value: reason}
}

func (m *machine) isPromise(t *glua.LTable) bool {
	return m.call.promise != nil && t.Metatable == m.call.promise.meta
}

// settled waits for a promise. One that is rejected with a text is nil, "temporary" and that text, and with one of the
// reasons of fetch nil and that; one of which a handler raised an error raises it here.
func (m *machine) settled(l *glua.LState, function string, p *glua.LTable) (r results, rejected bool, err error) {
	r = results{glua.LNil, glua.LNil, glua.LNil}
	p.RawSetString("_seen", glua.LTrue)
	for {
		switch p.RawGetString("_state") {
		case glua.LString("fulfilled"):
			return results{p.RawGetString("value"), p.RawGetString("_why"), p.RawGetString("_text")}, false, nil
		case glua.LString("rejected"):
			reason := p.RawGetString("reason")
			if p.RawGetString("_raised") == glua.LTrue {
				return r, true, raisedBy(l, reason)
			}
			if s, ok := reason.(glua.LString); ok && reasons[string(s)] {
				return results{glua.LNil, s, glua.LNil}, true, nil
			}
			return results{glua.LNil, glua.LString("temporary"), reason}, true, nil
		}
		if !m.step(l) {
			return r, false, wrong("%s returned a promise that can never be settled: no HTTP request and no timer is under way", function)
		}
	}
}

// asyncStep waits for the next thing to happen. What waits for nothing would wait for ever.
func (m *machine) asyncStep(l *glua.LState) int {
	what := l.CheckString(1)
	m.waiting(l, what)
	if !m.step(l) {
		l.RaiseError("%s waits for what can never come: no HTTP request and no timer is under way", what)
	}
	return 0
}

// asyncAfter calls a function later in this call.
func (m *machine) asyncAfter(l *glua.LState) int {
	m.waiting(l, "async.sleep")
	f := l.CheckFunction(2)
	m.arm(l, &timer{f: func(l *glua.LState, _ *timer) { m.invokePlain(l, f) }}, seconds(l, "async.sleep", l.CheckNumber(1)))
	return 0
}

func (m *machine) asyncReady(l *glua.LState) int {
	l.Push(glua.LBool(m.call.running))
	return 1
}
