package vm

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// TestLanguage is about what Lua 5.1 to 5.4 may spell: it works, or it is
// refused by line. Many rows are what gopher-lua alone gets silently wrong.
func TestLanguage(t *testing.T) {
	items := func(n int) string { return strings.Repeat("1,", n) }
	for _, c := range []struct{ name, src, want string }{
		{"hex escape", `print("\x41\x7a")`, "Az"},
		{"unicode escape", `print("\u{48}\u{20AC}\u{7FFFFFFF}" == "H€\xFD\xBF\xBF\xBF\xBF\xBF")`, "true"},
		{"skipping escape", "print('a\\z\n   \t b')", "ab"},
		{"escape of a line end", "print('a\\\nb')", "a\nb"},
		{"decimal escapes", `print("\65\066\0677")`, "ABC7"},
		{"all simple escapes", `print(("\a\b\f\n\r\t\v\\\"\'"):byte(1, -1))`, "7\t8\t12\t10\t13\t9\t11\t92\t34\t39"},
		{"escaped punctuation of Lua 5.1", `print("a\.b\-c")`, "a.b-c"},
		{"attribute const", "local x <const>, y <const> = 1, 2 print(x + y)", "3"},
		{"break inside a block", "for i = 1, 3 do if i == 2 then break; print 'no' end print(i) end", "1"},
		{"break before a statement", "while true do break local x = 1 end print 'ok'", "ok"},
		{"hexadecimal floats", "print(0x1p4, 0x.8, 0xA.8p1, 0X1P-2)", "16\t0.5\t21\t0.25"},
		{"decimal numbers with leading zeros", "print(010, 0010, 08.5)", "10\t10\t8.5"},
		{"hexadecimal integers wrap", "print(0xffffffffffffffff, 0x10)", "-1\t16"},
		{"goto continue", "for i = 1, 3 do if i == 2 then goto continue end print(i) ::continue:: end", "1\n3"},
		{"labels and semicolons", ";;; ::a:: ; do ; end ; print 'x' ;", "x"},
		{"call on the next line", "local f = print\nf\n('a')\nf\n'b'\nf\n{} = nil", "refused:7: syntax error: cannot assign to this near '='"},
		{"call with parenthesis on the next line", "local f = print\nf\n('a')\nf\n'b'", "a\nb"},
		{"call result called on the next line", "local function f() return print end f()\n('a')", "a"},
		{"long strings", "print([[\na]b]==]\n]] .. [==[x]]y]==])", "a]b]==]\nx]]y"},
		{"long comments", "--[[ a\n]] print(1) --[==[ ]] ]==] print(2) --[[]]print(3) --x", "1\n2\n3"},
		{"carriage returns", "print(1)\r\nprint([[a\r\nb]])\rprint(2)", "1\na\nb\n2"},
		{"first line of a script", "#!/usr/bin/lua\nprint 'x'", "x"},
		{"byte order mark", "\xef\xbb\xbfprint 'x'", "x"},
		{"UTF-8 in strings", `print("grüße", #"ü")`, "grüße\t2"},
		{"methods of strings", `print(("x"):rep(3, ","), #"abc", ("%d"):format(3))`, "x,x,x\t3\t3"},
		{"numeric strings", `print("10" + 5, "0x10" * 1, "010" + 0, 10 .. 20)`, "15\t16\t10\t1020"},
		{"precedence", "print(2 + 3 * 4 ^ 2 / 2, not nil == true, -2 ^ 2, 2 ^ -1, 2 ^ 3 ^ 2, 1 .. 2 == '12' and 'y' or 'n', -3 % 5, not 1 == 2)",
			"26\ttrue\t-4\t0.5\t512\ty\t2\tfalse"},
		{"no table arg in vararg functions", "local function f(...) return arg end print(f(1))", "nil"},
		{"a name is not known in its own function value", "local f = function() return f end print(f())", "nil"},
		{"a local function knows itself", "local function f() return f end print(f() == f)", "true"},
		{"return with semicolon", "local function f() return 1; end print(f()) return;", "1"},
		{"method definition", "local t = {a = {}} function t.a:m(x) return self == t.a, x end print(t.a:m(5))", "true\t5"},
		{"vararg in parentheses", "local function f(...) return (...), select('#', (...)) end print(f(1, 2, 3))", "1\t1"},
		{"field separators", "local t = {1; 2, x = 3; ['k'] = 4,} print(#t, t.x, t.k)", "2\t3\t4"},
		{"a large constructor", "local t = {" + items(25_000) + "} print(#t, t[25000])", "25000\t1"},

		{"a larger constructor", "local t = {\n" + items(26_000) + "x = 5 } print(#t, t[26000], t.x)", "26000\t1\t5"},
		{"floor division", "print(7 // 2, -7 // 2, 7 // -2, 7.5 // 2, 2 ^ 53 // 3, '10' // 3)", "3\t-4\t-4\t3\t3002399751580330\t3"},
		{"comment of another language", "x = 1 // not a comment", "refused:1: syntax error near <eof> (a comment begins with '--'; '//' divides)"},
		{"reserved string", "\nx = '\\x1b(operator) ..'", "refused:2: a string that begins with"},
		{"attribute close", "local f <close> = nil", "refused:1: attribute <close> is not available"},
		{"unknown attribute", "local f <konst> = nil", "refused:1: unknown attribute 'konst'"},
		{"inexact integer", "x = 9007199254740993", "refused:1: integer 9007199254740993 cannot be held exactly"},
		{"unknown escape", `x = "\d+"`, `refused:1: invalid escape sequence '\d' near '"\d'`},
		{"decimal escape too large", `x = "\300"`, "refused:1: decimal escape too large"},
		{"bad hex escape", `x = "\xg1"`, `refused:1: hexadecimal digits expected after '\x'`},
		{"bad unicode escape", `x = "\u{}"`, `refused:1: hexadecimal digits and '}' expected`},
		{"unicode escape too large", `x = "\u{80000000}"`, "refused:1: UTF-8 value too large"},
		{"malformed number", "x = 3x", "refused:1: malformed number near '3x'"},
		{"exponent without digits", "x = 1e", "refused:1: malformed number near '1e'"},
		{"two points", "x = 1..2", "refused:1: malformed number near '1..2'"},
		{"binary chunk", "\x1bLua\x54", "refused:1: binary data"},
		{"NUL", "x = 1\ny = '\x00'", "refused:2: binary data"},
		{"unfinished string", "x = 1\ny = 'abc\nz = 2", "refused:2: unfinished string near ''abc'"},
		{"unfinished string at the end", "x = 1\ny = 'abc", "refused:2: unfinished string near <eof>"},
		{"unfinished long string", "x = [[\n\n", "refused:3: unfinished long string (starting at line 1) near <eof>"},
		{"unfinished comment", "\n--[==[ x ]]\n", "refused:3: unfinished long comment (starting at line 2) near <eof>"},
		{"missing brace", "ssl = {\n  key = 'k'\n  tls = 1 }", "refused:3: '}' expected (to close '{' at line 1) near 'tls'"},
		{"missing brace on one line", "ssl = { 'a' 'b' }", "refused:1: '}' expected near ''b''"},
		{"missing end", "if x then\n y = 1\n", "refused:3: 'end' expected (to close 'if' at line 1) near <eof>"},
		{"end too many", "x = 1\nend", "refused:2: <eof> expected near 'end'"},
		{"missing parenthesis", "f(1\ng = 2", "refused:2: ')' expected (to close '(' at line 1) near 'g'"},
		{"missing value", "x =\n\ny = 1 +", "refused:3: "},
		{"missing equals sign", "modules_enabled 5", "refused:1: syntax error near '5'"},
		{"expression as statement", "x.y", "refused:1: syntax error near <eof>"},
		{"call in parentheses as statement", "(f())", "refused:1: syntax error near <eof>"},
		{"assigning to a call", "f() = 1", "refused:1: syntax error: cannot assign to this near '='"},
		{"assigning to parentheses", "(x) = 1", "refused:1: syntax error: cannot assign to this near '='"},
		{"typographic quotes", "x = “a”", "refused:1: unexpected symbol near '“'"},
		{"return in mid-block", "return 1 x = 2", "refused:1: 'return' must be the last statement of its block near 'x'"},
		{"break outside a loop", "x = 1\nbreak", "refused:2: break outside a loop"},
		{"break in a function in a loop", "while true do\nlocal f = function() break end end", "refused:2: break outside a loop"},
		{"goto nowhere", "do\ngoto x end ::y::", "refused:2: no visible label 'x' for goto"},
		{"goto into a block", "goto x do ::x:: end", "refused:1: no visible label 'x' for goto"},
		{"goto into a scope", "goto x\nlocal a ::x:: print(a)", "refused:1: goto 'x' jumps into the scope of a local variable"},
		{"label twice", "::x::\n::x::", "refused:2: label 'x' already defined on line 1"},
		{"vararg outside", "function f()\nreturn ... end", "refused:2: cannot use '...' outside a vararg function"},
		{"wrong for", "for x do end", "refused:1: '=' or 'in' expected near 'do'"},
		{"parameter list", "function f(a,) end", "refused:1: <name> or '...' expected near ')'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(Limits{})
			defer s.Close()
			out, err := runScript(t, s, "file.lua", c.src)
			var syntax *SyntaxError
			got := strings.TrimSuffix(out, "\n")
			if errors.As(err, &syntax) {
				got = fmt.Sprintf("refused:%d: %s", syntax.Line, syntax.Msg)
				if syntax.File != "file.lua" {
					t.Errorf("error names %q", syntax.File)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if !(got == c.want || strings.HasPrefix(c.want, "refused") && strings.HasPrefix(got, c.want)) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestSourceLimits refuses sources that would take gopher-lua's compiler
// minutes, gigabytes or beyond the fields of its instructions.
func TestSourceLimits(t *testing.T) {
	repeat := strings.Repeat
	var constants, locals, upvalues, searches strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&constants, "x = %q\n", fmt.Sprint("k", i))
	}
	for i := range 201 {
		fmt.Fprintf(&locals, "local v%d\n", i)
	}
	for f := range 2 {
		upvalues.WriteString("local function f()\n")
		for i := range 150 {
			fmt.Fprintf(&upvalues, "local v%d_%d = 1\n", f, i)
		}
	}
	upvalues.WriteString("local function g() return 0")
	for f := range 2 {
		for i := range 150 {
			if i%100 == 0 {
				upvalues.WriteString(" + #{1}")
			}
			fmt.Fprintf(&upvalues, " + v%d_%d", f, i)
		}
	}
	upvalues.WriteString(" end end end")
	for i := range 15_000 {
		fmt.Fprintf(&searches, "x = %q\n", fmt.Sprint("k", i))
	}
	searches.WriteString(repeat("x = 'k1' ", 50_000))
	for _, c := range []struct{ name, src, want string }{
		{"parentheses", "x = " + repeat("(", 200_000) + "1" + repeat(")", 200_000), "nested too deeply"},
		{"blocks", repeat("do ", 1_000_000) + repeat(" end", 1_000_000), "longer than"},
		{"blocks, fewer", repeat("do ", 100_000) + repeat(" end", 100_000), "nested too deeply"},
		{"unary operators", "x = " + repeat("- ", 500_000) + "1", "nested too deeply"},
		{"nots", "x = " + repeat("not ", 200_000) + "1", "nested too deeply"},
		{"concatenations", "x = " + repeat("'a'..", 150_000) + "'b'", "nested too deeply"},
		{"tables", "x = " + repeat("{", 500_000) + repeat("}", 500_000), "nested too deeply"},
		{"functions", "x = " + repeat("function() return ", 40_000) + repeat(" end", 40_000), "nested too deeply"},
		{"sums", "x = 1" + repeat(" + x", 50_000), "nested too deeply"},
		{"calls", "f" + repeat("()", 50_000), "nested too deeply"},
		{"indexes", "x = x" + repeat(".x", 50_000), "nested too deeply"},
		{"elseifs", "if x then " + repeat("elseif x then ", 50_000) + " end", "nested too deeply"},
		{"constants", constants.String(), "too many different constants"},
		{"searches of constants", searches.String(), "too many constants"},
		{"local variables", locals.String(), "too many local variables"},
		{"outer variables", upvalues.String(), "too many outer local variables"},
		{"arguments", "f(" + repeat("1,", 260) + "1)", "too many parts"},
		{"targets", "x" + repeat(", x", 300) + " = 1", "too many"},
		{"statements", repeat("x = x ", 100_000), "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Compile("file.lua", []byte(c.src))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || !strings.Contains(syntax.Msg, c.want) || syntax.Line < 1 {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
}

// sameTree are sources that both parsers must read to the same tree.
var sameTree = []string{
	`local a, b = 1, "x" a, b = b, a; t.x.y["z"][1] = f(a)(b):m{1, 2, k = 3; [4] = 5} "s" [[l]]`,
	`for i = 1, 10, 2 do print(i) end for k, v in pairs(t) do if k then break elseif v then return k else goto x end ::x:: end`,
	`while a and b or c do repeat local x = -y ^ 2 .. "a" .. 1 + 2 * 3 - 4 / 5 % 6 until not x == #y end`,
	`function a.b.c:d(e, ...) return ..., (...), (f()), {...} end local function g(h) return h end local value = function() end`,
	`do end ; return a < b, a > b, a <= b, a >= b, a ~= b, a == b`,
	`VirtualHost "example.org" modules_enabled = { "roster"; "saslauth", } ssl = { key = "k", certificate = "c" }`,
}

func TestSameTreeAsGopherLua(t *testing.T) {
	for _, src := range sameTree {
		want, err := parse.Parse(strings.NewReader(src), "x")
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse("x", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		if g, w := parse.Dump(got), parse.Dump(want); g != w {
			t.Errorf("%s\ngot\n%s\nwant\n%s", src, g, w)
		}
	}
}

// TestLines checks the lines that the configuration loader relies on.
func TestLines(t *testing.T) {
	chunk, err := Parse("x", []byte("\n\nmodules = {\n  'a',\n\n  'b';\n}\nVirtualHost\n'h'\nx.y\n  = 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	assign := chunk[0].(*ast.AssignStmt)
	fields := assign.Rhs[0].(*ast.TableExpr).Fields
	call := chunk[1].(*ast.FuncCallStmt)
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"assignment", assign.Line(), 3},
		{"target", assign.Lhs[0].Line(), 3},
		{"first item", fields[0].Value.Line(), 4},
		{"second item", fields[1].Value.Line(), 6},
		{"call", call.Line(), 8},
		{"argument", call.Expr.(*ast.FuncCallExpr).Args[0].Line(), 9},
		{"second assignment", chunk[2].Line(), 10},
	} {
		if c.got != c.want {
			t.Errorf("%s at line %d, want %d", c.what, c.got, c.want)
		}
	}
}

// FuzzParse parses, compiles and, with little budget, runs any source. It must
// end, and what is refused must be so at a line that exists.
func FuzzParse(f *testing.F) {
	for _, src := range sameTree {
		f.Add(src)
	}
	for _, a := range attacks {
		f.Add(a.src)
	}
	f.Add("x = '\\x41\\u{48}\\z \n' .. 0x1p4")
	f.Add("local t = {" + strings.Repeat("1,", 50) + "f(), x = f()}")
	for _, d := range differences {
		f.Add(d.src)
	}
	f.Add("for i = 1, 2 do local x = i; g = function() return x end if i then goto e end ::e:: end")
	f.Fuzz(func(t *testing.T, src string) {
		lines := 1 + strings.Count(src, "\n") + strings.Count(src, "\r")
		s := New(Limits{Instructions: 5_000, CallDepth: 40, StringBytes: 4096})
		defer s.Close()
		_, err := runScript(t, s, "fuzz.lua", src)
		var syntax *SyntaxError
		if errors.As(err, &syntax) && (syntax.Line < 1 || syntax.Line > lines) {
			t.Errorf("%v in a source of %d lines", err, lines)
		}
		sameAsGopherLua(t, src)
	})
}

// sameAsGopherLua compares the trees of sources that need none of the things
// that Parse does otherwise.
func sameAsGopherLua(t *testing.T, src string) {
	if strings.ContainsAny(src, "\\\r#0123456789") || !strings.Contains(src, "=") || strings.Contains(src, "]]") {
		return
	}
	for _, word := range []string{"local", "nil", "true", "false", "and", "or", "not"} {
		if strings.Contains(src, word) {
			return
		}
	}
	got, err := Parse("x", []byte(src))
	want, err2 := parse.Parse(strings.NewReader(src), "x")
	if err != nil || err2 != nil {
		return
	}
	if g, w := parse.Dump(got), parse.Dump(want); g != w {
		t.Errorf("%q\ngot\n%s\nwant\n%s", src, g, w)
	}
}
