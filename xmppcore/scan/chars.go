package scan

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a byte may be part of. Bytes of longer UTF-8 sequences have no bit: they
// are looked at as characters.
const (
	inSpace uint8 = 1 << iota // XML 1.0 §2.3 S
	inNameStart
	inName
	inText  // character data, but for the beginning of "]]>"
	inCDATA // the same for CDATA sections
	inValue // attribute values, but for quotes
	inURI   // RFC 3986 §2; the bytes of other characters count, as in an IRI
)

var bytesIn = func() (t [256]uint8) {
	for c := range t {
		if c >= utf8.RuneSelf {
			t[c] = inURI
			continue
		}
		space := c == ' ' || c == '\t' || c == '\n' || c == '\r'
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if space {
			t[c] |= inSpace
		}
		digit := c >= '0' && c <= '9'
		if letter {
			t[c] |= inNameStart | inName
		}
		if digit || c == '-' || c == '.' {
			t[c] |= inName
		}
		if letter || digit || strings.IndexByte("-.~:/?#[]@!$&'()*+,;=%", byte(c)) >= 0 {
			t[c] |= inURI
		}
		if c < ' ' && !space {
			continue
		}
		if c != ']' {
			t[c] |= inCDATA
		}
		if c != ']' && c != '<' && c != '&' {
			t[c] |= inText
		}
		if c != '<' && c != '&' && c != '\'' && c != '"' {
			t[c] |= inValue
		}
	}
	return t
}()

func isSpace(c byte) bool { return bytesIn[c]&inSpace != 0 }

// skipSpace returns the offset of the first byte at or behind i that is no space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// char checks the character at b[i], a byte of no known class, and returns it and
// the offset behind it (XML 1.0 §2.2 Char, RFC 3629).
func char(b []byte, i int) (r rune, end int, err error) {
	r, size := utf8.DecodeRune(b[i:])
	switch {
	case r == utf8.RuneError && size <= 1:
		if !utf8.FullRune(b[i:]) {
			return 0, i, ErrMore
		}
		return 0, i, refuse(NotWellFormed, i, "bytes that are not UTF-8")
	case !isChar(r):
		return 0, i, refuse(NotWellFormed, i, "character that XML does not allow")
	}
	return r, i + size, nil
}

// isChar is XML 1.0 §2.2 Char.
func isChar(r rune) bool {
	switch {
	case r < ' ':
		return r == '\t' || r == '\n' || r == '\r'
	case r < 0xD800:
		return true
	case r < 0xE000:
		return false
	}
	return r <= unicode.MaxRune && r != 0xFFFE && r != 0xFFFF
}

// maxName bounds what is read again when a piece of the stream ends inside it: a
// name, the space around '=', the space before '>' of an end tag.
const maxName = 1024

// name reads the qualified name at b[i] (Namespaces in XML §4): its end, and the
// offset of its colon, 0 without one.
func name(b []byte, i int) (end, colon int, err error) {
	part := i // where the prefix or the local part begins
	for j := i; ; {
		if j == part && j < len(b) && b[j] < utf8.RuneSelf && bytesIn[b[j]]&inNameStart == 0 {
			return 0, 0, refuse(NotWellFormed, j, "%q where a name should begin", b[j])
		}
		for j < len(b) && bytesIn[b[j]]&inName != 0 {
			j++
		}
		switch {
		case j-i > maxName:
			return 0, 0, refuse(PolicyViolation, i+maxName, "name longer than %d bytes", maxName)
		case j == len(b):
			return 0, 0, ErrMore
		case b[j] >= utf8.RuneSelf:
			if j, err = nameRune(b, j, j == part); err != nil {
				return 0, 0, err
			}
		case b[j] != ':':
			return j, colon, nil
		case colon != 0:
			return 0, 0, refuse(NotWellFormed, j, "name with two colons")
		case j == i+maxName:
			return 0, 0, refuse(PolicyViolation, j, "name longer than %d bytes", maxName)
		default:
			colon = j
			j++
			part = j
		}
	}
}

// nameRune checks a character of a name that is not ASCII and returns the offset
// behind it.
func nameRune(b []byte, i int, first bool) (end int, err error) {
	r, end, err := char(b, i)
	if err != nil {
		return i, err
	}
	if unicode.Is(nameStartRunes, r) || !first && unicode.Is(nameOnlyRunes, r) {
		return end, nil
	}
	return i, refuse(NotWellFormed, i, "name with the character %q", r)
}

// gap skips space where only little is expected.
func gap(b []byte, i int) (end int, err error) {
	end = skipSpace(b, i)
	switch {
	case end-i > maxName:
		return i, refuse(PolicyViolation, i+maxName, "more than %d bytes of space inside a tag", maxName)
	case end == len(b):
		return i, ErrMore
	}
	return end, nil
}
