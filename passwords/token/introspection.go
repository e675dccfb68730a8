package token

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"rosterd/engine/addr"
	"rosterd/passwords"
)

// Introspection is tokens that the authorization server is asked about (RFC 7662).
type Introspection struct {
	Rules
	Client *Client
	URL    string
	// NotAsPassword refuses tokens in the place of a password.
	NotAsPassword bool
}

var (
	_ passwords.Source = (*Introspection)(nil)
	_ passwords.Tokens = (*Introspection)(nil)
)

// CheckPassword takes a token as a password.
func (i *Introspection) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	if i.NotAsPassword {
		return refused("tokens are no passwords here")
	}
	return asPassword(ctx, i, user, password)
}

// Close lets go of idle connections.
func (i *Introspection) Close() error { return i.Client.Close() }

// CheckToken implements passwords.Tokens.
func (i *Introspection) CheckToken(ctx context.Context, host, token string) (addr.Bare, error) {
	if len(token) > longest {
		return addr.Bare{}, refused("%w", errLong)
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	a, err := i.Client.post(ctx, i.URL, form, true)
	if err != nil {
		return addr.Bare{}, err
	}
	c, err := a.object()
	switch {
	case a.status == 413, a.status == 400 && c["error"] == "invalid_token": // of some servers, for what never was a token of theirs
		return addr.Bare{}, refused("%w", a.fault())
	case a.status != 200: // also 401: that is about our own name and secret
		return addr.Bare{}, a.fault()
	case err != nil:
		return addr.Bare{}, err
	}
	if c["active"] != true {
		return addr.Bare{}, refused("it is not active")
	}
	if err := i.check(c, time.Now()); err != nil {
		return addr.Bare{}, err
	}
	return i.user(c, host)
}

// object is the body, which has to be an object in JSON.
func (a *answer) object() (c claims, err error) {
	if err := json.Unmarshal(a.body, &c); err != nil || c == nil {
		return nil, fmt.Errorf("%s answers with what is no object in JSON", a.from)
	}
	return c, nil
}
