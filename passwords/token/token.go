// Package token knows whose an access token is: by its signature, or by asking the authorization server that has issued it
// (RFC 7519, RFC 7662, OpenID Connect's userinfo). Each way is a passwords.Source of its own; none falls back to another.
package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rosterd/engine/addr"
	"rosterd/passwords"
)

// Rules say what is asked of the claims that come with a token. The zero value asks for nothing but a user.
type Rules struct {
	Issuer   string        // iss; "" is any
	Audience []string      // aud has one of them; none: any
	Scope    string        // that scope (or scp) has, all words of it; "" is any
	Leeway   time.Duration // that clocks may differ
	Username string        // the claim that names the user
	// Split takes what is before the @ for the user's name, whatever follows. Else what follows has to be the host.
	Split bool
	// Escape writes what cannot stand in a name as XEP-0106 does, an @ too.
	Escape bool
}

// longest is how long a token may be, in bytes.
const longest = 16 << 10

// refused is an error of tokens that are not accepted. It never shows the token.
func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errRefused, fmt.Errorf(format, args...))
}

// errRefused is ErrRefused in the words of tokens.
var errRefused = tokenError{}

type tokenError struct{}

func (tokenError) Error() string { return "token not accepted" }
func (tokenError) Unwrap() error { return passwords.ErrRefused }

// claims are what is said of a token, as JSON has it.
type claims map[string]any

// check holds claims against the rules. A token that was made for somebody who has to prove to have a key (RFC 7800) is
// not one that whoever has it may use.
func (r *Rules) check(c claims, now time.Time) error {
	switch {
	case c["cnf"] != nil:
		return refused("it is bound to a key (cnf)")
	case r.Issuer != "" && c["iss"] != r.Issuer:
		return refused("iss is %s", shown(c["iss"]))
	case len(r.Audience) > 0 && !slices.ContainsFunc(words(c["aud"], false), func(s string) bool { return slices.Contains(r.Audience, s) }):
		return refused("aud is %s", shown(c["aud"]))
	}
	for _, want := range strings.Fields(r.Scope) {
		if !slices.Contains(words(c["scope"], true), want) && !slices.Contains(words(c["scp"], true), want) {
			return refused("scope is %s", shown(c["scope"]))
		}
	}
	return r.times(c, now)
}

// times looks at exp, nbf and iat, where they are.
func (r *Rules) times(c claims, now time.Time) error {
	for _, name := range []string{"exp", "nbf", "iat"} {
		v, has := c[name]
		if !has || v == nil {
			continue
		}
		at, ok := instant(v)
		switch {
		case !ok:
			return refused("%s is no time", name)
		case name == "exp" && !now.Before(at.Add(r.Leeway)):
			return refused("it has expired %v ago", now.Sub(at).Round(time.Second))
		case name != "exp" && now.Before(at.Add(-r.Leeway)):
			return refused("%s is %v ahead", name, at.Sub(now).Round(time.Second))
		}
	}
	return nil
}

// instant is a NumericDate (RFC 7519 §2).
func instant(v any) (time.Time, bool) {
	f, ok := v.(float64)
	if !ok || f < 0 || f > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}

// words are a string, or a list of them; apart says that a string is words with spaces between.
func words(v any, apart bool) (list []string) {
	switch v := v.(type) {
	case string:
		if apart {
			return strings.Fields(v)
		}
		return []string{v}
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

// shown is a claim for the log, which somebody else may have written.
func shown(v any) string {
	const most = 100
	s := fmt.Sprintf("%q", fmt.Sprint(v))
	if v == nil {
		return "missing"
	}
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// user is whom the claims name, at a host.
func (r *Rules) user(c claims, host string) (addr.Bare, error) {
	name, ok := c[r.Username].(string)
	if !ok || name == "" {
		return addr.Bare{}, fmt.Errorf("the answer for a token has no %s that is a string", r.Username)
	}
	before, domain, address := strings.Cut(name, "@")
	switch {
	case r.Split:
		name = before
	case r.Escape:
	case address:
		at, err := addr.NewBare("", domain)
		if err != nil || at.Domain() != host {
			return addr.Bare{}, refused("%s is %s, not of %s", r.Username, shown(name), host)
		}
		name = before
	}
	if r.Escape {
		name = addr.Escape(name)
	}
	local, err := addr.PrepareLocal(name)
	if err != nil || local == "" {
		return addr.Bare{}, refused("%s is %s, which cannot be a user", r.Username, shown(name))
	}
	return addr.NewBare(local, host)
}

// asPassword lets in who shows a token of his in the place of a password.
func asPassword(ctx context.Context, t passwords.Tokens, user addr.Bare, token string) error {
	whose, err := t.CheckToken(ctx, user.Domain(), token)
	switch {
	case err != nil:
		return err
	case whose != user:
		return refused("it is of %s", whose)
	default:
		return nil
	}
}

var errLong = errors.New("it is too long")
