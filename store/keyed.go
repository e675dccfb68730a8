package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"rosterd/engine/addr"
)

// What belongs to users, beside their accounts, is kept in one of two forms, in stores with Prosody's names. Whoever
// uses a store does not know which driver keeps it.

// Keyed is one store of values by key, such as "private" or "vcard". The key may be "". Values are the user's own
// business: any bytes, and no key is in more than one place.
type Keyed interface {
	// Get is the value of a key; ok is false if there is none.
	Get(ctx context.Context, user addr.Bare, key string) (value []byte, ok bool, err error)
	// All are the values of a user, by key.
	All(ctx context.Context, user addr.Bare) (map[string][]byte, error)
	// Change sets values, and removes those that are nil: all of it or nothing. When it returns, it is on disk. The error
	// wraps ErrDisabled where nothing is to be kept.
	Change(ctx context.Context, user addr.Bare, values map[string][]byte) error
	// Users are those of a host who have a value.
	Users(ctx context.Context, host string) iter.Seq2[addr.Bare, error]
}

// Log is one store of stanzas in the order of their coming, such as "archive" or "offline".
type Log interface {
	// Append puts an entry behind those of a user and returns its ID: e.ID, or if that is "" one that sorts behind the
	// others. An ID that is there already takes its entry to the end. It may return before the entry is on disk: see Sync.
	// The error wraps ErrDisabled where nothing is to be kept.
	Append(ctx context.Context, user addr.Bare, e Entry) (id string, err error)
	// Sync returns when all that was appended before is committed: the death of the process does not take it any more.
	Sync(ctx context.Context) error
	// Find looks for entries of a user, also those that are not on disk yet.
	Find(ctx context.Context, user addr.Bare, q Query) (Page, error)
	// Delete removes entries of a user: those with the IDs, or all that are not after a time. It returns how many.
	Delete(ctx context.Context, user addr.Bare, ids []string, until time.Time) (int, error)
	// Expire removes entries of all users of a host that are older than a time, at most so many in one go.
	Expire(ctx context.Context, host string, before time.Time, most int) (int, error)
}

// Entry is one stanza of a Log.
type Entry struct {
	ID     string    // unique among those of the user
	Time   time.Time // when it came, to the microsecond
	With   string    // the JID of the other side, as With of a Query is compared with it: full or bare
	Stanza []byte
}

// Query says which entries of a user are wanted. The zero value is all of them.
type Query struct {
	With          string    // a full JID, or a bare one for all of its resources; "": anybody
	Start, End    time.Time // inclusive; zero: no bound
	After, Before string    // IDs of entries, exclusive; "": no bound (XEP-0059)
	IDs           []string  // only these; nil: any
	Max           int       // entries on a page; 0: all
	Last          bool      // the last page of what is found, not the first; the order stays
	Count         bool      // count what is found on all pages
	Size          bool      // add up the bytes of all stanzas that are found
}

// Page is what was found, in the order of the log.
type Page struct {
	Entries  []Entry
	Complete bool // nothing follows in the direction of paging
	Total    int  // on all pages, if that was asked for
	Index    int  // of the first entry among them, if that was asked for

	Size int64 // of the stanzas on all pages, in bytes, if that was asked for
}

// ErrNoEntry says that After, Before or one of the IDs of a Query is nowhere in the log.
var ErrNoEntry = errors.New("no such entry")

// Stores opens the stores of a host. Where they are, and whether anything is kept, is not for whoever uses them to know.
type Stores interface {
	Keyed(name string) Keyed
	Log(name string) Log
}
