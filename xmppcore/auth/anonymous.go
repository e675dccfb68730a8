package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"rosterd/engine/addr"
)

const anonymousName = "ANONYMOUS"

// anonymous is RFC 4505: whoever comes gets a name that nobody has had before and nobody can guess. What the client says
// about itself is not looked at, and that it says nothing at all is taken as Prosody takes it: some web clients do not answer
// an empty challenge.
type anonymous struct{ host *Host }

func (a anonymous) next(context.Context, []byte) ([]byte, addr.Bare, error) {
	user, err := addr.NewBare(strings.ToLower(rand.Text()), a.host.Domain)
	if err != nil {
		return nil, addr.Bare{}, &Error{Condition: TemporaryAuthFailure, Err: fmt.Errorf("name of an anonymous user: %w", err)}
	}
	return nil, user, nil
}
