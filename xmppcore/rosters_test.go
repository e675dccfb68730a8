package xmppcore

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
)

// A mistake of ours in what a change of a roster means costs that change, and neither the turn of its owner nor the
// process.
func TestRosterChangePanics(t *testing.T) {
	var log bytes.Buffer
	s := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Hosts: []Host{{Domain: "example.com"}}})
	romeo := addr.MustBare("romeo@example.com")
	a := s.registry.Join(romeo)
	a.Enter(&registry.Resource{Account: a, Interested: true}) // without a session: to push to it is the mistake
	contact := roster.Item{JID: addr.MustBare("juliet@example.com"), Subscription: roster.Both}
	list, _ := roster.New(romeo, contact)
	s.RosterChanged(engine.Event{User: romeo, To: list, Changes: roster.Diff(roster.Roster{}, list)})
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "user=romeo@example.com") || !strings.Contains(text, "stack=") {
		t.Errorf("logged %s", text)
	}
	ran := false
	a.Turn.Do(func() {
		a.Lock()
		defer a.Unlock()
		ran = true
	})
	if !ran {
		t.Error("the turn is stuck")
	}
	s.RosterChanged(engine.Event{User: addr.MustBare("nobody@example.com"), To: list, First: true})
}

// A mistake of ours in what is done beside the streams costs that, and not the process.
func TestBesidePanics(t *testing.T) {
	var log bytes.Buffer
	s := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Hosts: []Host{{Domain: "example.com"}}})
	s.aside(func() { panic("ours") })
	s.work.Wait()
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "panic=ours") || !strings.Contains(text, "stack=") {
		t.Errorf("logged %s", text)
	}
}
