package stream

import (
	"strconv"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// resume asks the acceptor to go on with the session that the element just read
// names. If it does not, the client is told and may bind a resource (XEP-0198 §5).
func (n *negotiation) resume(a Acceptor) (resumed bool, err error) {
	resumer, ok := a.(Resumer)
	if !ok {
		return false, n.c.Write(notResumed(&NotResumed{Condition: stanza.FeatureNotImplemented}))
	}
	id, handled, ok := resumption(&n.st)
	if !ok {
		return false, n.c.Write(notResumed(&NotResumed{Condition: stanza.BadRequest}))
	}
	refused, err := resumer.Resume(ResumeRequest{User: n.user, Host: n.host, ID: id, Handled: handled, Transport: n.c})
	if refused == nil || err != nil {
		return err == nil, err
	}
	return false, n.c.Write(notResumed(refused))
}

// resumption is what a <resume/> says: which session, and how many of its stanzas
// the client has handled.
func resumption(st *scan.Stanza) (id string, handled uint32, ok bool) {
	id, _ = st.Attr("previd")
	h, _ := st.Attr("h")
	n, err := strconv.ParseUint(h, 10, 32)
	return id, uint32(n), err == nil && id != ""
}

// tooSoon answers stream management before there is a resource. Nothing has been
// counted that could be acknowledged.
func (n *negotiation) tooSoon(st *scan.Stanza) error {
	if !is(st, nsManaged, "enable") {
		return notStanza(st)
	}
	return n.c.Write(notResumed(&NotResumed{Condition: stanza.UnexpectedRequest}))
}

func notResumed(r *NotResumed) []byte {
	b := []byte("<failed xmlns='" + nsManaged + "'")
	if r.Handled != nil {
		b = stanza.AppendAttr(b, "h", strconv.FormatUint(uint64(*r.Handled), 10))
	}
	return append(b, "><"+string(r.Condition)+" xmlns='"+stanza.NSStanzas+"'/></failed>"...)
}
