// Package router decides where a stanza goes (RFC 6120 §10, RFC 6121 §8), and answers those that go nowhere.
package router

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/presence"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
)

// Host is what routing knows of a VirtualHost. It does not change: another one takes its place.
type Host struct {
	Domain             string
	BlockSubscriptions bool     // requests are dropped; else they are answered with not-allowed
	Server             Handlers // of IQs to the domain
	Account            Handlers // of IQs to the sender's own account
	Contact            Handlers // of IQs to the account of somebody who shares presence with the sender
	Public             Handlers // of IQs to any account of the host, whoever asks and whether there is such an account or not
	Blocks             Blocks   // nil: nobody blocks anybody
	SilentBlocks       bool     // messages of who is blocked are dropped, not returned

	// Editable says that its users change their own rosters: then Router.Rosters is set, and Exists tells whether there
	// is such a user, before anything is kept for one; nil: whoever is asked for.
	Editable bool
	Exists   func(ctx context.Context, user addr.Bare) (bool, error)

	Messages *Messages // nil: they are delivered, and that is all

	// Heard takes messages to the domain itself, as far as they are its own: mine. nil: none are.
	Heard func(from Origin, to addr.JID, st *scan.Stanza) (mine bool, refused *stanza.Error)

	// Dress returns what a resource broadcasts in the place of its available presence. It is called in the goroutine
	// that reads its stream, outside of any turn. nil: the presence itself.
	Dress func(*registry.Resource, *scan.Stanza) *scan.Stanza

	// Shown are told of each available presence that a resource has broadcast, initial or not, once it is queued for all
	// who see it; in the turn of its account.
	Shown []func(res *registry.Resource, st *scan.Stanza, initial bool)
}

// Origin is who has sent a stanza.
type Origin struct {
	JID      addr.JID           // of a resource its full JID
	Resource *registry.Resource // nil: it is no client of ours
	Out      *session.Session   // where answers go
}

// Router routes what the clients of this server send.
type Router struct {
	Registry *registry.Registry
	Presence *presence.Presence

	doors    rows // of who looks whether a user is there and acts on it: what finds nobody is kept before the user comes
	underway underway
	later    later

	// Host returns the host that serves a prepared domain now, nil if there is none.
	Host func(domain string) *Host

	// Component is where stanzas for the domain of a component go, nil if there is none. May be nil.
	Component func(domain string) *session.Session

	// Awaited tells whether a domain is that of a component, connected or not. May be nil.
	Awaited func(domain string) bool

	// Unsent counts stanzas for components that were not connected.
	Unsent atomic.Int64

	Rosters Rosters      // that users change; nil where no host is Editable
	Log     *slog.Logger // of what could not be done; nil means slog.Default

	// Aside does something that nobody waits for but a stop. nil: in a goroutine, for which that does not wait.
	Aside func(func())

	rows rows
}

// Route passes on one stanza of a resource, in the goroutine that reads the resource's stream: what one entity
// sends to another arrives in order (RFC 6120 §10.1). What it returns ends the stream.
func (r *Router) Route(res *registry.Resource, st *scan.Stanza) error {
	if err := checkFrom(res, st); err != nil {
		return err
	}
	from := Origin{JID: res.Full, Resource: res, Out: res.Session}
	switch stanza.KindOf(st) {
	case stanza.Message:
		r.message(&from, st)
	case stanza.Presence:
		r.presence(from, st)
	case stanza.IQ:
		r.iq(from, st)
	default:
		return &stanza.StreamError{Condition: stanza.StreamUnsupportedStanzaType}
	}
	return nil
}

// checkFrom refuses a from that is not the sender's own (RFC 6120 §8.1.2.1).
func checkFrom(res *registry.Resource, st *scan.Stanza) error {
	raw := st.Get("from")
	if raw == nil || string(raw) == res.Full.String() || string(raw) == res.Account.User.String() {
		return nil
	}
	v, _ := st.Attr("from")
	if j, err := addr.Parse(v); err == nil && (j == res.Full || j == res.Account.User.Full()) {
		return nil
	}
	return &stanza.StreamError{Condition: stanza.StreamInvalidFrom}
}

// target is where a stanza that is not for a bound resource goes.
type target struct {
	jid  addr.JID
	host *Host             // nil: not one of ours
	acc  *registry.Account // nil: nobody is online, or no account is meant

	component *session.Session // nil: no component has the domain, or none that is connected
}

// resolve finds the target of a stanza; without to it is the sender's own account (RFC 6120 §10.3). ok is
// false if to is malformed, which is answered here.
func (r *Router) resolve(from Origin, st *scan.Stanza) (t target, ok bool) {
	v, there := st.Attr("to")
	if !there {
		t.jid = from.JID.Bare().Full()
	} else {
		j, err := addr.Parse(v)
		if err != nil {
			bounce(from, st, "", stanza.Error{Condition: stanza.JIDMalformed})
			return t, false
		}
		t.jid = j
	}
	return r.target(t.jid), true
}

func (r *Router) target(j addr.JID) target {
	t := target{jid: j, host: r.Host(j.Domain())}
	switch {
	case t.host == nil && r.Component != nil:
		t.component = r.Component(j.Domain())
	case t.host != nil && j.Local() != "":
		t.acc = r.Registry.Account(j.Bare())
	}
	return t
}

// typeOf is the type of a stanza, however it is written. It allocates nothing for those that exist.
func typeOf(st *scan.Stanza) string {
	switch raw := st.Get("type"); string(raw) {
	case "":
		return ""
	case stanza.TypeChat:
		return stanza.TypeChat
	case stanza.TypeGet:
		return stanza.TypeGet
	case stanza.TypeSet:
		return stanza.TypeSet
	case stanza.TypeResult:
		return stanza.TypeResult
	case stanza.TypeError:
		return stanza.TypeError
	}
	typ, _ := st.Attr("type")
	return typ
}

// bounce answers a stanza with an error, unless it is one that must not be answered (RFC 6120 §8.3.1).
func bounce(to Origin, st *scan.Stanza, from string, e stanza.Error) {
	switch typ := typeOf(st); {
	case typ == stanza.TypeError:
		return
	case typ == stanza.TypeResult && stanza.KindOf(st) == stanza.IQ:
		return
	}
	to.Out.AppendOwn(func(dst []byte) []byte { return stanza.AppendError(dst, st, from, to.JID.String(), e) })
}

// addressee is the address that an error about st comes from.
func addressee(st *scan.Stanza) string {
	to, _ := st.Attr("to")
	return to
}

// pass delivers st to a resource as it is. It is false if the resource's stream has ended: then nobody is there.
func pass(to *session.Session, from *Origin, st *scan.Stanza) bool {
	name := from.JID.String()
	ok := to.AppendFrom(from.JID, func(dst []byte) []byte { return stanza.AppendRouted(dst, st, name) })
	if from.Resource != nil && to.Pressed() {
		from.Resource.Pressing = to
	}
	return ok
}

// beyond are the limits of stanzas that were routed: what was within the limits may be beyond them by what the server
// has added.
var beyond = scan.Limits{Stanza: 1 << 30, Depth: 1 << 20, Attrs: 1 << 20, Prefixes: 64}

// Undelivered tells the senders of messages and requests that the client of a resource, which has left, did not take
// them: routed stanzas, one after the other (RFC 6121 §8.5.3.2), which came for it at some time, or if that is zero
// just now.
func (r *Router) Undelivered(res *registry.Resource, stanzas []byte, at time.Time) {
	sc := scan.Scanner{Limits: beyond}
	var st scan.Stanza
	for e := range stanza.Elements(stanzas) {
		if _, err := sc.Next(e, &st); err != nil {
			return // what is left is no stanza that was routed
		}
		if res.Return(handedKey(e)) { // it is still kept
			continue
		}
		if stanza.KindOf(&st) == stanza.Message && !waited(res, &st) && r.others(res, &st, at) {
			continue
		}
		if !at.IsZero() {
			e = stanza.AppendDelayed(nil, e, res.Full.Domain(), at)
			if _, err := sc.Next(e, &st); err != nil {
				return
			}
		}
		r.undelivered(res, &st)
	}
}

func (r *Router) undelivered(res *registry.Resource, st *scan.Stanza) {
	switch stanza.KindOf(st) {
	case stanza.Message:
		if typeOf(st) == stanza.TypeHeadline {
			return
		}
	case stanza.IQ:
	default:
		return
	}
	v, _ := st.Attr("from")
	j, err := addr.Parse(v)
	if err != nil || stanza.KindOf(st) == stanza.Message && r.again(res, j, st) {
		return
	}
	if sender, ok := r.sender(j); ok {
		bounce(sender, st, addressee(st), stanza.Error{Condition: stanza.ServiceUnavailable})
	}
}

// others tells whether a message that went to all of an account's resources at some time has others than the one that
// has left. Who has come since does not have it.
func (r *Router) others(res *registry.Resource, st *scan.Stanza, at time.Time) bool {
	if to, err := addr.Parse(addressee(st)); err != nil || to == res.Full {
		return false
	}
	a := res.Account
	a.Lock()
	defer a.Unlock()
	return slices.ContainsFunc(a.Resources(), func(o *registry.Resource) bool {
		return o.Listens() && (at.IsZero() || o.Begun().Before(at))
	})
}
