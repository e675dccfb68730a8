package addr

import "strings"

// What no localpart has is written with a backslash and two digits (XEP-0106 §4).
var escapes = [...]struct {
	c    byte
	code string
}{{' ', `\20`}, {'"', `\22`}, {'&', `\26`}, {'\'', `\27`}, {'/', `\2f`}, {':', `\3a`}, {'<', `\3c`}, {'>', `\3e`}, {'@', `\40`}, {'\\', `\5c`}}

// Escape writes what cannot stand in a localpart, and a backslash only where it would begin an escape (XEP-0106 §4.2).
func Escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		code := ""
		for _, e := range escapes {
			if _, begins := escaped(name[i:]); e.c == name[i] && (e.c != '\\' || begins) {
				code = e.code
			}
		}
		if code == "" {
			b.WriteByte(name[i])
		}
		b.WriteString(code)
	}
	return b.String()
}

// Unescape undoes Escape.
func Unescape(local string) string {
	var b strings.Builder
	for i := 0; i < len(local); i++ {
		if c, ok := escaped(local[i:]); ok {
			b.WriteByte(c)
			i += 2
			continue
		}
		b.WriteByte(local[i])
	}
	return b.String()
}

// escaped is the character that s begins with an escape of.
func escaped(s string) (c byte, ok bool) {
	for _, e := range escapes {
		if strings.HasPrefix(s, e.code) {
			return e.c, true
		}
	}
	return 0, false
}
