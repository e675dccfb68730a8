package lua

import (
	"fmt"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine/roster"
)

// contacts reads a list of { jid, name, subscription, groups, ask, approved }, or a table from JIDs to such
// items as in the standard form. A wrong shape is the script's mistake and ends the call, since half a roster
// looks like contacts removed; a value that no roster can hold, such as a malformed JID, costs that contact alone.
func (m *machine) contacts(b *roster.Builder, t *glua.LTable) error {
	n := t.MaxN()
	var err error
	count := 0
	t.ForEach(func(k, v glua.LValue) {
		if err != nil {
			return
		}
		if count++; m.plugin.contacts.Items > 0 && count > m.plugin.contacts.Items {
			err = fmt.Errorf("more than %d contacts", m.plugin.contacts.Items)
			return
		}
		switch k := k.(type) {
		case glua.LNumber:
			err = m.listed(b, place{index: k}, v)
		case glua.LString:
			if n > 0 {
				err = fmt.Errorf("a table that is both a list and a map: it has the key %q", string(k))
				return
			}
			err = m.mapped(b, place{jid: string(k)}, v)
		default:
			err = fmt.Errorf("a table with a %s as a key", k.Type())
		}
	})
	if err == nil && n > 0 && count != n {
		err = fmt.Errorf("a list with holes: %d items, the last is items[%d]", count, n)
	}
	return err
}

// place is where in the result something stands.
type place struct {
	index glua.LNumber // in a list, from 1
	jid   string       // in a map
}

func (p place) wrong(field, format string, args ...any) error {
	key := p.index.String()
	if p.index == 0 {
		key = fmt.Sprintf("%q", p.jid)
	}
	return fmt.Errorf("items[%s]%s: %s", key, field, fmt.Sprintf(format, args...))
}

func (m *machine) listed(b *roster.Builder, p place, v glua.LValue) error {
	t, ok := v.(*glua.LTable)
	if !ok {
		return p.wrong("", "a %s, not a table", v.Type())
	}
	jid, ok := t.RawGetString("jid").(glua.LString)
	if !ok {
		return p.wrong(".jid", "a %s, not a string", t.RawGetString("jid").Type())
	}
	return m.item(b, p, string(jid), t)
}

// mapped items may be without any data, as in the standard form.
func (m *machine) mapped(b *roster.Builder, p place, v glua.LValue) error {
	switch t := v.(type) {
	case glua.LString:
		b.Add(p.jid, roster.Item{Subscription: roster.Both})
		return nil
	case *glua.LTable:
		if t.MaxN() > 0 {
			return p.wrong("", "a list, not a contact")
		}
		return m.item(b, p, p.jid, t)
	}
	return p.wrong("", "a %s, not a table", v.Type())
}

func (m *machine) item(b *roster.Builder, p place, jid string, t *glua.LTable) (err error) {
	i := roster.Item{Subscription: roster.Both}
	if i.Name, err = m.text(p, ".name", t.RawGetString("name")); err != nil {
		return err
	}
	word, err := m.text(p, ".subscription", t.RawGetString("subscription"))
	if err != nil {
		return err
	}
	if word != "" {
		if i.Subscription, err = roster.ParseSubscription(word); err != nil {
			return p.wrong(".subscription", "%q is none of none, to, from, both", word)
		}
	}
	if i.Groups, err = m.groups(p, t.RawGetString("groups")); err != nil {
		return err
	}
	if i.Ask, err = m.flag(p, ".ask", t.RawGetString("ask"), "subscribe"); err != nil {
		return err
	}
	if i.Approved, err = m.flag(p, ".approved", t.RawGetString("approved"), "true"); err != nil {
		return err
	}
	b.Add(jid, i)
	return nil
}

// absent is nil, or null out of JSON.
func (m *machine) absent(v glua.LValue) bool {
	t, ok := v.(*glua.LTable)
	return v == glua.LNil || ok && t.Metatable == m.null
}

func (m *machine) text(p place, field string, v glua.LValue) (string, error) {
	switch v.(type) {
	case glua.LString, glua.LNumber:
		return v.String(), nil
	}
	if m.absent(v) {
		return "", nil
	}
	return "", p.wrong(field, "a %s, not a string", v.Type())
}

func (m *machine) flag(p place, field string, v glua.LValue, word string) (bool, error) {
	switch t := v.(type) {
	case glua.LBool:
		return bool(t), nil
	case glua.LString:
		if string(t) == word {
			return true, nil
		}
		return false, p.wrong(field, "%q is neither true, false nor %q", string(t), word)
	}
	if m.absent(v) {
		return false, nil
	}
	return false, p.wrong(field, "a %s, not true or false", v.Type())
}

// groups are a list of names, or a table whose keys are the names, as Prosody keeps them.
func (m *machine) groups(p place, v glua.LValue) (groups []string, err error) {
	if m.absent(v) {
		return nil, nil
	}
	t, ok := v.(*glua.LTable)
	if !ok {
		return nil, p.wrong(".groups", "a %s, not a table", v.Type())
	}
	t.ForEach(func(k, v glua.LValue) {
		switch k := k.(type) {
		case glua.LString:
			groups = append(groups, string(k))
		case glua.LNumber:
			g, e := m.text(p, ".groups", v)
			if e != nil {
				err = p.wrong(".groups["+k.String()+"]", "a %s, not a string", v.Type())
			}
			groups = append(groups, g)
		default:
			err = p.wrong(".groups", "a table with a %s as a key", k.Type())
		}
	})
	return groups, err
}
