package lua

import (
	"context"
	"fmt"
	"time"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins"
)

const (
	// maxTimers bounds the timers of a call, and those of a script.
	maxTimers = 64
	// maxDelay bounds how long they run.
	maxDelay = 366 * 24 * time.Hour
)

// schedule is a timer that the script itself sets. The server keeps it: the function is called in an environment of its
// own each time.
type schedule struct {
	first time.Duration
	f     *glua.LFunction
	args  []glua.LValue
}

// addTimer is module:add_timer(seconds, function, …).
func (m *machine) addTimer(l *glua.LState) int {
	c := m.call
	after := seconds(l, "module:add_timer", l.CheckNumber(2))
	f := l.CheckFunction(3)
	var args []glua.LValue
	for i := 4; i <= l.GetTop(); i++ {
		args = append(args, l.Get(i))
	}
	if !c.running {
		if len(c.schedules) == maxTimers {
			l.RaiseError("more than %d timers", maxTimers)
		}
		c.schedules = append(c.schedules, schedule{after, f, args})
		l.Push(m.timerHandle(l, nil))
		return 1
	}
	t := &timer{f: func(l *glua.LState, t *timer) {
		again := m.callNow(l, f, args)
		if d, ok := again.(glua.LNumber); ok {
			m.events().set(t, seconds(l, "the result of a timer", d))
		}
	}}
	m.arm(l, t, after)
	l.Push(m.timerHandle(l, t))
	return 1
}

func (m *machine) arm(l *glua.LState, t *timer, after time.Duration) {
	e := m.events()
	e.unset(t)
	if len(e.timers) == maxTimers {
		l.RaiseError("more than %d timers", maxTimers)
	}
	e.set(t, after)
}

// callNow calls a timer's function with the time. What it returns is its first result.
func (m *machine) callNow(l *glua.LState, f *glua.LFunction, args []glua.LValue) glua.LValue {
	return m.invokePlain(l, f, append([]glua.LValue{m.now()}, args...)...)[0]
}

// now is the time as Prosody gives it: seconds, with a fraction.
func (m *machine) now() glua.LNumber {
	return glua.LNumber(float64(m.plugin.svc.Now().UnixMicro()) / 1e6)
}

// seconds reads how long something is to take.
func seconds(l *glua.LState, what string, n glua.LNumber) time.Duration {
	if !(n >= 0 && float64(n) <= maxDelay.Seconds()) { // nor is it NaN
		l.RaiseError("%s: %s is no number of seconds from 0 to a year", what, n.String())
	}
	return time.Duration(float64(n) * float64(time.Second))
}

// Tick calls the function of a timer.
func (p *Plugin) Tick(ctx context.Context, timer int) (time.Duration, error) {
	if timer < 0 || timer >= len(p.info.Timers) {
		return p.Nothing.Tick(ctx, timer)
	}
	c := &call{work: plugins.WorkTimer, index: timer}
	var again time.Duration
	var refusal error
	err := p.run(ctx, c, func(m *machine, l *glua.LState) (err error) {
		again, refusal, err = m.tick(l)
		return err
	})
	if err != nil {
		return 0, err
	}
	return again, refusal
}

func (m *machine) tick(l *glua.LState) (again time.Duration, refusal, err error) {
	c := m.call
	if c.index >= len(c.schedules) {
		return 0, nil, m.changed(fmt.Sprintf("timer %d", c.index))
	}
	s := c.schedules[c.index]
	r, refusal, err := m.ask(l, "the function of a timer", s.f, append([]glua.LValue{m.now()}, s.args...)...)
	if err != nil || refusal != nil {
		return 0, refusal, err
	}
	m.finish(l)
	switch n := r[0].(type) {
	case *glua.LNilType:
		return 0, nil, nil
	case glua.LNumber:
		if !(n > 0 && float64(n) <= maxDelay.Seconds()) {
			return 0, nil, wrong("the function of a timer returned %s, not a number of seconds up to a year, or nil", n.String())
		}
		return time.Duration(float64(n) * float64(time.Second)), nil, nil
	}
	return 0, nil, wrong("the function of a timer returned a %s, not a number of seconds or nil", r[0].Type())
}

// timerHandle is what module:add_timer returns: a timer that can be stopped. One of the script itself is the server's.
func (m *machine) timerHandle(l *glua.LState, t *timer) *glua.LUserData {
	ud := l.NewUserData()
	ud.Value, ud.Metatable = t, m.timer
	return ud
}

func (m *machine) buildTimer(l *glua.LState) {
	methods := m.natives(l, map[string]native{
		"stop":   (*machine).stopTimer,
		"disarm": (*machine).stopTimer,
		"reschedule": func(m *machine, l *glua.LState) int {
			m.arm(l, m.timerArg(l, "reschedule"), seconds(l, "timer:reschedule", l.CheckNumber(2)))
			return 0
		},
	})
	methods.Metatable = m.meta("__index", m.absentIn(l, "timer:"))
	m.timer = m.meta("__index", methods)
}

func (m *machine) stopTimer(l *glua.LState) int {
	m.events().unset(m.timerArg(l, "stop"))
	return 0
}

func (m *machine) timerArg(l *glua.LState, method string) *timer {
	t, ok := l.CheckUserData(1).Value.(*timer)
	if !ok {
		l.ArgError(1, "a timer is expected")
	}
	if t == nil {
		l.RaiseError("%s", unavailable("timer:"+method+" of a timer that the script itself sets"))
	}
	return t
}
