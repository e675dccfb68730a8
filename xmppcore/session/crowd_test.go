package session_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
)

// actor is somebody whose presence is shown.
type actor struct {
	*session.Session
	last *session.Presence
	n    int
}

func newActor(jid string) *actor {
	return &actor{Session: session.New(addr.MustParse(jid), nil, session.NewLimits(session.Limits{}))}
}

func (a *actor) says(first bool) *session.Presence {
	a.last.Pass()
	a.n++
	a.last = session.NewPresence(a.Session, fmt.Appendf(nil, "<presence from='%s'><status>%d</status></presence>", a.Full, a.n), first)
	return a.last
}

func (a *actor) leaves() *session.Presence {
	a.last.Pass()
	a.last = nil
	return session.NewAbsence(a.Session, stanza.AppendPresence(nil, a.Full.String(), "", stanza.TypeUnavailable, nil))
}

// heard is what was written, in short: a resource and what it says, x for nothing any more, and whatever is no presence.
func heard(t *testing.T, w *wire) string {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for e := range stanza.Elements(w.got.Bytes()) {
		from, in, ok := strings.Cut(string(e), " from='")
		if !ok || from != "<presence to='romeo@example.com'" {
			if from != "<presence to='romeo@example.com' type='unavailable'" {
				list = append(list, string(e))
				continue
			}
		}
		from, in, _ = strings.Cut(in, "'")
		_, in, ok = strings.Cut(in, "<status>")
		in, late, _ := strings.Cut(in, "</status>")
		if !ok {
			in = "x"
		}
		if strings.Contains(late, "<delay xmlns='urn:xmpp:delay' from='"+from+"' stamp='2000-01-01T") {
			in += " late"
		}
		list = append(list, from[:1]+in)
	}
	w.got.Reset()
	return strings.Join(list, ", ")
}

// brisk is a pace of four writes a second, two in a row.
var brisk = session.Limits{Hard: 4096, Pace: session.Pace{Rate: 4, Burst: 2}}

func TestCrowd(t *testing.T) {
	type world struct {
		s       *session.Session
		w       *wire
		a, b, c *actor
	}
	// busy has the client had its writes for the moment.
	busy := func(x *world) {
		for range 2 {
			x.s.Show(newActor("zoe@example.com/z").says(true), session.News)
		}
	}
	for _, c := range []struct {
		name        string
		do          func(x *world)
		now, a4, a1 string // written at once, after a quarter of a second, after a second
	}{
		{"one at a time", func(x *world) {
			x.s.Show(x.a.says(true), session.News)
			synctest.Wait()
			x.s.Show(x.a.says(false), session.News)
		}, "a1, a2", "", ""},
		{"more than a few are written together", func(x *world) {
			busy(x)
			x.s.Show(x.a.says(true), session.News)
			x.s.Show(x.b.says(true), session.News)
		}, "z1, z1", "a1, b1", ""},
		{"the last of each", func(x *world) {
			busy(x)
			x.s.Show(x.a.says(true), session.News)
			x.s.Show(x.b.says(true), session.News)
			x.s.Show(x.a.says(false), session.News)
			x.s.Show(x.a.says(false), session.News)
		}, "z1, z1", "b1, a3", ""},
		{"what is newer may come too late", func(x *world) {
			busy(x)
			x.s.Show(x.a.says(true), session.News)
			x.a.says(false)
		}, "z1, z1", "a1", ""},
		{"who comes and goes was never there", func(x *world) {
			busy(x)
			x.s.Show(x.a.says(true), session.News)
			x.s.Show(x.b.says(true), session.News)
			x.s.Show(x.a.says(false), session.News)
			x.s.Show(x.a.leaves(), session.News)
		}, "z1, z1", "b1", ""},
		{"who was there is gone", func(x *world) {
			x.s.Show(x.a.says(true), session.News)
			x.s.Show(x.b.says(true), session.News)
			x.s.Show(x.a.says(false), session.News)
			x.s.Show(x.a.leaves(), session.News)
			x.s.Show(x.b.leaves(), session.News)
			x.s.Show(x.b.says(true), session.News)
		}, "a1, b1", "ax, b2", ""},
		{"who was there comes back and goes again", func(x *world) {
			x.s.Show(x.a.says(true), session.News)
			x.s.Show(x.b.says(true), session.News)
			x.s.Show(x.a.leaves(), session.News)
			x.s.Show(x.a.says(true), session.News)
			x.s.Show(x.a.leaves(), session.News)
		}, "a1, b1", "ax", ""},
		{"who was seen otherwise", func(x *world) {
			busy(x)
			p := x.a.says(true)
			x.s.Show(p, session.Dated)
			x.s.Show(p, session.News)
			x.s.Show(x.a.leaves(), session.News)
		}, "z1, z1, a1 late", "ax", ""},
		{"another resource of that name", func(x *world) {
			x.s.Show(x.a.says(true), session.News)
			x.s.Show(x.b.says(true), session.News)
			x.s.Show(x.a.leaves(), session.News)
			x.a = newActor("ann@example.com/a")
			x.s.Show(x.a.says(true), session.News)
		}, "a1, b1", "ax, a1", ""},
		{"what is shown late does not wait", func(x *world) {
			busy(x)
			x.s.Show(x.a.says(true), session.Dated)
			x.s.Show(x.b.says(true), session.Known)
		}, "z1, z1, a1 late, b1", "", ""},
		{"nor what waits before it", func(x *world) {
			busy(x)
			x.s.Show(x.a.says(true), session.News)
			x.s.Show(x.b.says(true), session.Dated)
		}, "z1, z1, a1, b1 late", "", ""},
		{"nothing of the server's overtakes it", func(x *world) {
			busy(x)
			x.s.Show(x.a.says(true), session.News)
			x.s.AppendOwn(func(dst []byte) []byte { return append(dst, "<iq/>"...) })
			x.s.Show(x.b.says(true), session.News)
			x.s.Append(func(dst []byte) []byte { return append(dst, "<iq/>"...) })
		}, "z1, z1, a1, <iq/>, b1, <iq/>", "", ""},
		{"nothing of the same user's does", func(x *world) {
			busy(x)
			x.s.Show(x.a.says(true), session.News)
			x.s.Show(x.b.says(true), session.News)
			x.s.Show(newActor("ann@example.com/b").says(true), session.News)
			x.s.AppendFrom(addr.MustParse("ann@example.com/elsewhere"), func(dst []byte) []byte { return append(dst, "<message/>"...) })
			x.s.AppendFrom(addr.MustParse("cat@example.com/c"), func(dst []byte) []byte { return append(dst, "<message id='2'/>"...) })
		}, "z1, z1, a1, a1, <message/>, <message id='2'/>", "b1", ""},
		{"the end of the stream", func(x *world) {
			busy(x)
			x.s.Show(x.a.says(true), session.News)
			x.s.Close(nil)
			if x.s.Show(x.b.says(true), session.News) {
				t.Error("shown to nobody")
			}
		}, "z1, z1, a1", "", ""},
		{"again and again", func(x *world) {
			for i := range 100 {
				x.s.Show(x.a.says(i == 0), session.News)
				time.Sleep(7 * time.Millisecond)
			}
		}, "a1, a2, a36, a72", "a100", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				x := &world{start(w, brisk), w, newActor("ann@example.com/a"), newActor("bob@example.com/b"), newActor("cat@example.com/c")}
				c.do(x)
				for _, then := range []struct {
					want  string
					after time.Duration
				}{{c.now, 0}, {c.a4, 250 * time.Millisecond}, {c.a1, time.Second}} {
					time.Sleep(then.after)
					if got := heard(t, w); got != then.want {
						t.Errorf("after %v: %s; want %s", then.after, got, then.want)
					}
				}
				x.s.Close(nil)
				x.s.Wait()
				if w.mu.Lock(); len(w.closes) != 1 || w.closes[0] != nil {
					t.Errorf("closed with %v", w.closes)
				}
				w.mu.Unlock()
			})
		})
	}
}

// A client that reads nothing is owed the last of each, by reference: its stream goes on.
func TestCrowdAndASlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.gate = make(chan struct{})
		var counts session.Counts
		s := start(w, session.Limits{Hard: 4096, Counts: &counts})
		const people, rounds = 2000, 20
		all := make([]*actor, people)
		for i := range all {
			all[i] = newActor(fmt.Sprintf("u%d@example.com/x", i))
		}
		for range rounds {
			for _, a := range all {
				if !s.Show(a.says(a.n == 0), session.News) {
					t.Fatal("the stream has ended")
				}
				if n := s.Queued(); n > 40<<10 {
					t.Fatalf("%d bytes are queued", n)
				}
			}
		}
		close(w.gate)
		time.Sleep(time.Minute)
		synctest.Wait()
		for i, a := range all {
			if !bytes.Contains(w.got.Bytes(), a.last.Stanza()[len("<presence"):]) {
				t.Fatalf("the last presence of %d is not shown", i)
			}
		}
		if n := bytes.Count(w.got.Bytes(), []byte("</presence>")); n > people*2 || counts.Superseded.Load() == 0 || counts.Hard.Load() > 0 {
			t.Errorf("%d stanzas were written, %d were not", n, counts.Superseded.Load())
		}
		s.Close(nil)
		s.Wait()
	})
}

// Whatever is held and dropped, the client ends up with what everybody has said last.
func TestCrowdConverges(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			w := newWire(t)
			s := start(w, session.Limits{Pace: session.Pace{Rate: 4, Burst: 1}})
			all := make([]*actor, 5)
			for i := range all {
				all[i] = newActor(fmt.Sprintf("%c@example.com/x", 'a'+i))
			}
			for range 60 {
				a := all[rnd.IntN(len(all))]
				switch {
				case rnd.IntN(3) > 0:
					s.Show(a.says(a.last == nil), session.News)
				case a.last == nil:
				case rnd.IntN(3) == 0:
					s.Show(a.last, session.Dated)
				default:
					s.Show(a.leaves(), session.News)
				}
				switch rnd.IntN(12) {
				case 0:
					time.Sleep(300 * time.Millisecond)
				case 1:
					s.AppendFrom(all[rnd.IntN(len(all))].Full, func(dst []byte) []byte { return append(dst, "<message/>"...) })
				}
			}
			s.Close(nil)
			s.Wait()
			seen := map[string]string{}
			for _, e := range strings.Split(heard(t, w), ", ") {
				switch what := strings.TrimSuffix(e[1:], " late"); {
				case e == "<message/>":
				case what == "x":
					delete(seen, e[:1])
				default:
					seen[e[:1]] = what
				}
			}
			for _, a := range all {
				want := ""
				if a.last != nil {
					want = fmt.Sprint(a.n)
				}
				if got := seen[a.Full.Local()]; got != want {
					t.Errorf("seed %d: %s is seen as %q, not %q", seed, a.Full, got, want)
				}
			}
		})
	}
}
