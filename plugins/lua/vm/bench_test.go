package vm

import (
	"fmt"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New(Limits{}).Close()
	}
}

// BenchmarkRun is what a call costs beside what it does.
func BenchmarkRun(b *testing.B) {
	s := New(Limits{})
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Run(b.Context(), func(*lua.LState) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMap turns a backend's contacts into roster items.
func BenchmarkMap(b *testing.B) {
	proto, err := Compile("map.lua", []byte(`
		local contacts = ...
		local items = {}
		for i, c in ipairs(contacts) do
			if c.active then
				items[#items + 1] = { jid = c.user:lower() .. "@example.org", name = c.first .. " " .. c.last,
					groups = { c.team }, subscription = c.relation == "mutual" and "both" or "to" }
			end
		end
		return items`))
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := New(Limits{})
			defer s.Close()
			contacts := s.L().NewTable()
			for i := range n {
				c := s.L().NewTable()
				for k, v := range map[string]lua.LValue{"user": lua.LString(fmt.Sprint("User", i)), "first": lua.LString("First"), "last": lua.LString("Last"),
					"team": lua.LString("Sales"), "relation": lua.LString("mutual"), "active": lua.LTrue} {
					c.RawSetString(k, v)
				}
				contacts.Append(c)
			}
			b.ReportAllocs()
			for b.Loop() {
				err := s.Run(b.Context(), func(L *lua.LState) error {
					L.Push(L.NewFunctionFromProto(proto))
					L.Push(contacts)
					L.Call(1, 1)
					if got := L.ToTable(-1).Len(); got != n {
						return fmt.Errorf("%d items", got)
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchScript(b *testing.B, src string) {
	proto, err := Compile("bench.lua", []byte(src))
	if err != nil {
		b.Fatal(err)
	}
	s := New(Limits{})
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		err := s.Run(b.Context(), func(L *lua.LState) error {
			L.Push(L.NewFunctionFromProto(proto))
			L.Call(0, 0)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPcall1000(b *testing.B) {
	benchScript(b, "local f = function() end for i = 1, 1000 do pcall(f) end")
}

func BenchmarkPattern1000(b *testing.B) {
	benchScript(b, `for i = 1, 1000 do local k, v = ("  key = some value  "):match("^%s*(%S+)%s*=%s*(.-)%s*$") end`)
}
