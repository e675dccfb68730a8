package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Writer takes what users want of their rosters to a backend that decides, and whose rosters are then fetched.
type Writer interface {
	// Edit asks for one change of a user's own: one of Set, Remove and Out…, with the contact's item as the user wants
	// it to be. nil says that the backend has taken it. A *VetoError is its no, ErrNoItem says that it does not know the
	// contact; anything else leaves open what has become of it. It is asked once for an Edit, whatever happens: a
	// Writer that does send it again does so under the same ID.
	Edit(ctx context.Context, e Edit) error
}

// VetoError is the no of a backend to what a user wants of his roster.
type VetoError struct{ Text string } // for the user; may be ""

func (e *VetoError) Error() string {
	if e.Text == "" {
		return "the backend does not allow it"
	}
	return "the backend does not allow it: " + e.Text
}

// Is tells that it is an ErrDenied.
func (e *VetoError) Is(target error) bool { return target == ErrDenied }

// Name is the stanza or the change that an action stands for, without the direction: "set", "remove", "subscribe", "subscribed",
// "unsubscribe", "unsubscribed".
func (a Action) Name() string {
	name, _ := strings.CutPrefix(string(a), "out-")
	return strings.TrimPrefix(name, "in-")
}

// wishes are the Editor of a host whose backend decides what becomes of its users' edits.
type wishes struct {
	e *Engine
	h *host
}

// Edit hands the backend what the user wants. What comes for him is not asked of it: requests are answered as his roster
// says. Contacts of other hosts are told what the backend has allowed; those of the same one it has itself.
func (w wishes) Edit(ctx context.Context, ed Edit) (Edited, error) {
	i, known, err := w.e.Contact(ctx, ed.User, ed.Contact)
	if err != nil {
		return Edited{}, err
	}
	var old *roster.Item
	if known {
		old = &i
	}
	done := Edited{Old: old, New: old}
	switch ed.Action {
	case InSubscribe:
		done.Answer = OutUnsubscribed
		if i.Subscription.From() {
			done.Answer = OutSubscribed
		}
		return done, nil
	case InSubscribed, InUnsubscribe, InUnsubscribed:
		return done, nil
	}
	if _, served := w.e.Roster(ed.User); !served && w.e.Online(ed.User) { // what he wants would be none of what he has been told
		return Edited{}, &TemporaryError{Err: fmt.Errorf("%s %s in the roster of %s: it is not known yet", ed.Action, ed.Contact, ed.User)}
	}
	switch ed.Action {
	case Remove:
		if !known {
			return Edited{}, fmt.Errorf("%s in the roster of %s: %w", ed.Contact, ed.User, ErrNoItem)
		}
	case Set:
		i.Name, i.Groups = ed.Item.Name, ed.Item.Groups
	}
	i.JID = ed.Contact
	ed.Item, ed.Rev = i, w.e.rev(ed.User)
	done.fetch = true
	if ed.Action == Remove {
		w.e.part(ed.User, ed.Contact)
	}
	if err := w.h.conf().Writer.Edit(ctx, ed); err != nil {
		if veto := (*VetoError)(nil); errors.As(err, &veto) {
			w.e.stay(ed.User, ed.Contact)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = &TemporaryError{Err: err} // of a backend that is slow
		}
		return done, fmt.Errorf("%s %s in the roster of %s: %w", ed.Action, ed.Contact, ed.User, err)
	}
	if ed.Contact.Domain() != ed.User.Domain() {
		done.Route = routed(ed.Action, i.Subscription)
	}
	return done, nil
}

// routed are the subscription stanzas that another server has to hear of.
func routed(a Action, s roster.Subscription) (list []Action) {
	switch {
	case a == Set:
		return nil
	case a != Remove:
		return []Action{a}
	}
	if s.To() {
		list = append(list, OutUnsubscribe)
	}
	if s.From() {
		list = append(list, OutUnsubscribed)
	}
	return list
}

// Pending is nothing: requests are answered at once.
func (w wishes) Pending(context.Context, addr.Bare) ([]PendingRequest, error) { return nil, nil }

// known waits for the roster of a user who has just come, which is asked for once more if that has failed.
func (e *Engine) known(user addr.Bare) {
	if _, served := e.Roster(user); served {
		return
	}
	if f := e.request(user, ReasonLogin); f != nil {
		<-f.done
	}
}

// rev is the backend's revision of the roster that a user has been told, "" if it is not known.
func (e *Engine) rev(user addr.Bare) string {
	u := e.find(user)
	if u == nil {
		return ""
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.generation != u.host.conf().Generation {
		return ""
	}
	return u.rev
}

// written has the roster of a user fetched whose backend was asked for a change, and waits for that as long as one call
// may take. Nobody waits for it where the backend has failed, since it may well fail again, nor ever for the rosters of
// the contacts.
func (e *Engine) written(h *host, ed Edit, failed error) {
	var veto *VetoError
	if errors.As(failed, &veto) || !e.begin() {
		return
	}
	r := e.newRefresh(h, 1) // what fails there is logged there, and tried again
	r.spoil(h, []addr.Bare{ed.User})
	f := e.request(ed.User, ReasonRefresh)
	go func() {
		defer e.work.Done()
		r.bring(h, ed, f)
	}()
	if failed != nil {
		return
	}
	late := time.NewTimer(h.conf().Timeout)
	defer late.Stop()
	select {
	case <-f.done:
	case <-late.C:
	}
}

// bring has the other sides follow of what the fetch after an edit has found made or ended. Where it has found nothing,
// since the user has left or the backend has failed, the contact does.
func (r *refresh) bring(h *host, ed Edit, f *flight) {
	<-f.done
	if h.conf().OneSided {
		return
	}
	others := f.others
	if f.gone || f.err != nil {
		others = []addr.Bare{ed.Contact}
	}
	r.spoil(h, slices.DeleteFunc(slices.Clone(others), func(c addr.Bare) bool { return c.Domain() != ed.User.Domain() }))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[ed.User] = f
	r.follow(others)
}
