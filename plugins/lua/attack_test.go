package lua_test

import (
	"strings"
	"testing"

	"rosterd/plugins/lua"
)

// mark goes through everything that a script can reach, from its globals, from every library and from what their
// functions make, sets a mark wherever it can, and returns what was marked already.
const mark = `
local seen, found, many = {}, {}, 0
local function visit(path, v)
	if (type(v) ~= "table" and type(v) ~= "userdata") or seen[v] then return end
	seen[v] = true
	many = many + 1
	if type(v) == "table" then
		if rawget(v, "left by an earlier call") then found[#found + 1] = path end
		pcall(rawset, v, "left by an earlier call", true)
		pcall(function() v["left by an earlier call"] = true end)
		for k, x in next, v do visit(path .. "." .. tostring(k), x) end
		for k, x in next, v do
			if type(x) == "function" then pcall(rawset, v, k, function() error("replaced in " .. path) end) end
		end
	end
	local ok, mt = pcall(getmetatable, v)
	if ok and type(mt) == "table" then visit(path .. ":metatable", mt) end
	pcall(setmetatable, v, { __index = function() error("metatable of " .. path) end })
end
`

// Nothing that a call leaves anywhere is there in the next call of the same machine.
func TestNothingLeaks(t *testing.T) {
	var visits strings.Builder
	for _, e := range lua.API() {
		if len(e.Fields) > 0 {
			visits.WriteString("kept[#kept + 1] = { '" + e.Name + "', (require '" + e.Name + "') }\n")
		}
	}
	code := `
		local next, pcall, rawset, rawget, getmetatable, setmetatable, type, tostring, error, select = next, pcall, rawset, rawget, getmetatable, setmetatable, type, tostring, error, select
		local kept = {}
		` + visits.String() + `
		local json, set, array, cache, promise, st, xml = require "util.json", require "util.set", require "util.array", require "util.cache", require "util.promise", require "util.stanza", require "util.xml"
		local function add(name, f) local ok, v = pcall(f) if ok then kept[#kept + 1] = { name, v } end end
		add("set", function() return set.new({ 1 }) end)
		add("array", function() return array({ 1 }) end)
		add("decoded", function() return json.decode('{"a":[1,null]}') end)
		add("null", function() return json.null end)
		add("cache", function() return cache.new(5) end)
		add("promise", function() return promise.resolve(1) end)
		add("stanza", function() return st.message({ to = "a@b" }) end)
		add("xml", function() return xml.parse("<a><b/></a>") end)
		add("store", function() return module:open_store() end)
		add("options", function() return module:get_option("list") end)
		add("options as a set", function() return module:get_option_set("list") end)
		add("libraries", function() return { string, table, math, coroutine, utf8, os } end)
		add("text", function() return getmetatable("") end)
		add("module", function() return module end)
		add("environment", function() return _G end)
		` + mark + `
		module:provides("roster", { fetch = function(user, req)
			kept[#kept + 1] = { "request", req }
			for _, k in next, kept do visit(k[1], k[2]) end
			local list = { { jid = "many@x.example", name = many } }
			list[1].name = many .. ""
			for i, path in next, found do list[#list + 1] = { jid = i .. "@found.example", name = path } end
			return list
		end })`
	p := script(t, code, options{"list": []any{"a", "b"}})
	first := ""
	for range 3 {
		a, err := fetch(t, p, request("jim"))
		if err != nil {
			t.Fatal(err)
		}
		got := show(a.Roster)
		if first == "" {
			first = got
			t.Log(got)
		}
		if got != first || a.Roster.Len() != 1 {
			t.Errorf("a later call sees %s", got)
		}
	}
}
