package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"rosterd/bench/load"
	"rosterd/bench/report"
	"rosterd/bench/target"
)

func init() {
	const name = "outage"
	scenarios = append(scenarios, scenario{name: name, long: true, most: 1, servers: []string{target.Rosterd}, play: playOutage, marks: []report.Mark{
		{Scenario: name, Value: "peak", Most: 16, Text: "after an outage the backend is asked by rosterd_backend_parallel at a time"},
		{Scenario: name, Value: "requests a second", Most: 250, Text: "and by some 100 users a second, beside who logs in"},
	}})
}

const (
	// outageUsers are online while the backend is away.
	outageUsers = 2000
	// outageTime is how long it is. The server asks it once after some 5 s, and again after 10 more.
	outageTime = 12 * time.Second
	// outageLogins is the time between two users who log in meanwhile.
	outageLogins = 50 * time.Millisecond
	// outageLatency is that of the backend when it is well.
	outageLatency = 20 * time.Millisecond
)

// playOutage names all users in a refresh while the backend answers 503, which gives each of them something to fetch
// when it is back. Then all rosters are other ones; each client waits for its push, and others log in.
func playOutage(ctx context.Context, k target.Kind, add func(report.Result)) error {
	online := load.Names("patient", scaled(outageUsers))
	others := load.Names("other", 2000)
	return driven(ctx, k, atHand(append(online, others...)), func(s *target.Server) error {
		before, after := load.Strangers(0, 20), load.Strangers(0, 21)
		setAll(s, online, before)
		setAll(s, others, before)
		clients, err := load.LoginAll(ctx, s, online, load.How{}, (*load.Client).Roster, (*load.Client).Presence)
		defer load.CloseAll(clients)
		if err != nil {
			return err
		}
		s.Backend.Latency(outageLatency)
		s.Backend.Fail(http.StatusServiceUnavailable)
		if _, err := load.Post(ctx, s, online); err == nil {
			return errors.New("a refresh while the backend is away has no errors")
		}
		s.Backend.Peak()
		asked := s.Backend.Requests()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(outageTime):
		}
		away := s.Backend.Requests() - asked
		setAll(s, online, after)
		s.Backend.Fail(0)
		return afterOutage(ctx, s, clients, others, away, add)
	})
}

// afterOutage measures what comes after the outage, in which the backend was asked so often.
func afterOutage(ctx context.Context, s *target.Server, clients []*load.Client, others []string, away int, add func(report.Result)) error {
	var logins load.Latencies
	var perSecond atomic.Int64
	end := make(chan struct{})
	beside := make(chan error, 2)
	go func() { beside <- comeIn(ctx, s, others, &logins, end) }()
	go func() { beside <- mostInSecond(s, &perSecond, end) }()
	var fresh time.Duration
	cost, err := s.During(func() error {
		start := time.Now()
		err := load.Each(len(clients), func(i int) error { return clients[i].Await("<item", 1) })
		fresh = time.Since(start)
		return err
	})
	close(end)
	err = errors.Join(err, <-beside, <-beside)
	if err != nil {
		return err
	}
	values := []report.Value{
		report.One("asked while away", "", float64(away)), report.Took("until all are fresh", fresh),
		report.One("peak", "", float64(s.Backend.Peak())), report.One("requests a second", "", float64(perSecond.Load())),
	}
	add(report.Result{Scenario: "outage", Params: report.Params("users", len(clients), "away", outageTime), Bound: cost.Bound(), Values: append(values, percentiles("login", &logins)...)})
	return nil
}

// comeIn has one user after the other log in and get the roster, until the end.
func comeIn(ctx context.Context, s *target.Server, users []string, took *load.Latencies, end <-chan struct{}) error {
	tick := time.NewTicker(outageLogins)
	defer tick.Stop()
	for _, u := range users {
		select {
		case <-end:
			return nil
		case <-tick.C:
		}
		start := time.Now()
		c, err := load.Login(ctx, s, u, load.How{})
		if err != nil {
			return err
		}
		err = c.Roster()
		took.Add(time.Since(start))
		c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// mostInSecond looks how often the backend is asked in a second.
func mostInSecond(s *target.Server, most *atomic.Int64, end <-chan struct{}) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := s.Backend.Requests()
	for {
		select {
		case <-end:
			return nil
		case <-tick.C:
		}
		now := s.Backend.Requests()
		most.Store(max(most.Load(), int64(now-last)))
		last = now
	}
}
