// Package admin is the operator's door to a running server: HTTP over a unix socket that only its owner can open. What
// comes in asks for one user's roster, has it fetched again, lets a held answer through, or asks why one user does or
// does not see another. There is no way in by the network.
package admin

import (
	"context"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Rosters is the engine.
type Rosters interface {
	Inspect(user addr.Bare) (engine.Inspection, bool)
	Refresh(ctx context.Context, host string, names []string) engine.Summary
	ReleaseHeld(ctx context.Context, user addr.Bare) (engine.Result, error)
}

// Session is what the XMPP side knows of one user at some moment.
type Session struct {
	Loaded    bool          // there is a roster
	Roster    roster.Roster // as the clients were told it
	Resources []Resource    // none: offline
}

// Resource is one connected resource.
type Resource struct {
	Resource   string      `json:"resource"`
	Address    string      `json:"address"`
	Encrypted  bool        `json:"encrypted"`
	Available  bool        `json:"available"`  // has sent initial presence
	Interested bool        `json:"interested"` // has asked for the roster
	Priority   int8        `json:"priority"`
	Shown      time.Time   `json:"shown,omitzero"`    // when it last sent presence
	Directed   []addr.Bare `json:"directed,omitzero"` // to whom it has sent directed presence
}

// Roster is the answer to "get": a user's roster and where it comes from.
type Roster struct {
	User      addr.Bare `json:"user"`
	Source    string    `json:"source"` // the backend
	State     string    `json:"state"`  // fresh, stale, absent or offline
	Resources int       `json:"resources"`
	Fetching  bool      `json:"fetching"` // a fetch is under way

	Version    string    `json:"version"`
	Revision   string    `json:"revision,omitempty"` // the backend's
	Fetched    time.Time `json:"fetched,omitzero"`   // when the backend last said so
	FreshUntil time.Time `json:"fresh_until,omitzero"`
	ServeUntil time.Time `json:"serve_until,omitzero"`
	Kept       bool      `json:"kept"` // it outlives the session

	LastError string    `json:"last_error,omitempty"`
	FailedAt  time.Time `json:"failed_at,omitzero"`
	NextTry   time.Time `json:"next_try,omitzero"`
	Held      *Held     `json:"held,omitempty"`
	Breaker   *Breaker  `json:"breaker,omitempty"` // only while it is open

	Contacts    []Contact `json:"contacts"`
	Dropped     []Dropped `json:"dropped,omitzero"` // what the backend said that could not be used
	DroppedMore int       `json:"dropped_more,omitempty"`
}

// Contact is one item.
type Contact struct {
	JID          addr.Bare `json:"jid"`
	Name         string    `json:"name,omitempty"`
	Subscription string    `json:"subscription"`
	Groups       []string  `json:"groups,omitzero"`
	Ask          bool      `json:"ask,omitempty"`
	Approved     bool      `json:"approved,omitempty"`
	Of           string    `json:"of,omitempty"`    // whose it is, where users have contacts of their own: "user", or "backend"
	Hides        bool      `json:"hides,omitempty"` // the backend's, which stands before one of the user's own
}

// Dropped is a contact as the backend wrote it, and why it was left out.
type Dropped struct {
	JID    string `json:"jid"`
	Reason string `json:"reason"`
}

// Held is an answer that the shrink guard holds back.
type Held struct {
	Since   time.Time `json:"since"`
	Removed int       `json:"removed"`
	Of      int       `json:"of"`
}

// Breaker is that of a backend which is left alone for a while.
type Breaker struct {
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until"`
	LastError string    `json:"last_error,omitempty"`
}

// Outcome is what became of one user of a refresh or a release.
type Outcome struct {
	User    string `json:"user"`
	Outcome string `json:"outcome"` // as engine.Outcome
	Changes int    `json:"changes"`
	Error   string `json:"error,omitempty"`
}

// OK tells whether the roster is now what the backend says, or will be when the user comes.
func (o Outcome) OK() bool {
	switch engine.Outcome(o.Outcome) {
	case engine.Updated, engine.Unchanged, engine.Offline:
		return true
	}
	return false
}

func rosterOf(i engine.Inspection, source string) Roster {
	r := Roster{
		User: i.User, Source: source, State: i.State, Resources: i.Resources, Fetching: i.Fetching,
		Version: i.Roster.Version(), Revision: i.Rev, Fetched: i.Fetched, FreshUntil: i.FreshUntil, ServeUntil: i.ServeUntil, Kept: i.Kept,
		FailedAt: i.FailedAt, NextTry: i.NextTry, Contacts: make([]Contact, 0, i.Roster.Len()), DroppedMore: i.DroppedMore,
	}
	if i.LastError != nil {
		r.LastError = i.LastError.Error()
	}
	if i.Held != nil {
		r.Held = &Held{i.Held.Since, i.Held.Removed, i.Held.Of}
	}
	if b := i.Breaker; b.Open {
		r.Breaker = &Breaker{Since: b.Since, Until: b.Until}
		if b.LastError != nil {
			r.Breaker.LastError = b.LastError.Error()
		}
	}
	for item := range i.Roster.All() {
		r.Contacts = append(r.Contacts, contactOf(item).of(i.Own))
	}
	for _, d := range i.Dropped {
		r.Dropped = append(r.Dropped, Dropped{d.JID, d.Reason})
	}
	return r
}

// The owners of contacts.
const (
	ofUser    = "user"
	ofBackend = "backend"
)

// of is the contact with whose it is; where users have none of their own that goes without saying.
func (c Contact) of(own *engine.Owned) Contact {
	if own == nil {
		return c
	}
	c.Of = ofBackend
	if _, ok := own.Contacts.Get(c.JID); ok {
		c.Of = ofUser
	}
	_, c.Hides = own.Hidden.Get(c.JID)
	return c
}

func contactOf(i roster.Item) Contact {
	return Contact{JID: i.JID, Name: i.Name, Subscription: i.Subscription.String(), Groups: i.Groups, Ask: i.Ask, Approved: i.Approved}
}
