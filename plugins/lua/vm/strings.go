package vm

import (
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

var stringLib = map[string]lua.LGFunction{
	"byte":    strByte,
	"char":    strChar,
	"find":    strFind,
	"format":  strFormat,
	"gmatch":  strGmatch,
	"gsub":    strGsub,
	"len":     func(L *lua.LState) int { L.Push(lua.LNumber(len(checkString(L, 1)))); return 1 },
	"lower":   mapBytes('A', 'Z'),
	"match":   strMatch,
	"rep":     strRep,
	"reverse": strReverse,
	"sub":     strSub,
	"upper":   mapBytes('a', 'z'),
}

// start is where a position in a string begins, from 1, negative from the end.
func start(pos int64, n int) int64 {
	switch {
	case pos > 0:
		return pos
	case pos == 0 || pos < -int64(n):
		return 1
	}
	return int64(n) + pos + 1
}

// end is the last position wanted.
func end(pos int64, n int) int64 {
	switch {
	case pos > int64(n):
		return int64(n)
	case pos >= 0:
		return pos
	case pos < -int64(n):
		return 0
	}
	return int64(n) + pos + 1
}

func strSub(L *lua.LState) int {
	s := checkString(L, 1)
	i, j := start(checkInt(L, 2), len(s)), end(optInt(L, 3, -1), len(s))
	if i > j {
		L.Push(lua.LString(""))
	} else {
		L.Push(lua.LString(s[i-1 : j]))
	}
	return 1
}

func strByte(L *lua.LState) int {
	s := checkString(L, 1)
	first := optInt(L, 2, 1)
	i, j := start(first, len(s)), end(optInt(L, 3, first), len(s))
	if i > j {
		return 0
	}
	if j-i >= maxUnpack {
		L.RaiseError("string slice too long")
	}
	Charge(L, int(j-i))
	for k := i; k <= j; k++ {
		L.Push(lua.LNumber(s[k-1]))
	}
	return int(j - i + 1)
}

func strChar(L *lua.LState) int {
	b := make([]byte, L.GetTop())
	for i := range b {
		c := checkInt(L, i+1)
		if c < 0 || c > 255 {
			L.ArgError(i+1, "value out of range")
		}
		b[i] = byte(c)
	}
	L.Push(lua.LString(b))
	return 1
}

// mapBytes switches the case of the ASCII letters from lo to hi.
func mapBytes(lo, hi byte) lua.LGFunction {
	return func(L *lua.LState) int {
		b := []byte(checkString(L, 1))
		checkLength(L, len(b), len(b))
		for i, c := range b {
			if lo <= c && c <= hi {
				b[i] = c ^ 0x20
			}
		}
		L.Push(lua.LString(b))
		return 1
	}
}

func strRep(L *lua.LState) int {
	s, n, sep := checkString(L, 1), checkInt(L, 2), optString(L, 3, "")
	if n <= 0 {
		L.Push(lua.LString(""))
		return 1
	}
	unit := len(s) + len(sep)
	if unit > 0 && n > int64(math.MaxInt/unit) {
		n = int64(math.MaxInt / unit) // too long by far, and no overflow
	}
	total := int64(unit)*n - int64(len(sep))
	checkLength(L, int(total), int(total))
	if sep != "" && n > 1 {
		s = strings.Repeat(s+sep, int(n-1)) + s
	} else if unit > 0 {
		s = strings.Repeat(s, int(n))
	}
	L.Push(lua.LString(s))
	return 1
}

func strReverse(L *lua.LState) int {
	s := checkString(L, 1)
	checkLength(L, len(s), len(s))
	b := make([]byte, len(s))
	for i := range len(s) {
		b[len(s)-1-i] = s[i]
	}
	L.Push(lua.LString(b))
	return 1
}

// stringArithmetic is what makes "10" + 1 work, as metamethods of strings. The
// VM would do it alone, but takes "010" for octal.
var stringArithmetic = map[string]lua.LGFunction{
	"__add": arithmetic("__add", func(a, b float64) float64 { return a + b }),
	"__sub": arithmetic("__sub", func(a, b float64) float64 { return a - b }),
	"__mul": arithmetic("__mul", func(a, b float64) float64 { return a * b }),
	"__div": arithmetic("__div", func(a, b float64) float64 { return a / b }),
	"__mod": arithmetic("__mod", luaMod),
	"__pow": arithmetic("__pow", math.Pow),
	"__unm": func(L *lua.LState) int {
		f, ok := toNumber(L.Get(1))
		if !ok {
			L.RaiseError("attempt to perform arithmetic on a string value that is no number")
		}
		L.Push(lua.LNumber(-f))
		return 1
	},
}

// luaMod is a - floor(a/b)*b, with the sign of b.
func luaMod(a, b float64) float64 {
	m := math.Mod(a, b)
	if m != 0 && (m < 0) != (b < 0) {
		m += b
	}
	return m
}

func arithmetic(event string, op func(a, b float64) float64) lua.LGFunction {
	return func(L *lua.LState) int {
		l, r := L.Get(1), L.Get(2)
		a, okA := toNumber(l)
		b, okB := toNumber(r)
		if okA && okB {
			L.Push(lua.LNumber(op(a, b)))
			return 1
		}
		// A string came first and was no number: the other operand's turn.
		if f, ok := L.GetMetaField(r, event).(*lua.LFunction); ok && r.Type() != lua.LTString {
			L.Push(f)
			L.Push(l)
			L.Push(r)
			L.Call(2, 1)
			return 1
		}
		bad := l
		if okA {
			bad = r
		}
		L.RaiseError("attempt to perform arithmetic on a %s value", bad.Type())
		return 0
	}
}
