package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"rosterd/bench/load"
	"rosterd/bench/report"
	"rosterd/bench/target"
)

func init() {
	var marks []report.Mark
	for _, c := range refreshes {
		marks = append(marks, report.Mark{Scenario: "refresh", Params: c.params(), Value: "cpu", Ratio: 20, Text: "refresh of a user ≥ 20 ×"},
			report.Mark{Scenario: "refresh", Params: c.params(), Value: "last push to answer", Most: 1.2, Text: "last push within 1.2 × the time of the HTTP answer"})
	}
	scenarios = append(scenarios,
		scenario{name: "refresh", servers: unkept, rounds: 4, slow: 2, marks: marks, play: refreshes.play},
		scenario{name: "refresh, 1000 users with 100 changes", long: true, most: 1, servers: unkept, play: refreshesMost.play},
		scenario{name: "refresh of everybody", long: true, most: 2, servers: []string{target.Rosterd}, play: playRefreshAll})
}

// refreshed is so many users in one POST, and so many contacts in each roster that come or go, so many times: as often as
// Prosody does it in some seconds. Who is faster does it ten times as often, or it would be over in the time of one collection
// of garbage, which would be in the figure of one build and not of the next.
type refreshed struct{ users, changes, times int }

const oftener = 10

type refreshedList []refreshed

var (
	refreshes     = refreshedList{{1, 1, 40}, {1, 100, 10}, {100, 1, 6}, {100, 10, 4}, {100, 100, 2}, {1000, 1, 2}, {1000, 10, 2}}
	refreshesMost = refreshedList{{1000, 100, 2}}
)

const refreshContacts = 100

func (c refreshed) params() []report.Param {
	return report.Params("users", c.users, "changes", c.changes)
}

// atHand lets a great many clients in fast, and all of them: their passwords cost nothing, and they have one address.
func atHand(users []string) target.Settings {
	return target.Settings{Users: users, Authentication: "internal_plain", Lines: "rosterd_connections_per_address = 100000\nrosterd_logins_wait = 60\n"}
}

func (list refreshedList) play(ctx context.Context, k target.Kind, add func(report.Result)) error {
	most := 0
	for _, c := range list {
		most = max(most, scaled(c.users))
	}
	users := load.Names("refreshed", most)
	return driven(ctx, k, atHand(users), func(s *target.Server) error {
		setAll(s, users, load.Strangers(0, refreshContacts))
		clients, err := load.LoginAll(ctx, s, users, load.How{}, (*load.Client).Roster, (*load.Client).Presence)
		defer load.CloseAll(clients)
		if err != nil {
			return err
		}
		for _, c := range list {
			result, err := c.measure(ctx, s, clients[:min(scaled(c.users), len(clients))])
			if err != nil {
				return fmt.Errorf("%d users, %d changes: %w", c.users, c.changes, err)
			}
			add(result)
		}
		return nil
	})
}

func setAll(s *target.Server, users []string, doc []byte) {
	for _, u := range users {
		s.Backend.Set(u, doc)
	}
}

// measure adds contacts to rosters, removes them again, and so on. Other changes are none to Prosody's module.
func (c refreshed) measure(ctx context.Context, s *target.Server, clients []*load.Client) (report.Result, error) {
	docs := [2][]byte{load.Strangers(0, refreshContacts), load.Strangers(0, refreshContacts+c.changes)}
	names := make([]string, len(clients))
	for i, client := range clients {
		names[i] = client.User
	}
	var answers, pushes load.Latencies
	var ratios []float64
	times := c.times
	if s.Kind != target.Prosody {
		times = scaled(times * oftener)
	}
	cost, err := s.During(func() error {
		for n := range 2 * ((times + 1) / 2) { // it ends as it began
			setAll(s, names, docs[(n+1)%2])
			answer, push, err := refreshOnce(ctx, s, clients, names, c.changes)
			if err != nil {
				return err
			}
			answers.Add(answer)
			pushes.Add(push)
			ratios = append(ratios, push.Seconds()/answer.Seconds())
		}
		return nil
	})
	return report.Result{Scenario: "refresh", Params: c.params(), Bound: cost.Bound(), Values: []report.Value{
		cpu(cost, answers.Len()*len(clients)), report.Took("answer", answers.Percentile(50)), report.Took("last push", pushes.Percentile(50)),
		report.One("last push to answer", "", report.Value{Rounds: ratios}.Median()),
	}}, err
}

// refreshOnce posts names, and says when the answer was there, and when the last client had its last push.
func refreshOnce(ctx context.Context, s *target.Server, clients []*load.Client, names []string, changes int) (answer, last time.Duration, err error) {
	var mu sync.Mutex
	pushed := make(chan error, 1)
	start := time.Now()
	go func() {
		pushed <- load.Each(len(clients), func(i int) error {
			err := clients[i].Await("<item", changes)
			mu.Lock()
			defer mu.Unlock()
			last = max(last, time.Since(start))
			return err
		})
	}()
	_, err = load.Post(ctx, s, names)
	answer = time.Since(start)
	if err != nil {
		load.CloseAll(clients) // or they wait
	}
	return answer, last, errors.Join(err, <-pushed)
}

// playRefreshAll posts the names of everybody, of whom one in ten is online.
func playRefreshAll(ctx context.Context, k target.Kind, add func(report.Result)) error {
	online := scaled(9_000) // the load program may have some more files open than that
	names := load.Names("refreshed", scaled(100_000))
	return driven(ctx, k, atHand(names[:online]), func(s *target.Server) error {
		docs := [2][]byte{load.Strangers(0, refreshContacts), load.Strangers(0, refreshContacts+1)}
		setAll(s, names[:online], docs[0])
		clients, err := load.LoginAll(ctx, s, names[:online], load.How{}, (*load.Client).Roster, (*load.Client).Presence)
		defer load.CloseAll(clients)
		if err != nil {
			return err
		}
		for n, accept := range []string{"application/json", "application/x-ndjson"} {
			setAll(s, names[:online], docs[(n+1)%2])
			one, err := refreshAll(ctx, s, clients, names, accept)
			if err != nil {
				return fmt.Errorf("as %s: %w", accept, err)
			}
			one.Scenario, one.Params = "refresh of everybody", report.Params("names", len(names), "online", online, "answer", accept)
			add(one)
		}
		return nil
	})
}

func refreshAll(ctx context.Context, s *target.Server, clients []*load.Client, names []string, accept string) (one report.Result, err error) {
	before, err := s.Memory()
	if err != nil {
		return one, err
	}
	var took, first, last time.Duration
	pushed := make(chan error, 1)
	start := time.Now()
	go func() {
		err := load.Each(len(clients), func(i int) error { return clients[i].Await("<item", 1) })
		last = time.Since(start)
		pushed <- err
	}()
	peak := highest(s)
	cost, err := s.During(func() error {
		if took, first, err = postAll(ctx, s, names, accept); err != nil {
			load.CloseAll(clients)
		}
		return errors.Join(err, <-pushed)
	})
	one.Bound = cost.Bound()
	one.Values = []report.Value{
		report.Took("answer", took), report.Took("first line", first), report.Took("last push", last), cpu(cost, len(clients)),
		report.One("memory before", "MiB", float64(before.RSS)/(1<<20)), report.One("more memory", "MiB", float64(peak()-before.RSS)/(1<<20)),
	}
	return one, err
}

// highest looks at the memory of a server until it is asked for the most that it saw.
func highest(s *target.Server) func() int64 {
	end, most := make(chan struct{}), make(chan int64)
	go func() {
		var peak int64
		for {
			if m, err := s.Memory(); err == nil {
				peak = max(peak, m.RSS)
			}
			select {
			case <-end:
				most <- peak
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(end); return <-most }
}

// postAll reads the answer line by line, of which JSON is one.
func postAll(ctx context.Context, s *target.Server, names []string, accept string) (took, first time.Duration, err error) {
	body, err := json.Marshal(names)
	if err != nil {
		return 0, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.HTTP+"/roster_admin/refresh", bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	req.Host = target.Domain
	req.Header.Set("Accept", accept)
	start := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close()
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, 64<<20)
	lines, end := 0, ""
	for in.Scan() {
		if lines++; lines == 1 {
			first = time.Since(start)
		}
		end = in.Text()
	}
	var sum struct{ Updated, Errors int }
	if err := json.Unmarshal([]byte(end), &sum); err != nil || in.Err() != nil || sum.Updated != len(names) || sum.Errors > 0 {
		return 0, 0, fmt.Errorf("%s: %d lines, %v: the last one %.300s", res.Status, lines, in.Err(), end)
	}
	return time.Since(start), first, nil
}
