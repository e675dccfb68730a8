package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rosterd/bench/load"
	"rosterd/bench/report"
	"rosterd/bench/target"
)

func init() {
	for _, o := range []overload{{load.TCP, load.SCRAM}, {load.StartTLS, load.SCRAM}, {load.SecureWeb, load.SCRAM}, {load.TCP, load.Plain}} {
		o.enter()
	}
}

// overload has clients come whether or not those before them have been served (an open loop), at the rate that the server can
// serve, at twice and at five times that. Who is refused, or has not got in within the time that people wait, tries again a
// moment later; so does who would be one too many for the files of the load program, without having tried. Meanwhile some who
// are logged in since before ask the server for a sign of life. The certificate is one of RSA, which costs who serves it far
// more than who looks at it: with one of ECDSA the load program has more to do for a handshake than the server.
type overload struct {
	transport load.Transport
	mechanism string
}

const (
	rush      = 5 * time.Second // how long clients come
	bears     = 5 * time.Second // a client's, for one attempt
	settle    = time.Second     // of rush, before what is served counts
	before    = 5               // users who have logged in before
	pingEvery = 20 * time.Millisecond
)

func (o overload) enter() {
	sc := scenario{name: fmt.Sprintf("overload, %s, %s", o.mechanism, o.transport), servers: []string{target.Rosterd}, long: true, most: 1, play: o.play}
	if o == (overload{load.TCP, load.SCRAM}) {
		sc.servers, sc.most, sc.slow = everyone, 2, 1 // of Prosody, what becomes of it is seen once
	}
	sc.marks = []report.Mark{{Scenario: "overload", Params: o.params(5), Value: "of peak", Least: 90,
		Text: fmt.Sprintf("throughput at 5 × overload ≥ 90 %% of the peak (%s, %s)", o.mechanism, o.transport)}}
	scenarios = append(scenarios, sc)
}

func (o overload) params(factor int) []report.Param {
	return report.Params("mechanism", o.mechanism, "transport", string(o.transport), "load", fmt.Sprintf("%d ×", factor))
}

func (o overload) play(ctx context.Context, k target.Kind, add func(report.Result)) error {
	users := load.Names("u", max(64, scaled(4000)))
	s := target.Settings{Users: users, TLS: o.transport != load.TCP, WebSocket: o.transport == load.SecureWeb, RSA: true, Lines: "rosterd_connections_per_address = 1000000"}
	return driven(ctx, k, s, func(v *target.Server) error {
		doc := load.Strangers(0, 10)
		for _, u := range users {
			v.Backend.Set(u, doc)
		}
		there, err := load.LoginAll(ctx, v, users[:before], load.How{Resource: "there"}, (*load.Client).Presence)
		defer load.CloseAll(there)
		if err != nil {
			return err
		}
		r := &rushing{overload: o, server: v, users: users[before:]}
		if err := r.most(ctx); err != nil {
			return err
		}
		for _, factor := range []int{1, 2, 5} {
			one, err := r.at(ctx, factor, there)
			if err != nil {
				return err
			}
			add(one)
		}
		return nil
	})
}

// rushing is a server under attack of its own users.
type rushing struct {
	overload
	server *target.Server
	users  []string
	peak   float64 // logins a second that it has served at most

	next atomic.Int64
	out  atomic.Int64 // clients who are on their way
}

// who is the next to come: a user, from one of several addresses, since each has so many ports only.
func (r *rushing) who() (string, load.How) {
	i := r.next.Add(1)
	return r.users[i%int64(len(r.users))], load.How{
		Transport: r.transport, Mechanism: r.mechanism, Resource: fmt.Sprintf("r%d", i),
		From: netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + i%16)}),
	}
}

// visit is a whole login: roster and presence belong to it.
func (r *rushing) visit(ctx context.Context, patience time.Duration) error {
	user, how := r.who()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := load.Login(ctx, r.server, user, how)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Roster(); err != nil {
		return err
	}
	return c.Presence()
}

// files are left for clients by who is there, the backend and all that is open otherwise.
var files = int64(target.Files() * 3 / 4)

var errFiles = errors.New("no more files")

// attempt is a visit, unless too many are on their way.
func (r *rushing) attempt(ctx context.Context, patience time.Duration) error {
	defer r.out.Add(-1)
	if r.out.Add(1) > files {
		return errFiles
	}
	return r.visit(ctx, patience)
}

// short is a time where there is less work to do.
func short(d time.Duration) time.Duration {
	return time.Duration(float64(d) * min(1, max(0.1, *scale)))
}

// most measures the peak: as many at a time as keep the server busy, each coming when another has left. Where more are
// served later, that is the peak of what follows.
func (r *rushing) most(ctx context.Context) error {
	length := short(rush)
	var n atomic.Int64
	over := time.Now().Add(length)
	from := over.Add(-length + length/time.Duration(rush/settle))
	err := load.Each(lanes, func(int) error {
		for time.Now().Before(over) {
			if err := r.visit(ctx, load.Timeout); err != nil {
				return err
			}
			if now := time.Now(); now.After(from) && now.Before(over) {
				n.Add(1)
			}
		}
		return nil
	})
	r.peak = float64(n.Load()) / over.Sub(from).Seconds()
	return err
}

// at measures what is served when so many times the peak come.
func (r *rushing) at(ctx context.Context, factor int, there []*load.Client) (report.Result, error) {
	var (
		pings, logins                 load.Latencies
		done, served                  atomic.Int64 // in time, and of those that count
		refused, gone, failed, stayed atomic.Int64
		clients, asking               sync.WaitGroup
		start                         = time.Now()
		length                        = short(rush)
		patience                      = short(bears)
		over                          = start.Add(length)
		from                          = start.Add(length / time.Duration(rush/settle))
		ended                         = make(chan struct{})
		silent                        = make(chan error, len(there))
	)
	for _, c := range there {
		asking.Go(func() {
			for {
				select {
				case <-ended:
					return
				case <-time.After(pingEvery):
				}
				if err := pings.Time(c.Ping); err != nil {
					silent <- err
					return
				}
			}
		})
	}
	come := func() {
		for time.Now().Before(over) {
			begun := time.Now()
			err := r.attempt(ctx, patience)
			now := time.Now()
			switch {
			case err == nil:
				if now.Before(over) {
					done.Add(1)
				}
				if now.After(from) && now.Before(over) {
					served.Add(1)
				}
				logins.Add(now.Sub(begun))
				return
			case strings.Contains(err.Error(), "xmpp-streams"): // the end of a stream error
				refused.Add(1)
			case errors.Is(err, context.DeadlineExceeded) || now.Sub(begun) > patience*9/10:
				gone.Add(1)
			case errors.Is(err, errFiles):
				stayed.Add(1)
			default:
				failed.Add(1)
			}
			time.Sleep(patience/2 + rand.N(patience/2))
		}
	}
	delayed := r.server.Delayed()
	cost, err := r.server.During(func() error {
		begun := 0
		for now := start; now.Before(over) && ctx.Err() == nil; now = time.Now() {
			for due := int(now.Sub(start).Seconds() * r.peak * float64(factor)); begun < due; begun++ {
				clients.Go(come)
			}
			time.Sleep(2 * time.Millisecond)
		}
		return ctx.Err()
	})
	delayed = r.server.Delayed() - delayed
	close(ended)
	asking.Wait()
	clients.Wait()
	select {
	case err = <-silent:
	default:
	}
	busy, _ := cost.Busy()
	rate := float64(served.Load()) / over.Sub(from).Seconds()
	values := []report.Value{
		report.One("rate", "logins/s", rate), cpu(cost, int(done.Load())), report.One("of peak", "%", 100*rate/r.peak), report.One("peak", "logins/s", r.peak),
		report.Took("p50", logins.Percentile(50)), report.Took("p99", logins.Percentile(99)), report.Took("ping p99", pings.Percentile(99)),
		report.One("busy", "%", 100*busy), report.One("refused", "", float64(refused.Load())), report.One("given up", "", float64(gone.Load())), report.One("failed", "", float64(failed.Load())),
		report.One("stayed away", "", float64(stayed.Load())),
	}
	r.peak = max(r.peak, rate)
	return report.Result{Scenario: "overload", Params: r.params(factor), Values: values, Bound: cmp.Or(cost.Bound(), unlike(delayed, cost))}, err
}

// unlike says why the load was none as that of people: the load program was slow to answer, each of its clients for the sake of
// all others; or the server has waited for its processor, which others had, and those who come have not waited for it.
func unlike(delayed time.Duration, c target.Cost) string {
	if _, load := c.Busy(); load > 0.9 {
		return "the load program was a bottleneck: it used more than nine tenths of its processors"
	}
	if delayed < c.Wall/5 {
		return ""
	}
	return fmt.Sprintf("the server has waited for its processor for %.0f %% of the time", 100*delayed.Seconds()/c.Wall.Seconds())
}
