package vm

import (
	lua "github.com/yuin/gopher-lua"
)

// utf8Pattern matches one UTF-8 sequence, if the subject is valid.
const utf8Pattern = "[\x00-\x7F\xC2-\xFD][\x80-\xBF]*"

var utf8Lib = map[string]lua.LGFunction{
	"char":      utf8Char,
	"codepoint": utf8Codepoint,
	"codes":     utf8Codes,
	"len":       utf8Len,
	"offset":    utf8Offset,
}

// appendUTF8 encodes as Lua 5.4 does: any value below 2^31, in up to six bytes.
func appendUTF8(b []byte, v uint32) []byte {
	if v < 0x80 {
		return append(b, byte(v))
	}
	var tail [6]byte
	n, first := 0, uint32(0x3f) // what still fits into the first byte
	for v > first {
		n++
		tail[len(tail)-n] = byte(0x80 | v&0x3f)
		v >>= 6
		first >>= 1
	}
	b = append(b, byte(^first<<1|v))
	return append(b, tail[len(tail)-n:]...)
}

// shortest are the smallest values that need one, two, … following bytes.
var shortest = [6]uint32{0, 0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000}

// decodeUTF8 reads the sequence at the begin of s; n is 0 if it is invalid.
// Without lax, surrogates and what is above 10FFFF are invalid.
func decodeUTF8(s string, lax bool) (v uint32, n int) {
	if s == "" {
		return 0, 0
	}
	c := s[0]
	if c < 0x80 {
		return uint32(c), 1
	}
	follow := 0
	for c&0x40 != 0 {
		follow++
		if follow >= len(s) || s[follow]&0xc0 != 0x80 {
			return 0, 0
		}
		v = v<<6 | uint32(s[follow]&0x3f)
		c <<= 1
	}
	if follow == 0 || follow > 5 {
		return 0, 0
	}
	v |= uint32(c&0x7f) << (follow * 5)
	if v < shortest[follow] {
		return 0, 0
	}
	if !lax && (v > 0x10ffff || 0xd800 <= v && v <= 0xdfff) {
		return 0, 0
	}
	return v, follow + 1
}

func isContinuation(s string, i int) bool { return i < len(s) && s[i]&0xc0 == 0x80 }

func utf8Char(L *lua.LState) int {
	var b []byte
	for i := 1; i <= L.GetTop(); i++ {
		v := checkInt(L, i)
		if v < 0 || v >= 1<<31 {
			L.ArgError(i, "value out of range")
		}
		b = appendUTF8(b, uint32(v))
	}
	checkLength(L, len(b), len(b))
	L.Push(lua.LString(b))
	return 1
}

// bytePos is where a position in bytes is, from 1, negative from the end.
func bytePos(pos int64, n int) int64 {
	if pos >= 0 {
		return pos
	}
	if -pos > int64(n) {
		return 0
	}
	return int64(n) + pos + 1
}

func utf8Len(L *lua.LState) int {
	s := checkString(L, 1)
	i, j := bytePos(optInt(L, 2, 1), len(s)), bytePos(optInt(L, 3, -1), len(s))
	lax := lua.LVAsBool(L.Get(4))
	if i < 1 || i > int64(len(s))+1 {
		L.ArgError(2, "initial position out of bounds")
	}
	if j > int64(len(s)) {
		L.ArgError(3, "final position out of bounds")
	}
	Charge(L, max(int(j-i), 0)>>3)
	count := 0
	for i--; i < j; count++ {
		_, n := decodeUTF8(s[i:], lax)
		if n == 0 {
			L.Push(lua.LNil)
			L.Push(lua.LNumber(i + 1))
			return 2
		}
		i += int64(n)
	}
	L.Push(lua.LNumber(count))
	return 1
}

func utf8Codepoint(L *lua.LState) int {
	s := checkString(L, 1)
	i := bytePos(optInt(L, 2, 1), len(s))
	j := bytePos(optInt(L, 3, i), len(s))
	lax := lua.LVAsBool(L.Get(4))
	if i < 1 {
		L.ArgError(2, "out of bounds")
	}
	if j > int64(len(s)) {
		L.ArgError(3, "out of bounds")
	}
	if j-i >= maxUnpack {
		L.RaiseError("string slice too long")
	}
	Charge(L, max(int(j-i), 0))
	count := 0
	for i--; i < j; count++ {
		v, n := decodeUTF8(s[i:], lax)
		if n == 0 {
			L.RaiseError("invalid UTF-8 code")
		}
		L.Push(lua.LNumber(v))
		i += int64(n)
	}
	return count
}

func utf8Offset(L *lua.LState) int {
	s, n := checkString(L, 1), checkInt(L, 2)
	def := int64(1)
	if n <= 0 {
		def = int64(len(s)) + 1
	}
	i := int(bytePos(optInt(L, 3, def), len(s))) - 1
	if i < 0 || i > len(s) {
		L.ArgError(3, "position out of bounds")
	}
	Charge(L, len(s)>>3)
	if n == 0 {
		for i > 0 && isContinuation(s, i) {
			i--
		}
		L.Push(lua.LNumber(i + 1))
		return 1
	}
	if isContinuation(s, i) {
		L.RaiseError("initial position is a continuation byte")
	}
	for ; n < 0 && i > 0; n++ {
		for i--; i > 0 && isContinuation(s, i); i-- {
		}
	}
	if n > 0 {
		for n--; n > 0 && i < len(s); n-- {
			for i++; isContinuation(s, i); i++ {
			}
		}
	}
	if n != 0 {
		L.Push(lua.LNil)
	} else {
		L.Push(lua.LNumber(i + 1))
	}
	return 1
}

func utf8Codes(L *lua.LState) int {
	s := checkString(L, 1)
	lax := lua.LVAsBool(L.Get(2))
	L.Push(L.NewFunction(func(L *lua.LState) int {
		i := int(checkInt(L, 2))
		if i > 0 {
			for i--; ; {
				if i++; !isContinuation(s, i) {
					break
				}
			}
		}
		if i >= len(s) {
			return 0
		}
		v, n := decodeUTF8(s[i:], lax)
		if n == 0 || isContinuation(s, i+n) {
			L.RaiseError("invalid UTF-8 code")
		}
		L.Push(lua.LNumber(i + 1))
		L.Push(lua.LNumber(v))
		return 2
	}))
	L.Push(lua.LString(s))
	L.Push(lua.LNumber(0))
	return 3
}
