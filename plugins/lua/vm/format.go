package vm

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// strFormat is string.format of Lua 5.4, §6.4: widths and precisions have at
// most two digits, and %d wants an integer.
func strFormat(L *lua.LState) int {
	f := &formatter{L: L, arg: 1}
	s := checkString(L, 1)
	for s != "" {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			i = len(s)
		}
		f.write(s[:i])
		if s = s[i:]; s == "" {
			break
		}
		n := f.conversion(s)
		s = s[n:]
	}
	L.Push(lua.LString(f.out))
	return 1
}

type formatter struct {
	L   *lua.LState
	arg int // the last argument used
	out []byte
}

func (f *formatter) write(s string) {
	checkLength(f.L, len(f.out)+len(s), len(s))
	f.out = append(f.out, s...)
}

// spec is what stands between '%' and the letter.
type spec struct {
	minus, plus, space, alt, zero bool

	width, prec int // prec is -1 if there is none
	letter      byte
}

// conversion does the conversion that s begins with, and returns its length.
func (f *formatter) conversion(s string) int {
	if strings.HasPrefix(s, "%%") {
		f.write("%")
		return 2
	}
	c, n := parseSpec(s)
	if n < 0 {
		f.L.RaiseError("invalid conversion '%s' to 'format'", s[:min(-n, len(s))])
	}
	f.arg++
	if f.arg > f.L.GetTop() {
		f.L.ArgError(f.arg, "no value")
	}
	f.write(f.convert(c))
	return n
}

// flagsOf says which flags each conversion takes, and whether a precision.
var flagsOf = map[byte]struct {
	flags string
	prec  bool
}{
	'a': {"-+#0 ", true}, 'A': {"-+#0 ", true}, 'c': {"-", false}, 'd': {"-+0 ", true}, 'i': {"-+0 ", true},
	'e': {"-+#0 ", true}, 'E': {"-+#0 ", true}, 'f': {"-+#0 ", true}, 'F': {"-+#0 ", true}, 'g': {"-+#0 ", true}, 'G': {"-+#0 ", true},
	'o': {"-#0", true}, 'u': {"-0", true}, 'x': {"-#0", true}, 'X': {"-#0", true},
	'p': {"-", false}, 'q': {"", false}, 's': {"-", true},
}

// parseSpec reads a conversion. A negative n is the length of what is wrong.
func parseSpec(s string) (c spec, n int) {
	c.prec = -1
	i := 1
	flags := s[1 : len(s)-len(strings.TrimLeft(s[1:], "-+ #0"))]
	for _, flag := range []byte(flags) {
		switch flag {
		case '-':
			c.minus = true
		case '+':
			c.plus = true
		case ' ':
			c.space = true
		case '#':
			c.alt = true
		case '0':
			c.zero = true
		}
	}
	i += len(flags)
	c.width, i = twoDigits(s, i)
	if i < len(s) && s[i] == '.' {
		c.prec, i = twoDigits(s, i+1)
	}
	if i >= len(s) {
		return c, -i
	}
	c.letter = s[i]
	allowed, ok := flagsOf[c.letter]
	if !ok || strings.Trim(flags, allowed.flags) != "" || c.prec >= 0 && !allowed.prec || c.letter == 'q' && i > 1 {
		return c, -(i + 1)
	}
	return c, i + 1
}

func twoDigits(s string, i int) (v, next int) {
	for n := 0; n < 2 && i < len(s) && isDigit(s[i]); n++ {
		v = v*10 + int(s[i]-'0')
		i++
	}
	return v, i
}

func (f *formatter) convert(c spec) string {
	L, n := f.L, f.arg
	switch c.letter {
	case 'c':
		return pad(string([]byte{byte(checkInt(L, n))}), c)
	case 'd', 'i':
		v := checkInt(L, n)
		return c.integer(sign(v < 0, c), strconv.FormatUint(abs(v), 10))
	case 'u':
		return c.integer("", strconv.FormatUint(uint64(checkInt(L, n)), 10))
	case 'o':
		return c.integer(prefix("0", c), strconv.FormatUint(uint64(checkInt(L, n)), 8))
	case 'x':
		return c.integer(prefix("0x", c), strconv.FormatUint(uint64(checkInt(L, n)), 16))
	case 'X':
		return c.integer(prefix("0X", c), strings.ToUpper(strconv.FormatUint(uint64(checkInt(L, n)), 16)))
	case 'a', 'A', 'e', 'E', 'f', 'F', 'g', 'G':
		return c.float(checkNumber(L, n))
	case 'p':
		return pad(pointer(L.Get(n)), c)
	case 'q':
		return quote(L, n)
	}
	s := toString(L, L.Get(n))
	if c.prec >= 0 && c.prec < len(s) {
		s = s[:c.prec]
	}
	return pad(s, c)
}

func abs(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

func sign(negative bool, c spec) string {
	switch {
	case negative:
		return "-"
	case c.plus:
		return "+"
	case c.space:
		return " "
	}
	return ""
}

func prefix(p string, c spec) string {
	if c.alt {
		return p
	}
	return ""
}

// pad brings s to the width with spaces.
func pad(s string, c spec) string {
	fill := strings.Repeat(" ", max(c.width-len(s), 0))
	if c.minus {
		return s + fill
	}
	return fill + s
}

// integer writes sign or prefix and digits; a precision is the least number of
// digits and switches the flag 0 off, as in C.
func (c spec) integer(sign, digits string) string {
	if digits == "0" {
		if c.prec == 0 {
			digits = ""
		}
		if c.letter == 'x' || c.letter == 'X' || c.letter == 'o' && digits != "" {
			sign = ""
		}
	}
	zeros := c.prec - len(digits)
	if c.letter == 'o' {
		zeros -= len(sign)
	}
	if c.prec < 0 && c.zero && !c.minus {
		zeros = c.width - len(sign) - len(digits)
	}
	return pad(sign+strings.Repeat("0", max(zeros, 0))+digits, c)
}

// float writes as C does; Go differs in hexadecimal exponents, in the default
// precision of %g and in names of the values that are no numbers.
func (c spec) float(v float64) string {
	upper := c.letter <= 'Z'
	var s string
	switch lower := c.letter | 0x20; {
	case math.IsInf(v, 0) || math.IsNaN(v):
		s = map[bool]string{true: "nan", false: "inf"}[math.IsNaN(v)]
		c.zero = false
	case lower == 'a':
		s = hexFloat(math.Abs(v), c.prec)
	default:
		prec := c.prec
		if prec < 0 {
			prec = 6
		}
		format := "%." + strconv.Itoa(prec) + string(lower)
		if c.alt {
			format = "%#" + format[1:]
		}
		s = fmt.Sprintf(format, math.Abs(v))
	}
	if upper {
		s = strings.ToUpper(s)
	}
	mark := sign(math.Signbit(v) && !math.IsNaN(v), c)
	if c.zero && !c.minus {
		if p := hexPrefix(s); p != "" {
			mark, s = mark+p, s[len(p):]
		}
		s = strings.Repeat("0", max(c.width-len(mark)-len(s), 0)) + s
	}
	return pad(mark+s, c)
}

func hexPrefix(s string) string {
	if len(s) > 1 && s[1]|0x20 == 'x' {
		return s[:2]
	}
	return ""
}

// hexFloat is C's %a: Go writes at least two digits of the exponent.
func hexFloat(v float64, prec int) string {
	s := strconv.FormatFloat(v, 'x', prec, 64)
	mantissa, exp, _ := strings.Cut(s, "p")
	digits := strings.TrimLeft(exp[1:], "0")
	if digits == "" {
		digits = "0"
	}
	return mantissa + "p" + exp[:1] + digits
}

// pointer identifies tables, functions, threads and userdata.
func pointer(v lua.LValue) string {
	switch v.(type) {
	case *lua.LTable, *lua.LFunction, *lua.LUserData, *lua.LState:
		return fmt.Sprintf("%p", v)
	}
	return "(null)"
}

// quote is %q: a value as it can be written in Lua source.
func quote(L *lua.LState, n int) string {
	switch v := L.Get(n).(type) {
	case lua.LString:
		return quoteString(L, string(v))
	case lua.LNumber:
		return quoteNumber(float64(v))
	case lua.LBool, *lua.LNilType:
		return v.String()
	}
	L.ArgError(n, "value has no literal form")
	return ""
}

func quoteNumber(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "1e9999"
	case math.IsInf(v, -1):
		return "-1e9999"
	case math.IsNaN(v):
		return "(0/0)"
	case v == math.Trunc(v) && math.Abs(v) < 1<<63:
		return strconv.FormatInt(int64(v), 10)
	case v < 0:
		return "-" + hexFloat(-v, -1)
	}
	return hexFloat(v, -1)
}

func quoteString(L *lua.LState, s string) string {
	checkLength(L, len(s)+2, len(s)+2)
	b := append(make([]byte, 0, len(s)+2), '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '\n':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			if i+1 < len(s) && isDigit(s[i+1]) {
				b = fmt.Appendf(b, `\%03d`, c)
			} else {
				b = fmt.Appendf(b, `\%d`, c)
			}
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
