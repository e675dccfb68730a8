package lua

import (
	"context"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine"
	"rosterd/plugins"
)

// Edit runs the script's edit function.
func (p *Plugin) Edit(ctx context.Context, e engine.Edit) error {
	if !p.info.Edit {
		return p.Nothing.Edit(ctx, e)
	}
	c := &call{work: plugins.WorkEdit, request: engine.Request{User: e.User}, rev: p.heldRevision(e.Rev)}
	var verdict error
	err := p.run(ctx, c, func(m *machine, l *glua.LState) (err error) {
		verdict, err = m.edit(l, e)
		return err
	})
	if err != nil {
		return err
	}
	return verdict
}

// edit gives what the script says has become of an edit, or an error if it says nothing.
func (m *machine) edit(l *glua.LState, e engine.Edit) (verdict, err error) {
	c := m.call
	if c.change == nil {
		return nil, m.changed(`edit in module:provides("roster")`)
	}
	r, err := m.invoke(l, "edit", c.change, glua.LString(e.User.Local()), m.wish(l, e))
	if err == nil {
		err = m.early("edit")
	}
	if err != nil {
		return nil, err
	}
	switch t := r[0].(type) {
	case *glua.LTable:
		if res := c.response(t); res != nil {
			return res.Edited(m.plugin.svc.Now()), nil
		}
		return nil, wrong("edit returned a table that is no HTTP response")
	case *glua.LNilType:
		return m.vetoed(l, r)
	}
	if r[0] == glua.LTrue {
		return nil, nil
	}
	return nil, wrong("edit returned a %s, not true, nil or an HTTP response", r[0].Type())
}

// vetoed reads nil, "denied" | "not-found" | "temporary", text.
func (m *machine) vetoed(l *glua.LState, r results) (verdict, err error) {
	text := ""
	if r[2] != glua.LNil {
		text = l.ToStringMeta(r[2]).String()
	}
	switch r[1] {
	case glua.LString("denied"):
		return plugins.Veto(text), nil
	case glua.LString("not-found"):
		return because(engine.ErrNoItem, brief(text)), nil
	}
	out, err := m.refused(l, "edit", r)
	return out.err, err
}

// wish is what a script is told of an edit.
func (m *machine) wish(l *glua.LState, e engine.Edit) *glua.LTable {
	t := l.CreateTable(0, 12)
	set := func(name, value string) {
		if value != "" {
			t.RawSetString(name, glua.LString(value))
		}
	}
	set("id", e.ID)
	set("action", e.Action.Name())
	set("host", e.User.Domain())
	set("jid", e.User.String())
	set("contact", e.Contact.String())
	set("name", e.Item.Name)
	set("subscription", e.Item.Subscription.String())
	if e.Item.Ask {
		set("ask", "subscribe")
	}
	if e.Item.Approved {
		t.RawSetString("approved", glua.LTrue)
	}
	set("rev", m.call.rev)
	set("etag", plugins.StrongETag(m.call.rev))
	groups := l.CreateTable(len(e.Item.Groups), 0)
	for _, g := range e.Item.Groups {
		groups.Append(glua.LString(g))
	}
	t.RawSetString("groups", groups)
	return t
}
