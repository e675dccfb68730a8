package register

import (
	"context"
	"log/slog"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/xep"
)

// How often a user may change the password, which is work for the server.
const (
	maxChanges     = 10
	changesPeriod  = 10 * time.Minute
	changesOfUsers = 1000
)

// Management is what users of a host do with their own accounts (XEP-0077 §3.2, §3.3).
type Management struct {
	Accounts Accounts
	Log      *slog.Logger

	// Deleted is told of users who have deleted their accounts, once that is said to the client.
	Deleted func(addr.Bare)

	Changes *Throttle[addr.Bare] // of passwords; see NewChanges
}

// NewChanges limits how often users change their passwords.
func NewChanges() *Throttle[addr.Bare] {
	return NewThrottle[addr.Bare](maxChanges, changesPeriod, changesOfUsers)
}

// Extension answers the requests: of the own account, and those to the server that old clients send.
func (m *Management) Extension() xep.Extension {
	h := router.Handlers{{Space: NS, Name: "query"}: m.answer}
	return xep.Extension{Features: []string{NS}, Account: h, Server: h}
}

func (m *Management) answer(q *router.Query) *stanza.Error {
	if q.From == nil || q.To.Domain() != q.Sender.Domain() { // a component, or a user of another host
		return &stanza.Error{Condition: stanza.NotAllowed}
	}
	if !q.Set {
		b := stanza.AppendText([]byte("<query xmlns='"+NS+"'><registered/><username>"), q.Sender.Local())
		q.Result(append(b, "</username><password/></query>"...))
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, removes := q.Payload.Find(NS, "remove"); removes {
		return m.remove(ctx, q)
	}
	return m.change(ctx, q)
}

func (m *Management) remove(ctx context.Context, q *router.Query) *stanza.Error {
	user := q.Sender.Bare()
	n := 0
	for range q.Payload.Elements() {
		n++
	}
	if n != 1 { // XEP-0077 §3.2: nothing beside it
		return &stanza.Error{Condition: stanza.BadRequest}
	}
	if _, err := m.Accounts.Delete(ctx, user); err != nil {
		return explain(m.Log, "deleting a user's own account", user, err)
	}
	m.Log.Info("account deleted by its user", "user", user)
	q.Result(nil)
	m.Deleted(user)
	return nil
}

func (m *Management) change(ctx context.Context, q *router.Query) *stanza.Error {
	user := q.Sender.Bare()
	name, password := filledIn(q.Payload)
	if local, err := addr.PrepareLocal(name); err != nil || local != user.Local() || password == "" {
		return &stanza.Error{Condition: stanza.BadRequest, Text: "not your username with a password"}
	}
	if !m.Changes.Take(user, time.Now()) {
		return &stanza.Error{Type: stanza.Wait, Condition: stanza.ResourceConstraint, Text: "too many changes of the password"}
	}
	if _, err := m.Accounts.SetPassword(ctx, user, password); err != nil {
		return explain(m.Log, "changing a user's password", user, err)
	}
	m.Log.Info("password changed by its user", "user", user)
	q.Result(nil)
	return nil
}
