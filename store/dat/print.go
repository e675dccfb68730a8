package dat

import (
	"fmt"
	"math"
	"strconv"
)

// Append writes v as Prosody's util.serialization does, as a whole file.
func Append(dst []byte, v Value) []byte {
	dst = append(dst, "return "...)
	dst = appendValue(dst, v, 1)
	return append(dst, ";\n"...)
}

func appendValue(dst []byte, v Value, depth int) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "nil"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return appendFloat(dst, v)
	case string:
		return appendString(dst, v)
	case *Table:
		return appendTable(dst, v, depth)
	default:
		panic(fmt.Sprintf("dat: %T is no Value", v)) // a caller's mistake, never a file's
	}
}

func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "(1/0)"...)
	case math.IsInf(f, -1):
		return append(dst, "(-1/0)"...)
	case math.IsNaN(f):
		return append(dst, "(0/0)"...)
	case f == 0:
		return append(dst, '0') // without the sign, which is lost at reading
	default:
		return fmt.Appendf(dst, "%.18g", f)
	}
}

func appendTable(dst []byte, t *Table, depth int) []byte {
	dst = append(dst, '{')
	next := int64(1)
	for _, f := range t.Fields {
		dst = indent(append(dst, '\n'), depth)
		if f.Key == Value(next) {
			next++
		} else {
			dst = append(dst, '[')
			dst = appendValue(dst, f.Key, depth+1)
			dst = append(dst, "] = "...)
		}
		dst = appendValue(dst, f.Value, depth+1)
		dst = append(dst, ';')
	}
	if len(t.Fields) > 0 {
		dst = indent(append(dst, '\n'), depth-1)
	}
	return append(dst, '}')
}

func indent(dst []byte, depth int) []byte {
	for range depth {
		dst = append(dst, '\t')
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\'' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= '\a' && c <= '\r':
			dst = append(dst, '\\', "abtnvfr"[c-'\a'])
		case c < 0x20 || c >= 0x7f:
			dst = fmt.Appendf(dst, `\%03d`, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
