package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"rosterd/engine/addr"
)

// ByName are stores that are kept in different places.
type ByName func(store string) Stores

func (f ByName) Keyed(name string) Keyed { return f(name).Keyed(name) }
func (f ByName) Log(name string) Log     { return f(name).Log(name) }

// ErrDisabled says that nothing is stored (Prosody's driver "none").
var ErrDisabled = errors.New("storage is disabled")

// Nowhere are stores in which nothing is, and that take nothing: ErrDisabled.
type Nowhere struct{}

func (Nowhere) Keyed(string) Keyed { return nothing{} }
func (Nowhere) Log(string) Log     { return nothing{} }

type nothing struct{}

func (nothing) Get(context.Context, addr.Bare, string) ([]byte, bool, error) { return nil, false, nil }
func (nothing) All(context.Context, addr.Bare) (map[string][]byte, error) {
	return map[string][]byte{}, nil // whose readers add to it
}
func (nothing) Users(context.Context, string) iter.Seq2[addr.Bare, error] {
	return func(func(addr.Bare, error) bool) {}
}

// Change removes what is not there, and sets nothing.
func (nothing) Change(_ context.Context, _ addr.Bare, values map[string][]byte) error {
	for _, value := range values {
		if value != nil {
			return ErrDisabled
		}
	}
	return nil
}

func (nothing) Append(context.Context, addr.Bare, Entry) (string, error) { return "", ErrDisabled }
func (nothing) Sync(context.Context) error                               { return nil }
func (nothing) Delete(context.Context, addr.Bare, []string, time.Time) (int, error) {
	return 0, nil
}
func (nothing) Expire(context.Context, string, time.Time, int) (int, error) { return 0, nil }

func (nothing) Find(_ context.Context, _ addr.Bare, q Query) (Page, error) {
	if q.After != "" || q.Before != "" || len(q.IDs) > 0 {
		return Page{}, ErrNoEntry
	}
	return Page{Complete: true}, nil
}
