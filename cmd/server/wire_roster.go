package main

import (
	"context"
	"errors"
	"fmt"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/engine/stored"
	"rosterd/store"
)

// storedHost is how the rosters are had that users edit.
func (p *plan) storedHost(h *config.Host) engine.Host {
	kept := storedRosters{p.rosters(h), placeOf(h, "roster")}
	var backend engine.Backend = kept
	if h.FixedRosters() {
		backend = fixedRosters{kept}
	}
	return engine.Host{
		Backend: backend, Assigner: kept,
		// Nothing is asked but the store: as many as like may wait for one commit, what fails does so for all alike,
		// and subscription stanzas tell the other side what has changed.
		Parallel: 256, OneSided: true, MissingEmpty: true,
		Timeout: config.BackendTimeout.Get(h), Steps: config.RosterSteps.Get(h),
	}
}

// rosters are those that users edit. What Prosody has kept in its data folder is theirs until they change it.
func (p *plan) rosters(h *config.Host) *stored.Rosters {
	r := &stored.Rosters{
		Values: p.stores[h.Name].Keyed("roster"),
		Limits: storedLimits(h),
	}
	if h.StorageDriver("roster") == "internal" {
		folder := config.DataPath.Get(p.cfg.Global())
		r.Import = func(_ context.Context, user addr.Bare) ([]stored.Entry, []roster.BadItem, error) {
			return prosodyRoster(folder, user)
		}
	}
	return r
}

// ownRosters are the contacts that users keep beside those of the backend.
func (p *plan) ownRosters(h *config.Host) engine.Own {
	return storedRosters{p.edited(h), placeOf(h, "roster_own")}
}

// edited is what the users of a host edit: their rosters, or contacts beside those of the backend.
func (p *plan) edited(h *config.Host) *stored.Rosters {
	if h.StoresRosters() {
		return p.rosters(h)
	}
	return &stored.Rosters{Values: p.stores[h.Name].Keyed("roster_own"), Limits: storedLimits(h)}
}

func storedLimits(h *config.Host) stored.Limits {
	return stored.Limits{Items: config.RosterItems.Get(h), Requests: config.PendingRequests.Get(h), Bytes: config.RosterSize.Get(h)}
}

// prosodyRoster is a roster in Prosody's data folder. An error stays until somebody has looked at the file.
func prosodyRoster(folder string, user addr.Bare) ([]stored.Entry, []roster.BadItem, error) {
	contacts, bad, err := store.ProsodyRoster(folder, user)
	if err != nil {
		return nil, nil, &engine.PermanentError{Err: err}
	}
	list := make([]stored.Entry, len(contacts))
	for i, c := range contacts {
		list[i] = stored.Entry{Contact: c.JID, Item: c.Item, Asks: c.Asks, Stanza: c.Stanza}
	}
	return list, bad, nil
}

// storedRosters are the same ones after a reload, unless they are kept elsewhere.
type storedRosters struct {
	*stored.Rosters
	driver string
}

var (
	_ engine.Editor       = storedRosters{}
	_ engine.Generational = storedRosters{}
)

// Edit is ErrReadOnly where nothing is to be kept.
func (s storedRosters) Edit(ctx context.Context, e engine.Edit) (engine.Edited, error) {
	done, err := s.Rosters.Edit(ctx, e)
	if errors.Is(err, store.ErrDisabled) {
		err = fmt.Errorf("%w: %w", engine.ErrReadOnly, err)
	}
	return done, err
}

// Generation names the store.
func (s storedRosters) Generation() string { return "roster, " + s.driver }
