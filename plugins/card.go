package plugins

import (
	"fmt"
	"net/http"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
)

// Card is what an answer says of a user: a vCard, or that there is none.
func (r *HTTPResponse) Card(user addr.Bare, now time.Time) (engine.Card, error) {
	switch r.Status {
	case http.StatusOK:
		return Card(user, r.Body)
	case http.StatusNotFound, http.StatusNoContent:
		return engine.Card{}, nil
	case http.StatusUnauthorized, http.StatusForbidden: // which is about us, and of all users alike
		return engine.Card{}, &engine.TemporaryError{Err: fmt.Errorf("%s: the backend refuses our credentials", r)}
	}
	return engine.Card{}, r.NoRoster(now)
}

// Card reads a vCard that a backend or a plugin gives. One that is not as agreed stays so until somebody mends it.
func Card(user addr.Bare, doc []byte) (engine.Card, error) {
	c, err := engine.ParseCard(user, doc)
	if err != nil {
		return c, &engine.PermanentError{Err: err}
	}
	return c, nil
}
