package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
)

// archive is a source of vCards that counts what it is asked.
type archive struct {
	mu    sync.Mutex
	asked map[addr.Bare]int
	say   func(ctx context.Context, user addr.Bare, time int) (Card, error)
}

func (a *archive) Card(ctx context.Context, user addr.Bare) (Card, error) {
	a.mu.Lock()
	if a.asked == nil {
		a.asked = map[addr.Bare]int{}
	}
	a.asked[user]++
	n := a.asked[user]
	a.mu.Unlock()
	return a.say(ctx, user, n)
}

func (a *archive) times(user addr.Bare) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[user]
}

func person(n int) addr.Bare { return addr.MustBare(fmt.Sprintf("p%d@example.com", n)) }

// cardsOf is Cards of a source, closed at the end of the test, and what its watcher is told.
func cardsOf(t *testing.T, a *archive, conf CardSettings) (*Cards, *[]string) {
	c := NewCards(a, conf, slog.New(slog.DiscardHandler))
	t.Cleanup(c.Close)
	var mu sync.Mutex
	told := new([]string)
	c.Watch(func(user addr.Bare, m CardMark, first bool) {
		mu.Lock()
		defer mu.Unlock()
		*told = append(*told, fmt.Sprintf("%s %d %t", user.Local(), m.Size, first))
	})
	return c, told
}

func sized(n int) Card { return Card{FN: "x", Photo: Photo{Type: "image/png", Data: make([]byte, n)}} }

func TestCardsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		a := &archive{say: func(_ context.Context, _ addr.Bare, n int) (Card, error) {
			time.Sleep(time.Second)
			if down {
				return Card{}, errors.New("down")
			}
			return sized(n), nil
		}}
		c, told := cardsOf(t, a, CardSettings{})
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if card, err := c.Get(t.Context(), anna); err != nil || len(card.Photo.Data) != 1 {
					t.Errorf("%v, %v", card, err)
				}
			})
		}
		all.Wait()
		want := func(what string, calls, size int) {
			t.Helper()
			card, err := c.Get(t.Context(), anna)
			if err != nil || len(card.Photo.Data) != size || a.times(anna) != calls {
				t.Errorf("%s: picture %d (%v) after %d calls, want %d after %d", what, len(card.Photo.Data), err, a.times(anna), size, calls)
			}
		}
		want("at once", 1, 1)
		time.Sleep(5 * time.Minute)
		want("after its age", 2, 2)
		down = true
		time.Sleep(5 * time.Minute)
		want("in an outage", 3, 2)
		want("again", 3, 2)
		time.Sleep(10 * time.Second)
		want("after the pause", 4, 2)
		if _, err := c.Get(t.Context(), person(1)); err == nil || !strings.Contains(err.Error(), "vCard of p1@example.com: down") {
			t.Errorf("who is not known: %v", err)
		}
		down = false
		time.Sleep(10 * time.Second)
		want("after the outage", 5, 5)
		if got := fmt.Sprint(*told); got != "[anna 1 true anna 2 false anna 5 false]" {
			t.Errorf("told: %s", got)
		}
	})
}

// A call that hangs costs who waits for it no more than his own patience, and the call its deadline.
func TestCardsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &archive{say: func(ctx context.Context, _ addr.Bare, _ int) (Card, error) {
			<-ctx.Done()
			return Card{}, ctx.Err()
		}}
		c, _ := cardsOf(t, a, CardSettings{Parallel: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := c.Get(ctx, anna); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if _, err := c.Get(t.Context(), person(1)); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 7*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestCardsTakeBoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &archive{say: func(_ context.Context, u addr.Bare, _ int) (Card, error) { return sized(10_000), nil }}
		c, told := cardsOf(t, a, CardSettings{Bytes: 25_000})
		for n := range 100 {
			if _, err := c.Get(t.Context(), person(n)); err != nil {
				t.Fatal(err)
			}
			if c.bytes > 25_000 {
				t.Fatalf("%d bytes", c.bytes)
			}
		}
		sum := 0
		for _, e := range c.all {
			sum += e.bytes
		}
		if sum != c.bytes || len(c.all) != c.used.Len() {
			t.Errorf("counted %d bytes, of %d; %d of %d", c.bytes, sum, len(c.all), c.used.Len())
		}
		if _, ok := c.Kept(person(99)); !ok {
			t.Error("the last one is not kept")
		}
		if _, ok := c.Kept(person(97)); ok {
			t.Error("there is room for three")
		}
		if m, known := c.Known(person(97)); !known || m.Size != 10_000 {
			t.Errorf("what was known of its picture: %v %v", m, known)
		}
		before := len(*told)
		if card, err := c.Get(t.Context(), person(97)); err != nil || len(card.Photo.Data) != 10_000 || a.times(person(97)) != 2 || len(*told) != before {
			t.Errorf("fetched again: %v, %d calls, told %d times", err, a.times(person(97)), len(*told)-before)
		}
	})
}

// A refresh does not count a call that began before it, and asks for those alone that concern somebody.
func TestCardsRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &archive{say: func(_ context.Context, _ addr.Bare, n int) (Card, error) {
			time.Sleep(time.Second)
			return sized(n), nil
		}}
		c, told := cardsOf(t, a, CardSettings{})
		go c.Get(t.Context(), anna)
		synctest.Wait()
		c.Refresh(t.Context(), []addr.Bare{anna, person(1), person(2)}, func(u addr.Bare) bool { return u == person(1) })
		for u, n := range map[addr.Bare]int{anna: 2, person(1): 1, person(2): 0} {
			if a.times(u) != n {
				t.Errorf("%s: %d calls, want %d", u, a.times(u), n)
			}
		}
		if got := fmt.Sprint(*told); !strings.HasSuffix(got, "anna 2 false]") {
			t.Errorf("told: %s", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c.Refresh(ctx, []addr.Bare{anna}, func(addr.Bare) bool { return false })
		synctest.Wait()
		if card, err := c.Get(t.Context(), anna); err != nil || len(card.Photo.Data) < 3 {
			t.Errorf("one that was not waited for is still to be done: %d, %v", len(card.Photo.Data), err)
		}
	})
}

// What nobody waits for is fetched, once, and again some times if it fails.
func TestCardsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &archive{say: func(_ context.Context, u addr.Bare, n int) (Card, error) {
			if u == person(1) || n < 3 {
				return Card{}, errors.New("down")
			}
			return sized(7), nil
		}}
		c, told := cardsOf(t, a, CardSettings{})
		for range 3 {
			for _, u := range []addr.Bare{anna, person(1)} {
				if _, known := c.Mark(u); known {
					t.Error("known")
				}
			}
		}
		time.Sleep(10 * time.Minute)
		if got := fmt.Sprint(*told, a.times(anna), a.times(person(1))); got != "[anna 7 true] 3 5" {
			t.Error(got)
		}
		if m, known := c.Mark(anna); !known || m.Size != 7 {
			t.Errorf("%v %v", m, known)
		}
	})
}

// A card that is wrong keeps nobody else from being fetched in the background: it stays wrong until somebody mends it.
func TestCardsThatAreWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &archive{say: func(_ context.Context, u addr.Bare, _ int) (Card, error) {
			if u != anna {
				return Card{}, &PermanentError{Err: errors.New("a large picture")}
			}
			return sized(7), nil
		}}
		c, _ := cardsOf(t, a, CardSettings{})
		for n := range 20 {
			c.Mark(person(n))
		}
		c.Mark(anna)
		synctest.Wait()
		if _, known := c.Mark(anna); !known {
			t.Error("who is asked for after them waits")
		}
		time.Sleep(10 * time.Minute)
		if n := a.times(person(0)); n != 1 {
			t.Errorf("asked %d times, and nobody has looked again", n)
		}
	})
}

// Those of whom the backend says nothing, were they asked for by the thousand, take no room of the others.
func TestCardsOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &archive{say: func(_ context.Context, u addr.Bare, _ int) (Card, error) {
			switch {
			case u == anna:
				return sized(10_000), nil
			case len(u.Local())%2 == 0:
				return Card{}, errors.New("down")
			}
			return Card{}, nil
		}}
		c, told := cardsOf(t, a, CardSettings{Bytes: 25_000})
		c.Get(t.Context(), anna)
		for n := range 1000 {
			c.Get(t.Context(), person(n))
			if c.bytes > 25_000 {
				t.Fatalf("%d bytes", c.bytes)
			}
		}
		if _, ok := c.Kept(anna); !ok {
			t.Error("what the backend has said of somebody is not kept")
		}
		c.Get(t.Context(), anna)
		if n := strings.Count(fmt.Sprint(*told), "anna"); n != 1 || a.times(anna) != 1 {
			t.Errorf("told %d times, asked %d times", n, a.times(anna))
		}
	})
}

// What counts is the memory that a card takes: a hundred addresses of a byte each are more than a hundred bytes.
func TestCardsOfManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		many := strings.Split(strings.Repeat("a", maxCardTel), "")
		a := &archive{say: func(context.Context, addr.Bare, int) (Card, error) { return Card{Email: many, Tel: many}, nil }}
		c, _ := cardsOf(t, a, CardSettings{})
		if c.Get(t.Context(), anna); c.bytes < 2*maxCardTel*(16+1) {
			t.Errorf("counted %d bytes", c.bytes)
		}
	})
}
