package stanza

import (
	"bytes"
	"iter"

	"rosterd/xmppcore/scan"
)

// Elements splits whole elements that were written one after the other, as a
// stream carries them, without copying. They are ours: well-formed, without
// comments. In other bytes an element ends somewhere, but none is lost.
func Elements(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := elementLen(b)
			if !yield(b[:n:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// AppendStandalone appends an element of ours as it stands alone, outside the
// stream header that would declare its namespaces: in a WebSocket message (RFC
// 7395 §3.3.3) or the body of a BOSH response (XEP-0206 §7). Its root declares
// jabber:client if it declares no default namespace, and the prefix stream if it
// is written with it.
func AppendStandalone(dst, element []byte) []byte {
	name := tagNameEnd(element)
	dst = append(dst, element[:name]...)
	space, prefix := declares(element[name:])
	if !space {
		dst = append(dst, " xmlns='"+scan.NSClient+"'"...)
	}
	if !prefix && bytes.HasPrefix(element, []byte("<stream:")) {
		dst = append(dst, " xmlns:stream='"+scan.NSStream+"'"...)
	}
	return append(dst, element[name:]...)
}

// elementLen returns the length of the element that b begins with.
func elementLen(b []byte) int {
	for i, depth := 0, 0; ; {
		lt := bytes.IndexByte(b[i:], '<')
		if lt < 0 {
			return len(b)
		}
		i += lt
		rest := b[i:]
		switch {
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			i += behind(rest, "]]>")
			continue
		case bytes.HasPrefix(rest, []byte("</")):
			i += behind(rest, ">")
			depth--
		default:
			n := tagLen(rest)
			if n < 2 || rest[n-2] != '/' {
				depth++
			}
			i += n
		}
		if depth <= 0 {
			return i
		}
	}
}

// tagLen returns the length of the start tag that b begins with.
func tagLen(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch c := b[i]; c {
		case '>':
			return i + 1
		case '\'', '"':
			i += behind(b[i+1:], string(c))
		}
	}
	return len(b)
}

// behind returns the offset behind the first end in b, len(b) if there is none.
func behind(b []byte, end string) int {
	if i := bytes.Index(b, []byte(end)); i >= 0 {
		return i + len(end)
	}
	return len(b)
}

// tagNameEnd returns the offset behind the name of the tag that b begins with.
func tagNameEnd(b []byte) int {
	if i := bytes.IndexAny(b, " \t\r\n/>"); i >= 0 {
		return i
	}
	return len(b)
}

// declares tells what the root tag declares, of which b is what follows the name:
// a default namespace, the prefix stream.
func declares(b []byte) (space, prefix bool) {
	for {
		b = bytes.TrimLeft(b, " \t\r\n")
		eq := bytes.IndexAny(b, "=/>")
		if eq < 0 || b[eq] != '=' {
			return space, prefix
		}
		switch string(bytes.TrimRight(b[:eq], " \t\r\n")) {
		case "xmlns":
			space = true
		case "xmlns:stream":
			prefix = true
		}
		value := bytes.TrimLeft(b[eq+1:], " \t\r\n")
		if len(value) == 0 {
			return space, prefix
		}
		b = value[1+behind(value[1:], string(value[0])):]
	}
}
