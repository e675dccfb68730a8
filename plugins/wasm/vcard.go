package wasm

import (
	"bytes"
	"context"
	"errors"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
)

// Card asks the module's rosterd_vcard, which writes a vCard in JSON. Nothing, or that there is no such user, is one that says
// nothing.
func (p *Plugin) Card(ctx context.Context, user addr.Bare) (card engine.Card, err error) {
	if !p.info.Card {
		return p.Nothing.Card(ctx, user)
	}
	c := &call{Context: ctx, plugin: p, op: opCard, user: engine.Request{User: user}, started: p.svc.Now()}
	var doc []byte
	err = p.run(c, func() error {
		doc = bytes.Clone(c.output)
		return nil
	})
	switch {
	case errors.Is(err, engine.ErrUnknownUser), err == nil && len(doc) == 0:
		return engine.Card{}, nil
	case err != nil:
		return engine.Card{}, err
	}
	return plugins.Card(user, doc)
}
