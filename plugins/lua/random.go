package lua

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

func init() {
	seed := func(*machine, *glua.LState) int { return 0 } // nothing to do, as in Prosody
	libraries["util.random"] = &library{funcs: map[string]native{"bytes": randomBytes, "seed": seed}}
	libraries["util.uuid"] = &library{funcs: map[string]native{
		"generate": uuidV4, "v4": uuidV4, "v7": uuidV7, "get_nibbles": uuidNibbles, "seed": seed,
	}}
	libraries["util.id"] = &library{funcs: map[string]native{
		"tiny": randomID(3), "short": randomID(9), "medium": randomID(18), "long": randomID(27), "custom": customID,
	}}
	libraries["util.hex"] = &library{funcs: map[string]native{"encode": hexEncode, "decode": hexDecode, "to": hexEncode, "from": hexDecode}}
}

func (m *machine) random(n int) []byte {
	b := make([]byte, n)
	m.plugin.svc.Random(b)
	return b
}

// randomArg gives as many random bytes as argument 1 says, but for those that are given as two per byte.
func (m *machine) randomArg(l *glua.LState, perByte int) []byte {
	n := vm.CheckInt(l, 1)
	if n < 0 {
		l.ArgError(1, "a number of at least 0 is expected")
	}
	n = min(n, math.MaxInt32) // is refused all the same
	vm.CheckLength(l, int(n))
	return m.random((int(n) + perByte - 1) / perByte)
}

func randomBytes(m *machine, l *glua.LState) int {
	l.Push(glua.LString(m.randomArg(l, 1)))
	return 1
}

func uuidNibbles(m *machine, l *glua.LState) int {
	s := hex.EncodeToString(m.randomArg(l, 2))
	l.Push(glua.LString(s[:vm.CheckInt(l, 1)]))
	return 1
}

// pushUUID sets version and variant (RFC 9562 §4.1, §4.2).
func pushUUID(l *glua.LState, b []byte, version byte) int {
	b[6] = version<<4 | b[6]&0x0f
	b[8] = 0x80 | b[8]&0x3f
	l.Push(glua.LString(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])))
	return 1
}

// uuidV4 is random (RFC 9562 §5.4).
func uuidV4(m *machine, l *glua.LState) int { return pushUUID(l, m.random(16), 4) }

// uuidV7 sorts by the time it was made (RFC 9562 §5.7).
func uuidV7(m *machine, l *glua.LState) int {
	b := make([]byte, 16)
	binary.BigEndian.PutUint64(b, uint64(m.plugin.svc.Now().UnixMilli())<<16)
	m.plugin.svc.Random(b[6:])
	return pushUUID(l, b, 7)
}

// randomID makes identifiers of n random bytes that may stand in a URL (RFC 4648 §5).
func randomID(n int) native {
	return func(m *machine, l *glua.LState) int {
		return pushText(l, base64.RawURLEncoding.EncodeToString(m.random(n)))
	}
}

// maxIDBytes is more than anybody needs to tell things apart.
const maxIDBytes = 1024

// customID is id.custom(bytes): a function like those beside it.
func customID(m *machine, l *glua.LState) int {
	n := vm.CheckInt(l, 1)
	if n < 0 || n > maxIDBytes {
		l.ArgError(1, fmt.Sprintf("a number of 0 to %d bytes is expected", maxIDBytes))
	}
	f := randomID(int(n))
	l.Push(l.NewFunction(func(l *glua.LState) int { return f(m, l) }))
	return 1
}

func hexEncode(_ *machine, l *glua.LState) int {
	s := textArg(l, 1)
	vm.CheckLength(l, 2*len(s))
	l.Push(glua.LString(hex.EncodeToString([]byte(s))))
	return 1
}

func hexDecode(_ *machine, l *glua.LState) int {
	s := vm.CheckString(l, 1)
	vm.Charge(l, len(s)/2)
	return pushText(l, unhex(s))
}

// unhex reads pairs of digits as Prosody's util.hex does: what stands around a pair is left out, and where there is no
// pair everything stays as it is, in lower case.
func unhex(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		j := notHex(s, i)
		if j+1 >= len(s) || nibble(s[j]) < 0 || nibble(s[j+1]) < 0 {
			end := min(j+1, len(s)) // from each of these on it is the same
			b.WriteString(lower(s[i:end]))
			i = end
			continue
		}
		b.WriteByte(byte(nibble(s[j])<<4 | nibble(s[j+1])))
		i = notHex(s, j+2)
	}
	return b.String()
}

// notHex is where the bytes from i on that are no hexadecimal digits end.
func notHex(s string, i int) int {
	for i < len(s) && nibble(s[i]) < 0 {
		i++
	}
	return i
}

// nibble is the value of a hexadecimal digit, or -1.
func nibble(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// lower is string.lower: ASCII only.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}
