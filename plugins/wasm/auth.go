package wasm

import (
	"context"

	"rosterd/engine"
	"rosterd/engine/addr"
)

// Authenticate asks the module's rosterd_auth.
func (p *Plugin) Authenticate(ctx context.Context, user addr.Bare, password string) error {
	if !p.info.Auth {
		return p.Nothing.Authenticate(ctx, user, password)
	}
	return p.run(&call{Context: ctx, plugin: p, op: opAuth, user: engine.Request{User: user}, password: password, started: p.svc.Now()}, nil)
}
