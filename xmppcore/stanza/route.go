package stanza

import (
	"bytes"

	"rosterd/xmppcore/scan"
)

// AppendRouted appends st as others receive it: from is set (and escaped here;
// "" leaves it out), what else the root tag says stays, and the content is copied
// byte for byte. The declaration of jabber:client is dropped, because the
// recipient's stream has it; prefixes and a default namespace that st took from
// its own stream header are declared. A stanza without xml:lang gets the one of
// its stream header (RFC 6120 §8.1.5).
func AppendRouted(dst []byte, st *scan.Stanza, from string) []byte {
	dst = appendName(dst, st)
	if from != "" {
		dst = AppendAttr(dst, "from", from)
	}
	dst = appendRest(dst, st, false)
	return append(dst, st.Raw[st.Body:]...)
}

// AppendRoutedTo is AppendRouted with another to; "" leaves it out.
func AppendRoutedTo(dst []byte, st *scan.Stanza, from, to string) []byte {
	dst = appendName(dst, st)
	dst = appendAddresses(dst, from, to)
	dst = appendRest(dst, st, true)
	return append(dst, st.Raw[st.Body:]...)
}

// AppendAddressed appends a stanza that was written without to, by AppendPresence
// or AppendRoutedTo, with to: a broadcast is built once and addressed many times.
func AppendAddressed(dst, stanza []byte, to string) []byte {
	name := 0
	for name < len(stanza) && stanza[name] != ' ' && stanza[name] != '/' && stanza[name] != '>' {
		name++
	}
	dst = append(dst, stanza[:name]...)
	dst = AppendAttr(dst, "to", to)
	return append(dst, stanza[name:]...)
}

func appendName(dst []byte, st *scan.Stanza) []byte {
	dst = append(dst, '<')
	if len(st.Prefix) > 0 {
		dst = append(dst, st.Prefix...)
		dst = append(dst, ':')
	}
	return append(dst, st.Name...)
}

// appendRest appends the root tag's attributes except those the caller has
// written, and what st inherits from its stream header.
func appendRest(dst []byte, st *scan.Stanza, dropTo bool) []byte {
	lang := len(st.Lang) == 0
	for i := range st.Attrs {
		a := &st.Attrs[i]
		switch string(a.Name) {
		case "from", "xmlns":
			continue
		case "to":
			if dropTo {
				continue
			}
		case "xml:lang":
			lang = true
		}
		dst = appendRaw(dst, a.Name, a.Value)
	}
	if !lang {
		dst = appendRaw(dst, []byte("xml:lang"), st.Lang)
	}
	if string(st.Default) != scan.NSClient {
		dst = AppendAttr(dst, "xmlns", string(st.Default))
	}
	for _, b := range st.Inherited {
		dst = append(dst, " xmlns:"...)
		dst = append(dst, b.Prefix...)
		dst = append(dst, '=', '\'')
		dst = AppendText(dst, string(b.Space))
		dst = append(dst, '\'')
	}
	return dst
}

// appendRaw appends an attribute whose value is escaped already. Such a value
// holds one sort of quotes at most: not the one that enclosed it.
func appendRaw(dst, name, value []byte) []byte {
	quote := byte('\'')
	if bytes.IndexByte(value, '\'') >= 0 {
		quote = '"'
	}
	dst = append(dst, ' ')
	dst = append(dst, name...)
	dst = append(dst, '=', quote)
	dst = append(dst, value...)
	return append(dst, quote)
}
