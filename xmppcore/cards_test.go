package xmppcore_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
)

// staff is a backend that says of some users of staff.example who they are.
type staff struct{}

func (staff) Card(_ context.Context, user addr.Bare) (engine.Card, error) {
	switch user.Local() {
	case "romeo":
		return engine.Card{FN: "Romeo & Co", Given: "Romeo", Email: []string{"r@m.example", "<r>"}, Photo: engine.Photo{Type: "image/png", Data: []byte("a picture")}}, nil
	case "plain":
		return engine.Card{FN: "Plain"}, nil
	case "odd":
		return engine.Card{}, &engine.PermanentError{Err: errors.New("fn: a number, not a string")}
	case "down":
		return engine.Card{}, errors.New("down")
	}
	return engine.Card{}, nil
}

func staffCards(t testing.TB) *engine.Cards {
	c := engine.NewCards(staff{}, engine.CardSettings{}, slog.New(slog.DiscardHandler))
	t.Cleanup(c.Close)
	return c
}
