package block_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/block"
)

func jids(list ...string) (parsed []addr.JID) {
	for _, s := range list {
		parsed = append(parsed, addr.MustParse(s))
	}
	return parsed
}

func text(l *block.List) string {
	var s []string
	for j := range l.All() {
		s = append(s, j.String())
	}
	return strings.Join(s, " ")
}

// XEP-0191 §6.
func TestHas(t *testing.T) {
	for _, c := range []struct {
		on, address string
		want        bool
	}{
		{"a@b/c", "a@b/c", true}, {"a@b/c", "a@b/d", false}, {"a@b/c", "a@b", false}, {"a@b/c", "b/c", false},
		{"a@b", "a@b", true}, {"a@b", "a@b/c", true}, {"a@b", "c@b", false}, {"a@b", "b", false}, {"a@b", "a@b.c", false},
		{"b/c", "b/c", true}, {"b/c", "b", false}, {"b/c", "a@b/c", false}, {"b/c", "b/d", false},
		{"b", "b", true}, {"b", "b/c", true}, {"b", "a@b", true}, {"b", "a@b/c", true}, {"b", "a.b", false}, {"b", "x@a.b", false},
		{"", "a@b", false},
	} {
		t.Run(c.on+" and "+c.address, func(t *testing.T) {
			l := block.New()
			if c.on != "" {
				l = block.New(addr.MustParse(c.on))
			}
			j := addr.MustParse(c.address)
			if got := l.Has(j); got != c.want {
				t.Errorf("got %v", got)
			}
			if n := testing.AllocsPerRun(10, func() { l.Has(j) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
	var none *block.List
	if none.Has(addr.MustParse("a@b")) || none.Len() != 0 || text(none) != "" {
		t.Error("nobody has a list, and somebody is on it")
	}
}

func TestBeyond(t *testing.T) {
	l := block.New(jids("c", "a@b/c", "a@b")...)
	if got := slices.Collect(l.Beyond(block.New(jids("a@b")...))); fmt.Sprint(got) != "[a@b/c c]" {
		t.Errorf("got %v", got)
	}
	if got := slices.Collect(l.Beyond(nil)); len(got) != 3 {
		t.Errorf("got %v", got)
	}
}

// kept is a store that can fail and be held.
type kept struct {
	store.Keyed
	mu     sync.Mutex
	reads  int
	broken error
	during func() // once, when a list has been read and nobody knows it yet
}

func (k *kept) All(ctx context.Context, user addr.Bare) (map[string][]byte, error) {
	values, err := k.Keyed.All(ctx, user)
	k.mu.Lock()
	k.reads++
	broken, during := k.broken, k.during
	k.during = nil
	k.mu.Unlock()
	if during != nil {
		during()
	}
	return values, errors.Join(err, broken)
}

func (k *kept) Change(ctx context.Context, user addr.Bare, values map[string][]byte) error {
	k.mu.Lock()
	broken := k.broken
	k.mu.Unlock()
	if broken != nil {
		return broken
	}
	return k.Keyed.Change(ctx, user, values)
}

func (k *kept) Users(ctx context.Context, host string) iter.Seq2[addr.Bare, error] {
	return k.Keyed.Users(ctx, host)
}

func (k *kept) breaks(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.broken = err
}

var romeo = addr.MustBare("romeo@example.com")

func newKept(t *testing.T) *kept {
	db, err := store.OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &kept{Keyed: db.Stores("example.com").Keyed("blocklist")}
}

func lists(k *kept) *block.Lists {
	return block.NewLists(k, 2, slog.New(slog.DiscardHandler))
}

// edit changes romeo's list and returns what is told.
func edit(t *testing.T, l *block.Lists, e block.Edit) string {
	t.Helper()
	told := "nothing"
	if err := l.Edit(t.Context(), romeo, e, func(to *block.List) { told = text(to) }); err != nil {
		t.Fatal(err)
	}
	return told
}

func TestEdit(t *testing.T) {
	k := newKept(t)
	l := lists(k)
	for _, c := range []struct {
		name string
		edit block.Edit
		want string
	}{
		{"block", block.Edit{Block: jids("tybalt@example.com", "paris@example.com")}, "paris@example.com tybalt@example.com"},
		{"again", block.Edit{Block: jids("tybalt@example.com")}, "paris@example.com tybalt@example.com"},
		{"unblock", block.Edit{Unblock: jids("tybalt@example.com", "nurse@example.com")}, "paris@example.com"},
		{"unblock all", block.Edit{All: true}, ""},
		{"unblock all of nothing", block.Edit{All: true}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := edit(t, l, c.edit); got != c.want {
				t.Errorf("told %q", got)
			}
			if now, err := lists(k).Load(t.Context(), romeo); err != nil || text(now) != c.want {
				t.Errorf("kept %q, %v", text(now), err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	many := func(n, length int) (list []addr.JID) {
		for i := range n {
			list = append(list, addr.MustParse(fmt.Sprintf("%0*d@example.com", length, i)))
		}
		return list
	}
	for _, c := range []struct {
		name  string
		items []addr.JID
		want  error
	}{
		{"as many as there may be", many(1000, 10), nil},
		{"one more", many(1001, 10), block.ErrFull},
		{"as long", many(64, 1024-len("@example.com")), nil},
		{"longer", many(65, 1024-len("@example.com")), block.ErrFull},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := lists(newKept(t))
			told := false
			if err := l.Edit(t.Context(), romeo, block.Edit{Block: c.items}, func(*block.List) { told = true }); !errors.Is(err, c.want) || told != (err == nil) {
				t.Errorf("got %v, told %v", err, told)
			}
			now, err := l.Load(t.Context(), romeo)
			if err != nil || (now.Len() > 0) != (c.want == nil) {
				t.Errorf("%d are kept, %v", now.Len(), err)
			}
			if got := edit(t, l, block.Edit{Unblock: c.items[1:]}); (got != "") != (c.want == nil) { // what is too long can be made shorter
				t.Errorf("told %q", got)
			}
		})
	}
}

// What cannot be read or written changes nothing, and keeps everybody out.
func TestBroken(t *testing.T) {
	k := newKept(t)
	l := lists(k)
	tybalt, paris := addr.MustParse("tybalt@example.com/x"), addr.MustParse("paris@example.com")
	edit(t, l, block.Edit{Block: jids("tybalt@example.com")})
	broken := errors.New("disk on fire")
	k.breaks(broken)
	if err := l.Edit(t.Context(), romeo, block.Edit{Block: jids("paris@example.com")}, func(*block.List) { t.Error("told") }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if !l.Blocked(romeo, paris) {
		t.Error("not blocked although nobody knows")
	}
	k.breaks(nil)
	if l.Blocked(romeo, paris) || !l.Blocked(romeo, tybalt) {
		t.Error("what was not known is remembered")
	}
}

// Lists that are asked for stay in memory, so many; and those that have changed do not.
func TestCache(t *testing.T) {
	k := newKept(t)
	l := lists(k)
	tybalt := addr.MustParse("tybalt@example.com/x")
	edit(t, l, block.Edit{Block: jids("tybalt@example.com")})
	ask := func(owner string, want bool, reads int) {
		t.Helper()
		before := k.reads
		if l.Blocked(addr.MustBare(owner), tybalt) != want || k.reads-before != reads {
			t.Errorf("%s: not %v, or read %d times", owner, want, k.reads-before)
		}
	}
	ask("romeo@example.com", true, 1)
	ask("romeo@example.com", true, 0)
	ask("a@example.com", false, 1)
	ask("a@example.com", false, 0)
	ask("b@example.com", false, 1)
	ask("romeo@example.com", true, 0) // used, and so young again
	ask("c@example.com", false, 1)
	ask("d@example.com", false, 1)
	ask("e@example.com", false, 1)
	ask("romeo@example.com", true, 1) // forgotten
	edit(t, l, block.Edit{All: true})
	ask("romeo@example.com", false, 1)
	edit(t, l, block.Edit{Block: jids("tybalt@example.com")})
	l.Forget(romeo)
	ask("romeo@example.com", true, 1)
}

// Whom a user had blocked elsewhere counts until the list is changed here, and is taken over with that.
func TestImport(t *testing.T) {
	k := newKept(t)
	l := lists(k)
	asked := 0
	l.Import = func(user addr.Bare) ([]addr.JID, error) {
		if asked++; user != romeo {
			return nil, errors.New("damaged")
		}
		return jids("tybalt@example.com", "paris@example.com"), nil
	}
	if !l.Blocked(romeo, addr.MustParse("paris@example.com/x")) || l.Blocked(romeo, addr.MustParse("nurse@example.com")) {
		t.Error("not blocked as elsewhere")
	}
	if !l.Blocked(addr.MustBare("juliet@example.com"), addr.MustParse("nurse@example.com")) {
		t.Error("not blocked although nobody knows")
	}
	if got := edit(t, l, block.Edit{Unblock: jids("paris@example.com")}); got != "tybalt@example.com" {
		t.Errorf("told %q", got)
	}
	asked = 0
	for _, c := range []struct {
		edit block.Edit
		want string
	}{{block.Edit{}, "tybalt@example.com"}, {block.Edit{All: true}, ""}, {block.Edit{Block: jids("a@b")}, "a@b"}, {block.Edit{All: true}, ""}, {block.Edit{}, ""}} {
		if got := edit(t, l, c.edit); got != c.want {
			t.Errorf("told %q, want %q", got, c.want)
		}
	}
	if l.Blocked(romeo, addr.MustParse("paris@example.com/x")) || asked > 0 {
		t.Error("asked again")
	}
}

// A list that is read while it changes is not kept as it was.
func TestReadWhileChanging(t *testing.T) {
	k := newKept(t)
	l := lists(k)
	tybalt := addr.MustParse("tybalt@example.com/x")
	k.during = func() { edit(t, l, block.Edit{Block: jids("tybalt@example.com")}) }
	l.Blocked(romeo, tybalt) // read before
	if !l.Blocked(romeo, tybalt) {
		t.Error("the old list was kept")
	}
}

// Edits of one list at once lose nothing, and are told in the order of what is kept.
func TestEditsAtOnce(t *testing.T) {
	k := newKept(t)
	l := lists(k)
	var all sync.WaitGroup
	var last string // told one after the other
	for g := range 8 {
		all.Go(func() {
			items := jids(fmt.Sprintf("u%d@example.com", g))
			if err := l.Edit(t.Context(), romeo, block.Edit{Block: items}, func(to *block.List) { last = text(to) }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	now, err := l.Load(t.Context(), romeo)
	if err != nil || now.Len() != 8 || text(now) != last {
		t.Errorf("kept %q, told %q, %v", text(now), last, err)
	}
}

// XEP-0191 §6, said in another way.
func FuzzHas(f *testing.F) {
	f.Add("a@b", "a@b/c")
	f.Add("b", "a@b/b")
	f.Add("b/c", "a@b/c")
	f.Fuzz(func(t *testing.T, on, address string) {
		item, err := addr.Parse(on)
		if err != nil {
			return
		}
		j, err := addr.Parse(address)
		if err != nil {
			return
		}
		want := item.Domain() == j.Domain() && (item.Local() == "" && item.IsBare() ||
			item.Local() == j.Local() && (item.IsBare() || item.Resource() == j.Resource()))
		if got := block.New(item).Has(j); got != want {
			t.Errorf("%q means %q: %v", on, address, got)
		}
	})
}
