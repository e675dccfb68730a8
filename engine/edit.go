package engine

import (
	"context"
	"errors"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Editor is a Backend whose rosters those may change that they belong to, and those who ask to see somebody.
type Editor interface {
	// Edit makes one change: all of it or nothing, and what it returns for is on disk. From then on Fetch answers with
	// it. Two calls with the same ID make it once. ErrDenied and ErrNoItem refuse it; whatever else it returns is as in
	// Backend. Calls for one user come one after the other.
	Edit(ctx context.Context, e Edit) (Edited, error)

	// Pending are the subscription requests that wait for the user's answer, in the order of their arrival: they are
	// delivered at each initial presence until he gives one (RFC 6121 §3.1.3).
	Pending(ctx context.Context, user addr.Bare) ([]PendingRequest, error)
}

// ErrReadOnly says that the users of a host do not edit their rosters; ErrNoItem that a roster does not have what was
// to be removed.
var (
	ErrReadOnly = errors.New("contacts are managed elsewhere")
	ErrNoItem   = errors.New("no such contact")
)

// Action is what an Edit does.
type Action string

// What a user does with his own roster (RFC 6121 §2.3–2.5), and the subscription stanzas that he sends (Out) or that
// come for him (In) (RFC 6121 §3, appendix A).
const (
	Set    Action = "set"    // name and groups of Item
	Remove Action = "remove" // and with it both subscriptions

	OutSubscribe    Action = "out-subscribe"
	OutSubscribed   Action = "out-subscribed"
	OutUnsubscribe  Action = "out-unsubscribe"
	OutUnsubscribed Action = "out-unsubscribed"
	InSubscribe     Action = "in-subscribe"
	InSubscribed    Action = "in-subscribed"
	InUnsubscribe   Action = "in-unsubscribe"
	InUnsubscribed  Action = "in-unsubscribed"
)

// Edit is one change that is wanted of a user's roster.
type Edit struct {
	ID      string // of this change, whoever is asked for it how often
	User    addr.Bare
	Contact addr.Bare
	Action  Action
	Item    roster.Item // of Set: Name and Groups
	Stanza  []byte      // of InSubscribe: what the user is to see, from the contact's bare JID to his
}

// Edited is what an Edit has come to. Old and New are the contact's item before and after, nil where there is none.
type Edited struct {
	Old, New *roster.Item
	Route    []Action // subscription stanzas that the user's server sends to the contact, as Out…: those of Remove, or what was routed
	Deliver  bool     // of In…: the user's resources are to see the stanza
	Answer   Action   // of In…: what the server answers in the user's stead, "" if nothing
}

// PendingRequest is a subscription request that waits for an answer.
type PendingRequest struct {
	From   addr.Bare
	Stanza []byte // as it is delivered
}
