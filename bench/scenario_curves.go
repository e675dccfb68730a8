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

// The curves say how cost grows as the work grows. Each goes on to the next amount as long as the last one took no
// longer than somebody waits for it, so that a server is followed as far as it bears.
func init() {
	scenarios = append(scenarios,
		scenario{name: "growth over contacts", long: true, most: 1, servers: everyone, play: overContacts},
		scenario{name: "growth over users", long: true, most: 1, servers: everyone, play: overUsers},
		scenario{name: "growth over changed items", long: true, most: 1, servers: everyone, play: overChanges},
		scenario{name: "growth over names", long: true, most: 1, servers: everyone, play: overNames},
		scenario{name: "growth over a group", long: true, most: 1, servers: everyone, play: overGroup},
	)
}

// patience is how long one amount may take for a greater one to be tried.
const patience = 20 * time.Second

// growing does f for one amount after the other, as long as it is quick enough. Amounts are greater than the scale allows
// only once: the least is always done.
func growing(ctx context.Context, amounts []int, f func(n int) error) error {
	return growingBy(ctx, amounts, func(n int) (time.Duration, error) {
		start := time.Now()
		err := f(n)
		return time.Since(start), err
	})
}

// growingBy is growing where f says itself how long it took.
func growingBy(ctx context.Context, amounts []int, f func(n int) (time.Duration, error)) error {
	for i, n := range amounts {
		if i > 0 && n > scaled(amounts[len(amounts)-1]) || ctx.Err() != nil {
			break
		}
		took, err := f(n)
		if err != nil {
			return fmt.Errorf("%d: %w", n, err)
		}
		if took > patience {
			break
		}
	}
	return ctx.Err()
}

// upTo are the amounts that are tried: Prosody is followed as far as its time allows.
func upTo(k target.Kind, most int, amounts ...int) []int {
	if k.Name == target.Rosterd {
		return amounts
	}
	return slices.DeleteFunc(amounts, func(n int) bool { return n > most })
}

// overContacts is what a login and what a roster get cost with so many contacts, who are never online.
func overContacts(ctx context.Context, k target.Kind, add func(report.Result)) error {
	const contacts = 100_000 // in all rosters together, for each amount
	s := target.Settings{Users: load.Names("grown", 300)}
	return driven(ctx, k, s, func(v *target.Server) error {
		return growing(ctx, upTo(k, 1000, 10, 30, 100, 300, 1000, 3000, 10_000), func(n int) error {
			users := s.Users[:min(max(bearable(k, scaled(contacts)/n), 3), bearable(k, len(s.Users)))]
			doc := load.Strangers(0, n)
			for _, u := range users {
				v.Backend.Set(u, doc)
			}
			var list []*load.Client
			defer func() { load.CloseAll(list) }()
			login, err := v.During(func() (err error) {
				list, err = load.LoginAll(ctx, v, users, load.How{Mechanism: load.SCRAM})
				return err
			})
			if err != nil {
				return err
			}
			var took load.Latencies
			get, err := v.During(func() error {
				for _, c := range list { // one at a time
					if err := took.Time(c.Roster); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			online, err := v.During(func() error { return load.Each(len(list), func(i int) error { return list[i].Presence() }) })
			all := login
			all.CPU += get.CPU + online.CPU
			add(report.Result{Scenario: "growth over contacts", Params: report.Params("contacts", n), Values: []report.Value{
				named("login", cpu(all, len(list))), named("roster get", cpu(get, len(list))), report.Took("roster get p50", took.Percentile(50)),
			}})
			return err
		})
	})
}

// named is a value by another name.
func named(name string, v report.Value) report.Value {
	v.Name = name
	return v
}

// perAddress is how many connections the load program makes from one loopback address: when half of its ports are taken the system
// searches for each of the others, at first for 0.1 ms, then for more.
const perAddress = 10_000

// overUsers is what a login costs when so many are online already, and the memory of each. All have ten contacts.
func overUsers(ctx context.Context, k target.Kind, add func(report.Result)) error {
	amounts := within(upTo(k, 3000, 100, 1000, 3000, 10_000, 30_000, 50_000))
	s := target.Settings{Users: load.Names("grown", max(amounts[0], scaled(amounts[len(amounts)-1])))}
	return driven(ctx, k, s, func(v *target.Server) error {
		doc := load.Strangers(0, 10)
		for _, u := range s.Users {
			v.Backend.Set(u, doc)
		}
		before, err := settled(ctx, v)
		if err != nil {
			return err
		}
		list := make([]*load.Client, 0, len(s.Users))
		defer func() { load.CloseAll(list) }()
		return growingBy(ctx, amounts, func(n int) (time.Duration, error) { // that the memory settles is not counted
			first := len(list)
			list = list[:n]
			cost, err := v.During(func() error {
				return load.Lanes(n-first, 8, func(i int) (err error) { list[first+i], err = arrive(ctx, v, s.Users[first+i], first+i); return err })
			})
			if err != nil {
				return 0, err
			}
			after, err := settled(ctx, v)
			add(report.Result{Scenario: "growth over users", Params: report.Params("users", n), Values: []report.Value{
				cpu(cost, n-first), report.One("memory of each", "B", float64(after-before)/float64(n)),
			}})
			return cost.Wall, err
		})
	})
}

// within are the amounts of connections that this machine allows a process; the last may be as many as it does.
func within(amounts []int) []int {
	const others = 1000 // files and connections besides
	most := target.Files() - others
	for i, n := range amounts {
		if n > most {
			return append(slices.Clone(amounts[:i]), max(most, 1))
		}
	}
	return amounts
}

// arrive logs a user in, from an address that has ports left, with roster and presence.
func arrive(ctx context.Context, v *target.Server, user string, i int) (*load.Client, error) {
	from := netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i/perAddress)})
	c, err := load.Login(ctx, v, user, load.How{Mechanism: load.SCRAM, From: from})
	if err != nil {
		return c, err
	}
	if err := c.Roster(); err != nil {
		return c, err
	}
	return c, c.Presence()
}

// overChanges is what a refresh costs when so many items of a roster of a thousand have come or gone. Prosody's module sees
// no other changes.
func overChanges(ctx context.Context, k target.Kind, add func(report.Result)) error {
	const contacts = 1000
	users := load.Names("grown", bearable(k, max(10, scaled(100))))
	return driven(ctx, k, target.Settings{Users: users}, func(v *target.Server) error {
		list, err := listening(ctx, v, users, load.Strangers(0, contacts))
		defer load.CloseAll(list)
		if err != nil {
			return err
		}
		each := func(d time.Duration) time.Duration { return d / time.Duration(len(users)) } // Prosody has fewer
		first := 0
		return growing(ctx, []int{2, 6, 20, 60, 200, 600, 2 * contacts}, func(n int) error {
			first += n / 2 // so many have gone, and as many have come
			cost, answer, last, err := changing(ctx, v, list, users, load.Strangers(first, first+contacts), n)
			add(report.Result{Scenario: "growth over changed items", Params: report.Params("items", n), Values: []report.Value{
				cpu(cost, len(users)), report.Took("answer", each(answer)), report.Took("last push", each(last)),
			}})
			return err
		})
	})
}

// listening logs users in who are told of changes.
func listening(ctx context.Context, v *target.Server, users []string, doc []byte) ([]*load.Client, error) {
	for _, u := range users {
		v.Backend.Set(u, doc)
	}
	return load.LoginAll(ctx, v, users, load.How{Mechanism: load.SCRAM}, (*load.Client).Roster, (*load.Client).Presence)
}

// changing gives those who are online a roster in which some items have changed, posts names, and says when the answer was
// there, and when the last push was.
func changing(ctx context.Context, v *target.Server, online []*load.Client, names []string, doc []byte, items int) (cost target.Cost, answer, last time.Duration, err error) {
	for _, c := range online {
		v.Backend.Set(c.User, doc)
	}
	cost, err = v.During(func() error {
		start := time.Now()
		pushed := make(chan error, 1)
		go func() { pushed <- load.Each(len(online), func(i int) error { return online[i].Await("<item", items) }) }()
		_, err := load.Post(ctx, v, names)
		answer = time.Since(start)
		if err != nil {
			load.CloseAll(online) // nobody waits for pushes that do not come
		}
		err = errors.Join(err, <-pushed)
		last = time.Since(start)
		return err
	})
	return cost, answer, last, err
}

// overNames is what a refresh costs for each of so many names in one POST: of users who are online and have one other contact in
// a roster of ten, and of users who are not.
func overNames(ctx context.Context, k target.Kind, add func(report.Result)) error {
	amounts := upTo(k, 1000, 1, 10, 100, 1000, 10_000)
	most := max(amounts[0], scaled(amounts[len(amounts)-1]))
	online := load.Names("grown", most)
	return driven(ctx, k, target.Settings{Users: online}, func(v *target.Server) error {
		result := func(who string, n int, cost target.Cost, answer time.Duration) {
			add(report.Result{Scenario: "growth over names", Params: report.Params("names", n, "who are", who), Values: []report.Value{cpu(cost, n), report.Took("answer", answer)}})
		}
		away := load.Names("away", amounts[len(amounts)-1])
		if err := growing(ctx, amounts, func(n int) error {
			cost, err := v.During(func() error { _, err := load.Post(ctx, v, away[:n]); return err })
			result("away", n, cost, cost.Wall)
			return err
		}); err != nil {
			return err
		}
		list, err := listening(ctx, v, online, load.Strangers(0, 10))
		defer load.CloseAll(list)
		if err != nil {
			return err
		}
		version := 0
		return growing(ctx, amounts, func(n int) error {
			if n > len(list) {
				return nil
			}
			version++
			cost, answer, _, err := changing(ctx, v, list[:n], online[:n], load.Strangers(version, version+10), 2)
			result("online", n, cost, answer)
			return err
		})
	})
}

// overGroup is what presence costs in a group of so many who all see each other, as users have it: what comes in crowds is
// written together. All come at once; then ten of them change theirs at once, over and over.
func overGroup(ctx context.Context, k target.Kind, add func(report.Result)) error {
	return growing(ctx, upTo(k, 300, 10, 30, 100, 300, 1000), func(n int) error {
		users := load.Names("m", n)
		return driven(ctx, k, target.Settings{Users: users}, func(v *target.Server) error {
			load.AllFriends(v.Backend, users)
			var list []*load.Client
			defer func() { load.CloseAll(list) }()
			coming, err := v.During(func() (err error) {
				if list, err = load.LoginAll(ctx, v, users, load.How{Mechanism: load.SCRAM}, (*load.Client).Roster); err != nil {
					return err
				}
				group := &crowd{n: n}
				return load.Each(n, func(i int) error {
					if err := list[i].Available(); err != nil {
						return err
					}
					return group.see(list[i])
				})
			})
			if err != nil {
				return err
			}
			senders := min(10, n)
			turns := min(20, max(2, bearable(k, scaled(100_000))/(senders*n)))
			sending, err := v.During(func() error {
				for turn := range turns {
					if err := change(list, senders, fmt.Sprintf("turn %d.", turn)); err != nil {
						return err
					}
				}
				return nil
			})
			add(report.Result{Scenario: "growth over a group", Params: report.Params("people", n), Values: []report.Value{
				named("a delivery", cpu(sending, turns*senders*n)), named("coming online", cpu(coming, n)),
			}})
			return err
		})
	})
}

// change has the first few of a group send presence with a mark, and returns when everybody has it from each of them, who
// have their own, too (RFC 6121 §4.4.2).
func change(list []*load.Client, senders int, mark string) error {
	b := fmt.Appendf(nil, presence, mark)
	for _, c := range list[:senders] {
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
	return load.Each(len(list), func(i int) error { return list[i].Await(mark, senders) })
}
