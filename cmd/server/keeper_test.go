package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/plugins"
	"rosterd/store"
)

// A keeperStep saves (to and what are set), waits, or loads and compares.
type keeperStep struct {
	host, plugin, store, key string

	save  bool
	value []byte // what to save or to find; nil is nothing
	ttl   time.Duration
	limit bool // it does not fit

	wait time.Duration
}

func saves(owner, key, value string, ttl ...time.Duration) keeperStep {
	s := at4(owner, key)
	s.save, s.value = true, []byte(value)
	if len(ttl) > 0 {
		s.ttl = ttl[0]
	}
	return s
}

func drops(owner, key string) keeperStep {
	s := at4(owner, key)
	s.save = true
	return s
}

func tooMuch(owner, key, value string) keeperStep {
	s := saves(owner, key, value)
	s.limit = true
	return s
}

func holds(owner, key, value string) keeperStep {
	s := at4(owner, key)
	s.value = []byte(value)
	return s
}

func lacks(owner, key string) keeperStep { return at4(owner, key) }

func waits(d time.Duration) keeperStep { return keeperStep{wait: d} }

// at4 reads "host plugin store".
func at4(owner, key string) keeperStep {
	p := strings.Split(owner, " ")
	return keeperStep{host: p[0], plugin: p[1], store: p[2], key: key}
}

// TestKeepers: what plugins are promised of a Keeper, by all that there are.
func TestKeepers(t *testing.T) {
	const mine = "a.example crm st"
	half := strings.Repeat("x", 1<<19)
	for name, open := range map[string]func(t *testing.T) plugins.Keeper{
		"memory": func(*testing.T) plugins.Keeper { return new(plugins.Memory) },
		"file": func(t *testing.T) plugins.Keeper {
			s, err := store.Open(filepath.Join(t.TempDir(), "db"), quiet)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return values{s}
		},
	} {
		for _, tt := range []struct {
			name  string
			steps []keeperStep
		}{
			{"nothing yet", []keeperStep{lacks(mine, "k")}},
			{"saved", []keeperStep{saves(mine, "k", "v"), holds(mine, "k", "v")}},
			{"saved again", []keeperStep{saves(mine, "k", "v"), saves(mine, "k", "w"), holds(mine, "k", "w")}},
			{"removed", []keeperStep{saves(mine, "k", "v"), drops(mine, "k"), lacks(mine, "k"), drops(mine, "k")}},
			{"nothing, which is something", []keeperStep{saves(mine, "k", ""), holds(mine, "k", "")}},
			{"no key", []keeperStep{saves(mine, "", "v"), holds(mine, "", "v"), lacks(mine, "k")}},
			{"any bytes", []keeperStep{saves(mine, "\x00\xff\n'", "\x00\xfe"), holds(mine, "\x00\xff\n'", "\x00\xfe"), lacks(mine, "\x00")}},
			{"upper case", []keeperStep{saves(mine, "K", "v"), lacks(mine, "k")}},
			{"to each his own", []keeperStep{
				saves(mine, "k", "1"), saves("b.example crm st", "k", "2"), saves("a.example hr st", "k", "3"), saves("a.example crm other", "k", "4"),
				holds(mine, "k", "1"), holds("b.example crm st", "k", "2"), holds("a.example hr st", "k", "3"), holds("a.example crm other", "k", "4"),
				drops(mine, "k"), holds("b.example crm st", "k", "2"), holds("a.example hr st", "k", "3"), holds("a.example crm other", "k", "4"),
			}},
			{"names do not run together", []keeperStep{saves("a.example crm st", "ore", "v"), lacks("a.example crm store", ""), lacks("a.example crm s", "tore")}},
			{"for a while", []keeperStep{
				saves(mine, "k", "v", time.Minute), waits(time.Minute - time.Second), holds(mine, "k", "v"), waits(time.Second), lacks(mine, "k"),
			}},
			{"longer after all", []keeperStep{saves(mine, "k", "v", time.Minute), saves(mine, "k", "v"), waits(time.Hour), holds(mine, "k", "v")}},
			{"shorter after all", []keeperStep{saves(mine, "k", "v"), saves(mine, "k", "v", time.Minute), waits(time.Minute), lacks(mine, "k")}},
			{"full to the last byte", []keeperStep{
				saves(mine, "k", half[3:]), saves(mine, "l", half[3:]), tooMuch(mine, "m", ""), lacks(mine, "m"), holds(mine, "l", half[3:]),
				saves("a.example hr st", "m", half), // another one's room
			}},
			{"too much in place of what is there", []keeperStep{
				saves(mine, "k", half), saves(mine, "l", "v"), tooMuch(mine, "l", half), holds(mine, "l", "v"), saves(mine, "k", ""), saves(mine, "l", half),
			}},
			{"room again: removed", []keeperStep{saves(mine, "k", half), drops(mine, "k"), saves(mine, "l", half), tooMuch(mine, "k", half)}},
			{"room again: expired", []keeperStep{
				saves(mine, "k", half, time.Minute), saves(mine, "l", "v"), tooMuch(mine, "m", half), waits(time.Minute), saves(mine, "m", half), lacks(mine, "k"),
			}},
			{"room for removals", []keeperStep{saves(mine, "k", half), tooMuch(mine, "l", half), drops(mine, "l"), drops(mine, "k"), saves(mine, "l", half)}},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k := open(t)
					for i, step := range tt.steps {
						if err := step.do(t.Context(), k); err != nil {
							t.Fatalf("step %d: %v", i+1, err)
						}
					}
				})
			})
		}
	}
}

func (s keeperStep) do(ctx context.Context, k plugins.Keeper) error {
	if s.wait > 0 {
		time.Sleep(s.wait)
		return nil
	}
	if s.save {
		b := s.value
		err := k.SaveValue(ctx, s.host, s.plugin, s.store, s.key, b, s.ttl)
		clear(b) // it is the caller's again
		if errors.Is(err, plugins.ErrLimit) != s.limit || err != nil && !s.limit {
			return fmt.Errorf("save: %v, want a limit: %v", err, s.limit)
		}
		return nil
	}
	b, ok, err := k.LoadValue(ctx, s.host, s.plugin, s.store, s.key)
	if err != nil || ok != (s.value != nil) || string(b) != string(s.value) {
		return fmt.Errorf("loaded %.20q, %v, %v; want %.20q", b, ok, err, s.value)
	}
	clear(b) // it is the caller's
	if again, _, err := k.LoadValue(ctx, s.host, s.plugin, s.store, s.key); string(again) != string(s.value) {
		return fmt.Errorf("loaded again: %.20q, %v; want %.20q", again, err, s.value)
	}
	return nil
}
