package lua

import (
	"errors"
	"testing"
	"time"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins"
	"rosterd/plugins/lua/vm"
)

// Whatever a script has a library do, it is charged for, so that what goes on for ever is stopped soon.
func TestLibrariesWithinBudget(t *testing.T) {
	for name, code := range map[string]string{
		"endless iterator":  `require "util.iterators".to_array(function() return 1 end)`,
		"endless count":     `local it = require "util.iterators"; it.count(it.range(1e15))`,
		"endless filter":    `local it = require "util.iterators"; for _ in it.filter(function() return false end, it.range(1e15)) do end`,
		"endless unique":    `local it = require "util.iterators"; it.count(it.unique(function() return 1 end))`,
		"tail":              `require "util.iterators".tail(1, function() return 1 end)`,
		"skip":              `require "util.iterators".skip(1e15, function() return 1 end)`,
		"collect":           `require "util.array".collect(function() return 1 end)`,
		"slice":             `local a = require "util.array" { 1 }; while true do a:slice(-1e15, 1e15) end`,
		"set of no end":     `local s = require "util.set".new(); s:include(function(_, k) return (k or 0) + 1 end)`,
		"evict":             `local c = require "util.cache".new(1); for i = 1, 1e15 do c:set(i, i) end`,
		"stanza of no end":  `local s = require "util.stanza".stanza "a"; while true do s:tag "b" end`,
		"decode":            `local json, s = require "util.json", "[" .. ("x"):rep(1e6); while true do json.decode(s) end`,
		"decode, protected": `local json, s = require "cjson", "[" .. ("x"):rep(1e6); while true do pcall(json.decode, s) end`,
		"encode":            `local json, s = require "util.json", ("x"):rep(1e6); while true do json.encode(s) end`,
		"encode too much":   `local json, s = require "cjson.safe", ("x"):rep(1e6); while true do json.encode { s, s, s, s, s } end`,
		"encode_array":      `local json, t = require "util.json", {}; for i = 1, 1000 do t[i] = 1 end; while true do pcall(json.encode_array, t) end`,
		"escape":            `local st, s = require "util.stanza", ("<"):rep(1e5); while true do st.xml_escape(s) end`,
		"text":              `local st, s = require "util.stanza".stanza "a", ("x"):rep(1e6); while true do st:text(s) end`,
		"require":           `while true do require "util.stanza" end`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := runWithin(t, 300_000, code); !errors.Is(err, vm.ErrInstructions) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// still has a clock that stands and no chance.
type still struct{ plugins.Services }

func (still) Now() time.Time { return time.Time{} }
func (still) Random([]byte)  {}

// runWithin runs code as a script that has a budget of instructions.
func runWithin(t *testing.T, budget int64, code string) error {
	t.Helper()
	m := newMachine(&Plugin{name: "test", file: "mod_test.lua", host: "example.com", svc: still{}, limits: vm.Limits{Instructions: budget}})
	t.Cleanup(m.close)
	_, err := m.evaluate(t, code)
	return err
}

// evaluate is what code returns as a call of its own.
func (m *machine) evaluate(t *testing.T, code string) (result glua.LValue, err error) {
	t.Helper()
	proto, err := vm.Compile("mod_test.lua", []byte(code))
	if err != nil {
		t.Fatal(err)
	}
	return result, m.state.Run(t.Context(), func(l *glua.LState) error {
		m.call = &call{env: object(l, m.env)}
		f := l.NewFunctionFromProto(proto)
		f.Env = m.call.env
		l.Push(f)
		l.Call(0, 1)
		result = l.Get(-1)
		l.Pop(1)
		return nil
	})
}
