package router

import (
	"context"
	"slices"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
)

// Messages is what a host does with the messages of its users, beside delivering them. It does not change.
type Messages struct {
	Carbons bool    // the other clients of a user get copies (XEP-0280)
	Offline Offline // nil: what nobody is there for is returned
	Archive Archive // nil: nothing is archived

	// Exists tells whether there is such a user. It is asked before anything is kept for somebody who is offline.
	Exists func(ctx context.Context, user addr.Bare) (bool, error)
	// Came is told of each user who is there to get messages, for an Exists that goes by that. nil: nobody is told.
	Came func(ctx context.Context, user addr.Bare) error
	// Failed is told what could not be kept, and why.
	Failed func(what string, user addr.Bare, err error)
}

// letter is a message on its way. It goes through the sender's host, then the recipient's, then into outboxes.
type letter struct {
	from Origin
	st   *scan.Stanza
	typ  string

	edit     stanza.Edit // what is other for the recipient
	archived bool        // it is in the archive of the recipient
	spread   bool        // the clients of the recipient that want copies have them
}

func (r *Router) message(from *Origin, st *scan.Stanza) {
	var t target
	res, ok := r.recipient(&t, from, st)
	if !ok || r.bars(from, &t, res, st) {
		return
	}
	var l letter
	l.from, l.st, l.typ = *from, st, typeOf(st)
	if m := r.senders(from, &t); m != nil && t.acc != from.Resource.Account {
		r.sent(&l, m, t.jid)
	}
	if t.host != nil {
		l.undelay(t.host.Domain)
	}
	m := t.messages()
	if m != nil {
		r.received(&l, m, t, res)
	}
	switch {
	case res != nil && r.toResource(&l, m, res):
	case t.component != nil:
		pass(t.component, from, st)
	case t.host == nil: // there is no federation (RFC 6120 §10.4)
		bounce(*from, st, addressee(st), r.unserved(t.jid.Domain()))
	case t.jid.Local() == "" && r.heard(*from, t, st):
	case t.jid.IsBare():
		r.toAccount(&l, m, t)
	default:
		r.toNobody(&l, m, t)
	}
}

// recipient finds who a message is for: the target and, if it is a resource that is there, that.
func (r *Router) recipient(t *target, from *Origin, st *scan.Stanza) (res *registry.Resource, ok bool) {
	if res = r.Registry.Written(st.Get("to")); res != nil { // RFC 6121 §8.5.3.1
		t.jid, t.acc, t.host = res.Full, res.Account, r.Host(res.Full.Domain())
		return res, true
	}
	if *t, ok = r.resolve(*from, st); ok && t.acc != nil && !t.jid.IsBare() {
		res = r.Registry.Resource(t.jid) // written in another form than the canonical one
	}
	return res, ok
}

// bars is barred, or barredAt for a resource that is there.
func (r *Router) bars(from *Origin, t *target, res *registry.Resource, st *scan.Stanza) bool {
	switch {
	case res == nil:
		return r.barred(*from, *t, st)
	case res.Account.Blocks.Load() == nil && (from.Resource == nil || from.Resource.Account.Blocks.Load() == nil):
		return false
	}
	return r.barredAt(*from, res, st)
}

// senders is what the sender's host does with messages, nil if that is nothing.
func (r *Router) senders(from *Origin, t *target) *Messages {
	if from.Resource == nil {
		return nil
	}
	h := t.host
	if h == nil || h.Domain != from.JID.Domain() {
		h = r.Host(from.JID.Domain())
	}
	if h == nil {
		return nil
	}
	return h.Messages
}

func (t *target) messages() *Messages {
	if t.host == nil {
		return nil
	}
	return t.host.Messages
}

// sent is what the sender's own host does with a message that goes to somebody else.
func (r *Router) sent(l *letter, m *Messages, to addr.JID) {
	id := l.archive(m, l.from.Resource.Account.User, to)
	if m.Carbons {
		l.copySent(id)
	}
}

// received is what the recipient's host does with a message before it is delivered.
func (r *Router) received(l *letter, m *Messages, t target, res *registry.Resource) {
	if m.Carbons {
		l.unmark()
	}
	if m.Archive == nil || t.jid.Local() == "" {
		return
	}
	l.unforge(t.jid.Bare())
	gone := res == nil && !t.jid.IsBare()
	if gone && l.typ != stanza.TypeChat || t.acc == nil && !(m.Archive.Wants(l.st) && m.exists(t.jid.Bare())) {
		return
	}
	if id := l.archive(m, t.jid.Bare(), t.jid); id != "" {
		l.archived = true
		l.edit.Add = appendStanzaID(l.edit.Add, t.jid.Bare(), id)
	}
}

// exists tells whether there is a user; of a store that fails, nobody knows what it has.
func (m *Messages) exists(user addr.Bare) bool {
	ctx, cancel := offlinePatiently()
	defer cancel()
	ok, err := m.Exists(ctx, user)
	if err != nil {
		m.Failed("looking for an account", user, err)
	}
	return ok
}

// toResource is RFC 6121 §8.5.3.1. It is false if the resource's stream has ended.
func (r *Router) toResource(l *letter, m *Messages, res *registry.Resource) bool {
	if m == nil || !m.Carbons {
		return l.pass(res.Session)
	}
	a := res.Account
	a.Lock()
	defer a.Unlock()
	if !l.pass(res.Session) {
		return false
	}
	l.copyReceived(a, res)
	return true
}

// toNobody is RFC 6121 §8.5.3.2.1: who chats with a resource that is gone chats with the person.
func (r *Router) toNobody(l *letter, m *Messages, t target) {
	switch l.typ {
	case stanza.TypeChat:
		r.toAccount(l, m, t)
	case stanza.TypeHeadline:
	default:
		l.bounce()
	}
}

// toAccount is RFC 6121 §8.5.2.1.1 and §8.5.2.2.1. That nobody is there, or that there is no such user at all, is one
// and the same to the sender (§8.5.1), unless the host keeps messages.
func (r *Router) toAccount(l *letter, m *Messages, t target) {
	switch l.typ {
	case stanza.TypeError:
		return
	case stanza.TypeGroupchat:
		l.bounce()
		return
	}
	switch {
	case t.acc != nil && l.toAvailable(t.acc, m != nil && m.Carbons):
	case l.typ == stanza.TypeHeadline:
	case m != nil && r.keep(l, m, t.jid.Bare()):
	default:
		l.bounce()
	}
}

// toAvailable delivers to all available resources of non-negative priority, and tells whether there were any. The
// others may get copies.
func (l *letter) toAvailable(a *registry.Account, copies bool) (any bool) {
	a.Lock()
	defer a.Unlock()
	for _, to := range a.Resources() {
		if to.Listens() && (l.spread && to.Carbons || l.pass(to.Session)) {
			any = true
		}
	}
	if copies {
		l.copyReceived(a, nil)
	}
	return any
}

func (l *letter) bounce() {
	bounce(l.from, l.st, addressee(l.st), stanza.Error{Condition: stanza.ServiceUnavailable})
}

// pass is pass with what has changed on the way.
func (l *letter) pass(to *session.Session) bool {
	if len(l.edit.Drop) == 0 && len(l.edit.Add) == 0 {
		return pass(to, &l.from, l.st)
	}
	return l.append(to, func(dst []byte) []byte { return stanza.AppendEdited(dst, l.st, l.from.JID.String(), l.edit) })
}

// append puts something of the sender's into an outbox.
func (l *letter) append(to *session.Session, f func([]byte) []byte) bool {
	ok := to.AppendFrom(l.from.JID, f)
	if l.from.Resource != nil && to.Pressed() {
		l.from.Resource.Pressing = to
	}
	return ok
}

// drop leaves out those children that match, in order.
func (l *letter) drop(match func(i int) bool) {
	n := len(l.edit.Drop)
	for i := range l.st.Children {
		if match(i) && !slices.Contains(l.edit.Drop, i) {
			l.edit.Drop = append(l.edit.Drop, i)
		}
	}
	if n > 0 && len(l.edit.Drop) > n {
		slices.Sort(l.edit.Drop)
	}
}

// child tells whether a child of a stanza has a namespace and a name; "" is any name.
func child(st *scan.Stanza, i int, space, name string) bool {
	c := &st.Children[i]
	return string(c.Space) == space && (name == "" || string(c.Name) == name)
}

// has tells whether a stanza has such a child.
func has(st *scan.Stanza, space, name string) bool {
	for i := range st.Children {
		if child(st, i, space, name) {
			return true
		}
	}
	return false
}
