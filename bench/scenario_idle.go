package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"rosterd/bench/load"
	"rosterd/bench/report"
	"rosterd/bench/target"
)

// What an idle session takes of a server's memory. Nothing is tuned: it is what the server holds as it comes, once that
// does not change any more after the last login.
func init() {
	mark := func(value string, m report.Mark, of idle, sessions int) report.Mark {
		m.Scenario, m.Params, m.Value = idleSessions, of.params(sessions), value
		return m
	}
	var marks []report.Mark
	for _, of := range []idle{{bound, load.TCP}, {present, load.TCP}} {
		marks = append(marks, mark("session", report.Mark{Ratio: 5, Text: "an idle session, " + of.each + ": at most 1/5 of the memory"}, of, 10_000))
	}
	many := []report.Mark{
		mark("memory", report.Mark{Most: 700e6, Text: "100,000 idle sessions over TCP: at most 0.7 GB"}, idle{bound, load.TCP}, 100_000),
		mark("memory", report.Mark{Most: 2500e6, Text: "100,000 idle sessions over TLS: at most 2.5 GB"}, idle{bound, load.DirectTLS}, 100_000),
	}
	scenarios = append(scenarios,
		scenario{name: idleSessions, most: 1, servers: everyone, marks: marks, play: idleOf([]int{1_000, 10_000},
			idle{bound, load.TCP}, idle{present, load.TCP}, idle{kept, load.TCP}, idle{bound, load.DirectTLS})},
		scenario{name: "100,000 " + idleSessions, long: true, most: 1, servers: []string{target.Rosterd}, marks: many, play: idleOf([]int{100_000},
			idle{bound, load.TCP}, idle{bound, load.DirectTLS})},
	)
}

const idleSessions = "idle sessions"

// idle is a kind of sessions.
type idle struct {
	each string
	over load.Transport
}

const (
	bound   = "bound"
	present = "roster of 10 and presence"
	kept    = "stream management and archive"
)

func (d idle) params(sessions int) []report.Param {
	return report.Params("each", d.each, "over", d.over, "sessions", sessions)
}

// idleOf measures kinds of sessions, so many of each.
func idleOf(sessions []int, kinds ...idle) func(context.Context, target.Kind, func(report.Result)) error {
	return func(ctx context.Context, k target.Kind, add func(report.Result)) error {
		for _, d := range kinds {
			most := sessions
			if k.Name == target.Prosody && (d.over != load.TCP || d.each == kept) {
				most = sessions[:1] // more take long there
			}
			if err := d.measure(ctx, k, most, add); err != nil {
				return fmt.Errorf("%s, over %s: %w", d.each, d.over, err)
			}
		}
		return nil
	}
}

// setup is what a client does after it has logged in.
func (d idle) setup() []func(*load.Client) error {
	switch d.each {
	case present:
		return []func(*load.Client) error{(*load.Client).Roster, (*load.Client).Presence}
	case kept:
		return []func(*load.Client) error{(*load.Client).EnableManagement}
	}
	return nil
}

// measure has so many log in, then as many more as come to the next amount, and so on.
func (d idle) measure(ctx context.Context, k target.Kind, amounts []int, add func(report.Result)) error {
	limit := target.Files() - 1000 // both sides have a file for each
	most := min(max(100, scaled(amounts[len(amounts)-1])), limit)
	users, warm := load.Names("idle", most), load.Names("s", 20)
	settings := target.Settings{
		Users: append(slices.Clone(warm), users...), Authentication: "internal_plain", TLS: d.over == load.DirectTLS, Processors: target.All,
	}
	if d.each == kept {
		settings.Modules = []string{"smacks", "mam"}
	}
	return driven(ctx, k, settings, func(v *target.Server) error {
		if d.each == present {
			contacts := load.Strangers(0, 10)
			for _, u := range settings.Users {
				v.Backend.Set(u, contacts)
			}
		}
		first, err := load.LoginAll(ctx, v, warm, load.How{Transport: d.over}, d.setup()...)
		defer load.CloseAll(first)
		if err != nil {
			return err
		}
		before, err := settled(ctx, v)
		if err != nil {
			return err
		}
		list := make([]*load.Client, 0, most)
		defer func() { load.CloseAll(list) }()
		for _, n := range amounts {
			wanted := max(100, scaled(n))
			n, there := min(wanted, limit), len(list)
			if n == there {
				continue // the scale makes them the same
			}
			list = list[:n]
			cost, err := v.During(func() error { return d.enter(ctx, v, users, list, there) })
			if err != nil {
				return err
			}
			after, err := settled(ctx, v)
			if err := errors.Join(err, v.ProfileHeap()); err != nil {
				return err
			}
			r := report.Result{Scenario: idleSessions, Params: d.params(n), Values: []report.Value{
				report.One("memory", "B", float64(after)), report.One("session", "B", float64(after-before)/float64(n)), cpu(cost, n-there),
			}}
			if n < wanted {
				r.Params = d.params(wanted)
				r.Values[0] = report.One("memory", "B", float64(before)+float64(after-before)/float64(n)*float64(wanted))
				r.Bound = fmt.Sprintf("extrapolated from %d sessions: here a process may have %d files open", n, target.Files())
			}
			add(r)
			if err := alive(list); err != nil {
				return fmt.Errorf("%d: %w", n, err)
			}
		}
		return nil
	})
}

// enter logs in all from a place in the list on, from as many addresses as it takes.
func (d idle) enter(ctx context.Context, v *target.Server, users []string, list []*load.Client, there int) error {
	setup := d.setup()
	return load.Lanes(len(list)-there, 8, func(i int) (err error) {
		i += there
		if list[i], err = load.Login(ctx, v, users[i], load.How{Transport: d.over, From: source(i)}); err != nil {
			return err
		}
		for _, f := range setup {
			if err := f(list[i]); err != nil {
				return err
			}
		}
		return list[i].Deadline(time.Time{})
	})
}

// source is the address that a client connects from.
func source(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + i/perSource)}) }

// perSource is how many connections come from one address. There are some 28,000 ports at each, of which those that were used
// a minute ago are not free yet.
const perSource = 5_000

// alive has some of the clients ping: sessions that have ended take no memory.
func alive(list []*load.Client) error {
	for i := 0; i < len(list); i += max(1, len(list)/100) {
		if err := list[i].Deadline(time.Now().Add(load.Timeout)); err != nil {
			return err
		}
		if err := list[i].Ping(); err != nil {
			return fmt.Errorf("after it was idle: %w", err)
		}
	}
	return nil
}

// settled is the memory of a server once that has stopped changing: what logins took is given back some time after them.
func settled(ctx context.Context, v *target.Server) (int64, error) {
	const most = 120 // seconds
	still := min(8, max(1, scaled(8)))
	last, since := int64(0), 0
	for range most {
		now, err := v.Memory()
		if err != nil {
			return 0, err
		}
		if since++; now.PSS < last*98/100 || now.PSS > last*102/100 {
			last, since = now.PSS, 0
		}
		if since >= still {
			break
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(awhile(time.Second)):
		}
	}
	return last, nil
}
