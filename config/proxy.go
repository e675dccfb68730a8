package config

import (
	"fmt"
	"slices"

	lua "github.com/yuin/gopher-lua"
)

// An option that holds a table is read as a proxy, as in Prosody 13: it can be appended to and asked
// for its value. Changes by any other way are lost in Prosody; here they are reported.

// proxied is what a proxy stands for.
type proxied struct {
	section *draft
	name    string
	table   *lua.LTable
	pos     Pos // where the proxy was made
}

func (s *script) proxy(L *lua.LState, d *draft, name string, t *lua.LTable) *lua.LTable {
	p := proxied{section: d, name: name, table: t, pos: s.here(L)}
	self := L.NewTable()
	appendTo := L.NewFunction(func(L *lua.LState) int {
		s.appendTo(L, p, L.Get(2))
		L.Push(self)
		return 1
	})
	meta := L.NewTable()
	meta.RawSetString("__call", appendTo)
	meta.RawSetString("__index", L.NewFunction(func(L *lua.LState) int {
		switch k := L.Get(2).String(); k {
		case "append":
			L.Push(appendTo)
		case "value":
			L.Push(L.NewFunction(func(L *lua.LState) int { L.Push(t); return 1 }))
		case "values":
			L.Push(L.NewFunction(func(L *lua.LState) int { L.Push(values(L, t)); return 1 }))
		default:
			L.RaiseError("unknown config option operation: %q of %s; append, value and values are known", k, name)
		}
		return 1
	}))
	meta.RawSetString("__newindex", L.NewFunction(func(L *lua.LState) int {
		s.lost(s.here(L), name)
		return 0
	}))
	meta.RawSetString("__metatable", lua.LString("option"))
	self.Metatable = meta
	s.proxies[self] = p
	return self
}

// appendTo adds the entries of a list, or the pairs of a table that has no first entry.
func (s *script) appendTo(L *lua.LState, p proxied, arg lua.LValue) {
	more, ok := s.unproxy(arg).(*lua.LTable)
	if !ok {
		L.RaiseError("%s:append takes a table, not a %s", p.name, arg.Type())
	}
	pos := s.here(L)
	if l := p.section.live[p.name]; l != nil && l.value == p.table {
		if len(l.earlier) < maxEarlier {
			l.earlier = append(l.earlier, pos)
		}
		if o := s.outlines[pos.File]; o != nil {
			if from := o.called[place{pos.Line, p.name}]; len(l.from) < maxEarlier {
				l.from = slices.Concat(l.from, from)
			}
		}
		if s.secrets[pos] {
			s.secrets[l.pos] = true
		}
	}
	if more.RawGetInt(1) == lua.LNil {
		for k, v := more.Next(lua.LNil); k != lua.LNil; k, v = more.Next(k) {
			p.table.RawSet(k, v)
		}
		return
	}
	for i, n := 1, more.Len(); i <= n; i++ { // more may be p.table itself
		v := more.RawGetInt(i)
		if v == lua.LNil {
			break
		}
		p.table.Append(v)
	}
}

// values iterates over the entries of a table.
func values(L *lua.LState, t *lua.LTable) *lua.LFunction {
	var key lua.LValue = lua.LNil
	return L.NewFunction(func(L *lua.LState) int {
		var v lua.LValue
		if key, v = t.Next(key); key == lua.LNil {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(v)
		return 1
	})
}

// unproxy is the table behind a proxy, and any other value as it is.
func (ld *loader) unproxy(v lua.LValue) lua.LValue {
	if p, ok := ld.proxies[asTable(v)]; ok {
		return p.table
	}
	return v
}

func (ld *loader) lost(pos Pos, name string) {
	ld.diag(Warn, CodeLost, pos, name, fmt.Sprintf("this change of %s has no effect, in Prosody neither", name), fmt.Sprintf("write %s:append { … }", name))
}

// lostWrites finds what table.insert and its like have put into proxies.
func (ld *loader) lostWrites() {
	for t, p := range ld.proxies {
		if k, _ := t.Next(lua.LNil); k != lua.LNil {
			ld.lost(p.pos, p.name)
		}
	}
}
