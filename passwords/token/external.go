package token

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"rosterd/engine/addr"
	"rosterd/passwords"
)

// External is what Prosody's community module auth_oauth_external does: a token is good if the authorization server takes
// it at an endpoint that says whose it is, such as OpenID Connect's userinfo; a password is one if the server gives a token
// for it (RFC 6749 §4.3).
type External struct {
	Rules
	Client *Client
	// Validation is where tokens are shown, and answered with who the user is. If it is "", there are no tokens from
	// clients, and a password that gets a token is its user's.
	Validation string
	// Token is where a password gets a token; "": passwords are not taken.
	Token string
	// Scopes are those that it is asked for.
	Scopes string
	// Join has the user's whole address sent as his name.
	Join bool
}

var (
	_ passwords.Source = (*External)(nil)
	_ passwords.Tokens = (*External)(nil)
)

// Close lets go of idle connections.
func (e *External) Close() error { return e.Client.Close() }

// CheckToken implements passwords.Tokens.
func (e *External) CheckToken(ctx context.Context, host, token string) (addr.Bare, error) {
	switch {
	case e.Validation == "":
		return addr.Bare{}, passwords.ErrUnknown
	case len(token) > longest:
		return addr.Bare{}, refused("%w", errLong)
	}
	a, err := e.Client.get(ctx, e.Validation, token)
	if err != nil {
		return addr.Bare{}, err
	}
	switch a.status {
	case 200, 201, 203:
	case 400, 401, 403, 413, 414, 431: // also if it is too long
		return addr.Bare{}, refused("%w", a.fault())
	default:
		return addr.Bare{}, a.fault()
	}
	c, err := a.object()
	if err != nil {
		return addr.Bare{}, err
	}
	return e.user(c, host)
}

// CheckPassword asks for a token with the user's password.
func (e *External) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	if e.Token == "" {
		return refused("passwords are not taken here")
	}
	token, err := e.grant(ctx, user, password)
	switch {
	case err != nil:
		return err
	case e.Validation == "":
		return nil
	default:
		return asPassword(ctx, e, user, token)
	}
}

// grant gets a token for a password.
func (e *External) grant(ctx context.Context, user addr.Bare, password string) (token string, err error) {
	name := addr.Unescape(user.Local())
	if e.Join {
		name += "@" + user.Domain()
	}
	form := url.Values{"grant_type": {"password"}, "username": {name}, "password": {password}}
	for key, value := range map[string]string{"client_id": e.Client.Name, "client_secret": e.Client.Secret, "scope": e.Scopes} {
		if value != "" {
			form.Set(key, value)
		}
	}
	a, err := e.Client.post(ctx, e.Token, form, false)
	if err != nil {
		return "", err
	}
	if a.status < 200 || a.status > 299 {
		return "", a.denial()
	}
	c, err := a.object()
	if err != nil {
		return "", err
	}
	kind, _ := c["token_type"].(string)
	token, _ = c["access_token"].(string)
	if !strings.EqualFold(kind, "bearer") || token == "" && e.Validation != "" {
		return "", refused("%s gives no bearer token", a.from)
	}
	return token, nil
}

// denial tells a password that is wrong from a server that does not do what it is asked (RFC 6749 §5.2). Servers have
// words of their own for users who are locked out, or need more than a password.
func (a *answer) denial() error {
	c, _ := a.object()
	code, _ := c["error"].(string)
	switch {
	case code == "invalid_grant", code == "access_denied":
	case slices.Contains([]string{"invalid_request", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "server_error", "temporarily_unavailable"}, code),
		a.status != 400 && a.status != 401 && a.status != 403:
		return &statusError{a, code}
	}
	return refused("%w", &statusError{a, code})
}

// statusError is an answer with the server's word for what is wrong.
type statusError struct {
	answer *answer
	code   string
}

func (e *statusError) Error() string {
	if e.code == "" {
		return e.answer.fault().Error()
	}
	return e.answer.fault().Error() + ": " + shown(e.code)
}
