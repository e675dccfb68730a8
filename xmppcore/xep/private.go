package xep

import (
	"context"
	"log/slog"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

const nsPrivate = "jabber:iq:private"

// What one user may store.
const (
	maxPrivate      = 1000    // elements
	maxPrivateBytes = 1 << 20 // of them together
)

// storePatience is how long a store may take for one request.
const storePatience = 30 * time.Second

// Private is XEP-0049: XML that a client stores for itself, one element for each name and namespace.
type Private struct {
	Store store.Keyed // by Prosody's keys, "name:namespace"
	Log   *slog.Logger

	// Elsewhere are elements that something else keeps.
	Elsewhere map[router.Payload]PrivateElement
}

// PrivateElement keeps one element of every user.
type PrivateElement interface {
	// Private is the element of a user, nil if there is none.
	Private(ctx context.Context, user addr.Bare) ([]byte, error)
	// SetPrivate puts an element in its place. It may be empty.
	SetPrivate(ctx context.Context, user addr.Bare, e scan.Element) *stanza.Error
}

// Extension answers the requests.
func (p *Private) Extension() Extension {
	h := router.Handlers{{Space: nsPrivate, Name: "query"}: p.answer}
	return Extension{Features: []string{nsPrivate}, Account: h}
}

func (p *Private) answer(q *router.Query) *stanza.Error {
	e, refused := onlyElement(q.Payload)
	if refused != nil {
		return refused
	}
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	kept := p.Elsewhere[router.Payload{Space: string(e.Space), Name: string(e.Name)}]
	switch {
	case q.Set && kept != nil:
		refused = kept.SetPrivate(ctx, q.Sender.Bare(), e)
	case q.Set:
		refused = p.set(ctx, q.Sender.Bare(), e)
	default:
		return p.get(ctx, q, e, kept)
	}
	if refused == nil {
		q.Result(nil)
	}
	return refused
}

// onlyElement is the one element that a request is about.
func onlyElement(query scan.Element) (one scan.Element, refused *stanza.Error) {
	n := 0
	for e := range query.Elements() {
		one = e
		n++
	}
	if n != 1 {
		return one, &stanza.Error{Condition: stanza.BadRequest, Text: "not one element"}
	}
	return one, nil
}

// get answers with the element, or with what was asked for if there is none (XEP-0049 §2.2).
func (p *Private) get(ctx context.Context, q *router.Query, e scan.Element, elsewhere PrivateElement) *stanza.Error {
	var kept []byte
	var err error
	if elsewhere != nil {
		kept, err = elsewhere.Private(ctx, q.Sender.Bare())
	} else {
		kept, _, err = p.Store.Get(ctx, q.Sender.Bare(), privateKey(e))
	}
	if err != nil {
		return p.failed("reading private data", q.Sender.Bare(), err)
	}
	b := []byte("<query xmlns='" + nsPrivate + "'>")
	if b = append(b, kept...); len(kept) == 0 {
		b = e.AppendAlone(b)
	}
	q.Result(append(b, "</query>"...))
	return nil
}

func (p *Private) set(ctx context.Context, user addr.Bare, e scan.Element) *stanza.Error {
	all, err := p.Store.All(ctx, user)
	if err != nil {
		return p.failed("reading private data", user, err)
	}
	key, value := privateKey(e), privateValue(e)
	all[key] = value
	size := 0
	for k, v := range all {
		size += len(k) + len(v)
	}
	if value != nil && (len(all) > maxPrivate || size > maxPrivateBytes) {
		return &stanza.Error{Type: stanza.Cancel, Condition: stanza.ResourceConstraint, Text: "more private data than a user may have"}
	}
	if err := p.Store.Change(ctx, user, map[string][]byte{key: value}); err != nil {
		return p.failed("storing private data", user, err)
	}
	return nil
}

func (p *Private) failed(what string, user addr.Bare, err error) *stanza.Error {
	p.Log.Error(what, "user", user, "error", err)
	return &stanza.Error{Type: stanza.Wait, Condition: stanza.InternalServerError}
}

func privateKey(e scan.Element) string { return string(e.Name) + ":" + string(e.Space) }

// privateValue is what is kept of an element, nil for one that says nothing.
func privateValue(e scan.Element) []byte {
	if len(e.Inner()) == 0 {
		plain := true
		for a := range e.Attrs() {
			plain = plain && len(a.Name) >= 5 && string(a.Name[:5]) == "xmlns"
		}
		if plain {
			return nil
		}
	}
	return e.AppendAlone(nil)
}
