package pep

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"weak"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/stanza"
)

// Given are nodes of users that nobody publishes in: somebody else says what they hold, one item at a time, and everybody
// may see it.
type Given interface {
	// Nodes are their names.
	Nodes() []string
	// Item is what such a node holds; ok is false if it holds nothing.
	Item(ctx context.Context, owner addr.Bare, node string) (p Published, ok bool, err error)
	// Told is the one of them of whose items events are told.
	Told() string
	// Last is what that one holds, without waiting, for who has just come: what is not known yet is told later, by Tell or
	// NothingThere. ok is false if it holds nothing.
	Last(owner addr.Bare) (p Published, ok, known bool)
}

// given tells whether a node is given on a host.
func (h *Host) given(node string) bool {
	return h.Given != nil && slices.Contains(h.Given.Nodes(), node)
}

// NotYours is the answer to who wants to change what the site says of him.
func NotYours() *stanza.Error {
	return &stanza.Error{Condition: stanza.NotAllowed, Text: "vCards and avatars are kept elsewhere by this site and cannot be changed here"}
}

// answerGiven is what is answered about a node that is given.
func (r *request) answerGiven(h *Host, owner addr.Bare) *stanza.Error {
	switch name := string(r.what.Name); {
	case r.q.Set && (name == "subscribe" || name == "unsubscribe" || name == "options"):
		return unsupported("subscribe")
	case r.q.Set:
		return NotYours()
	case name != "items":
		return unsupported("config-node")
	}
	none, ids := false, []string(nil)
	for e := range r.what.Elements() {
		if id, ok := e.Attr("id"); ok && string(e.Name) == "item" {
			ids = append(ids, id)
		}
	}
	if text, ok := r.what.Attr("max_items"); ok && ids == nil {
		most, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return refusal(stanza.BadRequest, "", "max_items is no number")
		}
		none = most == 0
	}
	node := r.node
	r.q.Later(r.Go, func(ctx context.Context) ([]byte, *stanza.Error) {
		p, ok, err := h.Given.Item(ctx, owner, node)
		if err != nil {
			return nil, r.failed(owner, err)
		}
		if !ok {
			return nil, errNoNode
		}
		b := append(stanza.AppendAttr([]byte("<pubsub xmlns='"+NS+"'><items"), "node", node), '>')
		if !none && (ids == nil || slices.Contains(ids, p.ID)) {
			b = appendItem(b, p.ID, p.Payload)
		}
		return append(b, "</items></pubsub>"...), nil
	})
	return nil
}

// discoGiven is what is answered about a node that is given, or about all nodes: those that hold something are there, and open to
// everybody.
func (s *Service) discoGiven(ctx context.Context, h *Host, v *viewer, name string, list bool) (answer []byte, refused *stanza.Error) {
	for _, node := range h.Given.Nodes() {
		if name != "" && node != name {
			continue
		}
		p, ok, err := h.Given.Item(ctx, v.owner, node)
		switch {
		case err != nil:
			return nil, s.failed(v.owner, err)
		case !ok:
			continue
		}
		item := stanza.AppendAttr([]byte("<item"), "jid", v.owner.String())
		switch {
		case name == "":
			answer = append(append(answer, stanza.AppendAttr(item, "node", node)...), "/>"...)
		case list:
			return append(stanza.AppendAttr(item, "name", p.ID), "/>"...), nil
		default:
			c := defaults(node)
			c.Access = "open"
			return c.describe(), nil
		}
	}
	if name != "" {
		return nil, errNoNode
	}
	own, refused := s.published(h, v, "", true)
	return append(answer, own...), refused
}

// Tell tells who wants the events of a node that is given what it holds now.
func (s *Service) Tell(owner addr.Bare, node string, p Published) {
	h := s.Host(owner.Domain())
	if h == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	b, err := s.open(ctx, h, owner) // nobody sees an older event after a newer one
	if err != nil {
		s.failed(owner, err)
		return
	}
	defer s.close(b)
	c := defaults(node)
	c.Access = "open"
	event := itemsEvent(node, appendItem(nil, p.ID, p.Payload))
	s.tellAll(b, node, &c, event)
	contacts, _ := s.contacts(owner)
	for _, r := range s.awaiting.take(owner) {
		user := r.Account.User
		reached := func(i roster.Item) bool { return i.JID == user && i.Subscription.From() }
		if user != owner && !slices.ContainsFunc(contacts, reached) && wants(r, owner, node) && !s.barred(owner, user) && !s.Blocked(owner, r.Full) {
			s.tellOne(r, owner, node, event)
		}
	}
}

// wants tells whether a resource that has waited is still there and sees the owner's presence, and wants the events of a node.
func wants(r *registry.Resource, owner addr.Bare, node string) bool {
	r.Account.Lock()
	defer r.Account.Unlock()
	return r.Available && r.Caps.Wants(node) && r.Account.Shows(owner, false)
}

// NothingThere is for who waits to be told of a user of whom there is nothing to tell.
func (s *Service) NothingThere(owner addr.Bare) { s.awaiting.take(owner) }

func (s *Service) tellOne(to *registry.Resource, owner addr.Bare, node string, event []byte) {
	c := defaults(node)
	message := appendEvent(nil, owner, &c, event, nil)
	full := to.Full.String()
	to.AppendOwn(func(dst []byte) []byte { return stanza.AppendAddressed(dst, message, full) })
}

// lastGiven sends a resource what it wants of the node that is given, or has it told when that is known.
func (s *Service) lastGiven(h *Host, owner addr.Bare, d debt) {
	if h.Given == nil {
		return
	}
	node := h.Given.Told()
	if _, wants := slices.BinarySearch(d.nodes, node); !wants {
		return
	}
	s.awaiting.add(owner, d.to) // before it is looked at: else it might become known in between
	p, ok, known := h.Given.Last(owner)
	if known && s.awaiting.remove(owner, d.to) && ok {
		s.tellOne(d.to, owner, node, itemsEvent(node, appendItem(nil, p.ID, p.Payload)))
	}
}

// maxAwaiting is how many pairs of a user and a resource that waits to be told of him are kept; beyond that all are
// forgotten, and their clients have to ask.
const maxAwaiting = 100_000

// awaiting are resources that wait for what users' nodes that are given turn out to hold. They are not kept for that: of some
// users it never comes out.
type awaiting struct {
	mu sync.Mutex
	of map[addr.Bare][]weak.Pointer[registry.Resource]
	n  int
}

func (w *awaiting) add(owner addr.Bare, r *registry.Resource) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := weak.Make(r)
	if slices.Contains(w.of[owner], p) {
		return
	}
	if w.of == nil || w.n >= maxAwaiting {
		w.of, w.n = make(map[addr.Bare][]weak.Pointer[registry.Resource]), 0
	}
	list := slices.DeleteFunc(w.of[owner], func(p weak.Pointer[registry.Resource]) bool { return p.Value() == nil })
	w.n -= len(w.of[owner]) - len(list)
	w.of[owner] = append(list, p)
	w.n++
}

// remove is false if r waits no more.
func (w *awaiting) remove(owner addr.Bare, r *registry.Resource) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.of[owner]
	k := slices.Index(list, weak.Make(r))
	if k < 0 {
		return false
	}
	w.n--
	if list = slices.Delete(list, k, k+1); len(list) == 0 {
		delete(w.of, owner)
	} else {
		w.of[owner] = list
	}
	return true
}

func (w *awaiting) take(owner addr.Bare) (all []*registry.Resource) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.of[owner]
	w.n -= len(list)
	delete(w.of, owner)
	for _, p := range list {
		if r := p.Value(); r != nil {
			all = append(all, r)
		}
	}
	return all
}
