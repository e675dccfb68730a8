package lua

import (
	"context"
	"errors"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
)

// Card runs the script's vcard function.
func (p *Plugin) Card(ctx context.Context, user addr.Bare) (card engine.Card, err error) {
	if !p.info.Card {
		return p.Nothing.Card(ctx, user)
	}
	c := &call{work: plugins.WorkCard, request: engine.Request{User: user}}
	var refusal error
	if err := p.run(ctx, c, func(m *machine, l *glua.LState) (err error) {
		card, refusal, err = m.card(l)
		return err
	}); err != nil {
		return engine.Card{}, err
	}
	return card, refusal
}

// card gives what the script says of a user, or why it says nothing, or an error if that cannot be read.
func (m *machine) card(l *glua.LState) (card engine.Card, refusal, err error) {
	c := m.call
	if c.vcard == nil {
		return card, nil, m.changed(`vcard in module:provides("roster")`)
	}
	user := c.request.User
	asked := l.CreateTable(0, 3)
	asked.RawSetString("username", glua.LString(user.Local()))
	asked.RawSetString("host", glua.LString(user.Domain()))
	asked.RawSetString("jid", glua.LString(user.String()))
	r, err := m.invoke(l, "vcard", c.vcard, asked)
	if err == nil {
		err = m.early("vcard")
	}
	if err != nil {
		return card, nil, err
	}
	switch t := r[0].(type) {
	case *glua.LTable:
		if res := c.response(t); res != nil {
			card, refusal = res.Card(user, m.plugin.svc.Now())
			return card, refusal, nil
		}
		doc, err := m.appendJSON(nil, t, 0)
		if err != nil {
			return card, nil, wrong("vcard returned what cannot be written as JSON: %v", err)
		}
		card, refusal = plugins.Card(user, doc)
		return card, refusal, nil
	case *glua.LNilType:
		out, err := m.refused(l, "vcard", r)
		if errors.Is(out.err, engine.ErrUnknownUser) {
			return card, nil, nil
		}
		return card, out.err, err
	}
	return card, nil, wrong("vcard returned a %s where a table, an HTTP response or nil are expected", r[0].Type())
}
