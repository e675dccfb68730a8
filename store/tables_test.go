package store

import (
	"bytes"
	"fmt"
	"path/filepath"
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
	for i := range 20_000 {
		if _, err := l.Append(b.Context(), juliet, Entry{Time: time.Now(), With: fmt.Sprintf("user%d@example.com/r", i%100), Stanza: stanza}); err != nil {
			b.Fatal(err)
		}
	}
	for name, q := range map[string]Query{
		"first": {Max: 50}, "last": {Max: 50, Last: true}, "with": {With: "user7@example.com", Max: 50, Last: true}, "count": {Max: 50, Count: true},
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
