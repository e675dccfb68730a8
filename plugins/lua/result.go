package lua

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine"
	"rosterd/engine/roster"
	"rosterd/plugins"
	"rosterd/plugins/lua/vm"
)

// outcome is what a call came to: a response to be read here, contacts, or a failure that the script names.
type outcome struct {
	res     *plugins.HTTPResponse // of which revision the answer is; nil if unknown
	status  int                   // of res, as the script left it
	body    []byte
	native  bool // body is the standard form
	roster  roster.Roster
	dropped []roster.BadItem
	kept    keeping
	err     error
}

// keeping is what a script says of contacts that it returns as a table.
type keeping struct {
	rev       string
	maxAge    time.Duration
	unchanged bool
}

// protocolError is a result of the wrong shape.
type protocolError struct{ msg string }

func (e *protocolError) Error() string { return e.msg }

func wrong(format string, args ...any) error {
	return &protocolError{brief(fmt.Sprintf(format, args...))}
}

// brief cuts what a script says to what is fit for a line in the log.
func brief(text string) string {
	const most = 1024
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// fetch calls the script's functions and reads what they return.
func (m *machine) fetch(l *glua.LState) (outcome, error) {
	c := m.call
	switch {
	case len(c.hooks) > 0:
		return m.rosterLoad(l)
	case c.fetch == nil:
		return outcome{}, m.changed(`module:provides("roster")`)
	}
	user := c.request.User
	req := object(l, m.asked)
	r, err := m.invoke(l, "fetch", c.fetch, glua.LString(user.Local()), req)
	if err != nil {
		return outcome{}, err
	}
	out, err := m.read(l, "fetch", r)
	if err != nil || !out.native || out.status != http.StatusOK || c.mapBody == nil {
		return out, err
	}
	body, err := m.decode(l, out.body)
	if err != nil {
		return outcome{err: &engine.TemporaryError{Err: fmt.Errorf("%s: %w", out.res, err)}}, nil
	}
	res := out.res
	c.mapped = res
	if r, err = m.invoke(l, "map", c.mapBody, body, glua.LString(user.Local()), req); err != nil {
		return outcome{}, err
	}
	out, err = m.read(l, "map", r)
	if err == nil && out.native {
		return outcome{}, wrong("map returned an HTTP response, not contacts")
	}
	out.res, out.status = res, http.StatusOK
	return out, err
}

// buildAsked makes the metatable of what a script is asked, { host, jid, reason, rev }: most scripts look at one of them
// or none, and a table of four names is a fair part of what a call costs.
func (m *machine) buildAsked(l *glua.LState) {
	m.asked = m.meta("__index", l.NewFunction(func(l *glua.LState) int {
		l.Push(m.askedField(l.Get(2).String()))
		return 1
	}))
	m.asked.RawSetString("__pairs", l.NewFunction(func(l *glua.LState) int {
		t := l.CheckTable(1)
		m.fillAsked(t)
		l.Push(l.G.Global.RawGetString("next"))
		l.Push(t)
		return 2
	}))
}

// next is Lua's next, which also finds what a script is asked.
func (m *machine) next(l *glua.LState, lua glua.LValue) *glua.LFunction {
	f := lua.(*glua.LFunction).GFunction
	return l.NewFunction(func(l *glua.LState) int {
		if t, ok := l.Get(1).(*glua.LTable); ok && t.Metatable == m.asked {
			m.fillAsked(t)
		}
		return f(l)
	})
}

func (m *machine) askedField(name string) glua.LValue {
	switch r := &m.call.request; name {
	case "host":
		return glua.LString(r.User.Domain())
	case "jid":
		return glua.LString(r.User.String())
	case "reason":
		return glua.LString(r.Reason)
	case "rev":
		return orNil(m.call.rev)
	}
	return glua.LNil
}

// fillAsked makes a table like any other of what a script is asked.
func (m *machine) fillAsked(t *glua.LTable) {
	t.Metatable = glua.LNil
	for _, name := range []string{"host", "jid", "reason", "rev"} {
		if t.RawGetString(name) == glua.LNil { // else the script has set it
			t.RawSetString(name, m.askedField(name))
		}
	}
}

// results of a Lua function: what it returns, why it returns nothing, and more about that.
type results [3]glua.LValue

// invoke calls a function of the script. If it returns a promise, what that comes to counts; a promise that is rejected
// with a text is nil, "temporary" and that text.
func (m *machine) invoke(l *glua.LState, name string, f *glua.LFunction, args ...glua.LValue) (results, error) {
	m.call.in = f
	r := m.invokePlain(l, f, args...)
	if t, ok := r[0].(*glua.LTable); ok && m.isPromise(t) {
		r, _, err := m.settled(l, name, t)
		return r, err
	}
	return r, nil
}

func (m *machine) invokePlain(l *glua.LState, f *glua.LFunction, args ...glua.LValue) (r results) {
	l.Push(f)
	for _, a := range args {
		l.Push(a)
	}
	l.Call(len(args), len(r))
	for i := range r {
		r[i] = l.Get(i - len(r))
	}
	l.Pop(len(r))
	return r
}

// ask is invoke for work that is not about a user: nil, "temporary", text is a refusal, and so is a promise that is
// rejected, unless with a number.
func (m *machine) ask(l *glua.LState, name string, f *glua.LFunction, args ...glua.LValue) (r results, refusal, err error) {
	m.call.in = f
	r = m.invokePlain(l, f, args...)
	rejected := false
	if t, ok := r[0].(*glua.LTable); ok && m.isPromise(t) {
		if r, rejected, err = m.settled(l, name, t); err != nil {
			return r, nil, err
		}
	}
	if status, ok := r[2].(glua.LNumber); ok && rejected {
		return results{status, glua.LNil, glua.LNil}, nil, nil
	}
	if rejected || r[0] == glua.LNil && (r[1] == glua.LString("temporary") || m.failedRequest(r[1]) != nil) {
		out, err := m.refused(l, name, r)
		return r, out.err, err
	}
	return r, nil, nil
}

func (m *machine) read(l *glua.LState, function string, r results) (outcome, error) {
	switch t := r[0].(type) {
	case *glua.LTable:
		if res := m.call.response(t); res != nil {
			return responseOutcome(t, res)
		}
		if t.Metatable == m.request {
			return outcome{}, wrong("%s returned an HTTP request, not its response: that comes to the callback", function)
		}
		if m.absent(t) {
			return outcome{}, wrong("%s returned a null out of JSON where contacts are expected", function)
		}
		if err := m.early(function); err != nil {
			return outcome{}, err
		}
		if t.RawGetString("unchanged") == glua.LTrue {
			return m.unchanged(function)
		}
		b := roster.NewBuilder(m.call.request.User, m.plugin.contacts)
		if err := m.contacts(b, t); err != nil {
			return outcome{}, wrong("%s returned %v", function, err)
		}
		out, err := built(b, function+" returned")
		if err == nil {
			out.kept, err = keepingOf(function, r[1])
		}
		return out, err
	case *glua.LNilType:
		if r[1] == glua.LNil {
			if err := m.early(function); err != nil {
				return outcome{}, err
			}
		}
		return m.refused(l, function, r)
	}
	return outcome{}, wrong("%s returned a %s where contacts, an HTTP response or nil are expected", function, r[0].Type())
}

// responseOutcome honours what a script changed in the response that it hands back.
func responseOutcome(t *glua.LTable, res *plugins.HTTPResponse) (outcome, error) {
	out := outcome{res: res, native: true, status: res.Status, body: res.Body}
	switch code := t.RawGetString("code").(type) {
	case *glua.LNilType: // never looked at
	case glua.LNumber:
		out.status = int(code)
	default:
		return outcome{}, wrong("fetch returned an HTTP response whose code is a %s", code.Type())
	}
	switch body := t.RawGetString("body").(type) {
	case *glua.LNilType: // never looked at
	case glua.LString:
		if string(body) != string(res.Body) {
			out.body = []byte(body)
		}
	default:
		return outcome{}, wrong("fetch returned an HTTP response whose body is a %s", body.Type())
	}
	return out, nil
}

// unchanged is what fetch returns if the backend says that the revision that it was given still holds.
func (m *machine) unchanged(function string) (outcome, error) {
	if m.call.rev == "" {
		return outcome{}, wrong("%s returned unchanged = true, but was given no req.rev", function)
	}
	return outcome{kept: keeping{rev: m.call.rev, unchanged: true}}, nil
}

// keepingOf reads what follows contacts: { rev = "…", max_age = seconds }.
func keepingOf(function string, v glua.LValue) (k keeping, err error) {
	t, ok := v.(*glua.LTable)
	if !ok {
		return k, nil
	}
	t.ForEach(func(name, v glua.LValue) {
		switch name.String() {
		case "rev":
			s, ok := v.(glua.LString)
			if !ok || len(s) > maxRev {
				err = wrong("%s returned a rev that is no string of up to %d bytes but a %s", function, maxRev, v.Type())
			}
			k.rev = string(s)
		case "max_age":
			n, ok := v.(glua.LNumber)
			if !ok || !(n >= 0 && float64(n) <= maxDelay.Seconds()) {
				err = wrong("%s returned max_age = %s, not a number of seconds up to a year", function, shown(v))
			}
			k.maxAge = time.Duration(float64(n) * float64(time.Second))
		default:
			err = wrong("%s returned, after the contacts, a table with %s: only rev and max_age are known", function, name.String())
		}
	})
	return k, err
}

// maxRev bounds the revision that a script names, which is kept with the roster.
const maxRev = 1024

// reasons are why there is no roster.
var reasons = map[string]bool{"not-found": true, "denied": true, "temporary": true}

// failedRequest is the error of the last request that failed, if v is its text.
func (m *machine) failedRequest(v glua.LValue) error {
	if s, ok := v.(glua.LString); ok && m.call.httpErr != nil && m.call.httpErr.Error() == string(s) {
		return m.call.httpErr
	}
	return nil
}

// refused reads nil, "not-found" | "temporary" | "denied", text.
func (m *machine) refused(l *glua.LState, function string, r results) (outcome, error) {
	word, _ := r[1].(glua.LString)
	text := ""
	if r[2] != glua.LNil {
		text = brief(l.ToStringMeta(r[2]).String())
	}
	switch word {
	case "not-found":
		return outcome{err: because(engine.ErrUnknownUser, text)}, nil
	case "denied":
		return outcome{err: because(engine.ErrDenied, text)}, nil
	case "temporary":
		err := m.failedRequest(r[2])
		if err == nil {
			err = errors.New(text)
		}
		if text == "" {
			err = fmt.Errorf("%s says that the %s cannot be had now", m.plugin.file, m.call.work)
		}
		return outcome{err: &engine.TemporaryError{Err: err}}, nil
	}
	if err := m.failedRequest(r[1]); err != nil { // return http.request(…)
		return outcome{err: &engine.TemporaryError{Err: err}}, nil
	}
	if r[1] == glua.LNil {
		return outcome{}, wrong(`%s returned nil without a reason: nil, "not-found" or "temporary" or "denied", text`, function)
	}
	return outcome{}, wrong(`%s returned nil, %q: the reason must be "not-found", "temporary" or "denied"`, function, brief(l.ToStringMeta(r[1]).String()))
}

func because(err error, text string) error {
	if text == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, text)
}

// answer turns an outcome into the engine's terms.
func (p *Plugin) answer(c *call, out outcome) (engine.Answer, error) {
	if out.err != nil {
		return engine.Answer{}, out.err
	}
	a := engine.Answer{Roster: out.roster, Dropped: out.dropped, MaxAge: out.kept.maxAge, Unchanged: out.kept.unchanged}
	if out.kept.rev != "" {
		a.Rev = p.tag + ":" + out.kept.rev
	}
	if out.res != nil {
		f := out.res.Freshness()
		a.MaxAge, a.StaleIfError, a.Bounded = f.MaxAge, f.StaleIfError, f.Bounded
		if out.res.Revision != "" {
			a.Rev = p.tag + ":" + out.res.Revision
		}
	}
	if !out.native {
		return a, nil
	}
	switch {
	case out.status == http.StatusOK:
		var err error
		a.Roster, a.Dropped, err = roster.DecodeNext(c.request.Last, c.request.User, out.body, p.contacts)
		if err != nil {
			return engine.Answer{}, &engine.TemporaryError{Err: fmt.Errorf("%s: %w", out.res, err)}
		}
		return a, nil
	case out.status == http.StatusNotModified && c.rev != "":
		a.Unchanged = true
		return a, nil
	}
	res := *out.res
	res.Status = out.status
	return engine.Answer{}, res.NoRoster(p.svc.Now())
}

// failure says whose fault it was that a call ended early: the script's, the backend's, or the caller's who
// no longer wants the answer.
func (p *Plugin) failure(ctx context.Context, c *call, err error) error {
	where := fmt.Errorf("%s: %s: %w", p.file, p.subject(c), err)
	var wrongResult *protocolError
	var raised *vm.RuntimeError
	switch {
	case errors.As(err, &wrongResult):
		if c.in != nil && !c.in.IsG {
			where = fmt.Errorf("%w (the function at %s:%d)", where, p.file, c.in.Proto.LineDefined)
		}
		return c.mistake("protocol", where)
	case errors.Is(err, vm.ErrInstructions):
		return &engine.FaultError{Kind: "instructions", Err: where}
	case errors.Is(err, vm.ErrMemory):
		return &engine.FaultError{Kind: "memory", Err: where}
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return p.late(ctx, c, where)
	case errors.As(err, &raised):
		if ud, ok := raised.Value.(*glua.LUserData); ok {
			if t, ok := ud.Value.(thrown); ok {
				return t.err
			}
		}
	}
	return c.mistake("trap", where)
}

// mistake is an error in a script, or a result of the wrong shape. All that map does is to read an answer: what goes wrong there is
// taken for an answer that is not as agreed.
func (c *call) mistake(kind string, err error) error {
	if c.mapped != nil {
		return &engine.TemporaryError{Err: fmt.Errorf("%s: %w", c.mapped, err)}
	}
	return &engine.FaultError{Kind: kind, Err: err}
}

// late is a call that its context ended: in a request, or in Lua. A backend that took most of the time for its
// answers is to blame even where the script was left no time for the rest.
func (p *Plugin) late(ctx context.Context, c *call, err error) error {
	if ctx.Err() != nil && c.httpErr != nil && errors.Is(c.httpErr, ctx.Err()) {
		return &engine.TemporaryError{Err: c.httpErr}
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if took := p.svc.Now().Sub(c.started); c.waited > took/2 {
		return &engine.TemporaryError{Err: fmt.Errorf("%w: of %v the backend took %v", err, took, c.waited)}
	}
	return &engine.FaultError{Kind: "deadline", Err: err}
}
