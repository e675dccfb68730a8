package engine

import (
	"context"
	"log/slog"
	"testing"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// written is a Backend that users edit.
type written struct{ BackendFunc }

func (written) Edit(context.Context, Edit) (Edited, error)                   { return Edited{}, ErrReadOnly }
func (written) Pending(context.Context, addr.Bare) ([]PendingRequest, error) { return nil, nil }

// A contact of who is offline is what was kept, or what is in the users' own hands.
func TestContactOffline(t *testing.T) {
	romeo, juliet, nurse := addr.MustBare("romeo@example.com"), addr.MustBare("juliet@example.com"), addr.MustBare("nurse@example.com")
	list, _ := roster.New(romeo, roster.Item{JID: juliet, Subscription: roster.From, Groups: []string{"Capulets"}})
	kept := &memory{docs: map[addr.Bare]string{romeo: `{"items":` + string(list.EncodeJSON()) + `}`, nurse: `{"items":{"juliet@example.com":{"subscription":"perhaps"}}}`}}
	fetch := BackendFunc(func(context.Context, Request) (Answer, error) { return Answer{Roster: list}, nil })
	for _, tt := range []struct {
		name       string
		host       Host
		of, who    addr.Bare
		want, fail bool
	}{
		{"kept", Host{Keeper: kept}, romeo, juliet, true, false},
		{"no contact", Host{Keeper: kept}, romeo, nurse, false, false},
		{"nothing kept", Host{Keeper: kept}, juliet, romeo, false, false},
		{"kept, and cannot be read", Host{Keeper: kept}, nurse, juliet, false, true},
		{"no keeper", Host{Backend: fetch}, romeo, juliet, false, false},
		{"edited", Host{Backend: written{fetch}}, romeo, juliet, true, false},
		{"edited, no contact", Host{Backend: written{fetch}}, romeo, nurse, false, false},
		{"another host", Host{Keeper: kept}, addr.MustBare("romeo@example.net"), juliet, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := New(map[string]Host{"example.com": tt.host}, func(Event) {}, slog.New(slog.DiscardHandler))
			defer func() {
				if err := e.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}()
			i, ok, err := e.Contact(t.Context(), tt.of, tt.who)
			if ok != tt.want || (err != nil) != tt.fail {
				t.Fatalf("%v, %v, %v", i, ok, err)
			}
			if ok && (i.JID != tt.who || !i.Subscription.From() || len(i.Groups) != 1) {
				t.Errorf("%+v", i)
			}
		})
	}
}
