package addr

import "strings"

// What no localpart has is written with a backslash and two digits (XEP-0106 §4), and a backslash only where it would
// begin such an escape (§4.2).
var escaper, unescaper = func() (escape, unescape *strings.Replacer) {
	var there, back []string
	for _, e := range [...]struct{ c, code string }{
		{" ", "20"}, {`"`, "22"}, {"&", "26"}, {"'", "27"}, {"/", "2f"}, {":", "3a"}, {"<", "3c"}, {">", "3e"}, {"@", "40"}, {`\`, "5c"},
	} {
		there = append(there, `\`+e.code, `\5c`+e.code)
		if e.c != `\` {
			there = append(there, e.c, `\`+e.code)
		}
		back = append(back, `\`+e.code, e.c)
	}
	return strings.NewReplacer(there...), strings.NewReplacer(back...)
}()

// Escape writes what cannot stand in a localpart.
func Escape(name string) string { return escaper.Replace(name) }

// Unescape undoes Escape.
func Unescape(local string) string { return unescaper.Replace(local) }
