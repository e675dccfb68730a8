package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/passwords"
	"rosterd/plugins"
	"rosterd/store"
	"rosterd/xmppcore/auth"
)

// providers make what asks somebody else about the users of a host, by the names that authentication has for them; the
// same names are in config. A provider contacts nobody when it is made: check makes one as well. Its error is an
// *optionError where an option is to blame. What is made is closed, if it can be, when it is not used any more.
var providers = map[string]func(h *config.Host) (passwords.Source, error){
	"ldap":        ldapUsers,
	"ldap2":       ldapTableUsers,
	"http":        httpApplication,
	"http_async":  httpPage,
	"custom_http": httpPost,

	"dovecot":        dovecotService,
	"jwt":            signedTokens,
	"oauthbearer":    askedTokens,
	"oauth_external": externalTokens,
	"token":          oneTimeTokens,
}

// optionError says which option a provider cannot work with.
type optionError struct {
	pos  config.Pos // zero: it is not set
	name string
	err  error
}

func (e *optionError) Error() string { return at(e.pos) + e.name + ": " + e.err.Error() }
func (e *optionError) Unwrap() error { return e.err }

// openSources makes whoever knows the passwords of the hosts' users ready to be asked, with the keys of the plan before.
func (p *plan) openSources(before *plan, log *slog.Logger) error {
	p.sources = make(map[string]*passwords.Guarded)
	for _, h := range p.cfg.Hosts() {
		source, err := p.source(h)
		if err != nil {
			return fmt.Errorf("passwords of %s: %w", h.Name, err)
		}
		if source != nil {
			if before != nil {
				keepKeys(source, before.sources[h.Name])
			}
			p.sources[h.Name] = passwords.Guard(source, sourceLimits(h), log.With("host", h.Name))
		}
	}
	return nil
}

// source is who knows the passwords of a host's users; nil: rosterd itself, or nobody.
func (p *plan) source(h *config.Host) (passwords.Source, error) {
	if script := p.plugins[h.Name].passwords; script != nil {
		return byPlugin{script}, nil
	}
	s, err := outsideSource(h)
	if s == nil && err == nil && !h.KeepsAccounts() && !h.Anonymous() { // else rosterd's own accounts would let people in
		_, pos, _ := config.Authentication.Lookup(h)
		err = &optionError{pos, config.Authentication.Name, fmt.Errorf("nobody knows the passwords of %q", h.AuthProvider())}
	}
	return s, err
}

// outsideSource makes the provider of a host that comes with rosterd, if it has one.
func outsideSource(h *config.Host) (passwords.Source, error) {
	name, pos, ok := h.OutsideProvider()
	if !ok {
		return nil, nil
	}
	make, ok := providers[name]
	if !ok {
		return nil, &optionError{pos, config.Authentication.Name, fmt.Errorf("nothing here is called %q", name)}
	}
	return make(h)
}

// sourceLimits are those of asking.
func sourceLimits(h *config.Host) passwords.Limits {
	l := passwords.Limits{Timeout: config.AuthBackendTimeout.Get(h), Parallel: config.AuthParallel.Get(h), Breaker: config.AuthBreaker.Get(h), Cache: config.AuthCache.Get(h)}
	if l.Breaker == 0 {
		l.Breaker = -1
	}
	return l
}

// trySources makes the providers of all hosts as the server would, and closes them again.
func trySources(cfg *config.Config) (found []config.Diag) {
	for _, h := range cfg.Hosts() {
		source, err := outsideSource(h)
		if err == nil {
			found = append(found, tryMechanisms(h, source)...)
			if c, ok := source.(io.Closer); ok {
				err = c.Close()
			}
		}
		if err == nil {
			continue
		}
		_, pos, _ := h.OutsideProvider()
		d := config.Diag{Severity: config.Refused, Code: config.CodeAccounts, Pos: pos, Host: h.Name, Name: config.Authentication.Name, Message: err.Error()}
		if wrong, ok := errors.AsType[*optionError](err); ok {
			d.Name, d.Message = wrong.name, fmt.Sprintf("%s: %v", wrong.name, wrong.err)
			if !wrong.pos.IsZero() {
				d.Pos = wrong.pos
			}
		}
		found = append(found, d)
	}
	return found
}

// tryMechanisms says where nobody can log in because there is no way left to.
func tryMechanisms(h *config.Host, source passwords.Source) []config.Diag {
	if _, ok := h.Authenticator(); ok && source == nil {
		source = byPlugin{}
	}
	var g *passwords.Guarded
	if source != nil {
		g = passwords.Guard(source, sourceLimits(h), quiet)
	}
	sasl, err := saslOf(h, nil, g)
	pos, ch := h.Pos(), auth.Channel{Encrypted: true, Bindings: make([]auth.Binding, 1)}
	if err != nil {
		return []config.Diag{{Severity: config.Refused, Code: config.CodeAccounts, Pos: pos, Host: h.Name, Name: config.Authentication.Name, Message: err.Error()}}
	}
	if len(sasl.Mechanisms(ch)) > 0 {
		return nil
	}
	if _, at, set := config.DisableSASLMechanisms.Lookup(h); set {
		pos = at
	}
	sasl.Disabled = nil
	return []config.Diag{{
		Severity: config.Warn, Code: config.CodeLogin, Pos: pos, Host: h.Name, Name: config.DisableSASLMechanisms.Name,
		Message: fmt.Sprintf("VirtualHost %q: nobody can log in, since disable_sasl_mechanisms leaves nothing of what authentication = %q can offer: %s",
			h.Name, h.AuthProvider(), strings.Join(sasl.Mechanisms(ch), ", ")),
	}}
}

// closeSources closes what nobody asks any more.
func (p *plan) closeSources() (err error) {
	for _, s := range p.sources {
		err = errors.Join(err, s.Close())
	}
	return err
}

// retireSources closes those of a plan that is served no more, as soon as the questions under way are answered.
func (d *daemon) retireSources(before *plan) {
	if len(before.sources) == 0 {
		return
	}
	// Streams that have come before may still ask it, for as long as they have for that.
	late := time.NewTimer(config.AuthTimeout.Get(before.cfg.Global()))
	d.closing.Go(func() {
		defer late.Stop()
		select {
		case <-late.C:
		case <-d.ending:
		}
		if err := before.closeSources(); err != nil {
			d.log.Warn("who knew the passwords before was not closed", "error", err)
		}
	})
}

// saslOf is how the users of a host log in, with what it asks; nil: its own accounts, or nobody.
func saslOf(h *config.Host, users *store.Accounts, source *passwords.Guarded) (*auth.Host, error) {
	sasl := saslHost(h, users)
	sasl.Anonymous = h.Anonymous()
	if source == nil {
		return sasl, nil
	}
	sasl.Passwords = saslPasswords(source)
	offerTokens(sasl, h, source)
	if sasl.Passwords == nil && sasl.Tokens == nil { // else rosterd's own accounts would let people in
		return nil, fmt.Errorf("users of %s can show neither a password nor a token for authentication = %q", h.Name, h.AuthProvider())
	}
	return sasl, nil
}

// saslPasswords is what SASL asks.
func saslPasswords(g *passwords.Guarded) auth.Passwords {
	if _, ok := g.Source().(passwords.Users); ok {
		return askedUsers{asked{g}}
	}
	return asked{g}
}

// asked turns the errors of whoever is asked into those of SASL.
type asked struct{ source *passwords.Guarded }

func (a asked) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	return saslError(a.source.CheckPassword(ctx, user, password))
}

// saslError is what SASL calls an error of whoever was asked.
func saslError(err error) error {
	switch {
	case errors.Is(err, passwords.ErrRefused):
		return fmt.Errorf("%w: %w", auth.ErrRefused, err)
	case errors.Is(err, passwords.ErrUnasked):
		return fmt.Errorf("%w: %w", auth.ErrUnasked, err)
	}
	return err
}

// askedUsers can also be asked for a user.
type askedUsers struct{ asked }

func (a askedUsers) UserExists(ctx context.Context, user addr.Bare) (bool, error) {
	return a.source.UserExists(ctx, user)
}

var (
	_ auth.Passwords = asked{}
	_ auth.Users     = askedUsers{}
)

// byPlugin lets a plugin say who is who.
type byPlugin struct{ plugin plugins.Authenticator }

func (p byPlugin) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	err := p.plugin.Authenticate(ctx, user, password)
	if errors.Is(err, engine.ErrDenied) || errors.Is(err, engine.ErrUnknownUser) {
		return fmt.Errorf("%w: %w", passwords.ErrRefused, err)
	}
	return err
}

// nobodyKnown is where the rosters of anonymous users come from, if no module supplies any.
var nobodyKnown = engine.BackendFunc(func(context.Context, engine.Request) (engine.Answer, error) { return engine.Answer{}, nil })

// unkept are the stores of anonymous users. As in Prosody nobody is told that nothing is kept, but for rosters: a contact
// that is gone at the next look would be a lie.
type unkept struct{ store.Nowhere }

func (u unkept) Keyed(name string) store.Keyed {
	k := u.Nowhere.Keyed(name)
	if name == "roster" || name == "roster_own" {
		return k
	}
	return unkeptValues{k}
}

type unkeptValues struct{ store.Keyed }

func (u unkeptValues) Change(ctx context.Context, user addr.Bare, values map[string][]byte) error {
	if err := u.Keyed.Change(ctx, user, values); !errors.Is(err, store.ErrDisabled) {
		return err
	}
	return nil
}
