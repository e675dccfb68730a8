package auth

import (
	"errors"
	"fmt"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// Condition is a SASL error as the client sees it (RFC 6120 §6.5).
type Condition string

// The conditions of RFC 6120 §6.5. Some are for the stream to send: aborted answers <abort/>.
const (
	Aborted              Condition = "aborted"
	AccountDisabled      Condition = "account-disabled"
	CredentialsExpired   Condition = "credentials-expired"
	EncryptionRequired   Condition = "encryption-required"
	IncorrectEncoding    Condition = "incorrect-encoding"
	InvalidAuthzid       Condition = "invalid-authzid"
	InvalidMechanism     Condition = "invalid-mechanism"
	MalformedRequest     Condition = "malformed-request"
	MechanismTooWeak     Condition = "mechanism-too-weak"
	NotAuthorized        Condition = "not-authorized"
	TemporaryAuthFailure Condition = "temporary-auth-failure"
)

// Error is why an exchange failed. The client learns the condition and nothing else, the log the rest.
type Error struct {
	Condition Condition
	User      addr.Bare // whom the client claimed to be; zero if it did not get that far
	Err       error     // the cause; it may tell whether the user exists
}

func (e *Error) Error() string {
	switch {
	case e.User.IsZero() && e.Err == nil:
		return string(e.Condition)
	case e.User.IsZero():
		return fmt.Sprintf("%s: %v", e.Condition, e.Err)
	default:
		return fmt.Sprintf("%s: %s: %v", e.Condition, e.User, e.Err)
	}
}

func (e *Error) Unwrap() error { return e.Err }

var (
	errPassword = errors.New("wrong password")
	errDisabled = errors.New("account disabled")
	errAuthzid  = errors.New("may not act for another user")
	errBinding  = errors.New("channel binding of another connection: somebody may be in between")
	// The client would have used channel binding, had it seen the offer.
	errDowngrade = errors.New("client has not seen that channel binding is offered: somebody may have hidden it")
	errNobody    = fmt.Errorf("%w, or none with a password", credential.ErrNoUser)
)

func errMechanism(name string) error {
	if len(name) > 40 { // longer than a name can be (RFC 4422 §3.1)
		name = name[:40] + "…"
	}
	return fmt.Errorf("mechanism %q", name)
}

func malformed(why string) *Error {
	return &Error{Condition: MalformedRequest, Err: errors.New(why)}
}
