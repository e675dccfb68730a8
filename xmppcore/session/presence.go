package session

import (
	"bytes"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/stanza"
)

// Presence is what a resource has said of itself, or the server in its stead: made once, and shown to many, who hold it
// in common until it is written to them. It does not change, but for Pass and Meet.
type Presence struct {
	of     uint64      // the session, which is not kept for what it said last
	from   addr.JID    // the resource
	stanza []byte      // without to
	at     int64       // Unix seconds
	number uint64      // of all, in the order in which they were made
	name   int32       // the length of the root tag up to the end of its name
	gone   bool        // unavailable
	first  bool        // who was shown nothing of before when there was already this has never seen the resource
	met    atomic.Bool // and yet some have
	past   atomic.Bool
}

// numbers counts Presences.
var numbers atomic.Uint64

// NewPresence is a stanza without to, as of now: the first one of a resource that nobody sees yet, or a later one. It is
// made under the lock under which others look at what the resource says.
func NewPresence(of *Session, stanza []byte, first bool) *Presence {
	return &Presence{of: of.number, from: of.Full, stanza: stanza, at: time.Now().Unix(), number: numbers.Add(1), name: nameEnd(stanza), first: first}
}

// NewAbsence is unavailable presence.
func NewAbsence(of *Session, stanza []byte) *Presence {
	p := NewPresence(of, stanza, false)
	p.gone = true
	return p
}

// Pass notes that the resource has said something else since. Nil is nobody's.
func (p *Presence) Pass() {
	if p != nil {
		p.past.Store(true)
	}
}

// Meet notes that the resource has sent presence to somebody otherwise: not everybody who has been shown nothing of it
// before has never seen it. Nil is nobody's.
func (p *Presence) Meet() {
	if p != nil {
		p.met.Store(true)
	}
}

// Stanza is the stanza, without to. It must not be changed.
func (p *Presence) Stanza() []byte { return p.stanza }

// At is when it was made, to the second.
func (p *Presence) At() time.Time { return time.Unix(p.at, 0) }

func nameEnd(stanza []byte) int32 {
	n := 0
	for n < len(stanza) && stanza[n] != ' ' && stanza[n] != '/' && stanza[n] != '>' {
		n++
	}
	return int32(n)
}

// Manner is how somebody comes to be shown a Presence.
type Manner uint8

// The manners.
const (
	News  Manner = iota // it has just been said
	Known               // it was said before, and is shown as it is
	Dated               // the same, with the time when it was said (RFC 6121 §4.3.2, XEP-0203)
)

// view is a Presence on its way to somebody.
type view struct {
	*Presence
	manner Manner
	unseen bool // the client has seen nothing of the resource but what is held
}

// append appends it. to is the attribute of that name, with the space before it.
func (v view) append(dst, to []byte) []byte {
	b := v.stanza
	dst = append(dst, b[:v.name]...)
	dst = append(dst, to...)
	b = b[v.name:]
	if v.manner != Dated {
		return append(dst, b...)
	}
	open, end := cutEnd(v.stanza)
	dst = append(dst, open[v.name:]...)
	if len(end) == 0 {
		dst = append(dst, '>')
	}
	dst = append(dst, "<delay xmlns='urn:xmpp:delay'"...)
	dst = stanza.AppendAttr(dst, "from", v.from.String())
	dst = append(dst, " stamp='"...)
	dst = v.At().UTC().AppendFormat(dst, time.RFC3339)
	dst = append(dst, "'/>"...)
	if len(end) > 0 {
		return append(dst, end...)
	}
	dst = append(dst, '<', '/')
	dst = append(dst, v.stanza[1:v.name]...)
	return append(dst, '>')
}

// cutEnd splits a stanza before its end tag, which it wrote as it liked. If it has none, since its root tag ends in
// "/>", what comes back is that tag without these, and no end.
func cutEnd(b []byte) (open, end []byte) {
	n := bytes.LastIndexByte(b, '<') // an attribute cannot hold one (XML 1.0 §3.1)
	if n == 0 {
		return b[:len(b)-len("/>")], nil
	}
	return b[:n], b[n:]
}

// by tells whether it is of a resource of a user's.
func (v view) by(u addr.Bare) bool { return v.from.Bare() == u }
