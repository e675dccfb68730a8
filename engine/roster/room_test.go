package roster

import (
	"fmt"
	"slices"
	"testing"

	"rosterd/engine/addr"
)

// TestRoom: contacts whose groups are read into the same room keep their own.
func TestRoom(t *testing.T) {
	groups := [][]string{{"a", "b"}, {"c"}, {"d", "e", "f"}, nil, {"g"}, {"h", "i"}, {"c"}, {"k"}}
	b, room := NewBuilder(addr.MustBare("john@example.com"), Limits{}), Room{}
	for n, names := range groups {
		into := room.Groups(len(names), len(groups)-n-2) // fewer than come
		copy(into, names)
		b.Add(fmt.Sprintf("u%d@example.com", n), Item{Groups: into})
	}
	r, _, err := b.Roster()
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range groups {
		i, _ := r.Get(addr.MustBare(fmt.Sprintf("u%d@example.com", n)))
		if !slices.Equal(i.Groups, want) {
			t.Errorf("contact %d has groups %q, want %q", n, i.Groups, want)
		}
	}
}
