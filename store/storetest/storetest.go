// Package storetest says what every driver of [store.Stores] promises, as tests that are the same for all of them.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
)

// Host is the one of the users.
const Host = "example.com"

var (
	juliet = addr.MustBare("juliet@" + Host)
	romeo  = addr.MustBare("romeo@" + Host)
	other  = addr.MustBare("juliet@example.net")
)

// Test tests what every driver promises. Each call of open gives stores with nothing in them, which stay open until the
// test ends: those of a host, of all who are at one database.
func Test(t *testing.T, open func(t *testing.T) func(host string) store.Stores) {
	for name, test := range map[string]func(*testing.T, func(string) store.Stores){
		"values": values, "values are of one user, store and host": apart, "all or nothing of many": atomic, "users": users,
		"entries": entries, "paging": paging, "with": with, "times": times, "IDs": ids, "delete": remove,
		"an ID that is used again": again, "expire": expire, "at once": atOnce, "an ended context": ended,
		"what one cannot store hurts nobody else": unharmed,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// all shows the values of a user, sorted.
func all(t *testing.T, k store.Keyed, user addr.Bare) string {
	t.Helper()
	values, err := k.All(t.Context(), user)
	must(t, err)
	var list []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		list = append(list, fmt.Sprintf("%q=%q", key, values[key]))
	}
	return strings.Join(list, " ")
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s\nwant %s", what, got, want)
	}
}

func values(t *testing.T, stores func(string) store.Stores) {
	ctx, k := t.Context(), stores(Host).Keyed("private")
	if v, ok, err := k.Get(ctx, juliet, ""); v != nil || ok || err != nil {
		t.Errorf("before: %q, %v, %v", v, ok, err)
	}
	must(t, k.Change(ctx, juliet, nil))
	want(t, "none", all(t, k, juliet), "")
	must(t, k.Change(ctx, juliet, map[string][]byte{"": []byte("no key"), "a\x00\xff": {0, 1, 255}, "b": {}, "gone": nil, "ä": []byte("<x/>")}))
	want(t, "all", all(t, k, juliet), `""="no key" "a\x00\xff"="\x00\x01\xff" "b"="" "ä"="<x/>"`)
	if v, ok, err := k.Get(ctx, juliet, "b"); v == nil || len(v) != 0 || !ok || err != nil {
		t.Errorf("a value of no bytes: %v, %v, %v", v, ok, err)
	}
	must(t, k.Change(ctx, juliet, map[string][]byte{"": []byte("other"), "b": nil, "c": []byte("new"), "none": nil}))
	want(t, "changed", all(t, k, juliet), `""="other" "a\x00\xff"="\x00\x01\xff" "c"="new" "ä"="<x/>"`)
	if v, ok, err := k.Get(ctx, juliet, "a\x00\xff"); string(v) != "\x00\x01\xff" || !ok || err != nil {
		t.Errorf("one: %q, %v, %v", v, ok, err)
	}
}

func apart(t *testing.T, stores func(string) store.Stores) {
	ctx := t.Context()
	place := func(host, name string, user addr.Bare) store.Keyed {
		k := stores(host).Keyed(name)
		must(t, k.Change(ctx, user, map[string][]byte{"key": []byte(host + " " + name + " " + user.String())}))
		return k
	}
	a, b, c := place(Host, "private", juliet), place(Host, "vcard", juliet), place("example.net", "private", other)
	place(Host, "private", romeo)
	must(t, c.Change(ctx, other, map[string][]byte{"key": nil}))
	want(t, "private", all(t, a, juliet), `"key"="example.com private juliet@example.com"`)
	want(t, "vcard", all(t, b, juliet), `"key"="example.com vcard juliet@example.com"`)
	want(t, "romeo", all(t, a, romeo), `"key"="example.com private romeo@example.com"`)
	want(t, "the other host", all(t, c, other), "")
}

// atomic: whoever looks sees all of a change or nothing of it.
func atomic(t *testing.T, stores func(string) store.Stores) {
	ctx, k := t.Context(), stores(Host).Keyed("pep")
	const keys, rounds = 20, 10
	var wg sync.WaitGroup
	wg.Go(func() {
		for round := range rounds {
			change := map[string][]byte{}
			for i := range keys {
				change[fmt.Sprint(i)] = fmt.Append(nil, round)
			}
			if err := k.Change(ctx, juliet, change); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for range rounds {
			seen, err := k.All(ctx, juliet)
			if err != nil {
				t.Error(err)
			}
			if kinds := slices.Compact(slices.Sorted(func(yield func(string) bool) {
				for _, v := range seen {
					if !yield(string(v)) {
						return
					}
				}
			})); len(kinds) > 1 || len(seen) != 0 && len(seen) != keys {
				t.Errorf("%d values of the rounds %q", len(seen), kinds)
			}
		}
	})
	wg.Wait()
}

func users(t *testing.T, stores func(string) store.Stores) {
	ctx, k := t.Context(), stores(Host).Keyed("blocklist")
	const many = 110
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			user := addr.MustBare(fmt.Sprintf("user%d@%s", i, Host))
			if err := k.Change(ctx, user, map[string][]byte{"a": []byte("1"), "b": []byte("2")}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	must(t, stores(Host).Keyed("private").Change(ctx, juliet, map[string][]byte{"": []byte("x")}))
	must(t, stores("example.net").Keyed("blocklist").Change(ctx, other, map[string][]byte{"": []byte("x")}))
	must(t, k.Change(ctx, addr.MustBare("user7@"+Host), map[string][]byte{"a": nil, "b": nil}))
	seen := map[addr.Bare]bool{}
	for user, err := range k.Users(ctx, Host) {
		must(t, err)
		if _, _, err := k.Get(ctx, user, "a"); err != nil || seen[user] { // a store can be used meanwhile
			t.Fatalf("%s: seen %v, %v", user, seen[user], err)
		}
		seen[user] = true
	}
	if len(seen) != many-1 || seen[juliet] || seen[other] || seen[addr.MustBare("user7@"+Host)] {
		t.Errorf("%d users", len(seen))
	}
	for range k.Users(ctx, Host) {
		break
	}
}

// at is a moment of the tests.
func at(second int) time.Time {
	return time.Date(2030, 1, 2, 3, 4, second, 123456000, time.UTC)
}

// fill appends entries "0", "1" … at successive seconds, and returns their IDs.
func fill(t *testing.T, l store.Log, user addr.Bare, withs ...string) (ids []string) {
	t.Helper()
	for i, w := range withs {
		id, err := l.Append(t.Context(), user, store.Entry{Time: at(i), With: w, Stanza: fmt.Append(nil, i)})
		must(t, err)
		ids = append(ids, id)
	}
	return ids
}

// nine entries.
func nine(t *testing.T, l store.Log, user addr.Bare) []string {
	t.Helper()
	return fill(t, l, user, slices.Repeat([]string{romeo.String()}, 9)...)
}

// show is a page as the stanzas in it.
func show(p store.Page) string {
	var list []string
	for _, e := range p.Entries {
		list = append(list, string(e.Stanza))
	}
	s := strings.Join(list, " ")
	if p.Complete {
		s += " complete"
	}
	if p.Total != 0 || p.Index != 0 {
		s += fmt.Sprintf(" (%d of %d)", p.Index, p.Total)
	}
	return strings.TrimSpace(s)
}

func find(t *testing.T, l store.Log, user addr.Bare, q store.Query) string {
	t.Helper()
	p, err := l.Find(t.Context(), user, q)
	must(t, err)
	return show(p)
}

func entries(t *testing.T, stores func(string) store.Stores) {
	ctx, l := t.Context(), stores(Host).Log("archive")
	want(t, "before", find(t, l, juliet, store.Query{}), "complete")
	must(t, l.Sync(ctx))
	e := store.Entry{Time: at(0), With: "romeo@example.com/orchard/é", Stanza: []byte("<message>\x00\xff</message>")}
	id, err := l.Append(ctx, juliet, e)
	must(t, err)
	p, err := l.Find(ctx, juliet, store.Query{}) // also before it is on disk
	must(t, err)
	if len(p.Entries) != 1 || id == "" || p.Entries[0].ID != id || !p.Entries[0].Time.Equal(at(0)) || p.Entries[0].With != e.With || string(p.Entries[0].Stanza) != string(e.Stanza) {
		t.Fatalf("found %+v, want %s, %+v", p, id, e)
	}
	e.ID, e.With, e.Stanza = "chosen", "", nil
	id, err = l.Append(ctx, juliet, e)
	must(t, err)
	must(t, l.Sync(ctx))
	p, err = l.Find(ctx, juliet, store.Query{Max: 1, Last: true})
	must(t, err)
	if len(p.Entries) != 1 || id != "chosen" || p.Entries[0].ID != "chosen" || p.Entries[0].With != "" || len(p.Entries[0].Stanza) != 0 {
		t.Errorf("found %+v", p)
	}
	want(t, "somebody else", find(t, l, romeo, store.Query{}), "complete")
	want(t, "another store", find(t, stores(Host).Log("offline"), juliet, store.Query{}), "complete")
	want(t, "another host", find(t, stores("example.net").Log("archive"), other, store.Query{}), "complete")
}

func paging(t *testing.T, stores func(string) store.Stores) {
	l := stores(Host).Log("archive")
	nine(t, l, romeo) // of whom nobody shall see anything
	id := nine(t, l, juliet)
	for _, x := range []struct {
		name  string
		query store.Query
		want  string
	}{
		{"all", store.Query{}, "0 1 2 3 4 5 6 7 8 complete"},
		{"count", store.Query{Count: true}, "0 1 2 3 4 5 6 7 8 complete (0 of 9)"},
		{"first page", store.Query{Max: 4}, "0 1 2 3"},
		{"just a page", store.Query{Max: 9}, "0 1 2 3 4 5 6 7 8 complete"},
		{"next page", store.Query{Max: 4, After: id[3], Count: true}, "4 5 6 7 (4 of 9)"},
		{"last page forward", store.Query{Max: 4, After: id[7]}, "8 complete"},
		{"behind the end", store.Query{After: id[8], Count: true}, "complete (0 of 9)"},
		{"last page", store.Query{Max: 4, Last: true, Count: true}, "5 6 7 8 (5 of 9)"},
		{"page before", store.Query{Max: 4, Last: true, Before: id[5], Count: true}, "1 2 3 4 (1 of 9)"},
		{"first page backward", store.Query{Max: 4, Last: true, Before: id[1]}, "0 complete"},
		{"before, forward", store.Query{Max: 2, Before: id[4]}, "0 1"},
		{"between", store.Query{After: id[2], Before: id[5]}, "3 4 complete"},
		{"between, last", store.Query{After: id[2], Before: id[7], Max: 2, Last: true}, "5 6"},
		{"some", store.Query{IDs: []string{id[6], id[2]}, Count: true}, "2 6 complete (0 of 2)"},
		{"none of them", store.Query{IDs: []string{}}, "complete"},
		{"some by pages", store.Query{IDs: []string{id[6], id[2], id[4]}, Max: 2, After: id[2]}, "4 6 complete"},
		{"times and count", store.Query{Start: at(3), End: at(7), Max: 2, After: id[4], Count: true}, "5 6 (2 of 5)"},
	} {
		want(t, x.name, find(t, l, juliet, x.query), x.want)
	}
	for _, x := range []struct {
		name  string
		query store.Query
		size  int64
	}{
		{"all", store.Query{Max: 1, Size: true}, 9}, {"behind", store.Query{After: id[7], Size: true}, 9},
		{"times", store.Query{Start: at(3), End: at(4), Size: true}, 2}, {"nobody", store.Query{With: "nobody@example.com", Size: true}, 0}, {"not asked for", store.Query{}, 0},
	} {
		p, err := l.Find(t.Context(), juliet, x.query)
		must(t, err)
		if p.Size != x.size {
			t.Errorf("%s: %d bytes, want %d", x.name, p.Size, x.size)
		}
	}
	if !slices.IsSorted(id) {
		t.Errorf("IDs do not sort like their entries: %q", id)
	}
}

func with(t *testing.T, stores func(string) store.Stores) {
	l := stores(Host).Log("archive")
	fill(t, l, juliet, "romeo@example.com", "romeo@example.com/orchard", "romeo@example.com.au/orchard", "romeo@example.com/orchard/2", "example.com", "romeo@example.com/Orchard", "_omeo@example.com", "")
	for _, x := range []struct{ with, want string }{
		{"romeo@example.com", "0 1 3 5 complete"},
		{"romeo@example.com/orchard", "1 complete"},
		{"romeo@example.com/orchard/2", "3 complete"},
		{"example.com", "4 complete"},
		{"_omeo@example.com", "6 complete"},
		{"tybalt@example.com", "complete"},
		{"", "0 1 2 3 4 5 6 7 complete"},
	} {
		want(t, x.with, find(t, l, juliet, store.Query{With: x.with}), x.want)
	}
}

func times(t *testing.T, stores func(string) store.Stores) {
	l := stores(Host).Log("archive")
	nine(t, l, juliet)
	const tick = time.Microsecond
	for _, x := range []struct {
		name       string
		start, end time.Time
		want       string
	}{
		{"from", at(6), time.Time{}, "6 7 8 complete"},
		{"just after", at(6).Add(tick), time.Time{}, "7 8 complete"},
		{"less than a microsecond after", at(6).Add(1), time.Time{}, "7 8 complete"},
		{"until", time.Time{}, at(2), "0 1 2 complete"},
		{"just before", time.Time{}, at(2).Add(-tick), "0 1 complete"},
		{"between", at(3), at(4), "3 4 complete"},
		{"at once", at(3), at(3), "3 complete"},
		{"the wrong way round", at(4), at(3), "complete"},
	} {
		want(t, x.name, find(t, l, juliet, store.Query{Start: x.start, End: x.end}), x.want)
	}
	_, err := l.Append(t.Context(), juliet, store.Entry{Time: at(1), Stanza: []byte("late")})
	must(t, err)
	want(t, "one that came late", find(t, l, juliet, store.Query{Start: at(1), End: at(2)}), "1 2 late complete")
}

func ids(t *testing.T, stores func(string) store.Stores) {
	ctx, l := t.Context(), stores(Host).Log("archive")
	id := nine(t, l, juliet)
	theirs := fill(t, l, romeo, "")
	none := func(what string, user addr.Bare, q store.Query) {
		t.Helper()
		if p, err := l.Find(ctx, user, q); !errors.Is(err, store.ErrNoEntry) {
			t.Errorf("%s: %v, %v", what, show(p), err)
		}
	}
	for _, unknown := range []string{"unknown", "0000000000000000", "ffffffffffffffff", id[0] + "0", strings.ToUpper(id[0] + "a"), "\x00", theirs[0]} {
		none("after", juliet, store.Query{After: unknown})
		none("before", juliet, store.Query{Before: unknown})
		none("one of them", juliet, store.Query{IDs: []string{id[0], unknown}})
		none("in an empty log", other, store.Query{After: unknown})
	}
	_, err := l.Delete(ctx, juliet, id[3:4], time.Time{})
	must(t, err)
	none("deleted", juliet, store.Query{After: id[3]})
}

func remove(t *testing.T, stores func(string) store.Stores) {
	ctx, l := t.Context(), stores(Host).Log("offline")
	if n, err := l.Delete(ctx, juliet, []string{"x"}, at(9)); n != 0 || err != nil {
		t.Errorf("of nobody: %d, %v", n, err)
	}
	id := nine(t, l, juliet)
	nine(t, l, romeo)
	for _, x := range []struct {
		name  string
		ids   []string
		until time.Time
		n     int
		left  string
	}{
		{"nothing", nil, time.Time{}, 0, "0 1 2 3 4 5 6 7 8 complete"},
		{"some", []string{id[4], "unknown", id[2]}, time.Time{}, 2, "0 1 3 5 6 7 8 complete"},
		{"again", []string{id[4]}, time.Time{}, 0, "0 1 3 5 6 7 8 complete"},
		{"until", nil, at(3), 3, "5 6 7 8 complete"},
		{"both", []string{id[7], id[5]}, at(5), 2, "6 8 complete"},
		{"all", nil, at(100), 2, "complete"},
	} {
		if n, err := l.Delete(ctx, juliet, x.ids, x.until); n != x.n || err != nil {
			t.Errorf("%s: %d, %v, want %d", x.name, n, err, x.n)
		}
		want(t, x.name, find(t, l, juliet, store.Query{}), x.left)
	}
	want(t, "somebody else", find(t, l, romeo, store.Query{}), "0 1 2 3 4 5 6 7 8 complete")
}

// again: an entry takes the place of the one with its ID, at the end of the log.
func again(t *testing.T, stores func(string) store.Stores) {
	ctx, l := t.Context(), stores(Host).Log("archive")
	id := nine(t, l, juliet)
	for _, x := range []string{"chosen", id[3], "chosen", id[3]} {
		got, err := l.Append(ctx, juliet, store.Entry{ID: x, Time: at(0), Stanza: []byte(x)})
		must(t, err)
		want(t, "ID", got, x)
		_, err = l.Append(ctx, romeo, store.Entry{ID: x, Time: at(0), Stanza: []byte(x)}) // IDs are those of a user
		must(t, err)
	}
	want(t, "entries", find(t, l, juliet, store.Query{}), "0 1 2 4 5 6 7 8 chosen "+id[3]+" complete")
	want(t, "those of somebody else", find(t, l, romeo, store.Query{}), "chosen "+id[3]+" complete")
	want(t, "after", find(t, l, juliet, store.Query{After: "chosen"}), id[3]+" complete")
}

func expire(t *testing.T, stores func(string) store.Stores) {
	ctx, l := t.Context(), stores(Host).Log("archive")
	nine(t, l, juliet)
	nine(t, l, romeo)
	nine(t, stores(Host).Log("offline"), juliet)
	nine(t, stores("example.net").Log("archive"), other)
	expire := func(before time.Time, most, n int) {
		t.Helper()
		if got, err := l.Expire(ctx, Host, before, most); got != n || err != nil {
			t.Errorf("%d expired, %v, want %d", got, err, n)
		}
	}
	must(t, l.Sync(ctx))
	expire(at(0), 100, 0)
	expire(at(4), 5, 5)
	expire(at(4), 5, 3)
	expire(at(4), 5, 0)
	for _, user := range []addr.Bare{juliet, romeo} {
		want(t, user.String(), find(t, l, user, store.Query{}), "4 5 6 7 8 complete")
	}
	want(t, "another store", find(t, stores(Host).Log("offline"), juliet, store.Query{}), "0 1 2 3 4 5 6 7 8 complete")
	want(t, "another host", find(t, stores("example.net").Log("archive"), other, store.Query{}), "0 1 2 3 4 5 6 7 8 complete")
}

// atOnce: each of many who append finds its own entries, in its order, whatever else goes on.
func atOnce(t *testing.T, stores func(string) store.Stores) {
	ctx, l, k := t.Context(), stores(Host).Log("archive"), stores(Host).Keyed("private")
	const writers, many = 8, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range many {
				_, err := l.Append(ctx, juliet, store.Entry{Time: at(i), With: fmt.Sprintf("writer%d@%s", w, Host), Stanza: fmt.Append(nil, i)})
				if err == nil && i%10 == 9 {
					err = l.Sync(ctx)
				}
				if err == nil && i%10 == 0 {
					err = k.Change(ctx, juliet, map[string][]byte{fmt.Sprint(w): fmt.Append(nil, i)})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for w := range writers {
		p, err := l.Find(ctx, juliet, store.Query{With: fmt.Sprintf("writer%d@%s", w, Host)})
		must(t, err)
		if len(p.Entries) != many || !slices.IsSortedFunc(p.Entries, func(a, b store.Entry) int { return a.Time.Compare(b.Time) }) {
			t.Errorf("writer %d: %s", w, show(p))
		}
	}
}

func ended(t *testing.T, stores func(string) store.Stores) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k, l := stores(Host).Keyed("private"), stores(Host).Log("archive")
	if _, _, err := k.Get(ctx, juliet, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if _, err := l.Find(ctx, juliet, store.Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("find: %v", err)
	}
	for _, err := range k.Users(ctx, Host) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("users: %v", err)
		}
	}
}

// unharmed: a driver may refuse what it cannot store, and then says so to whoever wanted that, and to nobody else.
func unharmed(t *testing.T, stores func(string) store.Stores) {
	ctx, s := t.Context(), stores(Host)
	bad, private, archive := s.Keyed("a\x00b"), s.Keyed("private"), s.Log("archive")
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 20 {
				refused := bad.Change(ctx, romeo, map[string][]byte{fmt.Sprint(w): fmt.Append(nil, i)})
				if _, ok, err := bad.Get(ctx, romeo, fmt.Sprint(w)); refused == nil && (!ok || err != nil) {
					t.Errorf("taken, and not there: %v", err)
				}
				_, _ = archive.Append(ctx, romeo, store.Entry{Time: at(i), With: "\xff\x00", Stanza: []byte("x")}) // which may be refused later
			}
		})
	}
	for i := range 50 {
		if err := private.Change(ctx, juliet, map[string][]byte{"key": fmt.Append(nil, i)}); err != nil {
			t.Errorf("what somebody else stores: %v", err)
		}
		_, err := archive.Append(ctx, juliet, store.Entry{Time: at(i), Stanza: []byte("x")})
		must(t, err)
		if p, err := archive.Find(ctx, juliet, store.Query{}); err != nil || len(p.Entries) != i+1 {
			t.Errorf("%d entries of %d, %v", len(p.Entries), i+1, err)
		}
	}
	wg.Wait()
	want(t, "value", all(t, private, juliet), `"key"="49"`)
	_, _ = archive.Find(ctx, romeo, store.Query{}) // which may tell of what was refused
	must(t, archive.Sync(ctx))
	_, err := archive.Append(ctx, romeo, store.Entry{Time: at(0), Stanza: []byte("good")})
	must(t, err)
	p, err := archive.Find(ctx, romeo, store.Query{Max: 1, Last: true})
	must(t, err)
	want(t, "who was refused, later", show(p)[:4], "good")
}
