// Package stanza writes stanzas and errors as bytes: escaping, readdressing what
// the scanner has checked, replies, and the error vocabulary of RFC 6120 §4.9.3
// and §8.3.3. Everything appends to a []byte and allocates only when it is full.
package stanza

import "rosterd/xmppcore/scan"

// Kind is which of the three stanzas it is (RFC 6120 §8.2).
type Kind uint8

// The kinds. None is any other element.
const (
	None Kind = iota
	Message
	Presence
	IQ
)

func (k Kind) String() string { return [...]string{"", "message", "presence", "iq"}[k] }

// KindOf returns the kind of st. An element outside the namespace jabber:client
// is None, whatever its name.
func KindOf(st *scan.Stanza) Kind {
	if string(st.Space) != scan.NSClient {
		return None
	}
	switch string(st.Name) {
	case "message":
		return Message
	case "presence":
		return Presence
	case "iq":
		return IQ
	}
	return None
}

// Values of the attribute type (RFC 6120 §8.2.3, RFC 6121 §4.7.1 and §5.2.2).
// A message without one is normal, a presence without one is available.
const (
	TypeError = "error" // all kinds

	TypeGet    = "get"
	TypeSet    = "set"
	TypeResult = "result"

	TypeChat      = "chat"
	TypeGroupchat = "groupchat"
	TypeHeadline  = "headline"
	TypeNormal    = "normal"

	TypeProbe        = "probe"
	TypeSubscribe    = "subscribe"
	TypeSubscribed   = "subscribed"
	TypeUnavailable  = "unavailable"
	TypeUnsubscribe  = "unsubscribe"
	TypeUnsubscribed = "unsubscribed"
)

// ID returns the attribute id, unescaped, "" if there is none.
func ID(st *scan.Stanza) string {
	id, _ := st.Attr("id")
	return id
}

// AppendIQ appends an IQ. Empty from and to are left out. The payload is XML and
// is written as it is.
func AppendIQ(dst []byte, typ, id, from, to string, payload []byte) []byte {
	dst = append(dst, "<iq"...)
	dst = AppendAttr(dst, "type", typ)
	dst = AppendAttr(dst, "id", id)
	dst = appendAddresses(dst, from, to)
	return appendBody(dst, "iq", payload)
}

// AppendResult appends the answer to an IQ get or set (RFC 6120 §8.2.3).
func AppendResult(dst []byte, id, from, to string, payload []byte) []byte {
	return AppendIQ(dst, TypeResult, id, from, to, payload)
}

// AppendMessage appends a message. An empty typ is normal; empty from and to are left out. The content is XML and is
// written as it is.
func AppendMessage(dst []byte, typ, from, to string, content []byte) []byte {
	dst = append(dst, "<message"...)
	if typ != "" {
		dst = AppendAttr(dst, "type", typ)
	}
	dst = appendAddresses(dst, from, to)
	return appendBody(dst, "message", content)
}

// AppendPresence appends a presence. An empty typ is available; empty from and
// to are left out. The body (show, status, priority, extensions) is XML and is
// written as it is.
func AppendPresence(dst []byte, from, to, typ string, body []byte) []byte {
	dst = append(dst, "<presence"...)
	if typ != "" {
		dst = AppendAttr(dst, "type", typ)
	}
	dst = appendAddresses(dst, from, to)
	return appendBody(dst, "presence", body)
}

func appendAddresses(dst []byte, from, to string) []byte {
	if from != "" {
		dst = AppendAttr(dst, "from", from)
	}
	if to != "" {
		dst = AppendAttr(dst, "to", to)
	}
	return dst
}

func appendBody(dst []byte, name string, body []byte) []byte {
	if len(body) == 0 {
		return append(dst, '/', '>')
	}
	dst = append(dst, '>')
	dst = append(dst, body...)
	dst = append(dst, '<', '/')
	dst = append(dst, name...)
	return append(dst, '>')
}
