package lua

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
)

// authFields are what Prosody's providers of authentication have. Only the first three are called: rosterd does SASL
// itself, and changes no passwords.
var authFields = names(`test_password get_password is_enabled name user_exists get_sasl_handler set_password create_user
	delete_user users enable disable get_account_info is_admin`)

func init() {
	// Providers name these in get_sasl_handler, which is not called.
	libraries["util.sasl"] = &library{funcs: map[string]native{"new": uncalled("util.sasl.new")}}
	libraries["core.usermanager"] = &library{funcs: map[string]native{
		"test_password": uncalled("core.usermanager.test_password"), "get_password": uncalled("core.usermanager.get_password"),
	}}
}

// uncalled is a function that may be named, so that what is never called can stay in a script.
func uncalled(name string) native {
	return func(_ *machine, l *glua.LState) int {
		l.RaiseError("%s (outside of get_sasl_handler, which rosterd does not call)", unavailable(name))
		return 0
	}
}

func (m *machine) provideAuth(l *glua.LState, t *glua.LTable) {
	m.known(l, "auth", t, authFields)
	m.call.testPassword = functionOf(l, "auth", t, "test_password")
	m.call.getPassword = functionOf(l, "auth", t, "get_password")
	m.call.isEnabled = functionOf(l, "auth", t, "is_enabled")
	if m.call.testPassword == nil && m.call.getPassword == nil {
		why := ""
		if t.RawGetString("get_sasl_handler") != glua.LNil {
			why = "; get_sasl_handler is not called, and what its plain_test does belongs there"
		}
		l.RaiseError("module:provides(%q): no function test_password%s", "auth", why)
	}
}

// Authenticate asks the script's test_password, or compares with what its get_password says.
func (p *Plugin) Authenticate(ctx context.Context, user addr.Bare, password string) error {
	if !p.info.Auth {
		return p.Nothing.Authenticate(ctx, user, password)
	}
	c := &call{work: plugins.WorkAuth, request: engine.Request{User: user}}
	var verdict error
	err := p.run(ctx, c, func(m *machine, l *glua.LState) (err error) {
		if verdict, err = m.authenticate(l, password); verdict == nil && err == nil {
			verdict, err = m.enabled(l)
		}
		return err
	})
	if err != nil {
		return err
	}
	return verdict
}

// authenticate gives the script's verdict, or an error if there is none.
func (m *machine) authenticate(l *glua.LState, password string) (verdict, err error) {
	c := m.call
	name := glua.LString(c.request.User.Local())
	switch {
	case c.testPassword != nil:
		r, err := m.invoke(l, "test_password", c.testPassword, name, glua.LString(password))
		if err == nil {
			err = m.early("test_password")
		}
		if err != nil {
			return nil, err
		}
		switch r[0] {
		case glua.LTrue:
			return nil, nil
		case glua.LFalse, glua.LNil:
			return m.turnedAway(l, "test_password", r)
		}
		return nil, wrong("test_password returned a %s, not true, false or nil", r[0].Type())
	case c.getPassword != nil:
		r, err := m.invoke(l, "get_password", c.getPassword, name)
		if err == nil {
			err = m.early("get_password")
		}
		if err != nil {
			return nil, err
		}
		switch known := r[0].(type) {
		case glua.LString:
			if !same(string(known), password) {
				return engine.ErrDenied, nil
			}
			return nil, nil
		case *glua.LNilType:
			return m.turnedAway(l, "get_password", r)
		}
		return nil, wrong("get_password returned a %s, not a string or nil", r[0].Type())
	}
	return nil, m.changed(`module:provides("auth")`)
}

// enabled asks whether the account of somebody who knows the password is in use. Accounts are, where nobody says.
func (m *machine) enabled(l *glua.LState) (verdict, err error) {
	c := m.call
	if c.isEnabled == nil {
		return nil, nil
	}
	r, err := m.invoke(l, "is_enabled", c.isEnabled, glua.LString(c.request.User.Local()))
	if err != nil {
		return nil, err
	}
	switch r[0] {
	case glua.LTrue:
		return nil, nil
	case glua.LFalse, glua.LNil:
		if r[1] == glua.LNil {
			r[1] = glua.LString("the account is disabled")
		}
		return m.turnedAway(l, "is_enabled", r)
	}
	return nil, wrong("is_enabled returned a %s, not true, false or nil", r[0].Type())
}

// same compares passwords in a time that says nothing about them.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// turnedAway reads why a user is not let in. Without a reason of fetch's it is denied, and what is said is the text.
func (m *machine) turnedAway(l *glua.LState, function string, r results) (error, error) {
	if word, ok := r[1].(glua.LString); ok && reasons[string(word)] || m.failedRequest(r[1]) != nil {
		out, err := m.refused(l, function, r)
		return out.err, err
	}
	text := ""
	if r[1] != glua.LNil {
		text = l.ToStringMeta(r[1]).String()
	}
	if why := m.call.outage(); why != nil {
		return &engine.TemporaryError{Err: because(why, text)}, nil
	}
	return because(engine.ErrDenied, text), nil
}

// outage is why a plain false says nothing of the password: of the requests of the call not one got an answer by a
// server that could give one (RFC 9110 §15.6). Many providers of Prosody's say false then too.
func (c *call) outage() error {
	if c.asked == 0 {
		return nil
	}
	why := c.httpErr
	for _, x := range c.sent {
		if x.res.Status < http.StatusInternalServerError {
			return nil
		}
		why = errors.New(x.res.String())
	}
	return why
}
