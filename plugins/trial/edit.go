package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Wish is what a user wants of his roster.
type Wish struct {
	ID           string   `json:"id,omitempty"` // "trial" if empty
	Action       string   `json:"action"`       // one of Actions
	Contact      string   `json:"contact"`      // bare JID
	Name         string   `json:"name,omitempty"`
	Groups       []string `json:"groups,omitempty"`
	Subscription string   `json:"subscription,omitempty"` // "none" if empty
	Ask          string   `json:"ask,omitempty"`          // "subscribe"
	Approved     bool     `json:"approved,omitempty"`
}

var actions = []engine.Action{engine.Set, engine.Remove, engine.OutSubscribe, engine.OutSubscribed, engine.OutUnsubscribe, engine.OutUnsubscribed}

// Actions are what users do with a contact: change the item, or send a stanza.
func Actions() (names []string) {
	for _, a := range actions {
		names = append(names, a.Name())
	}
	return names
}

// edit is the Wish as a plugin is told of it.
func (w *Wish) edit(user addr.Bare) (engine.Edit, error) {
	e := engine.Edit{ID: cmp.Or(w.ID, "trial"), User: user}
	at := slices.Index(Actions(), w.Action)
	if at < 0 {
		return e, fmt.Errorf("action: %q is none of %q", w.Action, Actions())
	}
	e.Action = actions[at]
	var err error
	if e.Contact, err = addr.ParseBare(w.Contact); err != nil {
		return e, fmt.Errorf("contact: %w", err)
	}
	e.Item = roster.Item{JID: e.Contact, Name: w.Name, Groups: w.Groups, Ask: w.Ask != "", Approved: w.Approved}
	if e.Item.Subscription, err = roster.ParseSubscription(cmp.Or(w.Subscription, "none")); err != nil {
		return e, err
	}
	if w.Ask != "" && w.Ask != "subscribe" {
		return e, errors.New(`ask: it is "subscribe" or not there`)
	}
	return e, nil
}

// checkEdit looks at what is wanted.
func (c *Case) checkEdit() error {
	if (c.Call == CallEdit) != (c.Edit != nil) {
		return fmt.Errorf("edit: a call of %s needs one, and no other has one", CallEdit)
	}
	if c.Edit == nil {
		return nil
	}
	user, err := c.user()
	if err == nil {
		_, err = c.Edit.edit(user)
	}
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	return nil
}

func (o *Opened) edit(ctx context.Context, user addr.Bare, w *Wish) error {
	e, err := w.edit(user)
	if err != nil {
		return err
	}
	return o.Edit(ctx, e)
}
