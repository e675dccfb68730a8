package stanza

import (
	"bytes"
	"time"
)

const nsDelay = "urn:xmpp:delay"

// AppendDelayed appends elements of ours, one after the other. To messages and presence it adds who has delayed them
// and since when (XEP-0203), unless they say something of that already, or what they carry does.
func AppendDelayed(dst, elements []byte, from string, since time.Time) []byte {
	for e := range Elements(elements) {
		if !delayable(e) || bytes.Contains(e, []byte(nsDelay)) {
			dst = append(dst, e...)
			continue
		}
		open, end := cutEnd(e)
		dst = append(dst, open...)
		if len(end) == 0 {
			dst = append(dst, '>')
		}
		dst = appendDelay(dst, from, since)
		if len(end) > 0 {
			dst = append(dst, end...)
			continue
		}
		dst = append(dst, "</"...)
		dst = append(dst, e[1:tagNameEnd(e)]...)
		dst = append(dst, '>')
	}
	return dst
}

func appendDelay(dst []byte, from string, since time.Time) []byte {
	dst = append(dst, "<delay xmlns='"+nsDelay+"'"...)
	dst = AppendAttr(dst, "from", from)
	dst = append(dst, " stamp='"...)
	dst = since.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	return append(dst, "'/>"...)
}

// delayable tells whether it matters when an element was sent: of an IQ it does not.
func delayable(e []byte) bool {
	name := e[1:tagNameEnd(e)]
	name = name[bytes.IndexByte(name, ':')+1:]
	return string(name) == "message" || string(name) == "presence"
}

// cutEnd splits an element before its end tag. If it has none, since its tag ends in "/>", what comes back is that tag
// without these, and no end.
func cutEnd(e []byte) (open, end []byte) {
	n := bytes.LastIndexByte(e, '<') // an attribute cannot hold one (XML 1.0 §3.1)
	if n == 0 {
		return e[:len(e)-len("/>")], nil
	}
	return e[:n], e[n:]
}
