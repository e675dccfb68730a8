package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// judge is a Writer: the contact's localpart says what it answers, and whom it takes the manager serves from then on.
type judge struct {
	m     *manager
	asked []Edit
}

func (j *judge) Edit(ctx context.Context, e Edit) error {
	j.asked = append(j.asked, e)
	switch e.Contact.Local() {
	case "veto":
		return &VetoError{"ask the nurse"}
	case "nobody":
		return fmt.Errorf("%w: 404", ErrNoItem)
	case "down":
		return &TemporaryError{Err: errors.New("503")}
	case "slow":
		j.m.serve("slow", nil) // it has happened, and nobody has heard of it
		<-ctx.Done()
		return ctx.Err()
	}
	j.m.serve(e.Contact.Local(), nil)
	return nil
}

func beforeJudge(t *testing.T, test func(*testing.T, *desk, *manager, *judge)) {
	m := &manager{}
	j := &judge{m: m}
	atDesk(t, func(h *Host) { h.Backend, h.Writer, h.Generation, h.OneSided = m, j, "1", false }, func(t *testing.T, d *desk) { test(t, d, m, j) })
}

// The backend decides before anybody is told; then its roster is fetched.
func TestWriter(t *testing.T) {
	beforeJudge(t, func(t *testing.T, d *desk, m *manager, j *judge) {
		m.serve("nurse", nil)
		d.attach(t, "romeo")
		d.expect(t, "romeo first {nurse=managed}")
		e := set("romeo", "juliet", "J")
		e.Item.Groups = []string{"Loves"}
		d.edit(t, e)
		d.expect(t, "romeo {nurse=managed} → {juliet=managed} +juliet -nurse")
		want := Edit{User: jid("romeo"), Contact: jid("juliet"), Action: Set, Rev: "nurse", Item: roster.Item{JID: jid("juliet"), Name: "J", Groups: []string{"Loves"}}}
		if got := j.asked[0]; got.ID == "" || got.Action != want.Action || got.Rev != want.Rev || !got.Item.Equal(want.Item) {
			t.Errorf("asked %+v", got)
		}
		d.edit(t, Edit{User: jid("romeo"), Contact: jid("juliet"), Action: OutSubscribe})
		if got := j.asked[1]; got.ID == j.asked[0].ID || got.Item.Name != "managed" || got.Item.Subscription != roster.Both || got.Rev != "juliet" {
			t.Errorf("asked %+v", got)
		}
		d.expect(t)
		if m.asked != 3 {
			t.Errorf("%d fetches", m.asked)
		}
	})
}

// A no changes nothing; where nobody knows what has become of it, the roster shows it. It is asked for once.
func TestWriterThatRefuses(t *testing.T) {
	beforeJudge(t, func(t *testing.T, d *desk, m *manager, j *judge) {
		m.serve("nurse", nil)
		d.attach(t, "romeo")
		d.expect(t, "romeo first {nurse=managed}")
		var veto *VetoError
		var temporary *TemporaryError
		for _, tt := range []struct {
			contact string
			is      func(error) bool
			fetches int
		}{
			{"veto", func(err error) bool {
				return errors.As(err, &veto) && veto.Text == "ask the nurse" && errors.Is(err, ErrDenied)
			}, 0},
			{"nobody", func(err error) bool { return errors.Is(err, ErrNoItem) }, 1},
			{"down", func(err error) bool { return errors.As(err, &temporary) }, 1},
		} {
			asked, fetches := len(j.asked), m.asked
			_, err := d.Edit(context.Background(), Edit{User: jid("romeo"), Contact: jid(tt.contact), Action: OutSubscribe})
			synctest.Wait()
			if !tt.is(err) || len(j.asked) != asked+1 || m.asked != fetches+tt.fetches {
				t.Errorf("%s: %v, asked %d times, %d fetches", tt.contact, err, len(j.asked)-asked, m.asked-fetches)
			}
		}
		d.expect(t)
		if _, err := d.Edit(context.Background(), set("romeo", "slow", "")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("slow: %v", err)
		}
		synctest.Wait()
		d.expect(t, "romeo {nurse=managed} → {slow=managed} +slow -nurse")
		asked := len(j.asked)
		if _, err := d.Edit(context.Background(), Edit{User: jid("romeo"), Contact: jid("juliet"), Action: Remove}); !errors.Is(err, ErrNoItem) || len(j.asked) != asked {
			t.Errorf("who is not there: %v", err)
		}
		time.Sleep(time.Hour) // of the test's own clock
		if len(j.asked) != asked {
			t.Error("it was asked again")
		}
	})
}

// What comes for a user is answered as his roster says, and never asked of the backend; who is elsewhere hears what it allows.
func TestWriterAndOthers(t *testing.T) {
	beforeJudge(t, func(t *testing.T, d *desk, m *manager, j *judge) {
		m.serve("nurse juliet:to", nil)
		d.attach(t, "romeo")
		for who, want := range map[string]Action{"nurse": OutSubscribed, "juliet": OutUnsubscribed, "paris": OutUnsubscribed} {
			done, err := d.Edit(context.Background(), Edit{User: jid("romeo"), Contact: jid(who), Action: InSubscribe})
			if err != nil || done.Answer != want || done.Deliver {
				t.Errorf("%s asks: %+v, %v", who, done, err)
			}
			for _, a := range []Action{InSubscribed, InUnsubscribe, InUnsubscribed} {
				if done, err := d.Edit(context.Background(), Edit{User: jid("romeo"), Contact: jid(who), Action: a}); err != nil || done.Answer != "" || done.Deliver {
					t.Errorf("%s %s: %+v, %v", who, a, done, err)
				}
			}
		}
		if len(j.asked) != 0 {
			t.Errorf("asked %+v", j.asked)
		}
		if list, err := d.Pending(context.Background(), jid("romeo")); err != nil || len(list) != 0 {
			t.Errorf("%v, %v", list, err)
		}
		for who, want := range map[string][]Action{"juliet": nil, "juliet@other.example": {OutSubscribe}} {
			done, err := d.Edit(context.Background(), Edit{User: jid("romeo"), Contact: jid(who), Action: OutSubscribe})
			if err != nil || !slices.Equal(done.Route, want) {
				t.Errorf("%s: %+v, %v", who, done, err)
			}
		}
	})
	for _, tt := range []struct {
		a    Action
		s    roster.Subscription
		want []Action
	}{
		{Set, roster.Both, nil}, {OutUnsubscribe, roster.None, []Action{OutUnsubscribe}}, {Remove, roster.None, nil},
		{Remove, roster.To, []Action{OutUnsubscribe}}, {Remove, roster.Both, []Action{OutUnsubscribe, OutUnsubscribed}},
	} {
		if got := routed(tt.a, tt.s); !slices.Equal(got, tt.want) {
			t.Errorf("%s of %s: %v", tt.a, tt.s, got)
		}
	}
	for a, want := range map[Action]string{Set: "set", Remove: "remove", OutSubscribe: "subscribe", InUnsubscribed: "unsubscribed"} {
		if got := a.Name(); got != want {
			t.Errorf("%s is named %s", a, got)
		}
	}
}

// What the backend has taken has not failed because its roster is long in coming.
func TestWriterWhoseRosterIsLate(t *testing.T) {
	beforeJudge(t, func(t *testing.T, d *desk, m *manager, j *judge) {
		m.serve("nurse", nil)
		d.attach(t, "romeo")
		d.expect(t, "romeo first {nurse=managed}")
		gate := make(chan struct{})
		m.hold(gate)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := d.Edit(ctx, set("romeo", "paris", "")); err != nil || ctx.Err() == nil {
			t.Errorf("taken, and yet %v", err)
		}
		m.hold(nil)
		close(gate)
		synctest.Wait()
		d.expect(t, "romeo {nurse=managed} → {paris=managed} +paris -nurse")
	})
}

// remover is a Writer that has the manager serve what is left, at the last removal nothing at all.
type remover struct{ m *manager }

func (r remover) Edit(_ context.Context, e Edit) error {
	switch e.Contact.Local() {
	case "veto":
		return &VetoError{}
	case "last":
		r.m.serve("", nil)
		return nil
	}
	left := slices.DeleteFunc(strings.Fields(r.m.list), func(s string) bool { return s == e.Contact.Local() })
	r.m.serve(strings.Join(left, " "), nil)
	return nil
}

// Whom a user removes himself the shrink guard does not count, however many they are. Others it does, also in the same
// answer, and whom the user was not allowed to remove.
func TestWriterAndTheShrinkGuard(t *testing.T) {
	for _, tt := range []struct {
		name, removed string
		held          bool
		left          int
	}{
		{"one by one", "a b c d e", false, 3},
		{"all", "a b c d e f veto last", false, 0},
		{"more than he has removed", "a b last", true, 6},
		{"who was not to be removed", "veto last", true, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &manager{}
			atDesk(t, func(h *Host) {
				h.Backend, h.Writer, h.Generation, h.OneSided, h.ShrinkGuard = m, remover{m}, "1", true, 10
			}, func(t *testing.T, d *desk) {
				m.serve("a b c d e f veto last", nil)
				d.attach(t, "romeo")
				for _, who := range strings.Fields(tt.removed) {
					_, err := d.Edit(t.Context(), Edit{User: jid("romeo"), Contact: jid(who), Action: Remove})
					if veto := (*VetoError)(nil); err != nil && !errors.As(err, &veto) {
						t.Fatalf("%s: %v", who, err)
					}
				}
				if o, _ := d.Inspect(jid("romeo")); (o.Held != nil) != tt.held || o.Roster.Len() != tt.left {
					t.Errorf("held %+v, %d contacts are left, want %d", o.Held, o.Roster.Len(), tt.left)
				}
			})
		})
	}
}

// couple is a backend that has both sides of a pair. Whose gate is shut it does not answer for.
type couple struct {
	mu      sync.Mutex
	rosters map[addr.Bare]string
	gates   map[addr.Bare]chan struct{}
}

func (c *couple) Fetch(ctx context.Context, r Request) (Answer, error) {
	c.mu.Lock()
	gate := c.gates[r.User]
	c.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return Answer{Roster: parseRoster(c.rosters[r.User])}, nil
}

func (c *couple) Edit(_ context.Context, e Edit) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rosters[e.User], c.rosters[e.Contact] = short(e.Contact), short(e.User)
	return nil
}

// shut has nobody learn what the roster of a user is, until open is called.
func (c *couple) shut(who string) (open func()) {
	gate := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gates[jid(who)] = gate
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.gates, jid(who))
		close(gate)
	}
}

// beforeCouple has juliet online, and a backend that has five seconds for each call.
func beforeCouple(t *testing.T, k Keeper, test func(*testing.T, *desk, *couple)) {
	c := &couple{rosters: map[addr.Bare]string{}, gates: map[addr.Bare]chan struct{}{}}
	atDesk(t, func(h *Host) {
		h.Backend, h.Writer, h.OneSided, h.Keeper, h.Timeout = c, c, false, k, 5*time.Second
	}, func(t *testing.T, d *desk) {
		d.attach(t, "juliet")
		d.expect(t, "juliet first {}")
		test(t, d, c)
	})
}

// asks has romeo subscribe to juliet, which is answered after so long.
func (d *desk) asks(t *testing.T, after time.Duration) {
	t.Helper()
	start := time.Now()
	d.edit(t, Edit{User: jid("romeo"), Contact: jid("juliet"), Action: OutSubscribe})
	if took := time.Since(start); took != after {
		t.Errorf("answered after %v, not %v", took, after)
	}
}

// An edit that was taken is answered when the user's own roster has been fetched, and never waits for the contact's.
func TestWriterAndTheContactsRoster(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(*testing.T, *desk, *couple)
		told []string
	}{
		{"the contact's hangs", func(t *testing.T, d *desk, c *couple) {
			d.attach(t, "romeo")
			open := c.shut("juliet")
			d.asks(t, 0)
			d.expect(t, "romeo first {}", "romeo {} → {juliet} +juliet")
			open()
		}, []string{"juliet {} → {romeo} +romeo"}},
		{"the contact's hangs at the end", func(t *testing.T, d *desk, c *couple) { // Close does not wait for it to be late
			d.attach(t, "romeo")
			c.shut("juliet")
			d.asks(t, 0)
		}, []string{"romeo first {}", "romeo {} → {juliet} +juliet"}},
		{"his own hangs", func(t *testing.T, d *desk, c *couple) {
			d.attach(t, "romeo")
			c.shut("romeo")
			d.asks(t, 5*time.Second)
		}, []string{"romeo first {}", "juliet {} → {romeo} +romeo"}},
		{"his own hangs, and did before", func(t *testing.T, d *desk, c *couple) {
			d.attach(t, "romeo")
			c.shut("romeo")
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			d.Refresh(ctx, "example.com", []string{"romeo"})
			time.Sleep(time.Second) // of the test's own clock, as below
			d.asks(t, 5*time.Second)
			time.Sleep(5 * time.Second)
		}, []string{"romeo first {}", "juliet {} → {romeo} +romeo"}},
		{"he is offline", func(t *testing.T, d *desk, c *couple) { d.asks(t, 0) }, []string{"juliet {} → {romeo} +romeo"}},
		{"he leaves meanwhile", func(t *testing.T, d *desk, c *couple) {
			romeo, err := d.Attach(jid("romeo"))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			c.shut("romeo")
			time.AfterFunc(time.Second, romeo.Release)
			d.asks(t, time.Second)
		}, []string{"romeo first {}", "juliet {} → {romeo} +romeo"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			beforeCouple(t, nil, func(t *testing.T, d *desk, c *couple) {
				tt.play(t, d, c)
				synctest.Wait()
				d.expect(t, tt.told...)
			})
		})
	}
}

// What is kept of a contact who is offline is fresh no more, whoever has left meanwhile.
func TestWriterAndWhatIsKept(t *testing.T) {
	for _, online := range []bool{true, false} {
		m := &memory{}
		beforeCouple(t, m, func(t *testing.T, d *desk, c *couple) {
			m.fresh = map[addr.Bare]time.Time{jid("nurse"): time.Now().Add(time.Hour), jid("paris"): time.Now().Add(time.Hour)}
			if online {
				d.attach(t, "romeo")
			}
			d.edit(t, Edit{User: jid("romeo"), Contact: jid("nurse"), Action: OutSubscribe})
			synctest.Wait()
			for who, fresh := range map[string]bool{"nurse": false, "paris": true} {
				if until, err := m.Fresh(context.Background(), jid(who)); err != nil || until.IsZero() == fresh {
					t.Errorf("online %t: the roster of %s is fresh until %v, want %t; %v", online, who, until, fresh, err)
				}
			}
		})
	}
}

// While nobody knows what is in a user's roster, nothing is asked in his name: the item as he wants it would be none that
// he has been told.
func TestWriterWithoutARoster(t *testing.T) {
	beforeJudge(t, func(t *testing.T, d *desk, m *manager, j *judge) {
		m.serve("nurse", &TemporaryError{Err: errors.New("503")})
		d.attach(t, "romeo")
		synctest.Wait()
		for _, e := range []Edit{
			set("romeo", "nurse", "Angelica"),
			{User: jid("romeo"), Contact: jid("nurse"), Action: Remove},
			{User: jid("romeo"), Contact: jid("nurse"), Action: OutSubscribe},
		} {
			_, err := d.Edit(t.Context(), e)
			var temporary *TemporaryError
			if !errors.As(err, &temporary) {
				t.Errorf("%s: %v", e.Action, err)
			}
		}
		for _, e := range j.asked {
			t.Errorf("asked for %s of %+v", e.Action, e.Item)
		}
	})
}

// Who edits while his roster is on its way is asked for once it has come.
func TestWriterWaitsForTheRoster(t *testing.T) {
	beforeJudge(t, func(t *testing.T, d *desk, m *manager, j *judge) {
		m.serve("nurse", nil)
		gate := make(chan struct{})
		m.hold(gate)
		d.attach(t, "romeo")
		done := make(chan error, 1)
		go func() {
			_, err := d.Edit(t.Context(), set("romeo", "nurse", "Angelica"))
			done <- err
		}()
		synctest.Wait()
		if len(j.asked) != 0 {
			t.Errorf("asked for %+v", j.asked)
		}
		m.hold(nil)
		close(gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(j.asked) != 1 || j.asked[0].Item.Subscription != roster.Both {
			t.Errorf("asked for %+v", j.asked)
		}
	})
}
