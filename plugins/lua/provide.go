package lua

import (
	"fmt"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins"
)

// supply is what a script provides. Calls find there what they are for; the rest is not looked at again.
type supply struct {
	fetch   *glua.LFunction
	change  *glua.LFunction // edit
	vcard   *glua.LFunction
	mapBody *glua.LFunction
	hooks   []hook // of roster-load

	testPassword *glua.LFunction
	getPassword  *glua.LFunction
	isEnabled    *glua.LFunction

	app, path string
	routes    []route

	schedules []schedule

	provided [3]bool // which kinds, by their places
}

// providers are the kinds of module:provides, and for which work each is looked at.
var providers map[string]provider

type provider struct {
	place int
	work  plugins.Work
	read  func(m *machine, l *glua.LState, t *glua.LTable)
}

func init() {
	providers = map[string]provider{
		"roster": {0, plugins.WorkRoster, (*machine).provideRoster},
		"auth":   {1, plugins.WorkAuth, (*machine).provideAuth},
		"http":   {2, plugins.WorkHTTP, (*machine).provideRoutes},
	}
}

// provides is module:provides(kind, { … }).
func (m *machine) provides(l *glua.LState) int {
	c := m.call
	kind := l.CheckString(2)
	p, ok := providers[kind]
	if !ok {
		l.RaiseError("%s", unavailable(fmt.Sprintf("module:provides(%q)", kind)))
	}
	m.script(l, "module:provides")
	if c.provided[p.place] {
		l.RaiseError("module:provides(%q) is called twice", kind)
	}
	c.provided[p.place] = true
	t := l.CheckTable(3)
	if c.loading() || c.work == p.work || p.work == plugins.WorkRoster && (c.work == plugins.WorkEdit || c.work == plugins.WorkCard) {
		p.read(m, l, t)
	}
	return 0
}

// script refuses what only the script itself may do, since it is read again for every call.
func (m *machine) script(l *glua.LState, what string) {
	if m.call.running {
		l.RaiseError("%s belongs into the script itself, not into a function that is called later", what)
	}
}

// functionOf is a field of what is provided, nil if it is not there.
func functionOf(l *glua.LState, kind string, t *glua.LTable, field string) *glua.LFunction {
	switch f := t.RawGetString(field).(type) {
	case *glua.LFunction:
		return f
	case *glua.LNilType:
	default:
		l.RaiseError("module:provides(%q): %s is a %s, not a function", kind, field, f.Type())
	}
	return nil
}

// known refuses fields of what is provided that mean nothing here.
func (m *machine) known(l *glua.LState, kind string, t *glua.LTable, fields map[string]bool) {
	if !m.call.loading() {
		return
	}
	t.ForEach(func(k, _ glua.LValue) {
		if !fields[k.String()] {
			l.RaiseError("%s", unavailable(fmt.Sprintf("field %s of module:provides(%q)", k.String(), kind)))
		}
	})
}

var rosterFields = names("fetch edit vcard map name")

func (m *machine) provideRoster(l *glua.LState, t *glua.LTable) {
	m.known(l, "roster", t, rosterFields)
	m.call.fetch = functionOf(l, "roster", t, "fetch")
	m.call.change = functionOf(l, "roster", t, "edit")
	m.call.vcard = functionOf(l, "roster", t, "vcard")
	m.call.mapBody = functionOf(l, "roster", t, "map")
	if m.call.fetch == nil {
		l.RaiseError("module:provides(%q): no function fetch", "roster")
	}
}

// info is what a script provides, once it has been loaded.
func (m *machine) info() (plugins.Info, error) {
	c := m.call
	info := plugins.Info{Roster: c.fetch != nil || len(c.hooks) > 0, Edit: c.change != nil, Card: c.vcard != nil, Auth: c.testPassword != nil || c.getPassword != nil, App: c.app, Path: c.path}
	if c.fetch != nil && len(c.hooks) > 0 {
		return info, fmt.Errorf(`the script has both module:provides("roster", …) and module:hook("roster-load", …)`)
	}
	for _, r := range c.routes {
		info.Routes = append(info.Routes, r.Route)
	}
	for _, s := range c.schedules {
		info.Timers = append(info.Timers, s.first)
	}
	if !info.Roster && !info.Auth && len(info.Routes) == 0 && len(info.Timers) == 0 {
		return info, fmt.Errorf(`the script never calls module:provides("roster", { fetch = … }), nor provides anything else`)
	}
	return info, nil
}

// changed is what is said of a script that does not provide what it provided when it was loaded.
func (m *machine) changed(what string) error {
	return wrong("the script, which is run anew for each call, does not provide %s this time, as it did when it was loaded", what)
}

// itemName is the name of what is provided: its own, or the module's without the kind, as in Prosody.
func (m *machine) itemName(l *glua.LState, kind string, t *glua.LTable) string {
	switch n := t.RawGetString("name").(type) {
	case glua.LString:
		return string(n)
	case *glua.LNilType:
	default:
		l.RaiseError("module:provides(%q): name is a %s, not a string", kind, n.Type())
	}
	return strings.TrimPrefix(m.plugin.name, kind+"_")
}
