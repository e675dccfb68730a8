package bosh

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestWindowAdmits(t *testing.T) {
	w := window{size: 2, last: 100}
	for _, tt := range []struct {
		name string
		in   input
		want bool
	}{
		{"next", input{rid: 101, pause: -1}, true},
		{"the one after that", input{rid: 102, pause: -1}, true},
		{"beyond", input{rid: 103, pause: -1}, false},
		{"the end", input{rid: 103, pause: -1, terminate: true}, true},
		{"a pause", input{rid: 103, pause: 10}, true},
		{"a pause beyond", input{rid: 104, pause: 10}, false},
		{"the last", input{rid: 100, pause: -1}, false},
		{"long ago", input{rid: 1, pause: -1}, false},
	} {
		if got := w.admits(&tt.in); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

// However requests come, they are taken in order, each once, and the answers that a client may miss are there.
func TestWindowOrder(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := window{size: 2, last: 0}
		coming := []int64{1, 2}
		var got strings.Builder
		for w.last < 20 {
			i := r.IntN(len(coming))
			rid := coming[i]
			coming = append(coming[:i], coming[i+1:]...)
			w.add(&request{rid: rid, waiter: make(chan []byte, 1)})
			for q := w.advance(); q != nil; q = w.advance() {
				fmt.Fprint(&got, q.rid, " ")
			}
			for q := w.first(); q != nil; q = w.first() {
				q.answer, q.waiter = nothing, nil
				w.trim()
				coming = append(coming, q.rid+2)
			}
			for old := max(1, w.last-1); old <= w.last; old++ {
				if q := w.find(old); q == nil || q.answer == nil {
					t.Fatalf("seed %d: no answer to %d, the last is %d", seed, old, w.last)
				}
			}
			if len(w.list) > 4 {
				t.Fatalf("seed %d: %d requests are remembered", seed, len(w.list))
			}
		}
		if !strings.HasPrefix(got.String(), "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 ") {
			t.Fatalf("seed %d: %s", seed, got.String())
		}
	}
}
