package worker

import (
	"fmt"
	"runtime"
	"testing"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// What an answer makes the server hold is in proportion to its length, whatever a child writes into it.
func TestAnswerHolds(t *testing.T) {
	contact := func(b []byte, jid string, groups ...string) []byte {
		return appendTexts(appendText(appendText(append(b, 0), jid), ""), groups)
	}
	for _, c := range []struct {
		name     string
		contacts int
		write    func(b []byte) []byte
	}{
		{"one group, then more than there may be, all empty", 2 * 4000, func(b []byte) []byte {
			for k := range 4000 {
				b = contact(contact(b, fmt.Sprintf("u%d@x", k), "g"), "y@x", make([]string, maxGroups)...)
			}
			return b
		}},
		{"one group, then as many as there may be, all empty", 5 * 3000, func(b []byte) []byte {
			for k := range 3000 {
				b = contact(b, fmt.Sprintf("u%d@x", k), "g")
				for j := range 4 {
					b = contact(b, fmt.Sprintf("y%d.%d@x", j, k), make([]string, 256)...)
				}
			}
			return b
		}},
		{"a contact, and many that are none", 100_000, func(b []byte) []byte {
			return append(contact(b, "u@x"), make([]byte, 4*(100_000-1))...)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := appendInt(appendInt(appendText([]byte{0}, ""), 0), 0)
			payload := string(c.write(appendUint(appendUint(b, 0), uint64(c.contacts))))
			before := heap()
			a, err := (&decoder{s: payload}).answer(addr.MustBare("me@x"), roster.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			a.Dropped = nil // which is bounded by its number, and goes at once
			if held := heap() - before; held > 3*int64(len(payload)) {
				t.Errorf("%d contacts of %d bytes hold %d bytes", a.Roster.Len(), len(payload), held)
			}
			runtime.KeepAlive(a)
			runtime.KeepAlive(payload)
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
