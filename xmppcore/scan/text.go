package scan

import "unicode"

// text reads character data from b[i] to the next '<' (XML 1.0 §2.4). With an
// error it returns the offset where to go on.
func text(b []byte, i int) (end int, err error) {
	for {
		for i < len(b) && bytesIn[b[i]]&inText != 0 {
			i++
		}
		if i == len(b) {
			return i, ErrMore
		}
		next := i
		switch c := b[i]; {
		case c == '<':
			return i, nil
		case c == '&':
			next, err = reference(b, i)
		case c == ']':
			var closed bool
			if closed, err = closes(b, i); closed {
				err = refuse(NotWellFormed, i, "\"]]>\" outside a CDATA section")
			}
			next = i + 1
		default:
			_, next, err = char(b, i)
		}
		if err != nil {
			return i, err
		}
		i = next
	}
}

// cdata reads the content of a CDATA section from b[i] and returns the offset
// behind its "]]>" (XML 1.0 §2.7). With an error it returns the offset where to
// go on.
func cdata(b []byte, i int) (end int, err error) {
	for {
		for i < len(b) && bytesIn[b[i]]&inCDATA != 0 {
			i++
		}
		if i == len(b) {
			return i, ErrMore
		}
		next := i + 1
		if b[i] == ']' {
			var closed bool
			if closed, err = closes(b, i); closed {
				return i + len("]]>"), nil
			}
		} else {
			_, next, err = char(b, i)
		}
		if err != nil {
			return i, err
		}
		i = next
	}
}

// closes reports whether "]]>" stands at b[i], where ']' is.
func closes(b []byte, i int) (bool, error) {
	return startsWith(b[i:], "]]>")
}

// startsWith reports whether b starts with s, or ErrMore as long as it may.
func startsWith(b []byte, s string) (bool, error) {
	if len(b) >= len(s) {
		return string(b[:len(s)]) == s, nil
	}
	if string(b) == s[:len(b)] {
		return false, ErrMore
	}
	return false, nil
}

// value reads an attribute value from b[i] to the quote that ends it (XML 1.0
// §2.3 AttValue), and returns the bits that all its bytes have. With an error it
// returns the offset where to go on.
func value(b []byte, i int, quote byte) (end int, all uint8, err error) {
	all = 0xFF
	for {
		for i < len(b) {
			in := bytesIn[b[i]]
			if in&inValue == 0 {
				break
			}
			all &= in
			i++
		}
		if i == len(b) {
			return i, all, ErrMore
		}
		next := i + 1
		switch c := b[i]; c {
		case quote:
			return i, all, nil
		case '\'', '"':
			all &= bytesIn[c]
		case '&':
			next, err = reference(b, i)
		case '<':
			err = refuse(NotWellFormed, i, "'<' in an attribute value")
		default:
			_, next, err = char(b, i)
		}
		if err != nil {
			return i, all, err
		}
		i = next
	}
}

// maxReference bounds the length of a character reference: leading zeros are
// allowed, but nobody needs many.
const maxReference = 32

// reference reads the entity or character reference at b[i], where '&' is, and
// returns the offset behind its ';' (XML 1.0 §4.1). Only the five entities of
// XML itself are known (RFC 6120 §11.1).
func reference(b []byte, i int) (end int, err error) {
	j := i + 1
	switch {
	case j == len(b):
		return i, ErrMore
	case b[j] == '#':
		_, end, err = charReference(b, i)
		return end, err
	case bytesIn[b[j]]&inNameStart == 0:
		return i, refuse(NotWellFormed, i, "'&' that begins no reference")
	}
	for j < len(b) && j-i <= len("quot") && bytesIn[b[j]]&inName != 0 {
		j++
	}
	switch {
	case j == len(b):
		return i, ErrMore
	case b[j] == ';' && entity(b[i+1:j]) != 0:
		return j + 1, nil
	case b[j] == ';' || bytesIn[b[j]]&inName != 0:
		return i, refuse(RestrictedXML, i, "entity that is not XML's own")
	}
	return i, refuse(NotWellFormed, i, "'&' that begins no reference")
}

// entity returns the character that a predefined entity stands for, 0 for others
// (XML 1.0 §4.6).
func entity(name []byte) byte {
	switch string(name) {
	case "lt":
		return '<'
	case "gt":
		return '>'
	case "amp":
		return '&'
	case "apos":
		return '\''
	case "quot":
		return '"'
	}
	return 0
}

// charReference reads the character reference at b[i]: the character and the
// offset behind the ';'.
func charReference(b []byte, i int) (r rune, end int, err error) {
	j, base := i+len("&#"), rune(10)
	if j < len(b) && b[j] == 'x' {
		j, base = j+1, 16
	}
	for first := j; j < len(b); j++ {
		d := digit(b[j])
		switch {
		case b[j] == ';' && j > first && isChar(r):
			return r, j + 1, nil
		case d >= base:
			return 0, i, refuse(NotWellFormed, i, "character reference to no character")
		case j-i >= maxReference:
			return 0, i, refuse(PolicyViolation, i, "character reference longer than %d bytes", maxReference)
		}
		if r = r*base + d; r > unicode.MaxRune {
			return 0, i, refuse(NotWellFormed, i, "character reference to no character")
		}
	}
	return 0, i, ErrMore
}

// digit returns the value of a hexadecimal digit, 16 for other bytes.
func digit(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10
	}
	return 16
}
