package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"rosterd/bench/load"
	"rosterd/bench/report"
	"rosterd/bench/target"
)

var matrix = flag.Bool("matrix", false, "play logins in every combination of users, contacts, mechanism and transport")

func init() {
	for _, users := range []int{1000, 5000} {
		for _, contacts := range []int{10, 100, 1000} {
			for _, mechanism := range []string{load.SCRAM, load.Plain} {
				for _, transport := range []load.Transport{load.TCP, load.StartTLS, load.DirectTLS, load.WebSocket} {
					logins{users, contacts, mechanism, transport}.enter()
				}
			}
		}
	}
}

// logins have many users come at once: log in, ask for the roster, send presence, and stay.
type logins struct {
	users, contacts int
	mechanism       string
	transport       load.Transport
}

// lanes is how many are on their way at a time. More of them wait in the server, and are served no faster.
const lanes = 32

// storms are cut off after a while: what a login costs is known then. The combinations without a target are cut off earlier, the
// more so where the server takes long for each.
const (
	longest = 20 * time.Second
	long    = 6 * time.Second
	shorter = 3 * time.Second
)

func (l logins) enter() {
	sc := scenario{
		name:    fmt.Sprintf("login, %d users, %d contacts, %s, %s", l.users, l.contacts, l.mechanism, l.transport),
		servers: everyone, long: !l.marked(), play: l.play,
	}
	if sc.long {
		sc.most = 1
	}
	if l.users > 1000 && l.transport != load.TCP {
		sc.servers = []string{target.Rosterd} // in three seconds Prosody lets in no more of them than of a thousand
	}
	sc.rare = l.transport == load.StartTLS && (l.contacts != 100 || l.users != 1000) // a round trip more than direct TLS
	if least := map[int]float64{10: 12, 100: 25, 1000: 40}[l.contacts]; l.marked() {
		sc.servers = unkept
		if l.contacts == 10 {
			sc.rounds = 4
		} else {
			sc.slow = 2 // its logins take twenty seconds, however many there are
		}
		sc.marks = []report.Mark{{Scenario: "login", Params: l.params(), Value: "cpu", Ratio: least,
			Text: fmt.Sprintf("login with %d contacts ≥ %.0f × without TLS", l.contacts, least)}}
	}
	scenarios = append(scenarios, sc)
}

// marked tells whether there is a target for it.
func (l logins) marked() bool {
	return l.transport == load.TCP && l.mechanism == load.SCRAM && l.users == 1000
}

// patience is how long the logins of a server may take.
func (l logins) patience(v *target.Server) time.Duration {
	switch {
	case l.marked():
		return longest
	case v.Kind == target.Prosody:
		return shorter
	default:
		return long
	}
}

func (l logins) params() []report.Param {
	return report.Params("users", l.users, "contacts", l.contacts, "mechanism", l.mechanism, "transport", string(l.transport))
}

func (l logins) settings(users []string) target.Settings {
	return target.Settings{
		Users: users, WebSocket: l.transport == load.WebSocket,
		TLS: l.transport == load.StartTLS || l.transport == load.DirectTLS,
	}
}

func (l logins) play(ctx context.Context, k target.Kind, add func(report.Result)) error {
	users := load.Names("u", max(2*lanes, scaled(l.users)))
	return driven(ctx, k, l.settings(users), func(v *target.Server) error {
		var whole, roster load.Latencies
		come, cost, err := l.come(ctx, v, users, &whole, &roster)
		if err != nil {
			return err
		}
		values := []report.Value{cpu(cost, come), report.One("rate", "logins/s", cost.Rate(come)), report.One("logins", "", float64(come)), loadCPU(cost, come)}
		values = append(values, percentiles("", &whole)...)
		add(report.Result{Scenario: "login", Params: l.params(), Values: append(values, percentiles("roster get", &roster)...), Bound: cost.Bound()})
		return nil
	})
}

// come has users log in, and tells how many did in the time there is. All of them leave at the end.
func (l logins) come(ctx context.Context, v *target.Server, users []string, whole, roster *load.Latencies) (come int, cost target.Cost, err error) {
	doc := load.Strangers(0, l.contacts)
	for _, u := range users {
		v.Backend.Set(u, doc)
	}
	list := make([]*load.Client, len(users))
	defer load.CloseAll(list)
	how := load.How{Transport: l.transport, Mechanism: l.mechanism}
	end := time.Now().Add(l.patience(v))
	cost, err = v.During(func() error {
		err := load.Lanes(len(users), lanes, func(i int) error {
			if time.Now().After(end) {
				return nil
			}
			return whole.Time(func() (err error) {
				if list[i], err = load.Login(ctx, v, users[i], how); err != nil {
					return err
				}
				if err := roster.Time(list[i].Roster); err != nil {
					return err
				}
				return list[i].Presence()
			})
		})
		if err != nil {
			return err
		}
		return list[0].Ping() // the last presence has been worked off
	})
	return whole.Len(), cost, err
}
