package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
)

const (
	insertEntry = `INSERT INTO entry (seq, log, id, time, peer, resource, stanza) VALUES `
	deleteEntry = `DELETE FROM entry WHERE log = ? AND seq = ?`
	insertLog   = `INSERT INTO log (host, name, store) VALUES (?, ?, ?) RETURNING id`
	findLog     = `SELECT id FROM log WHERE host = ? AND name = ? AND store = ?`
	findChosen  = `SELECT seq FROM entry WHERE log = ? AND id = ?`
	findMade    = `SELECT seq FROM entry WHERE log = ? AND seq = ? AND id IS NULL`
	deleteUntil = `DELETE FROM entry WHERE log = ? AND time <= ?`
	findTimes   = `SELECT min(seq), max(seq) FROM entry WHERE log = ? AND time >= ? AND time <= ?`
	findOld     = `SELECT entry.log, entry.seq FROM log JOIN entry ON entry.log = log.id
		WHERE log.host = ? AND log.store = ? AND entry.time < ? LIMIT ?`
)

// logTable is one store of entries.
//
// An entry's seq grows with each, over all logs, and is the microseconds of its coming if they are not taken. An ID that
// nobody chose is made of it, and not kept.
type logTable struct {
	*tables
	host, store string
}

type logKey struct {
	user  addr.Bare
	store string
}

// maxIDs is how many entries can be named at once: more would be no statement that SQLite takes.
const maxIDs = 16_000

// ErrTooManyIDs says that a Query or a Delete names more than 16,000 entries.
var ErrTooManyIDs = errors.New("too many entries are named")

func (l *logTable) key(user addr.Bare) logKey { return logKey{user, l.store} }

func (l *logTable) Append(ctx context.Context, user addr.Bare, e Entry) (id string, err error) {
	size := len(e.Stanza) + len(e.With) + len(e.ID) + 256
	err = l.writer.append(ctx, l.key(user), size, func() func(context.Context, *sql.Tx, *batch) error {
		seq := max(l.last.Load()+1, time.Now().UnixMicro())
		l.last.Store(seq)
		if id = e.ID; id == "" {
			id = idOf(seq)
		}
		return func(ctx context.Context, tx *sql.Tx, b *batch) error { return l.insert(ctx, tx, b, user, seq, e) }
	})
	if err != nil {
		return "", l.fail(l.store, user, err)
	}
	return id, nil
}

// idOf makes IDs that sort like their entries.
func idOf(seq int64) string { return fmt.Sprintf("%016x", seq) }

// seqOf reverses idOf.
func seqOf(id string) (seq int64, ok bool) {
	if len(id) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseInt(id, 16, 64)
	return seq, err == nil && idOf(seq) == id
}

func (l *logTable) insert(ctx context.Context, tx *sql.Tx, b *batch, user addr.Bare, seq int64, e Entry) error {
	log, err := l.open(ctx, tx, b, l.key(user))
	if err != nil {
		return err
	}
	var id any // NULL where it follows from seq
	if e.ID != "" {
		id = []byte(e.ID)
		if err := b.flush(ctx, tx); err != nil {
			return err
		}
		if err := l.displace(ctx, tx, log, e.ID); err != nil {
			return err
		}
	}
	peer, resource, _ := strings.Cut(e.With, "/")
	b.entries = append(b.entries, seq, log, id, e.Time.UnixMicro(), peer, resource, notNil(e.Stanza))
	return nil
}

const entryColumns = 7

// insertEntries are the statements that insert entries, one for each of entriesAtOnce.
func insertEntries() (list []string) {
	for _, n := range entriesAtOnce {
		list = append(list, insertEntry+strings.TrimSuffix(strings.Repeat("("+marks(entryColumns)+"),", n), ","))
	}
	return list
}

var insertSome = insertEntries()

// insert writes entries, of which the columns follow each other.
func (t *tables) insert(ctx context.Context, tx *sql.Tx, entries []any) error {
	for i, n := range entriesAtOnce {
		for ; len(entries) >= n*entryColumns; entries = entries[n*entryColumns:] {
			if _, err := t.write.exec(ctx, tx, insertSome[i], entries[:n*entryColumns]...); err != nil {
				return err
			}
		}
	}
	return nil
}

// displace removes the entry whose ID is used again.
func (l *logTable) displace(ctx context.Context, tx *sql.Tx, log int64, id string) error {
	seq, found, err := l.find(ctx, l.in(tx), log, id)
	if err == nil && found {
		_, err = l.write.exec(ctx, tx, deleteEntry, log, seq)
	}
	return err
}

// open finds or makes the row of a log.
func (l *logTable) open(ctx context.Context, tx *sql.Tx, b *batch, key logKey) (log int64, err error) {
	if log, ok := b.logs[key]; ok {
		return log, nil
	}
	log, ok, err := l.row(ctx, l.in(tx), key)
	if err == nil && !ok {
		err = l.write.row(ctx, tx, insertLog, key.user.Domain(), key.user.Local(), key.store).Scan(&log)
	}
	if err == nil {
		b.logs[key] = log
	}
	return log, err
}

// asking is a way to ask for one row: any time, or in a transaction.
type asking func(ctx context.Context, query string, args ...any) *sql.Row

func (t *tables) anyTime(ctx context.Context, query string, args ...any) *sql.Row {
	return t.read.row(ctx, nil, query, args...)
}

func (t *tables) in(tx *sql.Tx) asking {
	return func(ctx context.Context, query string, args ...any) *sql.Row {
		return t.write.row(ctx, tx, query, args...)
	}
}

func (l *logTable) row(ctx context.Context, ask asking, key logKey) (log int64, ok bool, err error) {
	err = ask(ctx, findLog, key.user.Domain(), key.user.Local(), key.store).Scan(&log)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return log, err == nil, err
}

// find finds an entry by its ID.
func (l *logTable) find(ctx context.Context, ask asking, log int64, id string) (seq int64, ok bool, err error) {
	err = ask(ctx, findChosen, log, []byte(id)).Scan(&seq)
	if !errors.Is(err, sql.ErrNoRows) {
		return seq, err == nil, err
	}
	seq, ok = seqOf(id)
	if !ok {
		return 0, false, nil
	}
	err = ask(ctx, findMade, log, seq).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return seq, err == nil, err
}

func (l *logTable) Sync(ctx context.Context) error {
	if err := l.writer.sync(ctx, logKey{}); err != nil {
		return fmt.Errorf("store %s in %s: %w", l.store, l.where, err)
	}
	return nil
}

// Find waits until the entries of this user are in the table.
func (l *logTable) Find(ctx context.Context, user addr.Bare, q Query) (Page, error) {
	if err := l.writer.written(ctx, l.key(user)); err != nil {
		return Page{}, l.fail(l.store, user, err)
	}
	p, err := ask(ctx, l.read.desk, func(ctx context.Context) (Page, error) { return l.look(ctx, user, q) })
	return p, l.fail(l.store, user, err)
}

func (l *logTable) look(ctx context.Context, user addr.Bare, q Query) (Page, error) {
	log, ok, err := l.row(ctx, l.anyTime, l.key(user))
	switch {
	case err != nil:
		return Page{}, err
	case !ok && (q.After != "" || q.Before != "" || len(q.IDs) > 0):
		return Page{}, ErrNoEntry
	case !ok:
		return Page{Complete: true}, nil
	}
	return l.page(ctx, log, q)
}

func (l *logTable) page(ctx context.Context, log int64, q Query) (p Page, err error) {
	all, err := l.wanted(ctx, log, q)
	if err != nil {
		return p, err
	}
	some := all.clone()
	for _, bound := range []struct{ id, condition string }{{q.After, "seq > ?"}, {q.Before, "seq < ?"}} {
		if bound.id == "" {
			continue
		}
		seq, err := l.mustFind(ctx, log, bound.id)
		if err != nil {
			return p, err
		}
		some.and(bound.condition, seq)
	}
	first, err := l.fill(ctx, some, q, &p)
	if err == nil && q.Count {
		err = l.count(ctx, all, first, &p)
	}
	if err == nil && q.Size {
		err = l.read.row(ctx, nil, `SELECT coalesce(sum(length(stanza)), 0) FROM entry`+all.String(), all.args...).Scan(&p.Size)
	}
	return p, err
}

func (l *logTable) mustFind(ctx context.Context, log int64, id string) (int64, error) {
	seq, ok, err := l.find(ctx, l.anyTime, log, id)
	if err == nil && !ok {
		err = fmt.Errorf("%w: %q", ErrNoEntry, id)
	}
	return seq, err
}

// wanted are the conditions of a query but those of paging.
func (l *logTable) wanted(ctx context.Context, log int64, q Query) (*where, error) {
	w := &where{}
	w.and("log = ?", log)
	if q.With != "" {
		peer, resource, full := strings.Cut(q.With, "/")
		w.and("peer = ?", peer)
		if full {
			w.and("resource = ?", resource)
		}
	}
	if err := l.within(ctx, log, q, w); err != nil {
		return nil, err
	}
	if q.IDs == nil {
		return w, nil
	}
	if len(q.IDs) > maxIDs {
		return nil, fmt.Errorf("%w: %d", ErrTooManyIDs, len(q.IDs))
	}
	if len(q.IDs) == 0 {
		w.and("1 = 0")
		return w, nil
	}
	seqs := make([]any, len(q.IDs))
	for i, id := range q.IDs {
		seq, err := l.mustFind(ctx, log, id)
		if err != nil {
			return nil, err
		}
		seqs[i] = seq
	}
	w.and("seq IN ("+marks(len(seqs))+")", seqs...)
	return w, nil
}

// within adds the bounds of time. They are looked up first, in the index of times alone: a database that uses it for the
// page would have to sort all that is in between. "+" keeps it from that.
func (l *logTable) within(ctx context.Context, log int64, q Query, w *where) error {
	if q.Start.IsZero() && q.End.IsZero() {
		return nil
	}
	first, last := int64(math.MinInt64), int64(math.MaxInt64)
	if !q.Start.IsZero() {
		first = microseconds(q.Start, true)
	}
	if !q.End.IsZero() {
		last = microseconds(q.End, false)
	}
	var from, to sql.NullInt64
	if err := l.anyTime(ctx, findTimes, log, first, last).Scan(&from, &to); err != nil {
		return err
	}
	if !from.Valid {
		w.and("1 = 0")
		return nil
	}
	w.and("seq >= ?", from.Int64)
	w.and("seq <= ?", to.Int64)
	w.and("+time >= ?", first)
	w.and("+time <= ?", last)
	return nil
}

// microseconds rounds a bound so that what is beyond it stays beyond it.
func microseconds(t time.Time, up bool) int64 {
	n := t.UnixMicro()
	if up && t.After(time.UnixMicro(n)) {
		n++
	}
	return n
}

// marks are so many placeholders.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

// where is a condition with its arguments.
type where struct {
	conditions []string
	args       []any
}

func (w *where) and(condition string, args ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

func (w *where) clone() *where { return &where{slices.Clone(w.conditions), slices.Clone(w.args)} }

func (w *where) String() string { return " WHERE " + strings.Join(w.conditions, " AND ") }

// fill fills a page, and returns the seq of its first entry.
func (l *logTable) fill(ctx context.Context, w *where, q Query, p *Page) (first int64, err error) {
	query, args := `SELECT seq, id, time, peer, resource, stanza FROM entry`+w.String()+` ORDER BY seq`, w.args
	if q.Last {
		query += " DESC"
	}
	if q.Max > 0 {
		query, args = query+" LIMIT ?", append(args, q.Max+1)
	}
	rows, err := l.read.rows(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	p.Complete = true
	for rows.Next() {
		if q.Max > 0 && len(p.Entries) == q.Max {
			p.Complete = false
			break
		}
		seq, e, err := scanEntry(rows)
		if err != nil {
			return 0, err
		}
		if len(p.Entries) == 0 || q.Last {
			first = seq
		}
		p.Entries = append(p.Entries, e)
	}
	if q.Last {
		slices.Reverse(p.Entries)
	}
	return first, rows.Err()
}

func scanEntry(rows *sql.Rows) (seq int64, e Entry, err error) {
	var id []byte
	var at int64
	var peer, resource string
	if err := rows.Scan(&seq, &id, &at, &peer, &resource, &e.Stanza); err != nil {
		return 0, e, err
	}
	e.ID, e.Time, e.With, e.Stanza = string(id), time.UnixMicro(at).UTC(), peer, notNil(e.Stanza)
	if id == nil {
		e.ID = idOf(seq)
	}
	if resource != "" {
		e.With += "/" + resource
	}
	return seq, e, nil
}

// count tells how many entries there are on all pages, and before the first of this one.
func (l *logTable) count(ctx context.Context, all *where, first int64, p *Page) error {
	args := append([]any{first}, all.args...)
	query := `SELECT count(*), coalesce(sum(CASE WHEN seq < ? THEN 1 ELSE 0 END), 0) FROM entry` + all.String()
	if err := l.read.row(ctx, nil, query, args...).Scan(&p.Total, &p.Index); err != nil {
		return err
	}
	return nil
}

func (l *logTable) Delete(ctx context.Context, user addr.Bare, ids []string, until time.Time) (n int, err error) {
	if len(ids) > maxIDs {
		return 0, l.fail(l.store, user, fmt.Errorf("%w: %d", ErrTooManyIDs, len(ids)))
	}
	var gone atomic.Int64 // the change may outlive ctx
	err = l.writer.change(ctx, func(ctx context.Context, tx *sql.Tx, _ *batch) error {
		n, err := l.remove(ctx, tx, user, ids, until)
		gone.Store(int64(n))
		return err
	})
	if err != nil {
		return 0, l.fail(l.store, user, err)
	}
	return int(gone.Load()), nil
}

func (l *logTable) remove(ctx context.Context, tx *sql.Tx, user addr.Bare, ids []string, until time.Time) (n int, err error) {
	log, ok, err := l.row(ctx, l.in(tx), l.key(user))
	if err != nil || !ok {
		return 0, err
	}
	for _, id := range ids {
		seq, ok, err := l.find(ctx, l.in(tx), log, id)
		if err != nil {
			return 0, err
		}
		if !ok {
			continue
		}
		if _, err := l.write.exec(ctx, tx, deleteEntry, log, seq); err != nil {
			return 0, err
		}
		n++
	}
	if until.IsZero() {
		return n, nil
	}
	res, err := l.write.exec(ctx, tx, deleteUntil, log, microseconds(until, false))
	if err != nil {
		return 0, err
	}
	more, err := res.RowsAffected()
	return n + int(more), err
}

// Expire looks for what is too old before it takes the lock for writing.
func (l *logTable) Expire(ctx context.Context, host string, before time.Time, most int) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, longWork)
	defer cancel()
	old, err := ask(ctx, l.read.desk, func(ctx context.Context) ([][2]int64, error) { return l.old(ctx, host, before, most) })
	if err != nil || len(old) == 0 {
		return 0, l.fail(l.store, stringer(host), err)
	}
	var gone atomic.Int64 // some may have been deleted meanwhile
	err = l.writer.change(ctx, func(ctx context.Context, tx *sql.Tx, _ *batch) error {
		gone.Store(0)
		for _, e := range old {
			res, err := l.write.exec(ctx, tx, deleteEntry, e[0], e[1])
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			gone.Add(n)
		}
		return nil
	})
	if err != nil {
		return 0, l.fail(l.store, stringer(host), err)
	}
	return int(gone.Load()), nil
}

// old are log and seq of entries.
func (l *logTable) old(ctx context.Context, host string, before time.Time, most int) (list [][2]int64, err error) {
	rows, err := l.read.rows(ctx, findOld, host, l.store, microseconds(before, true), most)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e [2]int64
		if err := rows.Scan(&e[0], &e[1]); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

const trimLog = `DELETE FROM entry WHERE log = ? AND seq <= (SELECT seq FROM entry WHERE log = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)`

// trimmer bounds logs in memory. Offline messages it leaves alone: whoever keeps those says when there are too many,
// and they are not to be lost.
func trimmer(write *statements, most int) func(context.Context, *sql.Tx, map[logKey]int64) error {
	return func(ctx context.Context, tx *sql.Tx, logs map[logKey]int64) error {
		for key, log := range logs {
			if key.store == "offline" {
				continue
			}
			if _, err := write.exec(ctx, tx, trimLog, log, log, most); err != nil {
				return err
			}
		}
		return nil
	}
}
