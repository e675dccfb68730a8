package vm

import (
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// Operators that gopher-lua lacks or gets wrong are calls of Go functions. The
// functions are constants of the compiled code, where no script can reach
// them: for its compiler they are strings that begin with placeholder.
const placeholder = "\x1b(operator) "

// bitNot is the unary ~ in the tree; its right side is not used.
const bitNot = "~ "

// text is a string constant of the source.
func (m *mender) text(s string) {
	if strings.HasPrefix(s, placeholder) {
		m.fail("a string that begins with %q is not available", placeholder)
	}
	m.constant(s)
}

// operator is the call that takes the place of e, nil if e stays.
func (m *mender) operator(e ast.Expr) *ast.FuncCallExpr {
	switch e := e.(type) {
	case *ast.StringConcatOpExpr:
		return m.callOf("..", concat, e.Line(), chain(e)...)
	case *ast.RelationalOpExpr:
		if !equality(e) {
			return nil
		}
		return m.callOf(e.Operator, equal(e.Operator == "=="), e.Line(), e.Lhs, e.Rhs)
	case *ast.ArithmeticOpExpr:
		f, ok := operators[e.Operator]
		switch {
		case !ok || e.Operator == "%" && fixed(e.Rhs):
			return nil
		case e.Operator == bitNot:
			return m.callOf(e.Operator, f, e.Line(), e.Lhs)
		}
		return m.callOf(e.Operator, f, e.Line(), e.Lhs, e.Rhs)
	}
	return nil
}

// becomesCall says whether operator makes a call of e.
func becomesCall(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.StringConcatOpExpr:
		return true
	case *ast.RelationalOpExpr:
		return equality(e)
	case *ast.ArithmeticOpExpr:
		return operators[e.Operator] != nil && !(e.Operator == "%" && fixed(e.Rhs))
	}
	return false
}

// equality says whether e compares values that may both be tables. Of tables
// with different __eq, gopher-lua asks neither.
func equality(e *ast.RelationalOpExpr) bool {
	_, left := constant(e.Lhs)
	_, right := constant(e.Rhs)
	return (e.Operator == "==" || e.Operator == "~=") && !left && !right
}

// fixed says whether e is a number in the source other than 0.
func fixed(e ast.Expr) bool {
	if neg, ok := e.(*ast.UnaryMinusOpExpr); ok {
		e = neg.Expr
	}
	n, ok := e.(*ast.NumberExpr)
	if !ok {
		return false
	}
	v, ok := parseNumber(n.Value)
	return ok && v != 0
}

// step is the step of a numeric for: 0 is an error, and not no loop at all.
func (m *mender) step(e ast.Expr) ast.Expr {
	if fixed(e) {
		return e
	}
	return m.callOf("for", forStep, e.Line(), e)
}

// chain is the operands of a .. b .. c, which is a .. (b .. c).
func chain(e *ast.StringConcatOpExpr) []ast.Expr {
	operands := []ast.Expr{e.Lhs}
	for {
		next, ok := e.Rhs.(*ast.StringConcatOpExpr)
		if !ok {
			return append(operands, e.Rhs)
		}
		e = next
		operands = append(operands, e.Lhs)
	}
}

// operation makes the function of an operator from what the source calls its operands.
type operation func(names []string) lua.LGFunction

// callOf is a call of an operation. Those with the same names share a function.
func (m *mender) callOf(operator string, f operation, line int, operands ...ast.Expr) *ast.FuncCallExpr {
	names := make([]string, len(operands))
	for i, o := range operands {
		oneValue(o)
		names[i] = describe(o)
	}
	if operator == "==" || operator == "~=" {
		names = nil // no error names them
	}
	key := placeholder + operator + "\x00" + strings.Join(names, "\x00")
	if m.operators[key] == nil {
		m.operators[key] = &lua.LFunction{IsG: true, GFunction: f(names)}
	}
	m.constant(key)
	return at(line, &ast.FuncCallExpr{Func: at(line, &ast.StringExpr{Value: key}), Args: operands, AdjustRet: true})
}

// describe is what a message says of an operand.
func describe(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.IdentExpr:
		return " (variable '" + e.Value + "')"
	case *ast.AttrGetExpr:
		if key, ok := e.Key.(*ast.StringExpr); ok {
			return " (field '" + key.Value + "')"
		}
	case *ast.FuncCallExpr:
		if e.Method != "" {
			return " (what method '" + e.Method + "' returns)"
		}
		if called := describe(e.Func); called != "" {
			return " (what" + strings.NewReplacer("(", "", ")", "", "variable ", "", "field ", "").Replace(called) + " returns)"
		}
	}
	return ""
}

var operators = map[string]operation{
	"//": numeric("__idiv", floorDivide),
	"%":  numeric("__mod", modulo),
	"&":  bitwise("__band", func(x, y int64) int64 { return x & y }),
	"|":  bitwise("__bor", func(x, y int64) int64 { return x | y }),
	"~":  bitwise("__bxor", func(x, y int64) int64 { return x ^ y }),
	"<<": bitwise("__shl", shiftLeft),
	">>": bitwise("__shr", func(x, y int64) int64 { return shiftLeft(x, -y) }),

	bitNot: bitwise("__bnot", func(x, _ int64) int64 { return ^x }),
}

// concat is x .. y: as gopher-lua's, but that it writes numbers as everything
// else does, and that it is charged for what it makes.
func concat(names []string) lua.LGFunction {
	return func(L *lua.LState) int {
		n, size := L.GetTop(), 0
		for i := 1; i <= n; i++ {
			switch v := L.Get(i).(type) {
			case lua.LString:
				size += len(v)
			case lua.LNumber:
				s := lua.LString(formatNumber(float64(v)))
				L.Replace(i, s)
				size += len(s)
			default:
				L.Push(concatSlowly(L, names))
				return 1
			}
		}
		checkConcat(L, size)
		if n == 2 {
			L.Push(L.Get(1).(lua.LString) + L.Get(2).(lua.LString))
			return 1
		}
		var b strings.Builder
		b.Grow(size)
		for i := 1; i <= n; i++ {
			b.WriteString(string(L.Get(i).(lua.LString)))
		}
		L.Push(lua.LString(b.String()))
		return 1
	}
}

// longestConcat is how many times the limit of other strings a .. b may have:
// an answer that came over HTTP can be longer than that limit.
const longestConcat = 16

func checkConcat(L *lua.LState, n int) {
	if limit := longestConcat * meterOf(L).state.limits.StringBytes; n > limit {
		L.RaiseError("resulting string too long (limit is %d bytes)", limit)
	}
	chargeBytes(L, n)
}

// concatSlowly goes from right to left, one pair at a time, for the sake of __concat.
func concatSlowly(L *lua.LState, names []string) lua.LValue {
	i := L.GetTop()
	result := L.Get(i)
	for i--; i > 0; i-- {
		left := L.Get(i)
		l, ok := asString(left)
		r, ok2 := asString(result)
		if ok && ok2 {
			checkConcat(L, len(l)+len(r))
			result = lua.LString(l + r)
			continue
		}
		v, handled := metamethod(L, "__concat", left, result)
		if !handled {
			bad, name := left, names[i-1]
			if ok {
				bad, name = result, names[i]
			}
			L.RaiseError("attempt to concatenate a %s value%s", bad.Type(), name)
		}
		result = v
	}
	return result
}

func asString(v lua.LValue) (string, bool) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), true
	case lua.LNumber:
		return formatNumber(float64(v)), true
	}
	return "", false
}

// metamethod calls the metamethod of the first operand that has it.
func metamethod(L *lua.LState, event string, x, y lua.LValue) (lua.LValue, bool) {
	f := L.GetMetaField(x, event)
	if f == lua.LNil {
		f = L.GetMetaField(y, event)
	}
	if f == lua.LNil {
		return nil, false
	}
	L.Push(f)
	L.Push(x)
	L.Push(y)
	L.Call(2, 1)
	v := L.Get(-1)
	L.Pop(1)
	return v, true
}

// numeric is an operation on two numbers.
func numeric(event string, f func(L *lua.LState, x, y float64) float64) operation {
	return func(names []string) lua.LGFunction {
		return func(L *lua.LState) int {
			x, ok := toNumber(L.Get(1))
			y, ok2 := toNumber(L.Get(2))
			if ok && ok2 {
				L.Push(lua.LNumber(f(L, x, y)))
				return 1
			}
			v, handled := metamethod(L, event, L.Get(1), L.Get(2))
			if !handled {
				n := 1
				if ok {
					n = 2
				}
				L.RaiseError("attempt to perform arithmetic on a %s value%s", L.Get(n).Type(), names[n-1])
			}
			L.Push(v)
			return 1
		}
	}
}

// floorDivide is x // y, of integers without the rounding of x / y.
func floorDivide(L *lua.LState, x, y float64) float64 {
	if !isInteger(x) || !isInteger(y) {
		return math.Floor(x / y)
	}
	if y == 0 {
		L.RaiseError("attempt to perform 'n//0'")
	}
	a, b := int64(x), int64(y)
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return float64(q)
}

func modulo(L *lua.LState, x, y float64) float64 {
	if y == 0 && isInteger(x) {
		L.RaiseError("attempt to perform 'n%s0'", "%")
	}
	return luaMod(x, y)
}

// equal is x == y, or x ~= y.
func equal(want bool) operation {
	return func([]string) lua.LGFunction {
		return func(L *lua.LState) int {
			x, y := L.Get(1), L.Get(2)
			same := L.RawEqual(x, y)
			if x.Type() == y.Type() && !same && (x.Type() == lua.LTTable || x.Type() == lua.LTUserData) {
				v, handled := metamethod(L, "__eq", x, y)
				same = handled && lua.LVAsBool(v)
			}
			L.Push(lua.LBool(same == want))
			return 1
		}
	}
}

// forStep lets the step of a numeric for through.
func forStep([]string) lua.LGFunction {
	return func(L *lua.LState) int {
		if v, ok := L.Get(1).(lua.LNumber); ok && v == 0 {
			L.RaiseError("'for' step is zero")
		}
		L.Push(L.Get(1))
		return 1
	}
}

// bitwise is an operation on one or two integers in two's complement of 64
// bits. What a float64 cannot hold exactly, from 2^53 on, is an error: it would
// be a wrong number sooner or later.
func bitwise(event string, f func(x, y int64) int64) operation {
	return func(names []string) lua.LGFunction {
		return func(L *lua.LState) int {
			var v [2]int64
			for i := range names {
				arg, isNumber := L.Get(i + 1).(lua.LNumber)
				n, ok := toInteger(arg)
				switch {
				case !ok || !isNumber:
					L.Push(notBits(L, event, names))
					return 1
				case !isInteger(float64(n)):
					L.RaiseError("bit operation on a number above 2^53%s: integers are exact only up to there", names[i])
				}
				v[i] = n
			}
			r := f(v[0], v[1])
			if !isInteger(float64(r)) {
				L.RaiseError("the result of a bit operation is above 2^53: integers are exact only up to there")
			}
			L.Push(lua.LNumber(r))
			return 1
		}
	}
}

// notBits is for operands of which one is no integer.
func notBits(L *lua.LState, event string, names []string) lua.LValue {
	x := L.Get(1)
	y := L.Get(len(names))
	if v, handled := metamethod(L, event, x, y); handled {
		return v
	}
	for i, name := range names {
		if v := L.Get(i + 1); v.Type() != lua.LTNumber {
			L.RaiseError("attempt to perform bitwise operation on a %s value%s", v.Type(), name)
		}
	}
	L.RaiseError("number has no integer representation")
	return nil
}

// shiftLeft shifts by any distance, to the right if it is negative, and fills with zeros.
func shiftLeft(x, n int64) int64 {
	switch {
	case n <= -64 || n >= 64:
		return 0
	case n < 0:
		return int64(uint64(x) >> -n)
	}
	return x << n
}
