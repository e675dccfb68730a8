package stored_test

import (
	"fmt"
	"testing"

	"rosterd/engine"
	"rosterd/engine/roster"
)

// One change of a roster of 200 contacts, and reading it.
func BenchmarkRosters(b *testing.B) {
	r := rosters(b, nil)
	user := jid("romeo")
	set := func(contact, name string) {
		if _, err := r.Edit(b.Context(), engine.Edit{User: user, Contact: jid(contact), Action: engine.Set, Item: roster.Item{Name: name, Groups: []string{"Friends"}}}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 200 {
		set(fmt.Sprint("c", i), "Somebody")
	}
	b.Run("edit", func(b *testing.B) {
		for i := range b.N {
			set("c7", fmt.Sprint(i))
		}
	})
	b.Run("fetch", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Fetch(b.Context(), engine.Request{User: user}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
