package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
)

// Rosters are those that users change themselves (RFC 6121 §2.3–2.5, §3), as engine.Engine has them.
type Rosters interface {
	// EditThen makes one change, and calls made before anybody is told what has become of the roster.
	EditThen(ctx context.Context, e engine.Edit, made func(engine.Edited)) (engine.Edited, error)

	// Pending are the subscription requests that wait for a user's answer.
	Pending(ctx context.Context, user addr.Bare) ([]engine.PendingRequest, error)

	// Contact is what is known of a contact of a user, whose roster need not be his to change.
	Contact(ctx context.Context, user, contact addr.Bare) (i roster.Item, known bool, err error)
}

// maxRequest is how many bytes a subscription request may have, which is kept until it is answered.
const maxRequest = 8 << 10

// patience is how long one change of a roster may take, with what follows from it and the wait for its turn.
const patience = 30 * time.Second

// patiently is the context of one change.
func patiently() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// notice is a subscription stanza, named by what its sender does.
type notice struct {
	action engine.Action // one of Out…
	stanza []byte        // from a bare JID to a bare JID
}

// way is what a type of subscription stanza is to the roster of its sender and to that of its recipient.
type way struct{ out, in engine.Action }

var ways = map[string]way{
	stanza.TypeSubscribe:    {engine.OutSubscribe, engine.InSubscribe},
	stanza.TypeSubscribed:   {engine.OutSubscribed, engine.InSubscribed},
	stanza.TypeUnsubscribe:  {engine.OutUnsubscribe, engine.InUnsubscribe},
	stanza.TypeUnsubscribed: {engine.OutUnsubscribed, engine.InUnsubscribed},
}

// typeOfAction is the type of the stanza that is named by what its sender does.
func typeOfAction(out engine.Action) string {
	for typ, w := range ways {
		if w.out == out {
			return typ
		}
	}
	return ""
}

// newNotice is a stanza in the server's words.
func newNotice(out engine.Action, from, to addr.Bare) notice {
	return notice{out, stanza.AppendPresence(nil, from.String(), to.String(), typeOfAction(out), nil)}
}

// subscribe is RFC 6121 §3: what a client, or a component, sends about a subscription changes the roster of its sender,
// goes to the other side from bare JID to bare JID, and changes the roster there.
func (r *Router) subscribe(from Origin, st *scan.Stanza) {
	t, ok := r.resolve(from, st)
	me, contact := from.JID.Bare(), t.jid.Bare()
	if !ok || me == contact { // a user sees himself anyway (RFC 6121 §2.1.2.3)
		return
	}
	typ := typeOf(st)
	n := notice{ways[typ].out, stanza.AppendRoutedTo(nil, st, me.String(), contact.String())}
	var refused *stanza.Error
	switch {
	case len(n.stanza) > maxRequest:
		refused = &stanza.Error{Condition: stanza.NotAcceptable, Text: "the stanza is longer than a subscription request may be"}
	case from.Resource == nil:
		refused = r.carry(me, contact, []notice{n})
	default:
		if refused = r.reach(from, t, typ); refused == nil {
			refused = r.edit(engine.Edit{User: me, Contact: contact, Action: n.action}, n.stanza)
		}
	}
	if refused != nil {
		bounce(from, st, addressee(st), *refused)
	}
}

// reach tells why a user cannot ask or allow a contact anything. To let go of one is possible wherever he is, unless he
// is blocked.
func (r *Router) reach(from Origin, t target, typ string) *stanza.Error {
	if from.Resource.Account.Blocks.Load().Has(t.jid) { // XEP-0191 §3.3
		return &stanza.Error{Type: stanza.Cancel, Condition: stanza.NotAcceptable, App: []byte("<blocked xmlns='urn:xmpp:blocking:errors'/>")}
	}
	switch {
	case typ != stanza.TypeSubscribe && typ != stanza.TypeSubscribed, t.component != nil:
		return nil
	case t.host == nil:
		e := r.unserved(t.jid.Domain())
		return &e
	case t.jid.Local() == "":
		return &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	return nil
}

// Edit makes a change of the sender's own roster, with what it means for the contact (RFC 6121 §2.3–2.5).
func (q *Query) Edit(action engine.Action, item roster.Item) *stanza.Error {
	return q.router.edit(engine.Edit{User: q.Sender.Bare(), Contact: item.JID, Action: action, Item: item}, nil)
}

// edit makes a change that a user wants, and carries what it means to the contact: st if that is what it is about.
func (r *Router) edit(e engine.Edit, st []byte) *stanza.Error {
	ctx, cancel := patiently()
	defer cancel()
	v, err := r.rows.enter(ctx, e.User)
	if err != nil {
		return r.refusal(e.User, err)
	}
	defer v.end()
	first := r.first(e)
	done, err := r.apply(ctx, e, func(done engine.Edited) {
		if first != nil && len(done.Route) > 0 {
			first.Send(st)
		}
	})
	if err != nil {
		return r.refusal(e.User, err)
	}
	var list []notice
	for _, out := range done.Route {
		switch {
		case first != nil:
		case out == e.Action:
			list = append(list, notice{out, st})
		default:
			list = append(list, newNotice(out, e.User, e.Contact))
		}
	}
	if len(list) == 0 {
		return nil
	}
	if err := v.goOn(ctx, e.Contact); err != nil { // in front of what follows from the user's next edit
		return r.refusal(e.Contact, err)
	}
	return r.deal(ctx, v, e.User, e.Contact, list)
}

// first is who has to hear of a change before the user's presence does what it means: a component that is told of an
// approval (RFC 6121 §3.1.5). Accounts here are not shown presence before their own roster wants it.
func (r *Router) first(e engine.Edit) *session.Session {
	if e.Action != engine.OutSubscribed {
		return nil
	}
	return r.target(e.Contact.Full()).component
}

// carry brings subscription stanzas to another's roster. What cannot be done there is said in the error.
func (r *Router) carry(from, to addr.Bare, list []notice) *stanza.Error {
	ctx, cancel := patiently()
	defer cancel()
	v, err := r.rows.enter(ctx, to)
	if err != nil {
		return r.refusal(to, err)
	}
	defer v.end()
	return r.deal(ctx, v, from, to, list)
}

// deal is carry for who is at the head of the recipient's row. Answers that servers give in the stead of users go back
// the same way; an answer is not answered.
func (r *Router) deal(ctx context.Context, v *visit, from, to addr.Bare, list []notice) *stanza.Error {
	answers, refused := r.receive(ctx, from, to, list)
	if len(answers) == 0 {
		return refused
	}
	if err := v.goOn(ctx, from); err != nil {
		return r.refusal(from, err)
	}
	r.receive(ctx, to, from, answers)
	return refused
}

// receive gives subscription stanzas to whoever is behind an address.
func (r *Router) receive(ctx context.Context, from, to addr.Bare, list []notice) (answers []notice, refused *stanza.Error) {
	t := r.target(to.Full())
	for _, n := range list {
		var answer engine.Action
		var err error
		switch {
		case t.component != nil:
			t.component.Send(n.stanza)
		case t.host == nil || t.host.BlockSubscriptions || to.Local() == "":
		case t.host.Editable:
			answer, err = r.in(ctx, t, from, n)
		case t.bars(from.Full()): // XEP-0191 §3.3: nobody is told anything
		default:
			answer, err = r.fixed(ctx, to, from, n)
		}
		if err != nil {
			refused = r.refusal(to, err)
		}
		if answer != "" {
			answers = append(answers, newNotice(answer, to, from))
		}
	}
	return answers, refused
}

// fixed answers a request to a user whose roster is not his to change, as the roster says: nobody else will.
func (r *Router) fixed(ctx context.Context, me, from addr.Bare, n notice) (answer engine.Action, err error) {
	if n.action != engine.OutSubscribe {
		return "", nil
	}
	switch i, _, err := r.Rosters.Contact(ctx, me, from); {
	case err != nil:
		return "", err
	case i.Subscription.From():
		return engine.OutSubscribed, nil
	}
	return engine.OutUnsubscribed, nil
}

// in is a subscription stanza for a user of ours (RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3).
func (r *Router) in(ctx context.Context, t target, from addr.Bare, n notice) (answer engine.Action, err error) {
	me := t.jid.Bare()
	blocked := t.bars(from.Full())
	if n.action == engine.OutSubscribe {
		if blocked { // XEP-0191 §3.3: nothing comes of it, and nobody is told
			return "", nil
		}
		switch there, err := r.exists(ctx, t); {
		case err != nil:
			return "", fmt.Errorf("looking for an account: %w", err)
		case !there:
			return engine.OutUnsubscribed, nil // RFC 6121 §3.1.3
		}
	}
	e := engine.Edit{User: me, Contact: from, Action: ways[typeOfAction(n.action)].in}
	if e.Action == engine.InSubscribe {
		e.Stanza = n.stanza
	}
	done, err := r.apply(ctx, e, func(done engine.Edited) {
		if done.Deliver && !blocked { // what a contact who is blocked takes back is gone, but he is not heard
			r.show(e, n.stanza)
		}
	})
	return done.Answer, err
}

// exists tells whether there is such a user: nothing is kept for others.
func (r *Router) exists(ctx context.Context, t target) (bool, error) {
	if t.acc != nil || t.host.Exists == nil {
		return true, nil
	}
	return t.host.Exists(ctx, t.jid.Bare())
}

// apply makes one change, at the head of its user's row. Made is called before anybody is told what has become of the
// roster: a client sees a stanza before the push that it causes (RFC 6121 §3.1.6, §3.2.3, §3.3.3).
func (r *Router) apply(ctx context.Context, e engine.Edit, made func(engine.Edited)) (engine.Edited, error) {
	return r.Rosters.EditThen(ctx, e, func(done engine.Edited) {
		defer func() { // it runs in a goroutine of the engine, which must not end by a mistake of ours
			if p := recover(); p != nil {
				r.log().Error("a change of a roster made the server fail", "user", e.User, "panic", p, "stack", string(debug.Stack()))
			}
		}()
		made(done)
	})
}

// show sends a subscription stanza to the clients of a user: a request to those that are available (RFC 6121 §3.1.3) and
// have had those before it, anything else to those that are interested in the roster.
func (r *Router) show(e engine.Edit, b []byte) {
	a := r.Registry.Account(e.User)
	if a == nil {
		return
	}
	a.Lock()
	defer a.Unlock()
	for _, to := range a.Resources() {
		if e.Action == engine.InSubscribe && to.Available && to.Requests || e.Action != engine.InSubscribe && to.Interested {
			to.Send(b)
		}
	}
}

// awaitRequests keeps new requests from a resource that is about to become available, until it has had the old ones.
func awaitRequests(res *registry.Resource) {
	res.Account.Lock()
	defer res.Account.Unlock()
	res.Requests = false
}

// requests shows a resource that has become available what was asked of its user before (RFC 6121 §3.1.3): each time,
// until there is an answer. Requests that come from now on it gets with the others.
func (r *Router) requests(res *registry.Resource) {
	a := res.Account
	ctx, cancel := patiently()
	defer cancel()
	v, err := r.rows.enter(ctx, a.User)
	var list []engine.PendingRequest
	if err == nil {
		defer v.end()
		list, err = r.Rosters.Pending(ctx, a.User)
	}
	if err != nil && !errors.Is(err, engine.ErrClosed) {
		r.log().Error("reading subscription requests", "user", a.User, "error", err)
	}
	blocks := a.Blocks.Load()
	a.Lock()
	defer a.Unlock()
	res.Requests = true
	for _, q := range list {
		if res.Available && !blocks.Has(q.From.Full()) {
			res.AppendOwn(func(dst []byte) []byte { return append(dst, q.Stanza...) })
		}
	}
}

// refusal is what a client learns of a change that was not made; what is nobody's decision, the log learns.
func (r *Router) refusal(user addr.Bare, err error) *stanza.Error {
	var veto *engine.VetoError
	var temporary *engine.TemporaryError
	switch {
	case errors.As(err, &veto):
		return &stanza.Error{Condition: stanza.NotAllowed, Text: veto.Text}
	case errors.Is(err, engine.ErrReadOnly):
		return &stanza.Error{Condition: stanza.NotAllowed, Text: engine.ErrReadOnly.Error()}
	case errors.Is(err, engine.ErrDenied):
		return &stanza.Error{Condition: stanza.NotAllowed}
	case errors.Is(err, engine.ErrFull):
		return &stanza.Error{Condition: stanza.ResourceConstraint}
	case errors.Is(err, engine.ErrNoItem):
		return &stanza.Error{Condition: stanza.ItemNotFound}
	case errors.Is(err, engine.ErrClosed), errors.Is(err, engine.ErrNoHost):
		return &stanza.Error{Type: stanza.Wait, Condition: stanza.ServiceUnavailable}
	}
	if errors.As(err, &temporary) {
		r.log().Warn("the backend cannot say whether a roster may be changed", "user", user, "error", err)
		return &stanza.Error{Type: stanza.Wait, Condition: stanza.RemoteServerTimeout, Text: "the server of the contacts cannot be reached"}
	}
	r.log().Error("changing a roster", "user", user, "error", err)
	if errors.Is(err, context.DeadlineExceeded) {
		return &stanza.Error{Type: stanza.Wait, Condition: stanza.RemoteServerTimeout}
	}
	return &stanza.Error{Type: stanza.Wait, Condition: stanza.InternalServerError}
}

func (r *Router) log() *slog.Logger {
	if r.Log == nil {
		return slog.Default()
	}
	return r.Log
}
