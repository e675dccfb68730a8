package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Own are contacts that users keep themselves, beside those that the Backend of their host supplies. It is at hand: no
// limit of calls to the backend is for it.
type Own interface {
	Backend // of what is the user's own, without a revision
	Editor
}

// beside is a managed roster with the user's own contacts in it. Who is in both is as the backend says.
func beside(user addr.Bare, managed, own roster.Roster) roster.Roster {
	if own.Len() == 0 {
		return managed
	}
	all, _ := roster.New(user, slices.Concat(own.Items(), managed.Items())...)
	return all
}

// own are the contacts that a user keeps himself, none where the host has no such.
func (c *Host) own(ctx context.Context, user addr.Bare) (roster.Roster, error) {
	if c.Own == nil {
		return roster.Roster{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	r := call(ctx, c.Own, Request{User: user, Reason: ReasonEdit})
	if r.err != nil {
		return roster.Roster{}, fmt.Errorf("the user's own contacts: %w", r.err)
	}
	return r.ans.Roster, nil
}

// mix puts the user's own contacts, as they are now, beside the managed ones that are there already, and tells what that
// has changed. Nobody is told of a roster that was not served before.
func (e *Engine) mix(u *user, f *flight) error {
	h := u.host.conf()
	own, err := h.own(e.ctx, u.addr)
	if err != nil {
		return err
	}
	u.mu.Lock()
	from, to, served := u.roster, beside(u.addr, u.managed, own), u.state != absent
	steps := roster.Diff(from, to)
	u.history = u.history.After(from, steps, h.Steps)
	u.roster = to
	u.mu.Unlock()
	if served && len(steps) > 0 {
		f.change = steps
		e.tell(u, Event{From: from, To: to, Changes: steps})
	}
	return nil
}

// mixed is mix for a flight that has failed.
func (e *Engine) mixed(u *user, f *flight) error {
	u.mu.Lock()
	known := !u.fetched.IsZero()
	u.mu.Unlock()
	if !known || u.host.conf().Own == nil {
		return nil
	}
	return e.mix(u, f)
}

// besides tells whether a flight is for what is the user's own, so that it brings nothing of the backend's.
func (u *user) besides(f *flight) bool { return f.reason == ReasonEdit && u.host.conf().Own != nil }

// edited is a flight for an edit of what is the user's own: the backend has nothing to say about it. It is false where
// the backend has to be asked all the same, since it has never answered.
func (e *Engine) edited(u *user, f *flight) bool {
	if !u.besides(f) {
		return false
	}
	u.mu.Lock()
	served := u.state != absent
	u.mu.Unlock()
	if !served {
		return false
	}
	if f.err = e.mix(u, f); f.err != nil {
		e.log.Error("reading the contacts of a user's own", "user", u.addr, "error", f.err)
	}
	return true
}

// keepers are the Editor of a host whose users have contacts of their own beside those of its Backend.
type keepers struct {
	e *Engine
	h *host
}

// Edit changes what is the user's own. A contact whom the backend has is the backend's: what the user wants of him is
// ErrReadOnly, who asks is answered as the roster says, and what else he sends is known beneath, for the time when the
// backend no longer has him.
func (k keepers) Edit(ctx context.Context, ed Edit) (Edited, error) {
	own := k.h.conf().Own
	i, managed, err := k.e.managed(ctx, k.h, ed.User, ed.Contact)
	switch {
	case err != nil:
		return Edited{}, err
	case !managed:
		return own.Edit(ctx, ed)
	}
	done := Edited{Old: &i, New: &i}
	switch ed.Action {
	case InSubscribe:
		done.Answer = OutUnsubscribed
		if i.Subscription.From() {
			done.Answer = OutSubscribed
		}
	case InSubscribed, InUnsubscribe, InUnsubscribed:
		_, err = own.Edit(ctx, ed)
	default:
		err = fmt.Errorf("%s in the roster of %s: %w", ed.Contact, ed.User, ErrReadOnly)
	}
	return done, err
}

// Pending are the requests of those whom the backend does not have.
func (k keepers) Pending(ctx context.Context, user addr.Bare) ([]PendingRequest, error) {
	list, err := k.h.conf().Own.Pending(ctx, user)
	var all []PendingRequest
	for _, p := range list {
		_, managed, failed := k.e.managed(ctx, k.h, user, p.From)
		if err = cmp.Or(err, failed); failed == nil && !managed {
			all = append(all, p)
		}
	}
	return all, err
}

// managed is what the backend has said of a contact, last. It is asked if it never has: nobody may become a user's own
// whom it has.
func (e *Engine) managed(ctx context.Context, h *host, user, contact addr.Bare) (i roster.Item, ok bool, err error) {
	if u := e.find(user); u != nil {
		u.mu.Lock()
		r, served := u.managed, u.state != absent
		u.mu.Unlock()
		if served {
			i, ok = r.Get(contact)
			return i, ok, nil
		}
	}
	if k := h.conf().Keeper; k != nil {
		doc, there, err := k.LoadRoster(ctx, user)
		if err != nil {
			return i, false, fmt.Errorf("last good roster: %w", err)
		}
		if there {
			return keptItem(user, contact, doc)
		}
	}
	r, err := e.askFor(ctx, h, user)
	if err != nil {
		return i, false, err
	}
	i, ok = r.Get(contact)
	return i, ok, nil
}

// askFor asks the backend about somebody whose roster nobody else needs.
func (e *Engine) askFor(ctx context.Context, h *host, user addr.Bare) (roster.Roster, error) {
	if _, err := h.breaker.refuses(ReasonEdit); err != nil {
		return roster.Roster{}, &TemporaryError{Err: err}
	}
	if err := h.places.wait(ctx); err != nil {
		return roster.Roster{}, &TemporaryError{Err: fmt.Errorf("all calls to the backend were busy: %w", err)}
	}
	defer h.places.leave()
	r := call(ctx, h.conf().Backend, Request{User: user, Reason: ReasonEdit})
	switch {
	case errors.Is(r.err, ErrUnknownUser):
		return roster.Roster{}, nil
	case r.err != nil:
		return roster.Roster{}, &TemporaryError{Err: fmt.Errorf("whom the backend has: %w", r.err)}
	}
	return r.ans.Roster, nil
}
