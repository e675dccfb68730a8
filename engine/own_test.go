package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"rosterd/engine/roster"
)

// manager is a backend that serves one roster to everybody, of contacts by their localparts.
type manager struct {
	mu    sync.Mutex
	list  string
	down  error
	asked int
	blind bool // it knows no revisions
	gate  chan struct{}
}

// hold has it answer when the gate is closed; nil: at once.
func (m *manager) hold(gate chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gate = gate
}

func (m *manager) Fetch(_ context.Context, r Request) (Answer, error) {
	m.mu.Lock()
	gate := m.gate
	m.mu.Unlock()
	if gate != nil {
		<-gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.down != nil {
		return Answer{}, m.down
	}
	var items []roster.Item
	for name := range strings.FieldsSeq(m.list) {
		name, sub, _ := strings.Cut(name, ":")
		i := roster.Item{JID: jid(name), Subscription: roster.Both, Name: "managed"}
		if sub == "to" {
			i.Subscription = roster.To
		}
		items = append(items, i)
	}
	list, _ := roster.New(r.User, items...)
	if m.blind {
		return Answer{Roster: list}, nil
	}
	return Answer{Roster: list, Rev: m.list, Unchanged: r.Rev != "" && r.Rev == m.list}, nil
}

func (m *manager) serve(list string, down error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list, m.down = list, down
}

// besideManager is a desk whose book has what is the users' own.
func besideManager(t *testing.T, change func(*Host), test func(*testing.T, *desk, *manager)) {
	m := &manager{}
	var own *book
	atDesk(t, func(h *Host) {
		own = h.Backend.(*book)
		h.Own, h.Backend = own, m
		if change != nil {
			change(h)
		}
	}, func(t *testing.T, d *desk) { test(t, d, m) })
}

func (d *desk) edit(t *testing.T, e Edit) {
	t.Helper()
	if _, err := d.Edit(context.Background(), e); err != nil {
		t.Errorf("%s %s: %v", e.Action, e.Contact, err)
	}
}

func (d *desk) refresh(t *testing.T, want Outcome) {
	t.Helper()
	if got := d.Refresh(context.Background(), "example.com", []string{"romeo"}).Results[0]; got.Outcome != want {
		t.Errorf("refresh: %+v, want %s", got, want)
	}
}

// The contacts of a user's own are beside the managed ones; the backend is asked nothing for them, and its contact stands
// before one of the user's own for as long as it has him.
func TestOwnBesideManaged(t *testing.T) {
	besideManager(t, nil, func(t *testing.T, d *desk, m *manager) {
		m.serve("nurse", nil)
		d.attach(t, "romeo")
		d.expect(t, "romeo first {nurse=managed}")
		d.edit(t, set("romeo", "juliet", "J"))
		d.expect(t, "romeo {nurse=managed} → {juliet=J nurse=managed} +juliet")
		if m.asked != 1 {
			t.Errorf("the backend was asked %d times", m.asked)
		}
		m.serve("nurse juliet:to", nil)
		d.refresh(t, Updated)
		d.expect(t, "romeo {juliet=J nurse=managed} → {juliet:to=managed nurse=managed} ~juliet")
		o, _ := d.Inspect(jid("romeo"))
		if o.Own.Contacts.Len() != 0 || o.Own.Hidden.Len() != 1 {
			t.Errorf("own %v, hidden %v", o.Own.Contacts.Items(), o.Own.Hidden.Items())
		}
		d.refresh(t, Unchanged)
		m.serve("nurse", nil)
		d.refresh(t, Updated)
		d.expect(t, "romeo {juliet:to=managed nurse=managed} → {juliet=J nurse=managed} ~juliet")
		o, _ = d.Inspect(jid("romeo"))
		if o.Own.Contacts.Len() != 1 || o.Own.Hidden.Len() != 0 {
			t.Errorf("own %v, hidden %v", o.Own.Contacts.Items(), o.Own.Hidden.Items())
		}
	})
}

func TestOwnEditsOfManagedContacts(t *testing.T) {
	besideManager(t, nil, func(t *testing.T, d *desk, m *manager) {
		m.serve("nurse juliet:to", nil)
		for _, online := range []bool{false, true} {
			if online {
				d.attach(t, "romeo")
				d.expect(t, "romeo first {juliet:to=managed nurse=managed}")
			}
			for _, a := range []Action{Set, Remove, OutSubscribe, OutSubscribed, OutUnsubscribe, OutUnsubscribed} {
				if _, err := d.Edit(context.Background(), Edit{User: jid("romeo"), Contact: jid("nurse"), Action: a}); !errors.Is(err, ErrReadOnly) {
					t.Errorf("%s: %v", a, err)
				}
			}
			for who, want := range map[string]Action{"nurse": OutSubscribed, "juliet": OutUnsubscribed} {
				done, err := d.Edit(context.Background(), Edit{User: jid("romeo"), Contact: jid(who), Action: InSubscribe})
				if err != nil || done.Answer != want || done.Deliver {
					t.Errorf("%s asks: %+v, %v", who, done, err)
				}
			}
		}
		d.expect(t)
		if len(d.book.made) > 0 {
			t.Errorf("made %q", d.book.made)
		}
	})
}

// What a contact takes back while the backend has him as well is known when it no longer does.
func TestOwnIsHeardBeneath(t *testing.T) {
	besideManager(t, nil, func(t *testing.T, d *desk, m *manager) {
		d.attach(t, "romeo")
		d.edit(t, set("romeo", "juliet", ""))
		m.serve("juliet", nil)
		d.refresh(t, Updated)
		done, err := d.Edit(context.Background(), Edit{User: jid("romeo"), Contact: jid("juliet"), Action: InUnsubscribed}) // the book removes
		if err != nil || done.Deliver || done.Answer != "" || !done.Old.Equal(*done.New) {
			t.Errorf("%+v, %v", done, err)
		}
		if got := d.book.made[len(d.book.made)-1]; got != "romeo in-unsubscribed juliet" {
			t.Errorf("the last change is %s", got)
		}
	})
}

func TestOwnDuringAnOutage(t *testing.T) {
	besideManager(t, nil, func(t *testing.T, d *desk, m *manager) {
		m.serve("nurse", nil)
		d.attach(t, "romeo")
		d.expect(t, "romeo first {nurse=managed}")
		m.serve("", errors.New("503"))
		d.refresh(t, Failed)
		d.edit(t, set("romeo", "juliet", ""))
		d.expect(t, "romeo {nurse=managed} → {juliet nurse=managed} +juliet")
		_, err := d.Edit(context.Background(), set("tybalt", "juliet", "")) // of whom nobody knows whom the backend has
		var temporary *TemporaryError
		if !errors.As(err, &temporary) {
			t.Errorf("%v", err)
		}
		if o, _ := d.Inspect(jid("romeo")); o.State != "stale" {
			t.Errorf("the roster is %s", o.State)
		}
		m.serve("", ErrUnknownUser)
		d.edit(t, set("tybalt", "juliet", ""))
	})
}

// An edit that comes while a fetch waits to begin is told with what that brings, also if it brings nothing.
func TestOwnBesideAFetchThatFails(t *testing.T) {
	besideManager(t, nil, func(t *testing.T, d *desk, m *manager) {
		m.serve("nurse", nil)
		d.attach(t, "romeo")
		d.expect(t, "romeo first {nurse=managed}")
		gate := make(chan struct{})
		d.book.open(gate) // the first fetch waits for what is the user's own
		d.ask(d.find(jid("romeo")), ReasonRefresh)
		synctest.Wait()
		d.ask(d.find(jid("romeo")), ReasonRefresh)
		done := make(chan error, 1)
		go func() { _, err := d.Edit(context.Background(), set("romeo", "juliet", "")); done <- err }()
		synctest.Wait()
		m.serve("", errors.New("503"))
		d.book.open(nil)
		close(gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
		d.expect(t, "romeo {nurse=managed} → {juliet nurse=managed} +juliet")
	})
}

// What is kept follows the backend also where nobody sees a difference.
func TestOwnLikeTheManaged(t *testing.T) {
	kept := &memory{}
	besideManager(t, func(h *Host) { h.Keeper = kept }, func(t *testing.T, d *desk, m *manager) {
		m.blind = true
		d.attach(t, "romeo")
		d.edit(t, set("romeo", "juliet", "managed"))
		m.serve("juliet", nil)
		d.told = nil
		d.refresh(t, Unchanged)
		d.expect(t)
		if doc := kept.docs[jid("romeo")]; !strings.Contains(doc, `"juliet@example.com":`) {
			t.Errorf("kept: %s", doc)
		}
	})
}

// The shrink guard counts what the backend had and has, and nothing else.
func TestOwnAndTheShrinkGuard(t *testing.T) {
	besideManager(t, func(h *Host) { h.ShrinkGuard = 50 }, func(t *testing.T, d *desk, m *manager) {
		m.serve("a b c d", nil)
		d.attach(t, "romeo")
		for _, who := range []string{"e", "f", "g", "h"} {
			d.edit(t, set("romeo", who, ""))
		}
		m.serve("a", nil)
		d.refresh(t, HeldBack)
		if o, _ := d.Inspect(jid("romeo")); o.Held == nil || o.Held.Removed != 3 || o.Held.Of != 4 || o.Roster.Len() != 8 {
			t.Errorf("held %+v of %d contacts", o.Held, o.Roster.Len())
		}
	})
}

// What is kept for an outage is the managed part alone; the user's own is as it is now.
func TestOwnIsNotKept(t *testing.T) {
	kept := &memory{}
	besideManager(t, func(h *Host) { h.Keeper, h.Steps = kept, 10 }, func(t *testing.T, d *desk, m *manager) {
		m.serve("nurse", nil)
		r, err := d.Attach(jid("romeo"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		d.edit(t, set("romeo", "juliet", "J"))
		m.serve("nurse paris", nil)
		d.refresh(t, Updated)
		r.Release()
		if doc := kept.docs[jid("romeo")]; strings.Contains(doc, `"juliet@example.com":`) || !strings.Contains(doc, `"paris@example.com":`) {
			t.Errorf("kept: %s", doc)
		}
		d.edit(t, set("romeo", "juliet", "Julie")) // while he is offline
		if i, ok, err := d.Contact(context.Background(), jid("romeo"), jid("juliet")); err != nil || !ok || i.Name != "Julie" {
			t.Errorf("his contact is %+v, %v, %v", i, ok, err)
		}
		if i, ok, err := d.Contact(context.Background(), jid("romeo"), jid("paris")); err != nil || !ok || i.Name != "managed" {
			t.Errorf("the managed contact is %+v, %v, %v", i, ok, err)
		}
		if o, known := d.Inspect(jid("romeo")); !known || o.Roster.Len() != 3 || o.Own.Contacts.Len() != 1 {
			t.Errorf("%v, %d contacts", known, o.Roster.Len())
		}
		d.told = nil
		m.serve("", errors.New("503"))
		d.attach(t, "romeo")
		d.expect(t, "romeo first stale {juliet=Julie nurse=managed paris=managed}")
	})
}

// A roster of which the user's own part cannot be read is not served without it.
func TestOwnThatCannotBeRead(t *testing.T) {
	besideManager(t, nil, func(t *testing.T, d *desk, m *manager) {
		m.serve("nurse", nil)
		d.attach(t, "romeo")
		d.edit(t, set("romeo", "juliet", ""))
		d.told = nil
		d.book.mu.Lock()
		d.book.down = true
		d.book.mu.Unlock()
		m.serve("nurse paris", nil)
		d.refresh(t, Failed)
		d.expect(t)
		d.book.mu.Lock()
		d.book.down = false
		d.book.mu.Unlock()
		d.refresh(t, Updated)
		d.expect(t, "romeo {juliet nurse=managed} → {juliet nurse=managed paris=managed} +paris")
	})
}

// A host that ceases to have contacts of the users' own, or begins to, has its rosters fetched anew.
func TestOwnComesAndGoes(t *testing.T) {
	besideManager(t, nil, func(t *testing.T, d *desk, m *manager) {
		m.serve("nurse", nil)
		d.attach(t, "romeo")
		d.edit(t, set("romeo", "juliet", ""))
		d.told = nil
		d.SetHosts(map[string]Host{"example.com": {Backend: m, Retry: -1}})
		synctest.Wait()
		d.expect(t, "romeo {juliet nurse=managed} → {nurse=managed} -juliet")
		d.SetHosts(map[string]Host{"example.com": {Backend: m, Retry: -1, Own: d.book}})
		synctest.Wait()
		d.expect(t, "romeo {nurse=managed} → {juliet nurse=managed} +juliet")
	})
}

func TestOwnRequests(t *testing.T) {
	besideManager(t, nil, func(t *testing.T, d *desk, m *manager) {
		for list, want := range map[string]int{"": 1, "juliet": 0} {
			m.serve(list, nil)
			got, err := d.Pending(context.Background(), jid("romeo"))
			if err != nil || len(got) != want {
				t.Errorf("beside %q: %v, %v", list, got, err)
			}
		}
		if _, err := d.Pending(context.Background(), jid("nobody")); !errors.Is(err, ErrUnknownUser) {
			t.Errorf("%v", err)
		}
	})
}
