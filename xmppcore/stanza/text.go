package stanza

import "unicode/utf8"

// How a byte is written: 0 as it is.
const (
	plain   = iota
	escaped // by an entity or a character reference
	line    // tab and newline: as they are in text, as references in attributes
	multi   // part of a longer UTF-8 sequence
	never   // XML 1.0 §2.2 has no such character
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c == '\t' || c == '\n':
			t[c] = line
		case c == '&' || c == '<' || c == '>' || c == '\'' || c == '\r':
			t[c] = escaped
		case c < 0x20:
			t[c] = never
		case c >= utf8.RuneSelf:
			t[c] = multi
		}
	}
	return t
}()

// AppendText appends s as character data. What XML cannot carry (control
// characters, U+FFFE, U+FFFF, bytes that are not UTF-8) becomes U+FFFD, one for
// each, so that no string can break the stream it is written to.
func AppendText(dst []byte, s string) []byte { return appendEscaped(dst, s, line) }

// AppendAttr appends a space and the attribute, its value escaped as in
// AppendText; tab, newline and carriage return become character references,
// because a parser would turn them into spaces (XML 1.0 §3.3.3). The name is
// written as it is.
func AppendAttr(dst []byte, name, value string) []byte {
	dst = append(dst, ' ')
	dst = append(dst, name...)
	dst = append(dst, '=', '\'')
	dst = appendEscaped(dst, value, plain)
	return append(dst, '\'')
}

// appendEscaped appends s; keep is the class of bytes that is left alone
// besides plain.
func appendEscaped(dst []byte, s string, keep uint8) []byte {
	for {
		n := unchanged(s, keep)
		dst = append(dst, s[:n]...)
		if s = s[n:]; s == "" {
			return dst
		}
		if c := class[s[0]]; c == escaped || c == line {
			dst = append(dst, reference(s[0])...)
			s = s[1:]
			continue
		}
		dst = append(dst, replacement...)
		_, n = utf8.DecodeRuneInString(s)
		s = s[n:]
	}
}

// unchanged returns how much of s can be written as it is.
func unchanged(s string, keep uint8) int {
	for i := 0; i < len(s); {
		switch c := class[s[i]]; c {
		case plain, keep:
			i++
		case multi:
			r, size := utf8.DecodeRuneInString(s[i:])
			if !allowed(r, size) {
				return i
			}
			i += size
		default:
			return i
		}
	}
	return len(s)
}

const replacement = "\uFFFD"

// allowed reports whether a sequence that is not ASCII is a character of XML 1.0
// §2.2.
func allowed(r rune, size int) bool {
	return size > 1 && r != 0xFFFE && r != 0xFFFF // what is not UTF-8 has size 1
}

func reference(c byte) string {
	switch c {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;" // needed in "]]>" only, but cheaper than looking back
	case '\'':
		return "&apos;"
	case '\t':
		return "&#9;"
	case '\n':
		return "&#10;"
	default:
		return "&#13;"
	}
}
