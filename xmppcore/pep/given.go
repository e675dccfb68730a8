package pep

import (
	"context"
	"slices"
	"strconv"

	"rosterd/engine/addr"
	"rosterd/xmppcore/stanza"
)

// Given are nodes of users that nobody publishes in: somebody else says what they hold, one item at a time, and everybody
// may see it.
type Given interface {
	// Has tells whether a node is one of them.
	Has(node string) bool
	// Item is what such a node holds; ok is false if it holds nothing.
	Item(ctx context.Context, owner addr.Bare, node string) (p Published, ok bool, err error)
	// Last is Item without waiting, for who has just come: what is not known yet is told to all later, by Tell.
	Last(owner addr.Bare, node string) (p Published, ok bool)
	// Nodes are all that there are.
	Nodes() []string
}

// given tells whether a node is given on a host.
func (h *Host) given(node string) bool { return h.Given != nil && h.Given.Has(node) }

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
			refused := r.failed(owner, err)
			return nil, refused
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
	s.tellAll(b, node, &c, itemsEvent(node, appendItem(nil, p.ID, p.Payload)))
}

// lastGiven sends a resource what it wants of the nodes that are given.
func (s *Service) lastGiven(h *Host, owner addr.Bare, d debt) {
	if h.Given == nil {
		return
	}
	for _, node := range h.Given.Nodes() {
		if _, wants := slices.BinarySearch(d.nodes, node); !wants {
			continue
		}
		p, ok := h.Given.Last(owner, node)
		if !ok {
			continue
		}
		c := defaults(node)
		message := appendEvent(nil, owner, &c, itemsEvent(node, appendItem(nil, p.ID, p.Payload)), nil)
		full := d.to.Full.String()
		d.to.AppendOwn(func(dst []byte) []byte { return stanza.AppendAddressed(dst, message, full) })
	}
}
