package main

import (
	"strings"
	"testing"

	"rosterd/plugins/wasm/module/asm"
)

// kitted is a module as Extism's kits make it, which maps each answer to a roster without contacts.
func kitted(imports ...[3]string) string {
	const empty = `{"items": []}`
	var m asm.Module
	alloc := m.Import("extism:host/env", "alloc", "l:l")
	store := m.Import("extism:host/env", "store_u8", "li:")
	output := m.Import("extism:host/env", "output_set", "ll:")
	for _, i := range imports {
		m.Import(i[0], i[1], i[2])
	}
	m.Memory(1)
	m.ExportMemory("memory")
	c := asm.Code{}.I64(int64(len(empty))).Call(alloc).LocalSet(0)
	for i, b := range []byte(empty) {
		c = c.LocalGet(0).I64(int64(i)).Op(0x7c).I32(int32(b)).Call(store)
	}
	m.Export("roster_transform", m.Func(":i", "l", c.LocalGet(0).I64(int64(len(empty))).Call(output).I32(0)))
	return string(m.Bytes())
}

// TestPluginExtism: what is made with Extism's kits is checked and run like all others, and said to be so.
func TestPluginExtism(t *testing.T) {
	d := newDesk(t)
	t.Setenv("XDG_CACHE_HOME", d.dir+"/cache")
	d.write("people/mod_people.wasm", kitted())
	status, text := d.plugin("", "check", "DIR/people", "--option", "people_url=http://crm.example/%s")
	for _, want := range []string{"people.wasm: ok\n", "made for  Extism\n", "provides  rosters\n", "asks      http://crm.example:80\n", "exports   roster_transform\n", "memory of Extism: alloc store_u8\n"} {
		if status != exitOK || !strings.Contains(text, want) {
			t.Errorf("status %d, no %q in\n%s", status, want, text)
		}
	}
	d.write("people/tests/list.json", strings.Replace(peopleCase, `{"marie@example.com": {}}`, "{}", 1))
	for _, where := range []string{"inproc", "process"} {
		if status, text := d.plugin("", "test", "DIR/people", "--isolation", where); status != exitOK || !strings.Contains(text, "\n1 passed, 0 failed\n") {
			t.Errorf("%s: status %d:\n%s", where, status, text)
		}
	}
	d.write("bank/mod_bank.wasm", kitted([3]string{"extism:host/user", "pay", "l:l"}, [3]string{"extism:host/env", "stack_push", ":"}))
	status, text = d.plugin("", "check", "DIR/bank", "--option", "bank_url=http://crm.example/%s")
	for _, want := range []string{"bank.wasm: refused\n", "needs extism:host/user.pay,", "needs extism:host/env.stack_push,"} {
		if status != exitUsage || !strings.Contains(text, want) {
			t.Errorf("status %d, no %q in\n%s", status, want, text)
		}
	}
}
