package pep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/store"
	"rosterd/xmppcore/registry"
)

// world is a service whose users are all offline, and a store that can fail.
type world struct {
	*Service
	t     testing.TB
	host  *Host
	nodes *fickle
	items *fickle
}

// fickle is a store that fails when it is told to.
type fickle struct {
	store.Keyed
	mu   sync.Mutex
	err  error
	gets int
}

func (f *fickle) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fickle) state() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gets++
	return f.err
}

func (f *fickle) Get(ctx context.Context, u addr.Bare, key string) ([]byte, bool, error) {
	if err := f.state(); err != nil {
		return nil, false, err
	}
	return f.Keyed.Get(ctx, u, key)
}

func (f *fickle) All(ctx context.Context, u addr.Bare) (map[string][]byte, error) {
	if err := f.state(); err != nil {
		return nil, err
	}
	return f.Keyed.All(ctx, u)
}

func (f *fickle) Change(ctx context.Context, u addr.Bare, v map[string][]byte) error {
	if err := f.state(); err != nil {
		return err
	}
	return f.Keyed.Change(ctx, u, v)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	db, err := store.OpenMemory(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	stores := db.Stores("example.com")
	w := &world{t: t, nodes: &fickle{Keyed: stores.Keyed("pep")}, items: &fickle{Keyed: stores.Keyed("pep_data")}}
	w.host = &Host{Nodes: w.nodes, Items: w.items, MaxItems: 20, MaxBoxes: 3}
	w.Service = &Service{
		Registry: new(registry.Registry), Log: slog.New(slog.DiscardHandler),
		Host:    func(string) *Host { return w.host },
		Contact: func(context.Context, addr.Bare, addr.Bare) (i roster.Item, ok bool, err error) { return i, false, nil },
		Blocked: func(addr.Bare, addr.JID) bool { return false },
		Go:      func(func(context.Context)) bool { return false },
	}
	return w
}

var romeo = addr.MustBare("romeo@example.com")

func (w *world) publish(node, id, payload string, open bool) error {
	w.t.Helper()
	return w.Publish(w.t.Context(), romeo, node, Published{id, []byte(payload)}, open)
}

// last is "ID payload" of the last item, as romeo sees it.
func (w *world) last(node string) string {
	w.t.Helper()
	p, known, err := w.Last(w.t.Context(), romeo, romeo.Full(), node)
	switch {
	case err != nil:
		return err.Error()
	case !known:
		return "no node"
	}
	return strings.TrimSpace(p.ID + " " + string(p.Payload))
}

// forget drops what is in memory.
func (w *world) forget() {
	w.host = &Host{Nodes: w.nodes, Items: w.items, MaxItems: w.host.MaxItems, MaxBoxes: w.host.MaxBoxes}
}

// A user has so many nodes, with so many bytes in them, and no more; what is replaced does not count twice.
func TestRoom(t *testing.T) {
	w := newWorld(t)
	big := "<a>" + strings.Repeat("x", maxBytes/4-2000) + "</a>"
	for i := range 4 {
		if err := w.publish(fmt.Sprint("n", i), "i", big, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.publish("n0", "i", big, true); err != nil {
		t.Errorf("the same once more: %v", err)
	}
	want := "wait/resource-constraint: more than 4194304 bytes are published"
	if err := w.publish("n4", "i", big, true); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if got := w.last("n4"); got != "" {
		t.Errorf("n4 has %q", got)
	}
	if err := w.Purge(t.Context(), romeo, "n0"); err != nil {
		t.Fatal(err)
	}
	if err := w.publish("n4", "i", big, true); err != nil {
		t.Errorf("with room again: %v", err)
	}
	for i := 5; i < maxNodes; i++ {
		if err := w.publish(fmt.Sprint("n", i), "i", "<a/>", true); err != nil {
			t.Fatal(err)
		}
	}
	want = "wait/resource-constraint: more than 256 nodes"
	if err := w.publish("one too many", "i", "<a/>", true); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if err := w.publish(strings.Repeat("n", maxNode+1), "i", "<a/>", true); err == nil {
		t.Error("a node with a long name")
	}
	if err := w.publish("n5", strings.Repeat("i", maxItemID+1), "<a/>", true); err == nil {
		t.Error("an item with a long ID")
	}
}

// What is published is stored, and nothing is left of what is not there any more.
func TestStored(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"a", "b", "a", "c"} {
		if err := w.publish("n", id, "<"+id+"/>", true); err != nil {
			t.Fatal(err)
		}
		w.forget()
		if got, want := w.last("n"), id+" <"+id+"/>"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	count := func() int {
		all, err := w.items.Keyed.All(t.Context(), romeo)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if n := count(); n != 1 {
		t.Errorf("%d payloads of a node of one item", n)
	}
	if err := w.Purge(t.Context(), romeo, "n"); err != nil || count() != 0 || w.last("n") != "" {
		t.Errorf("%v, %d payloads, %q", err, count(), w.last("n"))
	}
	if err := w.Purge(t.Context(), romeo, "none"); err != nil || w.last("none") != "no node" {
		t.Error(err)
	}
}

// A store that fails changes nothing that was there, whichever of the two it is.
func TestFailures(t *testing.T) {
	down := errors.New("the disk is full")
	for _, which := range []string{"nodes", "items"} {
		t.Run(which, func(t *testing.T) {
			w := newWorld(t)
			if err := w.publish("n", "a", "<a/>", true); err != nil {
				t.Fatal(err)
			}
			f := map[string]*fickle{"nodes": w.nodes, "items": w.items}[which]
			f.fail(down)
			if err := w.publish("n", "b", "<b/>", true); !errors.Is(err, down) {
				t.Fatal(err)
			}
			f.fail(nil)
			if got := w.last("n"); got != "a <a/>" {
				t.Errorf("%q", got)
			}
			if err := w.publish("n", "b", "<b/>", true); err != nil || w.last("n") != "b <b/>" {
				t.Errorf("%v, %q", err, w.last("n"))
			}
		})
	}
	w := newWorld(t)
	w.nodes.fail(down)
	if got := w.last("n"); got != down.Error() {
		t.Error(got)
	}
	w.nodes.fail(nil)
	if got := w.last("n"); got != "no node" {
		t.Error(got)
	}
}

// What was deleted behind the back of the server is not there, once that is noticed; an account that is deleted and made
// again has nothing left.
func TestDeleted(t *testing.T) {
	big := "<a>" + strings.Repeat("x", maxRemains) + "</a>" // not in memory
	for _, tt := range []struct {
		name   string
		forget func(*world)
		first  string
	}{
		{"unnoticed", func(*world) {}, "cancel/item-not-found"},
		{"noticed", func(w *world) { w.Forget(romeo) }, "no node"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if err := w.publish("n", "a", big, true); err != nil {
				t.Fatal(err)
			}
			for _, f := range []*fickle{w.nodes, w.items} {
				all, err := f.Keyed.All(t.Context(), romeo)
				if err != nil {
					t.Fatal(err)
				}
				for k := range all {
					all[k] = nil
				}
				if err := f.Keyed.Change(t.Context(), romeo, all); err != nil {
					t.Fatal(err)
				}
			}
			tt.forget(w)
			if got := w.last("n"); got != tt.first {
				t.Errorf("at first %q", got)
			}
			if got := w.last("n"); got != "no node" {
				t.Errorf("then %q", got)
			}
		})
	}
}

// So many boxes stay in memory, those used last.
func TestBoxes(t *testing.T) {
	w := newWorld(t)
	look := func(user string) {
		if _, _, err := w.Last(t.Context(), addr.MustBare(user+"@example.com"), romeo.Full(), "n"); err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []string{"a", "b", "c", "a", "d"} {
		look(user)
	}
	before := w.nodes.gets
	look("a")
	look("c")
	look("d")
	if n := w.nodes.gets - before; n != 0 {
		t.Errorf("read %d times what was used last", n)
	}
	look("b")
	if n := w.nodes.gets - before; n != 1 {
		t.Errorf("%d reads of what was used least", n)
	}
	if n := len(w.boxes.all); n != 3 || w.boxes.idle.Len() != 3 {
		t.Errorf("%d boxes, %d of them idle", n, w.boxes.idle.Len())
	}
	w.host = nil
	if _, _, err := w.Last(t.Context(), romeo, romeo.Full(), "n"); !errors.Is(err, errNoHost) {
		t.Error(err)
	}
}

// Many at once, with hardly any room in memory: nothing is lost, under -race.
func TestAtOnce(t *testing.T) {
	w := newWorld(t)
	w.host.MaxBoxes = 1
	var all sync.WaitGroup
	for g := range 6 {
		all.Go(func() {
			user := addr.MustBare(fmt.Sprintf("u%d@example.com", g%3))
			for i := range 10 {
				id := fmt.Sprintf("%d-%d", g, i)
				if err := w.Publish(t.Context(), user, fmt.Sprint("n", g), Published{id, []byte("<a/>")}, true); err != nil {
					t.Error(err)
				}
				p, _, err := w.Last(t.Context(), user, romeo.Full(), fmt.Sprint("n", g))
				if err != nil || p.ID != id {
					t.Errorf("%v: %s, want %s", err, p.ID, id)
				}
			}
		})
	}
	all.Wait()
}

// Bookmarks of before are moved once, and never over others.
func TestMoveBookmarks(t *testing.T) {
	const old = "<storage xmlns='storage:bookmarks'><conference jid='a@rooms.example' name='A' autojoin='1'/><url url='https://example.com'/></storage>"
	w := newWorld(t)
	private := &fickle{Keyed: w.items.Keyed} // another store with other keys would do as well
	w.host.Bookmarks = &Bookmarks{Service: w.Service, Old: private}
	ctx := t.Context()
	if err := private.Change(ctx, romeo, map[string][]byte{keyLegacyBookmarks: []byte(old)}); err != nil {
		t.Fatal(err)
	}
	want := "<storage xmlns='storage:bookmarks'><conference jid='a@rooms.example' name='A' autojoin='true'></conference></storage>"
	for range 2 {
		got, err := w.host.Bookmarks.Private(ctx, romeo)
		if err != nil || string(got) != want {
			t.Fatalf("%v: %s", err, got)
		}
		if _, ok, err := private.Get(ctx, romeo, keyLegacyBookmarks); ok || err != nil {
			t.Errorf("still there: %v", err)
		}
	}
	// What is stored later in the old place is not looked at.
	if err := private.Change(ctx, romeo, map[string][]byte{keyLegacyBookmarks: []byte(strings.ReplaceAll(old, "'A'", "'B'"))}); err != nil {
		t.Fatal(err)
	}
	b := w.host.Bookmarks
	w.forget()
	w.host.Bookmarks = b
	if got, err := b.Private(ctx, romeo); err != nil || string(got) != want {
		t.Errorf("%v: %s", err, got)
	}
}

func BenchmarkPublish(b *testing.B) {
	w := newWorld(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.publish("n", "current", "<a/>", true); err != nil {
			b.Fatal(err)
		}
	}
}

// TestBoxHeld: who waits for a box that somebody holds who hangs gives up when his time is over, and nobody else waits.
func TestBoxHeld(t *testing.T) {
	w := newWorld(t)
	held, err := w.open(t.Context(), w.host, romeo)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.open(ctx, w.host, romeo); !errors.Is(err, context.Canceled) {
		t.Errorf("opened a box that is held: %v", err)
	}
	other, err := w.open(t.Context(), w.host, addr.MustBare("juliet@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	w.close(other)
	w.Forget(romeo)
	w.close(held)
	before := w.nodes.gets
	again, err := w.open(t.Context(), w.host, romeo)
	if err != nil {
		t.Fatal(err)
	}
	if w.nodes.gets == before {
		t.Error("what was forgotten is still known")
	}
	w.close(again)
	if n := len(w.boxes.all); n != w.boxes.idle.Len() {
		t.Errorf("%d boxes, of which nobody holds %d", n, w.boxes.idle.Len())
	}
}
