package engine

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

func trivial(watch Watcher, fetch BackendFunc) *Engine {
	return New(map[string]Host{"example.com": {Backend: fetch}}, watch, slog.New(slog.DiscardHandler))
}

// BenchmarkLogin is Attach, the event and Release, with a backend that knows the answer.
func BenchmarkLogin(b *testing.B) {
	ans := Answer{Roster: parseRoster("juliet nurse tybalt")}
	told := make(chan struct{}, 1)
	e := trivial(func(Event) { told <- struct{}{} }, func(context.Context, Request) (Answer, error) { return ans, nil })
	u := addr.MustBare("romeo@example.com")
	b.ReportAllocs()
	for b.Loop() {
		r, err := e.Attach(u)
		if err != nil {
			b.Fatal(err)
		}
		<-told
		r.Release()
	}
	if err := e.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRefresh1000 is a refresh of 1,000 users who are online, each with one of 50 contacts changed.
func BenchmarkRefresh1000(b *testing.B) {
	const users = 1000
	editions := [2]roster.Roster{}
	for k := range editions {
		var items []roster.Item
		for i := range 50 {
			items = append(items, roster.Item{JID: jid(fmt.Sprint("contact", i)), Subscription: roster.Both})
		}
		items[k].Name = "Somebody"
		editions[k], _ = roster.New(addr.Bare{}, items...)
	}
	now := 0
	told := make(chan struct{}, users)
	e := trivial(func(Event) { told <- struct{}{} }, func(context.Context, Request) (Answer, error) { return Answer{Roster: editions[now]}, nil })
	names := make([]string, users)
	for i := range names {
		names[i] = fmt.Sprint("user", i)
		if _, err := e.Attach(jid(names[i])); err != nil {
			b.Fatal(err)
		}
	}
	drain := func() {
		for range users {
			<-told
		}
	}
	drain()
	b.ReportAllocs()
	for b.Loop() {
		now = 1 - now
		if s := e.Refresh(b.Context(), "example.com", names); s.Updated != users || s.Results[0].Changes != 2 {
			b.Fatalf("%d updated, %d errors, %+v", s.Updated, s.Errors, s.Results[0])
		}
		drain()
	}
	if err := e.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRefreshOffline is a refresh of 10,000 users who are not.
func BenchmarkRefreshOffline(b *testing.B) {
	e := trivial(func(Event) {}, func(context.Context, Request) (Answer, error) { return Answer{}, nil })
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprint("user", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		if s := e.Refresh(b.Context(), "example.com", names); s.Updated != len(names) {
			b.Fatal(s.Errors)
		}
	}
}
