package main

import (
	"context"
	"errors"
	"fmt"

	"rosterd/admin"
	"rosterd/config"
	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/store"
)

// farewell is what becomes of the rosters of others when a user is deleted: changes of those that their users edit.
type farewell []engine.Edit

// editor makes one change of a roster.
type editor func(context.Context, engine.Edit) (engine.Edited, error)

// newFarewell looks whom a user has to leave, as long as that is known: before he is deleted.
func newFarewell(ctx context.Context, cfg *config.Config, stores map[string]store.Stores, user addr.Bare) (f farewell, err error) {
	h := cfg.Host(user.Domain())
	if h == nil || !h.KeepsContacts() {
		return nil, nil
	}
	all, err := (&plan{cfg: cfg, stores: stores}).edited(h).Leave(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("contacts of %s: %w", user, err)
	}
	for _, e := range all {
		if h := cfg.Host(e.User.Domain()); h != nil && h.KeepsContacts() {
			f = append(f, e)
		}
	}
	return f, nil
}

// say makes the changes. It returns whose rosters are others now.
func (f farewell) say(ctx context.Context, edit editor) (changed []addr.Bare, err error) {
	for _, e := range f {
		if _, failed := edit(ctx, e); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		changed = append(changed, e.User)
	}
	return changed, err
}

// leaving are accounts whose users leave the rosters of others when they are deleted.
type leaving struct {
	*store.Accounts
	plan *plan
}

// Delete deletes a user. That the rosters of others could not be changed is an error, and he is deleted all the same.
func (l leaving) Delete(ctx context.Context, user addr.Bare) ([]store.Place, error) {
	contacts, err := newFarewell(ctx, l.plan.cfg, l.plan.stores, user)
	if err != nil {
		return nil, err
	}
	places, err := l.Accounts.Delete(ctx, user)
	if err != nil {
		return places, err
	}
	_, err = contacts.say(context.WithoutCancel(ctx), l.plan.edit) // all of it, however long it takes
	return places, err
}

// editKept changes a roster where it is kept. A server that runs has to be told.
func editKept(cfg *config.Config, stores map[string]store.Stores) editor {
	p := &plan{cfg: cfg, stores: stores}
	return func(ctx context.Context, e engine.Edit) (engine.Edited, error) {
		return p.edited(cfg.Host(e.User.Domain())).Edit(ctx, e)
	}
}

// tellDeleted has the server of this configuration, if it runs, end the streams of a user who is deleted, and forget him.
func tellDeleted(ctx context.Context, cfg *config.Config, user addr.Bare) error {
	client := admin.Client{Socket: config.AdminSocket.Get(cfg.Global())}
	if err := client.Deleted(ctx, user.String()); err != nil && !errors.Is(err, admin.ErrNotRunning) {
		return fmt.Errorf("the running server does not know that %s is deleted: %w", user, err)
	}
	return nil
}

// tellServer has the clients of users told by the server of this configuration, if it runs.
func tellServer(ctx context.Context, cfg *config.Config, users []addr.Bare) error {
	if len(users) == 0 {
		return nil
	}
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = u.String()
	}
	client := admin.Client{Socket: config.AdminSocket.Get(cfg.Global())}
	if _, err := client.Refresh(ctx, names...); err != nil && !errors.Is(err, admin.ErrNotRunning) {
		return fmt.Errorf("the running server does not know of the contacts' rosters yet: %w", err)
	}
	return nil
}
