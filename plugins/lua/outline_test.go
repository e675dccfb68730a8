package lua

import (
	"fmt"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	for _, c := range []struct{ name, code, want string }{
		{"options", `
local a = module:get_option_string("a", "x")
local b = module:get_option_number("b", -5)
local c = assert(module:get_option("c"))
local d = module:get_option_url_template("d")
local e = module:get_option_array("e", { "x", 1 })
local f = module:get_option_set("f", { x = true })
local again = module:get_option_string("a")
local g = module:get_option_boolean("g", os and true)
print(x:get_option_string(a))`,
			`2: a (string) = "x"; 3: b (number) = -5; 4: c () must; 5: d (url_template) must; 6: e (array) = { "x", 1 }; 7: f (set) = { … }; 9: g (boolean)`},
		{"option in a function", "local function f()\n return module:get_option('late', true) end", "2: late () = true; 2! option late is read in a function: read it at the top, where a mistake in it is found when the script is opened"},
		{"requests", "local u = 'http://other.example'\nlocal function f(name)\n for i = 1, 3 do http.request('https://crm.example/' .. name .. i) end\n return http.request(u) end",
			"3> https://crm.example/; 3! a request in each turn of a loop: a call may send 8"},
		{"a function in a loop", "for i = 1, 3 do fs[i] = function() return http.request(u) end end", ""},
		{"cache", "local cache, n = {}, 1\nlocal function f(u)\n  cache[u] = 1\n  cache[u] = 2\nend", "3! cache is filled in a function, and is empty again in the next call: what is to last belongs into module:open_store"},
		{"another local of that name", "local list = {}\nlocal function f(u)\n  local list = {}\n  list[1] = u\n return list end", ""},
		{"SASL", "local provider = {}\nfunction provider.get_sasl_handler() end", "2! get_sasl_handler is not called: what it checks beyond test_password and is_enabled belongs into test_password"},
		{"filled in module.load", "local t = {}\nfunction module.load()\n t.x = module:get_option('early') end", "3: early ()"},
		{"filled in another function of that name", "local t, m = {}, {}\nfunction m.load()\n t.x = 1 end", "3! t is filled in a function, and is empty again in the next call: what is to last belongs into module:open_store"},
		{"filled at the top", "local t = {}\nt.x = 1", ""},
		{"no Lua", "local = =", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Describe("x.lua", []byte(c.code))
			var got []string
			for _, u := range o.Options {
				s := fmt.Sprintf("%d: %s (%s)", u.Line, u.Name, u.Type)
				if u.Default != "" {
					s += " = " + u.Default
				}
				if u.Must {
					s += " must"
				}
				got = append(got, s)
			}
			for _, u := range o.URLs {
				got = append(got, fmt.Sprintf("%d> %s", u.Line, u.Text))
			}
			for _, u := range o.Odd {
				got = append(got, fmt.Sprintf("%d! %s", u.Line, u.Text))
			}
			if s := strings.Join(got, "; "); s != c.want {
				t.Errorf("got\n%s\nwant\n%s", s, c.want)
			}
		})
	}
}

func FuzzDescribe(f *testing.F) {
	for _, s := range []string{"module:get_option('a', {1,{}})", "assert(module:get_option_string('x'))", "while true do http.request('http://x/' .. y) end", "local t = {} function f() t.x = 1 end"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, code string) { Describe("x.lua", []byte(code)) })
}
