package lua

import (
	"testing"

	glua "github.com/yuin/gopher-lua"
)

// madeByLibraries gives scripts all that libraries which are run once in a machine can give them.
var madeByLibraries = map[string]string{
	"util.set": `local L = require "util.set"; local a, b = L.new { "x", {} }, L.new { "y" };
		return { L, a, a + b, a - b, a / function(v) return v end, L.xor(a, b), L.union(a, b), L.intersection(a, a), { a:items() }, tostring(b), a:contains("x"), { a:add("z") }, { a:empty() } }`,
	"util.array": `local L = require "util.array"; local a = L { 3, 1, 2 }; local j = require "util.json".decode "[1,[2]]";
		return { L, L(), a, a + a, a / tostring, L.collect(pairs { k = {} }), L.map(a, tostring), L.filter(a, tostring), L.unique(a), L.slice(a, 1), L.sort(a), L.pluck({ {} }, "k", {}),
			L.reverse(a), a:push(4), a:pop(), a:append { 5 }, a:length(), a:concat(), a:shuffle(), a:random(), a:random_other(1), a.map, j, j[2], j:reverse(), tostring(j) }`,
	"util.iterators": `local L = require "util.iterators"; local t = { "a", "b" }; local all = { L };
		for _, f in ipairs { L.keys, L.values, L.ripairs, L.sorted_pairs } do all[#all + 1] = { f(t) } end
		for _, f in ipairs { L.reverse, L.unique, L.count, L.to_array, L.to_table, L.join } do all[#all + 1] = { f(pairs(t)) } end
		for _, f in ipairs { L.head, L.tail, L.skip, L.filter, L.select } do all[#all + 1] = { f(1, pairs(t)) } end
		all[#all + 1] = { L.join(pairs(t)):append(pairs(t)):prepend(L.range(2)) }; all[#all + 1] = { L.range(1, 2) };
		return all`,
	"util.cache": `local L = require "util.cache"; local c = L.new(3, function() end); c:set("k", {}); c:set("l", 1);
		local all = { L, c, c:table(), { c:get "k" }, { c:items() }, { c:values() }, { c:items()() }, { c:head() }, { c:tail() }, { pairs(c:table()) }, { c:count() }, { c:resize(2) }, { c:clear() } };
		for e in c:items() do all[#all + 1] = e end
		return all`,
	"util.stanza": `local L = require "util.stanza"; local s = L.iq { id = "1", type = "get", from = "a" }:query "x":tag("y", { xmlns = "z" }):text "t":up();
		local e = L.error_reply(s, "cancel", "gone", "text");
		return { L, s, e, { e:get_error() }, L.clone(s), L.reply(s), L.message({}, "b"), L.presence(), L.preserialize(s), L.deserialize(L.preserialize(s)), s:indent(), tostring(s), s:top_tag(), { s:children() }, { s:childtags() },
			s:find "{x}query", s:maptags(function(t) return t end), s:get_child("query", "x"), { s:get_child_attr("query", "x", "xmlns") }, s:reset(), s:add_child(L.stanza "n"), s:body "b", s:remove_children "body", { s:at_top() },
			require "util.xml".parse "<a xmlns='b' c='d'><e/>f</a>" }`,
}

// Of what a script can get hold of in one call, no table is there in the next: only functions are.
func TestLibrariesKeepTheirTables(t *testing.T) {
	for lib, def := range libraries {
		code, ok := madeByLibraries[lib]
		if !def.once {
			continue
		}
		t.Run(lib, func(t *testing.T) {
			if !ok {
				t.Fatal("nothing shows what it makes")
			}
			m := newMachine(&Plugin{name: "test", file: "mod_test.lua", host: "example.com", svc: still{}})
			t.Cleanup(m.close)
			seen := map[*glua.LTable]string{}
			for range 3 {
				v, err := m.evaluate(t, code)
				if err != nil {
					t.Fatal(err)
				}
				now := map[*glua.LTable]string{}
				reachable(v, "it", now)
				for table, path := range now {
					if before, again := seen[table]; again {
						t.Errorf("%s is what %s was in an earlier call", path, before)
					}
					seen[table] = path
				}
			}
			if len(seen) < 3*10 {
				t.Errorf("%d tables are looked at", len(seen))
			}
		})
	}
}

// reachable finds the tables that a script can get at from v without calling anything: what is in them, what their
// metatables lend them by name, and those metatables where they are not closed.
func reachable(v glua.LValue, path string, found map[*glua.LTable]string) {
	t, ok := v.(*glua.LTable)
	if !ok || found[t] != "" {
		return
	}
	found[t] = path
	t.ForEach(func(k, e glua.LValue) {
		reachable(k, path+" key", found)
		reachable(e, path+"."+k.String(), found)
	})
	mt, ok := t.Metatable.(*glua.LTable)
	if !ok {
		return
	}
	if mt.RawGetString("__metatable") == glua.LNil {
		reachable(mt, path+" metatable", found)
	}
	if lent, ok := mt.RawGetString("__index").(*glua.LTable); ok {
		lent.ForEach(func(k, e glua.LValue) { reachable(e, path+"."+k.String(), found) })
	}
}
