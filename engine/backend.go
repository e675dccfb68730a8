package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Backend supplies rosters. Fetch may be called from many goroutines at once, and ends when ctx does: a
// backend that does not is left behind, and keeps its place among the parallel calls until it returns.
type Backend interface {
	Fetch(ctx context.Context, r Request) (Answer, error)
}

// Generational is a Backend that can tell whether it would answer as another one did, or as itself before a restart:
// the same generation means the same source. A kept roster of another one needs a fetch however fresh it is.
type Generational interface{ Generation() string }

// BackendFunc lets a function be a Backend.
type BackendFunc func(context.Context, Request) (Answer, error)

// Fetch calls f.
func (f BackendFunc) Fetch(ctx context.Context, r Request) (Answer, error) { return f(ctx, r) }

// Reason says what a fetch is for.
type Reason string

// The reasons.
const (
	ReasonLogin     Reason = "login"      // the user's first resource was bound, or asks again after a failure
	ReasonRetry     Reason = "retry"      // an earlier fetch has failed, and the user is still online
	ReasonRefresh   Reason = "refresh"    // the backend said that the roster changed
	ReasonOtherSide Reason = "other-side" // the refresh of a contact changed what the two are to each other
	ReasonEdit      Reason = "edit"       // the user's own roster was edited
	ReasonReload    Reason = "reload"     // the host has another backend now
	ReasonTest      Reason = "test"
)

// Request is what a Backend is asked.
type Request struct {
	User   addr.Bare
	Reason Reason
	Rev    string // what Answer.Rev was when the roster that we hold was fetched, "" if we hold none

	// Last is what Answer.Roster was then, empty if we hold none. It says nothing about the next one, but what is the same
	// in both may share its memory.
	Last roster.Roster
}

// Answer is what a Backend says. Unchanged means that the roster of revision Request.Rev still holds.
type Answer struct {
	Roster    roster.Roster
	Rev       string // opaque; "" if the backend knows no revisions
	Unchanged bool   // then Roster is not looked at
	Dropped   []roster.BadItem

	MaxAge       time.Duration // how long it is fresh: a login within it needs no fetch; 0 if the backend says nothing
	StaleIfError time.Duration // how long after that it may be served when the backend fails
	Bounded      bool          // the backend named StaleIfError; else there is no limit
}

// Errors that a Backend answers with. Anything else, a context's end included, counts as temporary.
var (
	ErrUnknownUser = errors.New("the backend does not know this user")
	ErrDenied      = errors.New("the backend denies access")
)

// TemporaryError is a failure that may be gone at the next try.
type TemporaryError struct {
	RetryAfter time.Duration // 0 if the backend named none
	Err        error
}

func (e *TemporaryError) Error() string { return e.Err.Error() }
func (e *TemporaryError) Unwrap() error { return e.Err }

// PermanentError is a failure that will stay until somebody mends the backend or its configuration.
type PermanentError struct{ Err error }

func (e *PermanentError) Error() string { return e.Err.Error() }
func (e *PermanentError) Unwrap() error { return e.Err }

// FaultError is a mistake of the plugin itself: a trap, a result of the wrong shape, a deadline missed.
type FaultError struct {
	Kind string // "deadline", "instructions", "memory", "trap", "protocol", "crash"
	Err  error
}

func (e *FaultError) Error() string { return fmt.Sprintf("plugin fault (%s): %v", e.Kind, e.Err) }
func (e *FaultError) Unwrap() error { return e.Err }

// Keeper keeps the last good roster of a user beyond the life of the process. Its documents are the
// engine's own. SaveRoster may return before the document is on disk.
type Keeper interface {
	LoadRoster(ctx context.Context, user addr.Bare) (doc []byte, ok bool, err error)
	SaveRoster(ctx context.Context, user addr.Bare, doc []byte) error
}

// FreshKeeper is a Keeper that also knows which rosters need no fetch at a login. It keeps that beside the
// documents, so that a refresh of 100,000 users who are offline costs little: one statement, and next to nothing
// where no backend names a max-age. Without it every first login fetches.
type FreshKeeper interface {
	Keeper
	// SaveFresh is SaveRoster of a document that is fresh until then. SaveRoster makes it one that is not. Nobody
	// may ever see the one without the other.
	SaveFresh(ctx context.Context, user addr.Bare, doc []byte, until time.Time) error
	// Fresh is until when the document is fresh, the zero time if it is not.
	Fresh(ctx context.Context, user addr.Bare) (time.Time, error)
	// Spoil makes documents of a host stale, in all that is queued and on disk when it returns: a refresh that
	// was answered holds after a crash too.
	Spoil(ctx context.Context, users []addr.Bare) error
}

// LateKeeper is a FreshKeeper that has a document made when it is about to write it: who waits for the roster does not
// wait for that, and a document that another one replaces before is never made.
type LateKeeper interface {
	FreshKeeper
	// SaveLater is SaveFresh, or SaveRoster where until is zero, of the document that write appends, of some size bytes. It
	// may be called any number of times, from any goroutine, and appends the same each time. It does nothing else: who calls
	// it may hold locks, so the keeper must not be asked from there.
	SaveLater(ctx context.Context, user addr.Bare, size int, write func([]byte) []byte, until time.Time) error
}
