package lua

import (
	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins"
)

// refreshRosters is module:refresh_rosters({ names }): it has these users' rosters fetched anew, waits until all who are
// online know what changed, and returns { updated, errors }. A fetch cannot wait for fetches: it is for handlers of
// requests and for timers.
func (m *machine) refreshRosters(l *glua.LState) int {
	m.waiting(l, "module:refresh_rosters")
	c := m.call
	if c.work != plugins.WorkHTTP && c.work != plugins.WorkTimer {
		l.RaiseError("module:refresh_rosters is for handlers of HTTP requests and for timers: the roster of a user is being fetched")
	}
	t := l.CheckTable(2)
	n := t.MaxN()
	users := make([]string, 0, n)
	for i := 1; i <= n; i++ {
		name, ok := t.RawGetInt(i).(glua.LString)
		if !ok {
			l.RaiseError("module:refresh_rosters: item %d is a %s, not the name of a user", i, t.RawGetInt(i).Type())
		}
		users = append(users, string(name))
	}
	if n == 0 && t.Len() == 0 {
		if k, _ := t.Next(glua.LNil); k != glua.LNil {
			l.RaiseError("module:refresh_rosters: a table with the key %s where a list of names is expected", k.String())
		}
	}
	start := m.plugin.svc.Now()
	did, err := m.plugin.svc.Refresh(c.ctx, users)
	c.waited += m.plugin.svc.Now().Sub(start)
	if err != nil {
		c.httpErr = err // if time ran out, it was not the script's doing
		l.Push(glua.LNil)
		l.Push(glua.LString("temporary"))
		l.Push(glua.LString(err.Error()))
		return 3
	}
	out := l.CreateTable(0, 2)
	out.RawSetString("updated", glua.LNumber(did.Updated))
	out.RawSetString("errors", glua.LNumber(did.Errors))
	l.Push(out)
	return 1
}
