package lua

import (
	"strings"
	"time"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

// kept is what module:open_store returns: values that outlive the call. Those of a map stand under a user and a key.
type kept struct {
	name  string
	isMap bool
}

const storeSteps = 1000 // what a look into a store counts

// openStore is module:open_store(name, type).
func (m *machine) openStore(l *glua.LState) int {
	s := &kept{name: l.OptString(2, m.plugin.name)}
	switch kind := l.OptString(3, "keyval"); kind {
	case "keyval":
	case "map":
		s.isMap = true
	default:
		l.RaiseError("%s", unavailable("store of type "+kind))
	}
	ud := l.NewUserData()
	ud.Value, ud.Metatable = s, m.store
	l.Push(ud)
	return 1
}

func (m *machine) buildStore(l *glua.LState) {
	methods := m.natives(l, map[string]native{"get": (*machine).storeGet, "set": (*machine).storeSet})
	methods.Metatable = m.meta("__index", m.absentIn(l, "store:"))
	m.store = m.meta("__index", methods)
}

// storeArgs reads the store and the key, and tells where the arguments after it begin.
func (m *machine) storeArgs(l *glua.LState, method string) (s *kept, key string, next int) {
	s, ok := l.CheckUserData(1).Value.(*kept)
	if !ok {
		l.ArgError(1, "a store is expected")
	}
	m.waiting(l, "store:"+method)
	vm.Charge(l, storeSteps)
	key = keyArg(l, 2)
	if !s.isMap {
		return s, key, 3
	}
	return s, key + "\x00" + keyArg(l, 3), 4
}

// keyArg is "" for nil, which Prosody allows.
func keyArg(l *glua.LState, n int) string {
	if l.Get(n) == glua.LNil {
		return ""
	}
	key := l.CheckString(n)
	if strings.IndexByte(key, 0) >= 0 {
		l.ArgError(n, "a key with U+0000 in it")
	}
	return key
}

// storeGet is store:get(key), of a map store:get(user, key): the value or nil, or nil and why it cannot be had.
func (m *machine) storeGet(l *glua.LState) int {
	s, key, _ := m.storeArgs(l, "get")
	text, ok, err := m.plugin.svc.Load(m.call.ctx, s.name, key)
	if err != nil {
		return failed(l, err)
	}
	if !ok {
		l.Push(glua.LNil)
		return 1
	}
	v, err := m.decode(l, text)
	if err != nil {
		return failed(l, err)
	}
	l.Push(v)
	return 1
}

// storeSet is store:set(key, value, ttl), of a map store:set(user, key, value, ttl): true, or nil and why not.
func (m *machine) storeSet(l *glua.LState) int {
	s, key, next := m.storeArgs(l, "set")
	var text []byte
	if v := l.Get(next); v != glua.LNil {
		var err error
		if text, err = m.appendJSON([]byte{}, v, 0); err != nil {
			l.RaiseError("store:set: %s", err.Error())
		}
	}
	var ttl time.Duration
	if l.Get(next+1) != glua.LNil {
		ttl = seconds(l, "store:set", l.CheckNumber(next+1))
	}
	if err := m.plugin.svc.Save(m.call.ctx, s.name, key, text, ttl); err != nil {
		return failed(l, err)
	}
	l.Push(glua.LTrue)
	return 1
}

// failed is nil and a text.
func failed(l *glua.LState, err error) int {
	l.Push(glua.LNil)
	l.Push(glua.LString(err.Error()))
	return 2
}
