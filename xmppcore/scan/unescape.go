package scan

import "unicode/utf8"

// AppendValue appends an attribute's value as a parser reports it: references
// replaced, and each tab and line end that was written as such turned into a
// space (XML 1.0 §3.3.3).
func AppendValue(dst, raw []byte) []byte { return appendUnescaped(dst, raw, ' ', ' ') }

// appendText appends character data without CDATA sections: references replaced,
// line ends turned into newlines (XML 1.0 §2.11).
func appendText(dst, raw []byte) []byte { return appendUnescaped(dst, raw, '\t', '\n') }

// appendUnescaped appends raw with its references replaced, writing tab for a tab
// and newline for a line end. A '&' that begins no reference stays, but what the
// scanner has accepted has none.
func appendUnescaped(dst, raw []byte, tab, newline byte) []byte {
	for i := 0; i < len(raw); {
		switch c := raw[i]; c {
		case '&':
			end := 0
			if dst, end = appendReference(dst, raw, i); end > i {
				i = end
				continue
			}
			dst = append(dst, c)
		case '\t':
			dst = append(dst, tab)
		case '\n':
			dst = append(dst, newline)
		case '\r':
			if i+1 == len(raw) || raw[i+1] != '\n' {
				dst = append(dst, newline)
			}
		default:
			dst = append(dst, c)
		}
		i++
	}
	return dst
}

// appendReference appends the character that the reference at raw[i] stands for
// and returns the offset behind the reference, or i if there is none.
func appendReference(dst, raw []byte, i int) ([]byte, int) {
	end, err := reference(raw, i)
	if err != nil {
		return dst, i
	}
	if raw[i+1] == '#' {
		r, _, _ := charReference(raw, i)
		return utf8.AppendRune(dst, r), end
	}
	return append(dst, entity(raw[i+1:end-1])), end
}
