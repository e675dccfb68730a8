package stored

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// record is the value of one contact. The zero value is none.
type record struct {
	Item    *item    `json:"item,omitempty"`
	Request *request `json:"request,omitempty"`
}

// item is a contact in the roster (RFC 6121 §2.1.2).
type item struct {
	Name         string   `json:"name,omitempty"`
	Groups       []string `json:"groups,omitempty"`
	Subscription string   `json:"subscription"`
	Ask          bool     `json:"ask,omitempty"`
	Approved     bool     `json:"approved,omitempty"`
}

// request is a subscription request that waits. Later ones have a greater Seq.
type request struct {
	Seq    int64  `json:"seq"`
	Stanza []byte `json:"stanza"`
}

// itemOf is nil for nil.
func itemOf(i *roster.Item) *item {
	if i == nil {
		return nil
	}
	return &item{Name: i.Name, Groups: i.Groups, Subscription: i.Subscription.String(), Ask: i.Ask, Approved: i.Approved}
}

// of is the contact as it stands in a roster, nil for nil.
func (i *item) of(contact addr.Bare) *roster.Item {
	if i == nil {
		return nil
	}
	s, _ := roster.ParseSubscription(i.Subscription) // was looked at when it was read
	return &roster.Item{JID: contact, Name: i.Name, Groups: i.Groups, Subscription: s, Ask: i.Ask, Approved: i.Approved}
}

func (r record) item(contact addr.Bare) *roster.Item { return r.Item.of(contact) }

func (r record) state() (s roster.State) {
	if r.Item != nil {
		s.Subscription, _ = roster.ParseSubscription(r.Item.Subscription)
		s.PendingOut, s.Approved = r.Item.Ask, r.Item.Approved
	}
	s.PendingIn = r.Request != nil
	return s
}

// in is the record in another state, in which nobody asks who did not. Who is more than a stranger who asks becomes an
// item (RFC 6121 §3.1.2, §3.1.5, §3.4.2).
func (r record) in(s roster.State) record {
	if !s.PendingIn {
		r.Request = nil
	}
	if r.Item == nil && s.Subscription == roster.None && !s.PendingOut && !s.Approved {
		return r
	}
	var i item
	if r.Item != nil {
		i = *r.Item
	}
	i.Subscription, i.Ask, i.Approved = s.Subscription.String(), s.PendingOut, s.Approved
	r.Item = &i
	return r
}

func (r record) equal(o record) bool {
	if (r.Item == nil) != (o.Item == nil) || (r.Request == nil) != (o.Request == nil) {
		return false
	}
	return (r.Item == nil || r.Item.of(addr.Bare{}).Equal(*o.Item.of(addr.Bare{}))) &&
		(r.Request == nil || r.Request.Seq == o.Request.Seq && bytes.Equal(r.Request.Stanza, o.Request.Stanza))
}

// size is about how many bytes the record takes.
func (r record) size() (n int) {
	const rest = 128 // its key, and the words around
	if r.Item != nil {
		n = rest + r.Item.size()
	}
	if r.Request != nil {
		n += rest + len(r.Request.Stanza)*4/3 // base64
	}
	return n
}

func (i *item) size() int {
	n := len(i.Name)
	for _, g := range i.Groups {
		n += len(g) + 4
	}
	return n
}

// stanzas are the kinds of subscription stanzas that users send, and that come for them.
var (
	sent     = map[engine.Action]roster.Kind{engine.OutSubscribe: roster.Subscribe, engine.OutSubscribed: roster.Subscribed, engine.OutUnsubscribe: roster.Unsubscribe, engine.OutUnsubscribed: roster.Unsubscribed}
	received = map[engine.Action]roster.Kind{engine.InSubscribe: roster.Subscribe, engine.InSubscribed: roster.Subscribed, engine.InUnsubscribe: roster.Unsubscribe, engine.InUnsubscribed: roster.Unsubscribed}
	sending  = map[roster.Kind]engine.Action{roster.Subscribe: engine.OutSubscribe, roster.Subscribed: engine.OutSubscribed, roster.Unsubscribe: engine.OutUnsubscribe, roster.Unsubscribed: engine.OutUnsubscribed}
	arriving = map[roster.Kind]engine.Action{roster.Subscribe: engine.InSubscribe, roster.Subscribed: engine.InSubscribed, roster.Unsubscribe: engine.InUnsubscribe, roster.Unsubscribed: engine.InUnsubscribed}
)

// edit is the record after an edit, and what that has come to. A request that is kept is given the number seq.
func (r record) edit(e engine.Edit, seq int64) (next record, done engine.Edited, err error) {
	switch e.Action {
	case engine.Set:
		next, err = r.set(e.Item)
	case engine.Remove:
		if r.Item == nil {
			return r, done, engine.ErrNoItem
		}
		for _, k := range r.state().Remove() {
			done.Route = append(done.Route, sending[k])
		}
	default:
		next, err = r.stanza(e, seq, &done)
	}
	done.Old, done.New = r.item(e.Contact), next.item(e.Contact)
	return next, done, err
}

// set changes what a user may say of a contact (RFC 6121 §2.3, §2.4).
func (r record) set(i roster.Item) (record, error) {
	b := roster.NewBuilder(addr.Bare{}, roster.Limits{Groups: maxGroups})
	b.Add("contact@example.com", roster.Item{Name: i.Name, Groups: slices.Clone(i.Groups)})
	list, bad, err := b.Roster()
	if err != nil {
		return r, err
	}
	if len(bad) > 0 {
		return r, fmt.Errorf("%w: %s", engine.ErrDenied, bad[0].Reason)
	}
	next := r.in(r.state())
	if next.Item == nil {
		next.Item = &item{Subscription: roster.None.String()}
	}
	next.Item.Name, next.Item.Groups = list.Items()[0].Name, list.Items()[0].Groups
	if n := next.Item.size(); n > maxItem {
		return r, fmt.Errorf("%w: name and groups of %d bytes, more than %d", engine.ErrDenied, n, maxItem)
	}
	return next, nil
}

// stanza is a subscription stanza that is sent or has come.
func (r record) stanza(e engine.Edit, seq int64, done *engine.Edited) (record, error) {
	s := r.state()
	if k, ok := sent[e.Action]; ok {
		next, route := s.Out(k)
		if route {
			done.Route = []engine.Action{e.Action}
		}
		return r.in(next), nil
	}
	k, ok := received[e.Action]
	if !ok {
		return r, fmt.Errorf("%q is no action", e.Action)
	}
	next, deliver, answer := s.In(k)
	if next.PendingIn && !s.PendingIn {
		if len(e.Stanza) == 0 {
			return r, errors.New("a subscription request without a stanza")
		}
		if len(e.Stanza) > maxStanza {
			return r, fmt.Errorf("%w: a subscription request of %d bytes, more than %d", engine.ErrDenied, len(e.Stanza), maxStanza)
		}
		r.Request = &request{Seq: seq, Stanza: bytes.Clone(e.Stanza)}
	}
	done.Deliver, done.Answer = deliver, sending[answer]
	return r.in(next), nil
}
