package vm

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// maxExact is the largest integer up to which a Lua number, here always a
// float64, holds every integer exactly.
const maxExact = 1 << 53

const luaSpace = " \f\n\r\t\v"

// parseNumber reads a numeral by the rules of Lua 5.4 (§3.1, §3.4.3), with a
// sign and white space around it allowed.
func parseNumber(s string) (float64, bool) {
	if n, ok := parseInteger(s); ok {
		return float64(n), true
	}
	s = strings.Trim(s, luaSpace)
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" || !isDigit(digits[0]) && digits[0] != '.' {
		return 0, false // "inf", "nan" and double signs are no numerals
	}
	if strings.ContainsRune(s, '_') {
		return 0, false
	}
	if hex := len(digits) > 1 && digits[1]|0x20 == 'x'; hex && !strings.ContainsAny(s, "pP") {
		s += "p0" // Go wants an exponent, Lua does not
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(v, 0) {
		return 0, false
	}
	return v, true
}

// parseInteger reads an integer numeral: decimal within 64 bits, or
// hexadecimal, which wraps around.
func parseInteger(s string) (int64, bool) {
	s = strings.Trim(s, luaSpace)
	neg := strings.HasPrefix(s, "-")
	if neg || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		var v uint64
		for _, c := range []byte(s[2:]) {
			d := hexDigit(c)
			if d < 0 {
				return 0, false
			}
			v = v<<4 | uint64(d)
		}
		if neg {
			v = -v
		}
		return int64(v), true
	}
	if s == "" || !isDigit(s[0]) {
		return 0, false
	}
	if neg {
		s = "-" + s
	}
	v, err := strconv.ParseInt(s, 10, 64)
	return v, err == nil
}

// toNumber converts numbers and numerals, as arithmetic does.
func toNumber(v lua.LValue) (float64, bool) {
	switch v := v.(type) {
	case lua.LNumber:
		return float64(v), true
	case lua.LString:
		return parseNumber(string(v))
	}
	return 0, false
}

// toInteger converts values with an exact integer representation.
func toInteger(v lua.LValue) (int64, bool) {
	f, ok := toNumber(v)
	if !ok || f != math.Trunc(f) || f < -1<<63 || f >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}

// formatNumber writes integral numbers as integers and others with %.14g, as
// Lua does. (The VM's own ".." writes others with all their digits.)
func formatNumber(v float64) string {
	switch {
	case v == math.Trunc(v) && math.Abs(v) < 1<<63:
		return strconv.FormatInt(int64(v), 10)
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	case math.IsNaN(v):
		return "nan"
	}
	return formatG(v, 14)
}

// formatG is C's %.PRECg.
func formatG(v float64, prec int) string {
	return strconv.FormatFloat(v, 'g', prec, 64)
}
