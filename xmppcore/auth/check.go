package auth

import (
	"context"
	"net/netip"

	"rosterd/engine/addr"
)

// Check is nil if a password is that of a user of the host who may log in: for those who show it otherwise than on a
// stream. Attempts from an address are slowed down and counted as those of streams. The error is an *Error.
func (h *Host) Check(ctx context.Context, user addr.Bare, password string, from netip.Addr) error {
	_, _, err := (&plain{host: h, from: from}).next(ctx, []byte("\x00"+user.Local()+"\x00"+password))
	return err
}
