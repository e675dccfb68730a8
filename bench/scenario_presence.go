package main

import (
	"context"
	"fmt"

	"rosterd/bench/load"
	"rosterd/bench/report"
	"rosterd/bench/target"
)

func init() {
	perDelivery := func(scenario string) report.Mark {
		return report.Mark{Scenario: scenario, Value: "cpu", Ratio: 30, Text: "presence deliveries ≥ 30 × (" + scenario + ")"}
	}
	scenarios = append(scenarios,
		scenario{name: "presence, fan-out 50", servers: []string{target.Rosterd, target.Prosody, target.Prototype}, play: fanout, rounds: 4, marks: []report.Mark{
			perDelivery("presence fan-out"),
			{Scenario: "presence fan-out", Value: "cpu", Against: target.Prototype, Ratio: 1 / 1.5, Text: "a delivery ≤ 1.5 × the prototype"},
		}},
		scenario{name: "presence, storm", servers: everyone, play: storm, rounds: 4, marks: []report.Mark{perDelivery("presence storm")}},
	)
}

const presence = "<presence><show>away</show><status>%s</status><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://example.org' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>"

// acquainted logs in users who all see each other, and returns when everybody has taken in what there was to see.
func acquainted(ctx context.Context, v *target.Server, users []string) ([]*load.Client, error) {
	if v.Backend == nil { // the prototype shows everybody's presence to everybody
		return load.LoginAll(ctx, v, users, load.How{})
	}
	for _, u := range users {
		v.Backend.Set(u, load.Friends(u, users))
	}
	list, err := load.LoginAll(ctx, v, users, load.How{}, (*load.Client).Roster)
	if err != nil {
		return list, err
	}
	if err := load.Each(len(list), func(i int) error { return list[i].Presence() }); err != nil {
		return list, err
	}
	return list, load.Each(len(list), func(i int) error { return list[i].Ping() })
}

// each has rosterd write each presence at once, as Prosody does, where it would otherwise write several together.
const each = "rosterd_presence_rate = 0\n"

// fanout has ten of 51 users who all see each other send presence once, over and over. Ten stanzas of one of them would
// not do: what is superseded before a client has taken it need not be sent.
func fanout(ctx context.Context, k target.Kind, add func(report.Result)) error {
	const friends, senders = 50, 10
	users := load.Names("f", friends+1)
	return driven(ctx, k, target.Settings{Users: users, Lines: each}, func(v *target.Server) error {
		list, err := acquainted(ctx, v, users)
		defer load.CloseAll(list)
		if err != nil {
			return err
		}
		turns := bearable(k, scaled(8000)/senders)
		cost, err := v.During(func() error {
			for turn := range turns {
				mark := fmt.Sprintf("turn %d.", turn)
				b := fmt.Appendf(nil, presence, mark)
				for _, c := range list[:senders] {
					if _, err := c.Write(b); err != nil {
						return err
					}
				}
				if err := load.Each(len(list), func(i int) error {
					if i < senders {
						return list[i].Await(mark, senders-1) // and perhaps the user's own
					}
					return list[i].Await(mark, senders)
				}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		add(report.Result{Scenario: "presence fan-out", Params: report.Params("friends", friends), Bound: cost.Bound(), Values: deliveries(cost, turns*senders*friends)})
		return nil
	})
}

// deliveries are what those cost that came.
func deliveries(c target.Cost, n int) []report.Value {
	return []report.Value{cpu(c, n), report.One("rate", "deliveries/s", c.Rate(n)), loadCPU(c, n)}
}

// storm has everybody in a group send presence at once, over and over.
func storm(ctx context.Context, k target.Kind, add func(report.Result)) error {
	users := load.Names("f", max(3, scaled(100)))
	return driven(ctx, k, target.Settings{Users: users}, func(v *target.Server) error {
		list, err := acquainted(ctx, v, users)
		defer load.CloseAll(list)
		if err != nil {
			return err
		}
		turns := bearable(k, scaled(30))
		cost, err := v.During(func() error {
			for turn := range turns {
				mark := fmt.Sprintf("turn %d.", turn)
				b := fmt.Appendf(nil, presence, mark)
				if err := load.Each(len(list), func(i int) error { _, err := list[i].Write(b); return err }); err != nil {
					return err
				}
				if err := load.Each(len(list), func(i int) error { return list[i].Await(mark, len(list)) }); err != nil { // and his own
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		add(report.Result{Scenario: "presence storm", Params: report.Params("group", len(users)), Bound: cost.Bound(), Values: deliveries(cost, turns*len(list)*len(list))})
		return nil
	})
}
