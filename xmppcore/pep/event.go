package pep

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/block"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/stanza"
)

// appendEvent appends a message without to (XEP-0060 §7.1.2.1); after is put behind the event.
func appendEvent(b []byte, owner addr.Bare, c *Config, event, after []byte) []byte {
	typ := stanza.TypeHeadline
	if c.Normal {
		typ = stanza.TypeNormal
	}
	b = stanza.AppendAttr(append(b, "<message"...), "type", typ)
	b = stanza.AppendAttr(b, "from", owner.String())
	b = stanza.AppendAttr(b, "id", rand.Text())
	b = append(b, "><event xmlns='"+nsEvent+"'>"...)
	b = append(append(b, event...), "</event>"...)
	return append(append(b, after...), "</message>"...)
}

// appendItem appends an item; payload is nil if it is not to be told.
func appendItem(b []byte, id string, payload []byte) []byte {
	b = stanza.AppendAttr(append(b, "<item"...), "id", id)
	if payload == nil {
		return append(b, '/', '>')
	}
	return append(append(append(b, '>'), payload...), "</item>"...)
}

// retracted are items that are gone, in an event.
func retracted(ids []string) (b []byte) {
	for _, id := range ids {
		b = append(stanza.AppendAttr(append(b, "<retract"...), "id", id), '/', '>')
	}
	return b
}

// itemsEvent is what is told of an item of a node that was published or retracted.
func itemsEvent(name string, inner []byte) []byte {
	b := stanza.AppendAttr([]byte("<items"), "node", name)
	return append(append(append(b, '>'), inner...), "</items>"...)
}

// tell tells of what has changed in a node.
func (s *Service) tell(ctx context.Context, b *box, name string, c *Config, event []byte) error {
	s.tellAll(b, name, c, event)
	if name == nodeBookmarks {
		return s.tellLegacy(ctx, b)
	}
	return nil
}

// tellAll sends an event of a node to all who want it: the owner's own resources, and those of who sees his presence and
// may see the node. The box is held.
func (s *Service) tellAll(b *box, name string, c *Config, event []byte) {
	message := appendEvent(nil, b.owner, c, event, nil)
	mine := s.Registry.Account(b.owner)
	var blocks *block.List
	if mine != nil {
		blocks = mine.Blocks.Load()
	}
	s.toAccount(mine, b.owner, blocks, name, message)
	if c.Access == "whitelist" {
		return
	}
	contacts, known := s.contacts(b.owner)
	if !known && mine != nil { // they are told when they are known: see RosterChanged
		mine.Lock()
		if contacts, known = items(mine); !known {
			mine.Early = true
		}
		mine.Unlock()
	}
	for _, i := range contacts {
		if !i.Subscription.From() || c.Access == "roster" && !slices.ContainsFunc(i.Groups, func(g string) bool { return slices.Contains(c.Groups, g) }) {
			continue
		}
		if a := s.Registry.Account(i.JID); a != nil && !s.barred(b.owner, i.JID) {
			s.toAccount(a, b.owner, blocks, name, message)
		}
	}
}

// barred tells whether one of two has blocked the other.
func (s *Service) barred(a, b addr.Bare) bool {
	return s.Blocked(a, b.Full()) || s.Blocked(b, a.Full())
}

// contacts are those of a user who is online, once they are known.
func (s *Service) contacts(owner addr.Bare) (list []roster.Item, known bool) {
	a := s.Registry.Account(owner)
	if a == nil {
		return nil, false
	}
	a.Lock()
	defer a.Unlock()
	return items(a)
}

// items are an account's contacts; under its lock.
func items(a *registry.Account) (list []roster.Item, known bool) {
	r, known := a.Roster()
	return r.Items(), known
}

// toAccount sends to the resources that want the events of a node; those of a contact only if he wants the owner's
// presence, too, and has not blocked them.
func (s *Service) toAccount(a *registry.Account, owner addr.Bare, blocks *block.List, name string, message []byte) {
	if a == nil {
		return
	}
	a.Lock()
	defer a.Unlock()
	if a.User != owner && !a.Shows(owner, false) {
		return
	}
	for _, r := range a.Resources() {
		if r.Available && r.Caps.Wants(name) && !(a.User != owner && blocks.Has(r.Full)) {
			full := r.Full.String()
			r.AppendFrom(owner.Full(), func(dst []byte) []byte { return stanza.AppendAddressed(dst, message, full) })
		}
	}
}

// owed are the last items that resources are still to be sent.
type owed struct {
	mu      sync.Mutex
	queue   []*debt
	whole   map[*registry.Resource]*debt // those in the queue that are of all owners: a client may come and go often
	workers int
}

// debt is what one resource is owed.
type debt struct {
	to     *registry.Resource
	nodes  []string    // sorted
	owners []addr.Bare // whose; nil: the user's own and those of all whose presence he sees
	since  uint64      // what was told later has come to the resource already
}

// atOnce is how many resources are sent last items at a time: there is no hurry, and logins come in crowds.
const atOnce = 2

// Learned is what to do when a resource wants nodes that it did not want before (XEP-0163 §4.3.4). It does not wait.
func (s *Service) Learned(res *registry.Resource, nodes []string) {
	if s.Host(res.Full.Domain()) != nil {
		s.owe(debt{to: res, nodes: nodes})
	}
}

// RosterChanged is what to do when a roster has changed: who now sees somebody's presence gets his last items, as if
// he had just come online. The first roster of a user who comes online tells nobody else anything new.
func (s *Service) RosterChanged(a *registry.Account, from, to roster.Roster, first bool) {
	if s.Host(a.User.Domain()) == nil {
		return
	}
	a.Lock()
	early := a.Early // the user has published something that contacts could not be told of yet
	a.Early = false
	a.Unlock()
	var seen []addr.Bare
	for i := range to.All() {
		if i.Subscription.To() && !from.Wants(i.JID) {
			seen = append(seen, i.JID)
		}
		if (!first || early) && i.Subscription.From() && !from.Grants(i.JID) {
			s.oweAccount(s.Registry.Account(i.JID), []addr.Bare{a.User})
		}
	}
	if len(seen) > 0 {
		s.oweAccount(a, seen)
	}
}

func (s *Service) oweAccount(a *registry.Account, owners []addr.Bare) {
	if a == nil {
		return
	}
	a.Lock()
	defer a.Unlock()
	for _, r := range a.Resources() {
		if r.Available && r.Caps != nil && len(r.Caps.Notify) > 0 {
			s.owe(debt{to: r, nodes: r.Caps.Notify, owners: owners})
		}
	}
}

// owe queues a debt.
func (s *Service) owe(d debt) {
	d.since = s.told.Load()
	o := &s.owed
	o.mu.Lock()
	defer o.mu.Unlock()
	if first := o.whole[d.to]; d.owners == nil && first != nil {
		first.since = d.since
		if !slices.Equal(first.nodes, d.nodes) {
			first.nodes = slices.Concat(first.nodes, d.nodes)
			slices.Sort(first.nodes)
			first.nodes = slices.Compact(first.nodes)
		}
		return
	}
	if d.owners == nil {
		if o.whole == nil {
			o.whole = make(map[*registry.Resource]*debt)
		}
		o.whole[d.to] = &d
	}
	o.queue = append(o.queue, &d)
	if o.workers < atOnce && s.Go(s.settle) {
		o.workers++
	}
}

// settle pays debts until there are none.
func (s *Service) settle(ctx context.Context) {
	for {
		d, ok := s.owed.next(ctx)
		if !ok {
			return
		}
		if err := s.pay(ctx, d); err != nil && ctx.Err() == nil {
			s.Log.Error("a store failed", "store", "pep", "user", d.to.Account.User, "error", err)
		}
	}
}

func (o *owed) next(ctx context.Context) (d debt, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 || ctx.Err() != nil {
		o.workers--
		o.queue, o.whole = nil, nil
		return d, false
	}
	d = *o.queue[0]
	o.queue[0] = nil
	o.queue = o.queue[1:]
	if d.owners == nil {
		delete(o.whole, d.to)
	}
	return d, true
}

func (s *Service) pay(ctx context.Context, d debt) error {
	user := d.to.Account.User
	owners := d.owners
	if owners == nil {
		owners = []addr.Bare{user}
		contacts, _ := s.contacts(user)
		for _, i := range contacts {
			if i.Subscription.To() && i.JID != user {
				owners = append(owners, i.JID)
			}
		}
	}
	var failures []error
	for _, owner := range owners {
		h := s.Host(owner.Domain())
		if h == nil || ctx.Err() != nil || owner != user && (s.barred(owner, user) || s.Blocked(owner, d.to.Full)) {
			continue
		}
		s.lastGiven(h, owner, d)
		err := s.lastItems(ctx, h, owner, d)
		if _, gone := errors.AsType[*stanza.Error](err); err != nil && !gone {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// lastItems sends a resource the last items of what one user has published, as far as he wants and may see them.
func (s *Service) lastItems(ctx context.Context, h *Host, owner addr.Bare, d debt) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout) // others are owed something, too
	defer cancel()
	b, err := s.open(ctx, h, owner)
	if err != nil {
		return err
	}
	defer s.close(b)
	v := &viewer{s: s, owner: owner, bare: d.to.Account.User}
	if err := s.lastBookmarks(ctx, b, v, d); err != nil {
		return err
	}
	for name, n := range b.nodes {
		i := n.last()
		if _, wants := slices.BinarySearch(d.nodes, name); !wants || h.given(name) || i == nil || i.told > d.since || n.Config.SendLast != "" || n.Config.NoNotify {
			continue
		}
		if ok, err := v.sees(ctx, &n.Config); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		message, err := b.lastItem(ctx, name, n, i)
		if err != nil {
			return err
		}
		full := d.to.Full.String()
		d.to.AppendOwn(func(dst []byte) []byte { return stanza.AppendAddressed(dst, message, full) })
	}
	return nil
}

// lastBookmarks sends the user's own client what it looks for in the old place.
func (s *Service) lastBookmarks(ctx context.Context, b *box, v *viewer, d debt) error {
	if _, wants := slices.BinarySearch(d.nodes, nodeLegacyBookmarks); !wants || v.bare != b.owner || b.host.Bookmarks == nil {
		return nil
	}
	if err := b.moveBookmarks(ctx); err != nil {
		return err
	}
	old, err := b.legacy(ctx)
	if err != nil {
		return err
	}
	c := defaults(nodeLegacyBookmarks)
	message := appendEvent(nil, b.owner, &c, itemsEvent(nodeLegacyBookmarks, appendItem(nil, "current", old)), nil)
	full := d.to.Full.String()
	d.to.AppendOwn(func(dst []byte) []byte { return stanza.AppendAddressed(dst, message, full) })
	return nil
}

// lastItem is an event that says when its item was published (XEP-0203).
func (b *box) lastItem(ctx context.Context, name string, n *node, i *item) ([]byte, error) {
	var payload []byte
	if !n.Config.NoPayload {
		var err error
		if payload, err = b.payload(ctx, name, i); err != nil {
			return nil, err
		}
	}
	delay := stanza.AppendAttr([]byte("<delay xmlns='urn:xmpp:delay'"), "from", b.owner.String())
	delay = i.Time.AppendFormat(append(delay, " stamp='"...), "2006-01-02T15:04:05Z")
	return appendEvent(nil, b.owner, &n.Config, itemsEvent(name, appendItem(nil, i.ID, payload)), append(delay, "'/>"...)), nil
}
