package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"rosterd/bench/load"
	"rosterd/bench/report"
	"rosterd/bench/target"
)

func init() {
	biggroup := func(name string, long bool, servers []string, sizes ...int) scenario {
		return scenario{name: name, long: long, servers: servers, most: 1, play: func(ctx context.Context, k target.Kind, add func(report.Result)) error {
			for _, n := range sizes {
				paces := []string{"paced", "each at once"}
				switch {
				case k.Name != target.Rosterd:
					paces = []string{"–"}
				case n >= 5000:
					paces = paces[:1] // the other takes minutes
				}
				for _, pace := range paces {
					if err := (&crowd{n: scaled(n), pace: pace}).play(ctx, k, add); err != nil {
						return fmt.Errorf("%d people, %s: %w", n, pace, err)
					}
				}
			}
			return nil
		}}
	}
	scenarios = append(scenarios,
		biggroup("big group", false, everyone, 100, 300),
		biggroup("big group, rosterd alone", true, []string{target.Rosterd}, 1000, 2000),
		biggroup("big group, 5,000", true, []string{target.Rosterd}, 5000),
	)
}

// crowd is people who all see each other, and come online together: they have logged in and have their rosters, and all
// send their first presence at once. A few others meanwhile want to know whether the server is still there for them.
type crowd struct {
	n    int
	pace string

	members []*load.Client
	others  []*load.Client
	bytes   atomic.Int64
	stanzas atomic.Int64
	peak    atomic.Int64
}

const bystanders = 10

func (c *crowd) play(ctx context.Context, k target.Kind, add func(report.Result)) error {
	users, others := load.Names("m", c.n), load.Names("other", bystanders)
	s := target.Settings{Users: append(users[:c.n:c.n], others...)}
	if c.pace == "each at once" {
		s.Lines = each
	}
	return driven(ctx, k, s, func(v *target.Server) (err error) {
		defer func() { load.CloseAll(c.members); load.CloseAll(c.others) }()
		if c.others, err = load.LoginAll(ctx, v, others, load.How{}); err != nil {
			return err
		}
		load.AllFriends(v.Backend, users)
		login, err := v.During(func() (err error) {
			c.members, err = load.LoginAll(ctx, v, users, load.How{Mechanism: load.SCRAM}, (*load.Client).Roster)
			return err
		})
		if err != nil {
			return err
		}
		before, err := v.Memory()
		if err != nil {
			return err
		}
		var pings load.Latencies
		storm, err := v.During(func() error { return c.storm(ctx, v, &pings) })
		if err != nil {
			return err
		}
		add(report.Result{Scenario: "big group", Params: report.Params("people", c.n, "presence", c.pace), Bound: storm.Bound(), Values: []report.Value{
			named("a login", cpu(login, c.n)), named("a delivery", cpu(storm, c.n*c.n)),
			report.Took("everybody sees everybody", storm.Wall),
			report.One("stanzas", "a delivery", float64(c.stanzas.Load())/float64(c.n*c.n)), report.One("bytes", "B", float64(c.bytes.Load())/float64(c.n*c.n)),
			report.One("memory before", "B", float64(before.PSS)), report.One("memory at most", "B", float64(c.peak.Load())),
			report.Took("ping of others p50", pings.Percentile(50)), report.Took("ping of others p99", pings.Percentile(99)),
		}})
		return nil
	})
}

// storm is over when everybody has seen everybody.
func (c *crowd) storm(ctx context.Context, v *target.Server, pings *load.Latencies) error {
	ctx, done := context.WithCancel(ctx)
	defer done()
	var beside sync.WaitGroup
	defer beside.Wait()
	defer done()
	var failed error // of those beside
	beside.Go(func() { failed = c.watch(ctx, v) })
	for _, o := range c.others {
		beside.Go(func() {
			for ctx.Err() == nil {
				if pings.Time(o.Ping) != nil {
					return // its connection is closed when the round has failed
				}
				sleep(ctx, 50*time.Millisecond) // they are part of what the storm costs
			}
		})
	}
	var readers sync.WaitGroup
	errs := make([]error, len(c.members))
	for i, m := range c.members {
		readers.Go(func() { errs[i] = c.see(m) })
	}
	err := load.Each(4, func(lane int) error {
		for i := lane; i < len(c.members); i += 4 {
			if err := c.members[i].Available(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		load.CloseAll(c.members)
	}
	readers.Wait()
	done()
	beside.Wait()
	return errors.Join(err, failed, first(errs))
}

// first is the first error, and how many there are.
func first(errs []error) error {
	n := 0
	var found error
	for _, err := range errs {
		if err != nil {
			if n++; n == 1 {
				found = err
			}
		}
	}
	if n > 1 {
		return fmt.Errorf("%w; and %d more", found, n-1)
	}
	return found
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// watch notes the most memory that the server has had.
func (c *crowd) watch(ctx context.Context, v *target.Server) error {
	for {
		m, err := v.Memory()
		if err != nil {
			return err
		}
		c.peak.Store(max(c.peak.Load(), m.PSS))
		if ctx.Err() != nil {
			return nil
		}
		sleep(ctx, 200*time.Millisecond)
	}
}

var readBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// see reads until a member has been shown all, himself too.
func (c *crowd) see(m *load.Client) error {
	seen, missing := make([]uint64, c.n/64+1), c.n
	room := readBuffers.Get().(*[32 << 10]byte)
	defer readBuffers.Put(room)
	kept := 0
	for {
		n, err := m.Conn().Read(room[kept:])
		c.bytes.Add(int64(n))
		b := room[:kept+n]
		stanzas, used := noted(b, seen)
		c.stanzas.Add(int64(stanzas))
		if stanzas > 0 {
			missing = c.n
			for _, word := range seen {
				missing -= bits.OnesCount64(word)
			}
		}
		switch {
		case missing == 0:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the server has ended the stream of %s, who misses %d of %d: %.300q", m.User, missing, c.n, b)
		case err != nil:
			return fmt.Errorf("%s misses %d of %d: %w", m.User, missing, c.n, err)
		}
		kept = copy(room[:], b[used:])
	}
}

var senderOf = []byte(" from='m")

// noted notes whose presence is in b, and tells how many addresses there were of senders, those of delays left out, and
// what need not be looked at again.
func noted(b []byte, seen []uint64) (stanzas, used int) {
	for {
		i := bytes.Index(b[used:], senderOf)
		if i < 0 {
			return stanzas, max(used, len(b)-len("<delay xmlns='urn:xmpp:delay'")-len(senderOf)-20)
		}
		at := used + i
		n, end := 0, at+len(senderOf)
		for end < len(b) && b[end] >= '0' && b[end] <= '9' {
			n, end = n*10+int(b[end]-'0'), end+1
		}
		if end == len(b) {
			return stanzas, max(used, at-len("<delay xmlns='urn:xmpp:delay'"))
		}
		used = end
		if bytes.HasSuffix(b[:at], []byte("urn:xmpp:delay'")) || n/64 >= len(seen) {
			continue
		}
		seen[n/64] |= 1 << (n % 64)
		stanzas++
	}
}
