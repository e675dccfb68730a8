package auth

import (
	"bytes"
	"context"
	"net/netip"
	"unicode/utf8"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// plain is RFC 4616: one message, and an answer that takes as long for a user who does not exist.
type plain struct {
	host *Host
	from netip.Addr
}

func (p *plain) next(ctx context.Context, response []byte) ([]byte, addr.Bare, error) {
	authzid, name, password, err := parsePlain(response)
	if err != nil {
		return nil, addr.Bare{}, err
	}
	user, err := p.host.user(name, authzid)
	if err != nil {
		return nil, addr.Bare{}, err
	}
	password, err = credential.Prepare(password) // what is asked about, as in Prosody
	if err != nil {
		return nil, addr.Bare{}, &Error{Condition: NotAuthorized, User: user, Err: err}
	}
	a, err := p.host.Throttle.admit(ctx, user, p.from)
	if err != nil {
		return nil, addr.Bare{}, err
	}
	err = p.check(ctx, user, password)
	a.end(err)
	return nil, user, err
}

// parsePlain splits [authzid] NUL authcid NUL passwd (RFC 4616 §2).
func parsePlain(message []byte) (authzid, name, password string, err error) {
	parts := bytes.Split(message, []byte{0})
	switch {
	case len(parts) != 3:
		return "", "", "", malformed("not three parts")
	case len(parts[1]) == 0 || len(parts[2]) == 0:
		return "", "", "", malformed("no user name or no password")
	case !utf8.Valid(message):
		return "", "", "", malformed("not UTF-8")
	}
	return string(parts[0]), string(parts[1]), string(parts[2]), nil
}

// check is nil for the right password of an account that may log in. That an account is disabled is told only to
// those who know its password.
func (p *plain) check(ctx context.Context, user addr.Bare, password string) error {
	switch {
	case p.host.Anonymous, p.host.Passwords == nil && p.host.Tokens != nil: // PLAIN is not offered, but Check comes here, too
		return &Error{Condition: NotAuthorized, User: user, Err: errNobody}
	case p.host.Passwords != nil:
		return p.host.ask(ctx, user, password)
	}
	c, err := p.host.account(ctx, user)
	if err != nil {
		return err
	}
	ok, err := p.verify(ctx, user, c, password)
	switch {
	case err != nil:
		return err
	case !ok:
		return &Error{Condition: NotAuthorized, User: user, Err: whyNot(c)}
	case c.Disabled:
		return &Error{Condition: AccountDisabled, User: user, Err: errDisabled}
	default:
		return nil
	}
}

// verify does the same work for every user of the host: one derivation, or none where passwords are stored.
func (p *plain) verify(ctx context.Context, user addr.Bare, c credential.Credentials, password string) (ok bool, err error) {
	h := p.host
	hashed := c.SCRAM != nil && !c.HasPassword
	if h.StoresPasswords && !hashed {
		return c.Verify(password), nil
	}
	err = expensive(ctx, user, func() {
		if ok = c.Verify(password); !hashed {
			_, _ = credential.Derive(h.hashes()[0], password, h.salt(user), h.iterations()) // for its time alone
		}
	})
	return ok, err
}

// whyNot tells the log why the password did not fit.
func whyNot(c credential.Credentials) error {
	switch {
	case c.HasPassword || c.SCRAM != nil:
		return errPassword
	default:
		return errNobody
	}
}
