package vm

import "testing"

// The values of a generic for that are not given are nil, whatever stood in their registers.
func TestGenericForFillsWithNil(t *testing.T) {
	for _, tt := range []struct{ name, head string }{
		{"one value, one variable", `for a in f do`},
		{"one value, two variables", `for a, b in f do`},
		{"one value, four variables", `for a, b, c, d in f do`},
		{"two values", `for a in f, nil do`},
		{"value and call of one value", `for a in f, one() do`},
		{"value and call of none", `for a in f, none() do`},
		{"value and vararg", `for a in f, ... do`},
		{"two values and call", `for a in f, nil, none() do`},
		{"two variables, value and call", `for a, b in f, none() do`},
		{"call", `for a in made() do`},
		{"call in parentheses", `for a in (made()) do`},
		{"callable table", `for a in callable do`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := mustRun(t, `
				local function f(state, last, more)
					if last == "end" then return nil; end
					print(state, last, more);
					return "end";
				end
				local function one() return nil; end
				local function none() end
				local function made() return f; end
				local callable = setmetatable({}, { __call = function (_, ...) return f(...); end });
				local function run(...)
					local x, y, z = { 1 }, "text", 3;
					do local p, q, r, s, u, v = 1, 2, 3, 4, 5, 6; end
					`+tt.head+` end
				end
				run();`)
			if out != "nil\tnil\tnil\n" {
				t.Errorf("the function gets %q", out)
			}
		})
	}
}
