package stanza

import (
	"bytes"

	"rosterd/xmppcore/scan"
)

// Edit is what of a stanza changes on its way, beside its addresses. The zero value is nothing.
type Edit struct {
	Drop []int  // indexes of the children that are left out, in order
	Add  []byte // whole elements, which declare their namespaces, behind the other children
}

// AppendEdited is AppendRouted with changes.
func AppendEdited(dst []byte, st *scan.Stanza, from string, e Edit) []byte {
	dst = appendName(dst, st)
	if from != "" {
		dst = AppendAttr(dst, "from", from)
	}
	dst = appendRest(dst, st, false)
	return e.appendContent(dst, st)
}

// AppendForwarded is AppendEdited for a place inside another element (XEP-0297): the stanza says which namespace it is
// of. It is addressed to what it says itself, or if it does not, to to.
func AppendForwarded(dst []byte, st *scan.Stanza, from, to string, e Edit) []byte {
	dst = appendName(dst, st)
	if string(st.Default) == scan.NSClient {
		dst = AppendAttr(dst, "xmlns", scan.NSClient)
	}
	if st.Get("to") != nil {
		to = ""
	}
	dst = appendAddresses(dst, from, to)
	dst = appendRest(dst, st, false)
	return e.appendContent(dst, st)
}

// appendContent appends what follows the attributes of the root tag.
func (e *Edit) appendContent(dst []byte, st *scan.Stanza) []byte {
	switch {
	case len(e.Drop) == 0 && len(e.Add) == 0:
		return append(dst, st.Raw[st.Body:]...)
	case st.SelfClosed:
		dst = append(append(dst, '>'), e.Add...)
		dst = append(dst, '<', '/')
		if len(st.Prefix) > 0 {
			dst = append(append(dst, st.Prefix...), ':')
		}
		return append(append(dst, st.Name...), '>')
	}
	at, end := st.Body, bytes.LastIndexByte(st.Raw, '<')
	for _, i := range e.Drop {
		c := &st.Children[i]
		dst = append(dst, st.Raw[at:c.Off]...)
		at = c.End
	}
	dst = append(dst, st.Raw[at:end]...)
	dst = append(dst, e.Add...)
	return append(dst, st.Raw[end:]...)
}
