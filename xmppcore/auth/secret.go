package auth

import (
	"context"
	"errors"
	"net/netip"

	"rosterd/engine/addr"
)

var errSecret = errors.New("wrong secret")

// Check is for secrets that are nobody's password, such as that of a component: wrong ones count in the name of an
// address, and from an address, as wrong passwords do. It looks whether a secret is right, after a while if need be. The
// error is an *Error.
func (t *Throttle) Check(ctx context.Context, whose addr.Bare, from netip.Addr, right func() bool) error {
	if err := t.barred(whose, from); err != nil {
		return err
	}
	a, err := t.admit(ctx, whose, from)
	if err != nil {
		return err
	}
	if !right() {
		err = &Error{Condition: NotAuthorized, User: whose, Err: errSecret}
	}
	a.end(err)
	return err
}
