// Package prosody reads what Prosody has stored, in its folder of files or in a database, and changes nothing there.
// Whatever it reads is data: nothing is executed, and what is no data is named with its place.
package prosody

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"syscall"
	"time"

	"rosterd/store/dat"
)

// Source is a place in which Prosody has stored something. Names are as Prosody has them.
type Source interface {
	// String names the place.
	String() string
	// Hosts are those of whom something is there.
	Hosts(ctx context.Context) ([]string, error)
	// Inventory is who and what there is of a host. Users are those who have something in a store that is asked for: in
	// others, there may be something else in the place of users.
	Inventory(ctx context.Context, host string, of func(store string) bool) (Inventory, error)
	// Table is what a store of values has of a user; the Table in it is nil if that is nothing.
	Table(ctx context.Context, host, user, store string) (Document, error)
	// Items are what a store of stanzas has of a user, in its order. Those with Err are to be passed over; an error
	// beside an item ends them.
	Items(ctx context.Context, host, user, store string) iter.Seq2[Item, error]
	// Stamp is another one whenever such a store may have something else; "" if there is nothing.
	Stamp(ctx context.Context, host, user, store string) (string, error)
	Close() error
}

// Inventory is what there is of a host.
type Inventory struct {
	Users  []string       // sorted
	Stores map[string]int // how many users each has something of
	Bad    []error        // what is named like nothing that Prosody makes
}

// Document is the value of a store of one user.
type Document struct {
	Table *dat.Table
	Place Place
	lines dat.Lines
}

// At is where a field of a table in the document is.
func (d Document) At(t *dat.Table, key dat.Value) Place {
	p := d.Place
	if d.lines != nil {
		p.Line = d.lines.Of(t, key)
	}
	return p
}

// Place is where something was found: a line of a file, or words that say which row of a database.
type Place struct {
	File string
	Line int // 0: not known
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Error is about something in a place.
type Error struct {
	Place  Place
	Reason string
}

func (e *Error) Error() string { return e.Place.String() + ": " + e.Reason }

// Item is one stanza, or what else is kept in the manner of stanzas.
type Item struct {
	Key    string // its ID; made of the rest where Prosody has none
	Time   time.Time
	With   string
	Stanza []byte // XML, not looked at
	Place  Place
	Err    error // there is none; it names the place
}

// isAbsent tells whether there is no such file.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}
