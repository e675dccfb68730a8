package store

import (
	"fmt"
	"testing"
	"time"

	"rosterd/engine/addr"
)

// Entries that are imported stand in the order in which they are added, whoever else has some of the same moment, and
// before those that have come since; an ID that is there stays where it is.
func TestImportOrder(t *testing.T) {
	s, err := OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	log := s.Stores("example.com").Log("archive")
	at := time.Unix(1700000000, 250_000)
	for n := range 20 {
		user := addr.MustBare(fmt.Sprintf("u%d@example.com", n))
		if _, err := log.Append(t.Context(), user, Entry{ID: "new", Time: time.Now(), Stanza: []byte("<m/>")}); err != nil {
			t.Fatal(err)
		}
		if err := log.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		i, err := s.Import(t.Context(), user, false)
		if err != nil {
			t.Fatal(err)
		}
		for k, e := range []Entry{{ID: "c", Time: at}, {ID: "a", Time: at}, {ID: "b", Time: at.Add(-time.Hour)}, {ID: "new", Time: at}} {
			if added, err := i.Add(t.Context(), "archive", e); err != nil || added != (k < 3) {
				t.Fatal(added, err)
			}
		}
		if err := i.Commit(); err != nil {
			t.Fatal(err)
		}
		i.Close()
		page, err := log.Find(t.Context(), user, Query{})
		if err != nil {
			t.Fatal(err)
		}
		var ids string
		for _, e := range page.Entries {
			ids += e.ID + " "
		}
		if ids != "c a b new " {
			t.Errorf("%s: %s", user, ids)
		}
	}
}
