package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// user is the bare JID that a client names: the prepared name at this host, whatever the stream header said.
func (h *Host) user(name, authzid string) (addr.Bare, error) {
	local, err := addr.PrepareLocal(name)
	if err != nil {
		return addr.Bare{}, &Error{Condition: NotAuthorized, Err: err}
	}
	user, err := addr.NewBare(local, h.Domain)
	if err != nil {
		return addr.Bare{}, &Error{Condition: NotAuthorized, Err: err}
	}
	if authzid == "" {
		return user, nil
	}
	if other, err := addr.ParseBare(authzid); err != nil || other != user {
		return addr.Bare{}, &Error{Condition: InvalidAuthzid, User: user, Err: errAuthzid}
	}
	return user, nil
}

// account finds what is kept of a user. A user who does not exist has no credentials, and no error: the exchange
// goes on and fails where a wrong password does.
func (h *Host) account(ctx context.Context, user addr.Bare) (credential.Credentials, error) {
	c, err := h.Accounts.Credentials(ctx, user)
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, credential.ErrNoUser):
		return credential.Credentials{}, nil
	}
	if ctx.Err() == nil { // else the client has gone, and nothing is wrong with the store
		h.log().Error("account could not be read", "user", user.String(), "err", err)
	}
	return credential.Credentials{}, &Error{Condition: TemporaryAuthFailure, User: user, Err: err}
}

// Exists tells whether there is such a user, though he is not online. Where somebody else checks passwords and cannot be
// asked for less than one, whoever may exist does. Nobody who is anonymous comes back.
func (h *Host) Exists(ctx context.Context, user addr.Bare) (bool, error) {
	if h.Anonymous {
		return false, nil
	}
	if users, ok := h.Passwords.(Users); ok {
		return users.UserExists(ctx, user)
	}
	if h.outside() {
		return true, nil
	}
	switch _, err := h.Accounts.Credentials(ctx, user); {
	case err == nil:
		return true, nil
	case errors.Is(err, credential.ErrNoUser):
		return false, nil
	default:
		return false, err
	}
}

// ask has somebody else say whether a password is a user's.
func (h *Host) ask(ctx context.Context, user addr.Bare, password string) error {
	err := h.Passwords.CheckPassword(ctx, user, password)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrRefused):
		return &Error{Condition: NotAuthorized, User: user, Err: err}
	}
	if ctx.Err() == nil && !errors.Is(err, ErrUnasked) { // else the client has gone
		h.log().Error("password could not be checked", "user", user.String(), "error", err)
	}
	return &Error{Condition: TemporaryAuthFailure, User: user, Err: err}
}

// salt is the salt of a user who has none: the same at every attempt, and in the form of real ones.
func (h *Host) salt(user addr.Bare) []byte {
	secret := h.Secret
	if len(secret) == 0 {
		secret = processSecret()
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(user.String()))
	return credential.FormatSalt([16]byte(mac.Sum(nil)))
}

var processSecret = sync.OnceValue(func() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
})

// derivations bounds how many passwords are hashed at once. Each keeps a processor busy for milliseconds; in a
// storm of logins the rest wait here instead of between the server's other work and its processor.
var derivations = make(chan struct{}, runtime.GOMAXPROCS(0))

// expensive waits for its turn and runs f.
func expensive(ctx context.Context, user addr.Bare, f func()) error {
	select {
	case derivations <- struct{}{}:
	case <-ctx.Done():
		err := fmt.Errorf("wait for a processor: %w", ctx.Err())
		return &Error{Condition: TemporaryAuthFailure, User: user, Err: err}
	}
	defer func() { <-derivations }()
	f()
	return nil
}
