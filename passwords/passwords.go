// Package passwords asks somebody else who a user is: a web application, a directory, a plugin. It says what such a
// source answers, and guards the server from one that is slow, or dead, or asked too much.
package passwords

import (
	"context"
	"errors"

	"rosterd/engine/addr"
)

// Source knows whether a password is a user's. Its methods may be called from many goroutines at once.
type Source interface {
	// CheckPassword returns nil if it is, an error that wraps ErrRefused if it is not or if there is no such user.
	// Any other error says that the source does not know: nobody gets in, and the client may try again.
	CheckPassword(ctx context.Context, user addr.Bare, password string) error
}

// SourceFunc lets a function be a Source.
type SourceFunc func(ctx context.Context, user addr.Bare, password string) error

// CheckPassword calls f.
func (f SourceFunc) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	return f(ctx, user, password)
}

// Users is a Source that can also be asked for a user without a password.
type Users interface {
	// UserExists tells whether there is such a user. An error means that the source does not know.
	UserExists(ctx context.Context, user addr.Bare) (bool, error)
}

// Once is a Source whose passwords are good for one login: no answer is for anybody else who asks the same.
type Once interface{ Once() }

// Tokens knows whose a token is. The host is the domain that the user has to be of.
type Tokens interface {
	// CheckToken returns the user whose token it is, an error that wraps ErrRefused if it is nobody's, or not any more,
	// or not of that host. Any other error says that it is not known.
	CheckToken(ctx context.Context, host, token string) (addr.Bare, error)
}

// ErrRefused is wrapped by the errors of those who know that somebody is not who he claims to be.
var ErrRefused = errors.New("wrong password")

// ErrUnasked is wrapped by what a Guarded says where it has spared its source the question. The cause has been logged.
var ErrUnasked = errors.New("not asked")

// ErrUnknown is what a Guarded says of users and tokens if its source has no way to know.
var ErrUnknown = errors.New("cannot be asked for that")
