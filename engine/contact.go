package engine

import (
	"context"
	"fmt"

	"github.com/tidwall/gjson"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Contact is a user's item for a contact, whether the user is online or not; ok is false if there is none, or nobody
// knows. Of who is offline it is what was kept, or what is kept at hand; a backend that is far away is not asked.
func (e *Engine) Contact(ctx context.Context, user, contact addr.Bare) (i roster.Item, ok bool, err error) {
	if r, online := e.Roster(user); online {
		i, ok = r.Get(contact)
		return i, ok, nil
	}
	h := e.host(user.Domain())
	if h == nil {
		return roster.Item{}, false, nil
	}
	c := h.conf()
	if h.near() {
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		ans, err := c.Backend.Fetch(ctx, Request{User: user, Reason: ReasonTest})
		if err != nil {
			return roster.Item{}, false, fmt.Errorf("roster of %s: %w", user, err)
		}
		i, ok = ans.Roster.Get(contact)
		return i, ok, nil
	}
	if c.Keeper != nil {
		doc, there, err := c.Keeper.LoadRoster(ctx, user)
		if err != nil {
			return roster.Item{}, false, err
		}
		if there {
			if i, ok, err = keptItem(user, contact, doc); ok || err != nil {
				return i, ok, err
			}
		}
	}
	own, err := c.own(ctx, user)
	if err != nil {
		return roster.Item{}, false, fmt.Errorf("roster of %s: %w", user, err)
	}
	i, ok = own.Get(contact)
	return i, ok, nil
}

// keptItem reads one item out of what is kept, without making a roster of it.
func keptItem(user, contact addr.Bare, doc []byte) (i roster.Item, ok bool, err error) {
	gjson.GetBytes(doc, "items").ForEach(func(key, value gjson.Result) bool {
		if key.String() != contact.String() {
			return true
		}
		i, err = roster.DecodeItem(value)
		i.JID, ok = contact, err == nil
		return false
	})
	if err != nil {
		return roster.Item{}, false, fmt.Errorf("kept roster of %s: contact %s: %w", user, contact, err)
	}
	return i, ok, nil
}
