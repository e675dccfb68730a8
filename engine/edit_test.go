package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// book is an Editor that keeps rosters in memory. The contact's localpart may say how an edit ends.
type book struct {
	mu      sync.Mutex
	rosters map[addr.Bare]roster.Roster
	made    []string
	editing map[addr.Bare]bool
	down    bool          // Fetch fails
	gate    chan struct{} // Fetch answers after it is closed with what was before; nil: at once
	hold    chan struct{} // the same for an Edit of the contact "held"
}

func (b *book) Fetch(_ context.Context, r Request) (Answer, error) {
	b.mu.Lock()
	down, answer, gate := b.down, Answer{Roster: b.rosters[r.User]}, b.gate
	b.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if down {
		return Answer{}, errors.New("down")
	}
	return answer, nil
}

func (b *book) open(gate chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gate = gate
}

func (b *book) Edit(ctx context.Context, e Edit) (Edited, error) {
	if err := b.begin(e); err != nil {
		return Edited{}, err
	}
	defer b.end(e)
	switch e.Contact.Local() {
	case "denied":
		return Edited{}, fmt.Errorf("%w: not him", ErrDenied)
	case "panic":
		panic("oh")
	case "goexit":
		runtime.Goexit()
	case "slow":
		<-ctx.Done()
		return Edited{}, ctx.Err()
	case "held":
		<-b.hold
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rosters[e.User]
	var done Edited
	if old, ok := r.Get(e.Contact); ok {
		done.Old = &old
	}
	items := slices.DeleteFunc(slices.Clone(r.Items()), func(i roster.Item) bool { return i.JID == e.Contact })
	if e.Action == Set {
		done.New = &roster.Item{JID: e.Contact, Name: e.Item.Name, Subscription: roster.Both}
		items = append(items, *done.New)
	} else if done.Old == nil {
		return Edited{}, ErrNoItem
	}
	b.rosters[e.User], _ = roster.New(e.User, items...)
	b.made = append(b.made, short(e.User)+" "+string(e.Action)+" "+short(e.Contact))
	return done, nil
}

func (b *book) begin(e Edit) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.ID == "" || b.editing[e.User] {
		return fmt.Errorf("the edit %q of %s comes while another is under way: %v", e.ID, e.User, b.editing[e.User])
	}
	b.editing[e.User] = true
	return nil
}

func (b *book) end(e Edit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.editing[e.User] = false
}

func (b *book) Pending(_ context.Context, user addr.Bare) ([]PendingRequest, error) {
	if user == jid("nobody") {
		return nil, ErrUnknownUser
	}
	return []PendingRequest{{From: jid("juliet"), Stanza: []byte("<presence/>")}}, nil
}

// desk is an engine over a book, and what its watcher was told.
type desk struct {
	*Engine
	book *book

	mu   sync.Mutex
	told []string
}

func atDesk(t *testing.T, change func(*Host), test func(*testing.T, *desk)) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{book: &book{rosters: map[addr.Bare]roster.Roster{}, editing: map[addr.Bare]bool{}, hold: make(chan struct{})}}
		h := Host{Backend: d.book, OneSided: true, Retry: -1}
		if change != nil {
			change(&h)
		}
		readOnly := h
		readOnly.Backend = BackendFunc(d.book.Fetch)
		d.Engine = New(map[string]Host{"example.com": h, "other.example": readOnly}, d.watch, slog.New(slog.DiscardHandler))
		test(t, d)
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if n := len(d.edits.last); n > 0 {
			t.Errorf("%d users have edits that never end", n)
		}
	})
}

func (d *desk) watch(ev Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, short(ev.User)+describe(ev))
}

func (d *desk) expect(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.told, want) {
		t.Errorf("told\n  %s\nwant\n  %s", strings.Join(d.told, "\n  "), strings.Join(want, "\n  "))
	}
	d.told = nil
}

func (d *desk) attach(t *testing.T, who string) {
	t.Helper()
	r, err := d.Attach(jid(who))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Release)
	synctest.Wait()
}

func set(who, contact, name string) Edit {
	return Edit{User: jid(who), Contact: jid(contact), Action: Set, Item: roster.Item{Name: name}}
}

func TestEditIsToldBeforeItReturns(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk) {
		d.attach(t, "romeo")
		d.expect(t, "romeo first {}")
		got, err := d.Edit(context.Background(), set("romeo", "juliet", ""))
		if err != nil || got.Old != nil || got.New == nil || got.New.JID != jid("juliet") {
			t.Errorf("%+v, %v", got, err)
		}
		d.expect(t, "romeo {} → {juliet} +juliet")
		if _, err := d.Edit(context.Background(), set("romeo", "juliet", "J")); err != nil {
			t.Error(err)
		}
		d.expect(t, "romeo {juliet} → {juliet=J} ~juliet")
		if _, err := d.Edit(context.Background(), set("romeo", "juliet", "J")); err != nil {
			t.Error(err)
		}
		d.expect(t) // nothing changed
		if _, err := d.Edit(context.Background(), Edit{User: jid("romeo"), Contact: jid("juliet"), Action: Remove}); err != nil {
			t.Error(err)
		}
		d.expect(t, "romeo {juliet=J} → {} -juliet")
	})
}

func TestEditOfSomebodyOffline(t *testing.T) {
	m := &memory{}
	atDesk(t, func(h *Host) { h.Keeper = m }, func(t *testing.T, d *desk) {
		m.fresh = map[addr.Bare]time.Time{jid("romeo"): time.Now().Add(time.Hour)}
		if _, err := d.Edit(context.Background(), set("romeo", "juliet", "")); err != nil {
			t.Fatal(err)
		}
		if until, err := m.Fresh(context.Background(), jid("romeo")); err != nil || !until.IsZero() {
			t.Errorf("what is kept of the roster is fresh until %v after the edit (%v)", until, err)
		}
		d.expect(t)
		d.attach(t, "romeo")
		d.expect(t, "romeo first {juliet}")
	})
}

func TestEditWhileTheRosterIsFetched(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk) {
		d.attach(t, "romeo")
		d.expect(t, "romeo first {}")
		gate := make(chan struct{})
		d.book.open(gate)
		d.ask(d.find(jid("romeo")), ReasonRefresh)
		synctest.Wait()
		done := make(chan error, 1)
		go func() { _, err := d.Edit(context.Background(), set("romeo", "juliet", "")); done <- err }()
		synctest.Wait()
		d.book.open(nil)
		close(gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
		d.expect(t, "romeo {} → {juliet} +juliet")
	})
}

func TestEditsOfOneUserFollowEachOther(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk) {
		edit := func(ctx context.Context, e Edit) <-chan error {
			done := make(chan error, 1)
			go func() { _, err := d.Edit(ctx, e); done <- err }()
			synctest.Wait()
			return done
		}
		first := edit(context.Background(), set("romeo", "held", ""))
		second := edit(context.Background(), set("romeo", "juliet", ""))
		ctx, leave := context.WithCancel(context.Background())
		third := edit(ctx, set("romeo", "nurse", ""))
		other := edit(context.Background(), set("juliet", "romeo", ""))
		leave()
		if err := <-third; !errors.Is(err, context.Canceled) {
			t.Errorf("who left is told %v", err)
		}
		if err := <-other; err != nil {
			t.Errorf("another user had to wait: %v", err)
		}
		close(d.book.hold)
		for _, done := range []<-chan error{first, second} {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		want := []string{"juliet set romeo", "romeo set held", "romeo set juliet"} // and what nobody waited for was not begun
		if !slices.Equal(d.book.made, want) {
			t.Errorf("made %q, want %q", d.book.made, want)
		}
	})
}

func TestEditThatIsRefused(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk) {
		d.attach(t, "romeo")
		d.expect(t, "romeo first {}")
		tests := []struct {
			name string
			edit Edit
			want string
			is   error
		}{
			{"no such host", set("romeo@elsewhere.example", "juliet", ""), "no roster provider for elsewhere.example", ErrNoHost},
			{"read-only", set("romeo@other.example", "juliet", ""), "roster of romeo@other.example: contacts are managed elsewhere", ErrReadOnly},
			{"by the editor", set("romeo", "denied", ""), "the backend denies access: not him", ErrDenied},
			{"nothing to remove", Edit{User: jid("romeo"), Contact: jid("juliet"), Action: Remove}, "no such contact", ErrNoItem},
			{"panic", set("romeo", "panic", ""), "plugin fault (trap): panic: oh", nil},
			{"no answer at all", set("romeo", "goexit", ""), "plugin fault (trap): the edit ended without an answer", errEdit},
			{"too slow", set("romeo", "slow", ""), "no answer within 5s: context deadline exceeded", context.DeadlineExceeded},
		}
		for _, test := range tests {
			_, err := d.Edit(context.Background(), test.edit)
			if err == nil || err.Error() != test.want || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%s: %v, want %s", test.name, err, test.want)
			}
		}
		d.expect(t)
		if s := d.Hosts()["example.com"]; s.Calls != 0 || s.Breaker.Faults != 0 {
			t.Errorf("%d calls stay behind, %d faults", s.Calls, s.Breaker.Faults)
		}
	})
}

func TestEditWhoseRosterCannotBeFetched(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk) {
		d.attach(t, "romeo")
		d.expect(t, "romeo first {}")
		d.book.mu.Lock()
		d.book.down = true
		d.book.mu.Unlock()
		if _, err := d.Edit(context.Background(), set("romeo", "juliet", "")); err != nil {
			t.Errorf("the change was made: %v", err)
		}
		d.expect(t)
	})
}

func TestEditWhenTheEngineIsClosed(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk) {
		slow := make(chan error, 1)
		go func() { _, err := d.Edit(context.Background(), set("romeo", "slow", "")); slow <- err }()
		synctest.Wait()
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-slow; !errors.Is(err, ErrClosed) {
			t.Errorf("cut short: %v", err)
		}
		if _, err := d.Edit(context.Background(), set("romeo", "juliet", "")); !errors.Is(err, ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestPending(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk) {
		got, err := d.Pending(context.Background(), jid("romeo"))
		if err != nil || len(got) != 1 || got[0].From != jid("juliet") {
			t.Errorf("%v, %v", got, err)
		}
		for who, want := range map[string]error{"romeo@elsewhere.example": ErrNoHost, "romeo@other.example": ErrReadOnly, "nobody": ErrUnknownUser} {
			if _, err := d.Pending(context.Background(), jid(who)); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", who, err, want)
			}
		}
		for name, want := range map[string]bool{"example.com": true, "other.example": false, "elsewhere.example": false} {
			if got := d.Editable(name); got != want {
				t.Errorf("the rosters of %s are edited: %v", name, got)
			}
		}
	})
}
