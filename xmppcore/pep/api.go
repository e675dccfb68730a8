package pep

import (
	"context"
	"errors"
	"fmt"

	"rosterd/engine/addr"
)

// What follows is for other parts of the server, which publish in the name of users and read what they have published.

// Published is an item.
type Published struct {
	ID      string
	Payload []byte // one element, which stands alone
}

// Last is the last item of a node, as far as a viewer may see it. It is the zero value if there is none; known tells
// whether there is such a node at all.
func (s *Service) Last(ctx context.Context, owner addr.Bare, viewer addr.JID, name string) (p Published, known bool, err error) {
	known, err = s.look(ctx, owner, viewer, name, func(b *box, n *node) (err error) {
		if i := n.last(); i != nil {
			p.ID = i.ID
			p.Payload, err = b.payload(ctx, name, i)
		}
		return err
	})
	return p, known, err
}

// Item is the item of a node with an ID, as far as a viewer may see it; ok is false if there is none.
func (s *Service) Item(ctx context.Context, owner addr.Bare, viewer addr.JID, name, id string) (payload []byte, ok bool, err error) {
	_, err = s.look(ctx, owner, viewer, name, func(b *box, n *node) (err error) {
		if k := n.find(id); k >= 0 {
			payload, err = b.payload(ctx, name, &n.Items[k])
			ok = err == nil
		}
		return err
	})
	return payload, ok, err
}

// look looks at a node that is there and that a viewer may see.
func (s *Service) look(ctx context.Context, owner addr.Bare, viewerOf addr.JID, name string, f func(*box, *node) error) (known bool, err error) {
	h := s.Host(owner.Domain())
	if h == nil {
		return false, fmt.Errorf("%w: %s", errNoHost, owner.Domain())
	}
	b, err := s.open(ctx, h, owner)
	if err != nil {
		return false, err
	}
	defer s.close(b)
	n := b.nodes[name]
	if n == nil {
		return false, nil
	}
	v := &viewer{s: s, owner: owner, bare: viewerOf.Bare()}
	if ok, err := v.sees(ctx, &n.Config); err != nil || !ok {
		return true, err
	}
	return true, f(b, n)
}

var errNoHost = errors.New("users of this host publish nothing")

// Publish publishes an item in the name of its user; a node that is not there is open to everybody if open is true, and
// else what such a node is.
func (s *Service) Publish(ctx context.Context, owner addr.Bare, name string, p Published, open bool) error {
	return s.act(ctx, owner, name, func(b *box) error {
		c := defaults(name)
		if open {
			c.Access = "open"
		}
		_, err := b.publish(ctx, s, name, p.ID, p.Payload, nil, c)
		return err
	})
}

// Purge takes all items out of a node, if there is one.
func (s *Service) Purge(ctx context.Context, owner addr.Bare, name string) error {
	return s.act(ctx, owner, name, func(b *box) error {
		if b.nodes[name] == nil {
			return nil
		}
		return b.retract(ctx, name, nil)
	})
}

// act does something to a node, and tells those inside the server who have to do with it.
func (s *Service) act(ctx context.Context, owner addr.Bare, name string, f func(*box) error) error {
	h := s.Host(owner.Domain())
	if h == nil {
		return fmt.Errorf("%w: %s", errNoHost, owner.Domain())
	}
	if err := s.alone(ctx, h, owner, f); err != nil {
		return err
	}
	for _, g := range h.Changed {
		g(owner, name)
	}
	return nil
}

func (s *Service) alone(ctx context.Context, h *Host, owner addr.Bare, f func(*box) error) error {
	b, err := s.open(ctx, h, owner)
	if err != nil {
		return err
	}
	defer s.close(b)
	return f(b)
}
