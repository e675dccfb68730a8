package lua

import (
	"slices"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine/roster"
)

// hook is a function for an event of Prosody's that is known here, which is roster-load alone.
type hook struct {
	f        *glua.LFunction
	priority float64
}

// moduleHook is module:hook(event, function, priority).
func (m *machine) moduleHook(l *glua.LState) int {
	if event := l.CheckString(2); event != "roster-load" {
		l.RaiseError("%s", unavailable("event "+event))
	}
	m.script(l, "module:hook")
	h := hook{l.CheckFunction(3), float64(l.OptNumber(4, 0))}
	c := m.call
	i, _ := slices.BinarySearchFunc(c.hooks, h, func(other, h hook) int {
		if other.priority < h.priority {
			return 1
		}
		return -1 // of two of the same priority, the one that was hooked first
	})
	c.hooks = slices.Insert(c.hooks, i, h)
	return 0
}

// rosterLoad has the hooks fill a roster in the form in which Prosody keeps it in memory.
func (m *machine) rosterLoad(l *glua.LState) (outcome, error) {
	user := m.call.request.User
	contacts := l.CreateTable(0, 0)
	about := l.CreateTable(0, 2) // which in Prosody stands in every roster
	about.RawSetString("pending", l.CreateTable(0, 0))
	about.RawSetString("version", glua.LTrue)
	contacts.RawSetH(glua.LFalse, about)
	event := l.CreateTable(0, 3)
	event.RawSetString("username", glua.LString(user.Local()))
	event.RawSetString("host", glua.LString(user.Domain()))
	event.RawSetString("roster", contacts)
	for _, h := range m.call.hooks {
		r, err := m.invoke(l, "roster-load", h.f, event)
		if err != nil {
			return outcome{}, err
		}
		if r[0] != glua.LNil { // no other handler, as in Prosody
			break
		}
		if r[1] != glua.LNil {
			return m.refused(l, "roster-load", r)
		}
	}
	if err := m.early("roster-load"); err != nil {
		return outcome{}, err
	}
	contacts.RawSetH(glua.LFalse, glua.LNil)
	b := roster.NewBuilder(user, m.plugin.contacts)
	if err := m.contacts(b, contacts); err != nil {
		return outcome{}, wrong("roster-load left in event.roster %v", err)
	}
	return built(b, "roster-load left in event.roster")
}

func built(b *roster.Builder, where string) (outcome, error) {
	ro, dropped, err := b.Roster()
	if err != nil {
		return outcome{}, wrong("%s %v", where, err)
	}
	return outcome{roster: ro, dropped: dropped}, nil
}
