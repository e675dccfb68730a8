package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
)

func BenchmarkAppend(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "db"), quiet)
	if err != nil {
		b.Fatal(err)
	}
	l, stanza := s.Stores("example.com").Log("archive"), bytes.Repeat([]byte("x"), 500)
	users := make([]addr.Bare, 1000)
	for i := range users {
		users[i] = addr.MustBare(fmt.Sprintf("user%d@example.com", i))
	}
	for i := range b.N {
		if _, err := l.Append(b.Context(), users[i%1000], Entry{Time: time.Now(), With: "romeo@example.com/orchard", Stanza: stanza}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkFind(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "db"), quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	l, stanza := s.Stores("example.com").Log("archive"), bytes.Repeat([]byte("x"), 500)
	var middle time.Time
	for i := range 20_000 {
		if i == 10_000 {
			middle = time.Now()
		}
		if _, err := l.Append(b.Context(), juliet, Entry{Time: time.Now(), With: fmt.Sprintf("user%d@example.com/r", i%100), Stanza: stanza}); err != nil {
			b.Fatal(err)
		}
	}
	for name, q := range map[string]Query{
		"first": {Max: 50}, "last": {Max: 50, Last: true}, "with": {With: "user7@example.com", Max: 50, Last: true}, "count": {Max: 50, Count: true},
		"since": {Max: 50, Start: middle}, "until": {Max: 50, End: middle, Last: true},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if p, err := l.Find(b.Context(), juliet, q); err != nil || len(p.Entries) != 50 {
					b.Fatal(len(p.Entries), err)
				}
			}
		})
	}
}

func TestBounded(t *testing.T) {
	s, err := OpenBounded(3, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, x := range []struct {
		store string
		want  string
	}{{"archive", "[7 8 9]"}, {"offline", "[0 1 2 3 4 5 6 7 8 9]"}} {
		l := s.Stores("example.com").Log(x.store)
		for _, user := range []addr.Bare{juliet, romeo} {
			for i := range 10 {
				if _, err := l.Append(t.Context(), user, Entry{Stanza: fmt.Append(nil, i)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, user := range []addr.Bare{juliet, romeo} {
			if got := fmt.Sprint(stanzas(t, l, user)); got != x.want {
				t.Errorf("%s of %s: %s, want %s", x.store, user, got, x.want)
			}
		}
	}
}

// stanzas are those of all entries of a user.
func stanzas(t *testing.T, l Log, user addr.Bare) (list []string) {
	t.Helper()
	p, err := l.Find(t.Context(), user, Query{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range p.Entries {
		list = append(list, string(e.Stanza))
	}
	return list
}

func TestNowhere(t *testing.T) {
	ctx, none := t.Context(), ByName(func(string) Stores { return Nowhere{} })
	k, l := none.Keyed("private"), none.Log("archive")
	if err := k.Change(ctx, juliet, map[string][]byte{"a": []byte("x")}); !errors.Is(err, ErrDisabled) {
		t.Errorf("change: %v", err)
	}
	if err := k.Change(ctx, juliet, map[string][]byte{"a": nil}); err != nil {
		t.Errorf("remove: %v", err)
	}
	if _, err := l.Append(ctx, juliet, Entry{}); !errors.Is(err, ErrDisabled) {
		t.Errorf("append: %v", err)
	}
	if p, err := l.Find(ctx, juliet, Query{}); len(p.Entries) > 0 || !p.Complete || err != nil {
		t.Errorf("find: %v, %v", p, err)
	}
	if _, err := l.Find(ctx, juliet, Query{After: "x"}); !errors.Is(err, ErrNoEntry) {
		t.Errorf("find after: %v", err)
	}
}

// breakEntries makes writing fail until the function that it returns is called.
func breakEntries(t *testing.T, s *Store) (repair func()) {
	t.Helper()
	run := func(sql string) {
		if _, err := s.db.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE TRIGGER broken_entry BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`)
	run(`CREATE TRIGGER broken_value BEFORE INSERT ON keyed BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`)
	return func() { run(`DROP TRIGGER broken_entry; DROP TRIGGER broken_value`) }
}

// While the disk fails, entries wait in their order and whoever waits for them hears of it; what is changed is refused.
func TestEntriesWait(t *testing.T) {
	ctx, s := t.Context(), open(t, filepath.Join(t.TempDir(), "db"))
	l, k, repair := s.Stores("example.com").Log("offline"), s.Stores("example.com").Keyed("private"), breakEntries(t, s)
	full := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range 3 {
		if _, err := l.Append(ctx, juliet, Entry{Stanza: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
		full("sync", l.Sync(ctx))
	}
	full("change", k.Change(ctx, juliet, map[string][]byte{"": []byte("x")}))
	_, err := l.Find(ctx, juliet, Query{})
	full("find", err)
	s.tables.writer.mu.Lock()
	s.tables.writer.most = 1
	s.tables.writer.mu.Unlock()
	_, err = l.Append(ctx, romeo, Entry{}) // nobody is made to wait for a disk that fails
	full("append", err)
	repair()
	if err := l.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(stanzas(t, l, juliet)); got != "[0 1 2]" || s.tables.writer.backlog != 0 {
		t.Errorf("there are %s, %d bytes are left", got, s.tables.writer.backlog)
	}
	if all, err := k.All(ctx, juliet); len(all) != 0 || err != nil {
		t.Errorf("what was refused is there: %q, %v", all, err)
	}
}

// What SQLite refuses does not cost what is in the same transaction; who wanted it hears of it, and nobody else.
func TestRefusedAlone(t *testing.T) {
	ctx, s := t.Context(), open(t, filepath.Join(t.TempDir(), "db"))
	w, l, k := s.tables.writer, s.Stores("example.com").Log("archive"), s.Stores("example.com").Keyed("private")
	refused := func(ctx context.Context, tx *sql.Tx, _ *batch) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO keyed (host, name, store, key, value) VALUES ('a', 'b', 'c', x'', NULL)`)
		return err
	}
	set := func(i int) func(context.Context, *sql.Tx, *batch) error {
		return func(ctx context.Context, tx *sql.Tx, _ *batch) error {
			return k.(*keyedTable).set(ctx, tx, juliet, fmt.Append(nil, i), []byte("x"))
		}
	}
	enter := func(what string) func(context.Context, *sql.Tx, *batch) error {
		return func(ctx context.Context, tx *sql.Tx, b *batch) error {
			return l.(*logTable).insert(ctx, tx, b, juliet, l.(*logTable).last.Add(1), Entry{Stanza: []byte(what)})
		}
	}
	errs := make([]error, 8)
	w.mu.Lock() // so that all of it is one transaction
	for i := range errs {
		do := set(i)
		if i%4 == 1 {
			do = refused
		}
		w.queued = append(w.queued, change{do: do, failed: &errs[i]})
		if i == 2 || i == 6 {
			w.queued = append(w.queued, change{do: enter(fmt.Sprint(i)), entry: true, log: logKey{juliet, "archive"}, size: 1})
			w.waiting[logKey{juliet, "archive"}]++
			w.backlog++
		}
	}
	w.queued = append(w.queued, change{do: refused, entry: true, log: logKey{romeo, "archive"}, size: 1})
	w.waiting[logKey{romeo, "archive"}]++
	w.backlog++
	c := w.next
	w.mu.Unlock()
	if err := w.await(ctx, c); err != nil {
		t.Fatal(err)
	}
	if c.of(logKey{juliet, "archive"}) != nil || c.of(logKey{romeo, "archive"}) == nil || c.of(logKey{}) == nil {
		t.Errorf("of entries that are lost: %v", c.lost)
	}
	for i, err := range errs {
		if (err != nil) != (i%4 == 1) {
			t.Errorf("change %d: %v", i, err)
		}
	}
	if got := fmt.Sprint(stanzas(t, l, juliet)); got != "[2 6]" {
		t.Errorf("entries %s", got)
	}
	if err := l.Sync(ctx); err != nil {
		t.Errorf("sync after all: %v", err)
	}
	if err := s.Writable(ctx); err != nil || w.backlog != 0 {
		t.Errorf("%v, %d bytes are left", err, w.backlog)
	}
}

// Who appends to a full queue waits for room.
func TestEntriesBacklog(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	s.tables.writer.most = 1
	l := s.Stores("example.com").Log("archive")
	for range 20 {
		if _, err := l.Append(t.Context(), juliet, Entry{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(stanzas(t, l, juliet)); n != 20 {
		t.Errorf("%d entries", n)
	}
}

func TestStoresClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path)
	l := s.Stores("example.com").Log("archive")
	for range 100 {
		if _, err := l.Append(t.Context(), juliet, Entry{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), juliet, Entry{}); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	if err := s.Stores("example.com").Keyed("private").Change(t.Context(), juliet, map[string][]byte{"": {}}); !errors.Is(err, ErrClosed) {
		t.Errorf("change after close: %v", err)
	}
	s = open(t, path)
	if n := len(stanzas(t, s.Stores("example.com").Log("archive"), juliet)); n != 100 {
		t.Errorf("%d entries after opening again", n)
	}
}

// A user who is deleted leaves nothing in any store, queued or not, and another one of that name elsewhere stays.
func TestDeleteFromStores(t *testing.T) {
	ctx, s := t.Context(), open(t, filepath.Join(t.TempDir(), "db"))
	fill := func(user addr.Bare) {
		stores := s.Stores(user.Domain())
		for _, name := range []string{"archive", "offline"} {
			if _, err := stores.Log(name).Append(ctx, user, Entry{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := stores.Keyed("private").Change(ctx, user, map[string][]byte{"": []byte("x")}); err != nil {
			t.Fatal(err)
		}
		if _, err := stores.Log("archive").Append(ctx, user, Entry{}); err != nil { // this one is queued
			t.Fatal(err)
		}
	}
	left := func(user addr.Bare) int {
		stores := s.Stores(user.Domain())
		all, err := stores.Keyed("private").All(ctx, user)
		if err != nil {
			t.Fatal(err)
		}
		return len(all) + len(stanzas(t, stores.Log("archive"), user)) + len(stanzas(t, stores.Log("offline"), user))
	}
	users := []addr.Bare{juliet, romeo, other}
	for _, user := range users {
		if err := s.AddUser(ctx, user, derive(t, "SHA-1", "a")); err != nil {
			t.Fatal(err)
		}
		fill(user)
	}
	if err := s.DeleteUser(ctx, juliet); err != nil {
		t.Fatal(err)
	}
	if err := s.Forget(ctx, romeo); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 0, 4} {
		if n := left(users[i]); n != want {
			t.Errorf("%s: %d are left, want %d", users[i], n, want)
		}
	}
	var rows int
	if err := s.db.QueryRow(`SELECT count(*) FROM log WHERE host = 'example.com'`).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d logs are left, %v", rows, err)
	}
}

// A backup has what users have stored, too.
func TestBackupOfStores(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	s := open(t, filepath.Join(dir, "db"))
	if err := s.Stores("example.com").Keyed("private").Change(ctx, juliet, map[string][]byte{"a": []byte("x")}); err != nil {
		t.Fatal(err)
	}
	l := s.Stores("example.com").Log("archive")
	if _, err := l.Append(ctx, juliet, Entry{Stanza: []byte("y")}); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(ctx, filepath.Join(dir, "db"), filepath.Join(dir, "copy"), false); err != nil {
		t.Fatal(err)
	}
	copied := open(t, filepath.Join(dir, "copy"))
	value, ok, err := copied.Stores("example.com").Keyed("private").Get(ctx, juliet, "a")
	if string(value) != "x" || !ok || err != nil {
		t.Errorf("value %q, %v, %v", value, ok, err)
	}
	if got := fmt.Sprint(stanzas(t, copied.Stores("example.com").Log("archive"), juliet)); got != "[y]" {
		t.Errorf("entries %s", got)
	}
}

func FuzzSeqOf(f *testing.F) {
	f.Add("0000000000000001")
	f.Add("00065a1b2c3d4e5f")
	f.Add("+00000000000000f")
	f.Add("00000000000000_1")
	f.Fuzz(func(t *testing.T, id string) {
		if seq, ok := seqOf(id); ok && (idOf(seq) != id || seq < 0) {
			t.Errorf("%q is %d, which is %q", id, seq, idOf(seq))
		}
	})
}
