package engine

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Assign puts contacts into a book. What Decide returns may say how it ends.
func (b *book) Assign(ctx context.Context, a Assignment) (int, error) {
	if err := b.begin(Edit{ID: "assign", User: a.User, Action: "assign"}); err != nil {
		return 0, err
	}
	defer b.end(Edit{User: a.User})
	b.mu.Lock()
	now := b.rosters[a.User]
	b.mu.Unlock()
	put, remove, err := a.Decide(now)
	if err != nil {
		return 0, err
	}
	for _, i := range put {
		switch i.JID.Local() {
		case "panic":
			panic("oh")
		case "goexit":
			runtime.Goexit()
		case "slow":
			<-ctx.Done()
			return 0, ctx.Err()
		case "held":
			<-b.hold
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	items := put
	for i := range b.rosters[a.User].All() {
		if len(remove) == 0 || i.JID != remove[0] {
			items = append([]roster.Item{i}, items...)
		}
	}
	before := b.rosters[a.User]
	b.rosters[a.User], _ = roster.New(a.User, items...)
	if before.Equal(b.rosters[a.User]) {
		return 0, nil
	}
	if len(put) > 0 && put[0].JID.Local() == "late" {
		return 0, context.DeadlineExceeded
	}
	return len(put) + len(remove), nil
}

var _ Assigner = (*book)(nil)

func assign(who, contact string) Assignment {
	return Assignment{User: jid(who), Decide: func(roster.Roster) ([]roster.Item, []addr.Bare, error) {
		return []roster.Item{{JID: jid(contact), Subscription: roster.Both}}, nil, nil
	}}
}

func TestAssign(t *testing.T) {
	m := &memory{}
	change := func(h *Host) { h.Assigner, h.Keeper = h.Backend.(Assigner), m }
	atDesk(t, change, func(t *testing.T, d *desk) {
		ctx := context.Background()
		if n, err := d.Assign(ctx, assign("romeo", "juliet")); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		d.expect(t)
		d.attach(t, "romeo")
		d.expect(t, "romeo first {juliet}")
		if n, err := d.Assign(ctx, assign("romeo", "nurse")); n != 1 || err != nil {
			t.Error(n, err)
		}
		d.expect(t, "romeo {juliet} → {juliet nurse} +nurse")
		if n, err := d.Assign(ctx, assign("romeo", "nurse")); n != 0 || err != nil {
			t.Error(n, err)
		}
		d.expect(t) // nothing changed
		list, err := d.Look(ctx, jid("romeo"))
		if err != nil || list.Len() != 2 {
			t.Error(contacts(list), err)
		}

		// After his own edit, which is not done.
		edit := make(chan error, 1)
		go func() { _, err := d.Edit(ctx, set("romeo", "held", "")); edit <- err }()
		synctest.Wait()
		left, leave := context.WithCancel(ctx)
		gone, waiting := make(chan error, 1), make(chan error, 1)
		go func() { _, err := d.Assign(left, assign("romeo", "paris")); gone <- err }()
		synctest.Wait()
		go func() { _, err := d.Assign(ctx, assign("romeo", "tybalt")); waiting <- err }()
		synctest.Wait()
		leave()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("who left is told %v", err)
		}
		close(d.book.hold)
		if err := errors.Join(<-edit, <-waiting); err != nil {
			t.Error(err)
		}
		list, err = d.Look(ctx, jid("romeo"))
		if got := contacts(list); err != nil || got != "held juliet nurse tybalt" {
			t.Errorf("%s, %v", got, err)
		}
	})
}

// What has come too late to be known to be done is told when the application tries again, although nothing changes then.
func TestAssignAgain(t *testing.T) {
	atDesk(t, func(h *Host) { h.Assigner = h.Backend.(Assigner) }, func(t *testing.T, d *desk) {
		ctx := context.Background()
		d.attach(t, "romeo")
		d.expect(t, "romeo first {}")
		if _, err := d.Assign(ctx, assign("romeo", "late")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		d.expect(t)
		if n, err := d.Assign(ctx, assign("romeo", "late")); n != 0 || err != nil {
			t.Error(n, err)
		}
		d.expect(t, "romeo {} → {late} +late")
	})
}

func TestAssignThatIsRefused(t *testing.T) {
	change := func(h *Host) { h.Assigner = h.Backend.(Assigner) }
	atDesk(t, change, func(t *testing.T, d *desk) {
		no := errors.New("no")
		refused := assign("romeo", "juliet")
		refused.Decide = func(roster.Roster) ([]roster.Item, []addr.Bare, error) { return nil, nil, no }
		for _, test := range []struct {
			name   string
			assign Assignment
			want   string
			is     error
		}{
			{"no such host", assign("romeo@elsewhere.example", "juliet"), "no roster provider for elsewhere.example", ErrNoHost},
			{"decided so", refused, "no", no},
			{"panic", assign("romeo", "panic"), "plugin fault (trap): panic: oh", nil},
			{"no answer at all", assign("romeo", "goexit"), "plugin fault (trap): the edit ended without an answer", errEdit},
			{"too slow", assign("romeo", "slow"), "no answer within 5s: context deadline exceeded", context.DeadlineExceeded},
		} {
			_, err := d.Assign(context.Background(), test.assign)
			if err == nil || err.Error() != test.want || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%s: %v, want %s", test.name, err, test.want)
			}
		}
		if _, err := d.Look(context.Background(), jid("romeo@elsewhere.example")); !errors.Is(err, ErrNoHost) {
			t.Error(err)
		}
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if _, err := d.Assign(context.Background(), assign("romeo", "juliet")); !errors.Is(err, ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
	})
	atDesk(t, nil, func(t *testing.T, d *desk) { // the users edit, but no application assigns
		if _, err := d.Assign(context.Background(), assign("romeo", "juliet")); !errors.Is(err, ErrReadOnly) {
			t.Error(err)
		}
		if _, err := d.Look(context.Background(), jid("romeo")); !errors.Is(err, ErrReadOnly) {
			t.Error(err)
		}
	})
}

// Rosters that applications alone change are at hand, too: who asks about somebody offline is told.
func TestContactOfAssignedRoster(t *testing.T) {
	change := func(h *Host) { h.Assigner, h.Backend = h.Backend.(Assigner), BackendFunc(h.Backend.Fetch) }
	atDesk(t, change, func(t *testing.T, d *desk) {
		ctx := context.Background()
		if _, err := d.Assign(ctx, assign("romeo", "juliet")); err != nil {
			t.Fatal(err)
		}
		if i, ok, err := d.Contact(ctx, jid("romeo"), jid("juliet")); err != nil || !ok || i.Subscription != roster.Both {
			t.Errorf("%+v %v %v", i, ok, err)
		}
		if i, ok := d.Inspect(jid("romeo")); !ok || !i.Kept || i.Roster.Len() != 1 {
			t.Errorf("%+v %v", i, ok)
		}
		if _, err := d.Edit(ctx, set("romeo", "nurse", "")); !errors.Is(err, ErrReadOnly) {
			t.Errorf("he has edited it: %v", err)
		}
	})
}
