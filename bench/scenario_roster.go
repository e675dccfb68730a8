package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"rosterd/bench/load"
	"rosterd/bench/report"
	"rosterd/bench/target"
)

func init() {
	for _, contacts := range []int{10, 100, 1000} {
		for _, latency := range []time.Duration{0, 5 * time.Millisecond} {
			r := rosterGets{contacts, latency}
			scenarios = append(scenarios, scenario{
				name:    fmt.Sprintf("roster get, %d contacts, backend %v", contacts, latency),
				servers: []string{target.Rosterd, target.Prosody, target.NoNagle}, play: r.play,
				slow: 1,
				marks: []report.Mark{{Scenario: "roster get", Params: r.params(), Value: "above backend", Most: 0.001,
					Text: fmt.Sprintf("roster get p50 of one user at a time ≤ the backend's own + 1 ms, %d contacts, backend %v", contacts, latency)}},
			})
		}
	}
	scenarios = append(scenarios, scenario{name: "roster get under a login storm", servers: everyone, play: rosterInStorm, rounds: 5, slow: 1,
		marks: []report.Mark{
			{Scenario: "roster get in a storm", Value: "p99 of the bound", Most: 1,
				Text: "p99 of roster get under a login storm ≤ 2 × the backend's own latency (its median) + 5 ms"},
			{Scenario: "roster get in a storm", Value: "p99 of the bound with the backend's p99", Most: 1,
				Text: "the same with the backend's own p99, asked in the same storm past the server: what the machine itself was away is in both"},
		}})
}

// rosterGets are of one user at a time, who has just logged in and is not known yet.
type rosterGets struct {
	contacts int
	latency  time.Duration // that the backend takes besides
}

func (r rosterGets) params() []report.Param {
	return report.Params("contacts", r.contacts, "backend takes", r.latency)
}

func (r rosterGets) play(ctx context.Context, k target.Kind, add func(report.Result)) error {
	users := load.Names("u", max(5, scaled(100)))
	return driven(ctx, k, target.Settings{Users: users}, func(v *target.Server) error {
		doc := load.Strangers(0, r.contacts)
		for _, u := range users {
			v.Backend.Set(u, doc)
		}
		v.Backend.Latency(r.latency)
		var gets, own load.Latencies
		_, err := v.During(func() error { return oneByOne(ctx, v, users, &gets, &own) })
		if err != nil {
			return err
		}
		values := append(percentiles("", &gets), report.Took("backend p50", own.Percentile(50)),
			report.Took("above backend", gets.Percentile(50)-own.Percentile(50)))
		add(report.Result{Scenario: "roster get", Params: r.params(), Values: values})
		return nil
	})
}

// oneByOne has users log in one after the other; each asks for the roster, and the backend is asked for it once more.
func oneByOne(ctx context.Context, v *target.Server, users []string, gets, own *load.Latencies) error {
	for _, u := range users {
		c, err := load.Login(ctx, v, u, load.How{})
		if err != nil {
			return err
		}
		err = gets.Time(c.Roster)
		c.Close()
		if err != nil {
			return err
		}
		if err := own.Time(func() error { return fetch(ctx, v, u) }); err != nil {
			return err
		}
	}
	return nil
}

// fetch asks the backend as a server does, on a connection that stays.
func fetch(ctx context.Context, v *target.Server, user string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.Backend.URL+"/contacts/"+user, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// rosterInStorm looks at the roster gets of those who come in a storm of logins, and at what somebody notices of it who
// was there before.
func rosterInStorm(ctx context.Context, k target.Kind, add func(report.Result)) error {
	const latency = 5 * time.Millisecond
	l := logins{users: 5000, contacts: 100, mechanism: load.SCRAM, transport: load.TCP}
	users := load.Names("u", max(2*lanes, scaled(l.users)))
	return driven(ctx, k, l.settings(append(users, "before")), func(v *target.Server) error {
		v.Backend.Set("before", load.Strangers(0, l.contacts))
		v.Backend.Latency(latency)
		before, err := load.Login(ctx, v, "before", load.How{})
		if err != nil {
			return err
		}
		defer before.Close()
		if err := before.Roster(); err != nil {
			return err
		}
		var whole, gets, own, known, pings load.Latencies
		quiet := make(chan struct{})
		watched := make(chan error, 1)
		go func() {
			watched <- watch(quiet, func() error {
				if err := own.Time(func() error { return fetch(ctx, v, "before") }); err != nil {
					return err
				}
				if err := known.Time(before.Roster); err != nil {
					return err
				}
				return pings.Time(before.Ping)
			})
		}()
		come, cost, err := l.come(ctx, v, users, &whole, &gets)
		close(quiet)
		if werr := <-watched; err == nil {
			err = werr
		}
		if err != nil {
			return err
		}
		ofBound := func(p float64) float64 {
			return float64(gets.Percentile(99)) / float64(2*own.Percentile(p)+5*time.Millisecond)
		}
		values := append(percentiles("", &gets),
			report.One("p99 of the bound", "", ofBound(50)),
			report.One("p99 of the bound with the backend's p99", "", ofBound(99)),
			report.Took("backend p50", own.Percentile(50)),
			report.Took("backend p99", own.Percentile(99)), // as much of the others' is the load program's
			report.Took("roster at hand p99", known.Percentile(99)),
			report.Took("ping p99", pings.Percentile(99)),
			report.One("rate", "logins/s", cost.Rate(come)))
		add(report.Result{Scenario: "roster get in a storm", Params: report.Params("contacts", l.contacts, "backend takes", latency), Values: values, Bound: cost.Bound()})
		return nil
	})
}

// watch does f every 10 ms until it shall end.
func watch(end <-chan struct{}, f func() error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-end:
			return nil
		case <-tick.C:
			if err := f(); err != nil {
				return err
			}
		}
	}
}
