package xmppcore_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore"
)

func TestView(t *testing.T) {
	h := newHouse(t, nil)
	romeo, juliet := addr.MustBare("romeo@example.com"), addr.MustBare("juliet@example.com")
	h.serveRoster("romeo@example.com", both("juliet@example.com"))
	h.serveRoster("juliet@example.com", contact("romeo@example.com", roster.To))
	tea := h.available("romeo@example.com/tea")
	h.send(tea, "<presence to='nurse@example.com/x'/><presence><priority>5</priority></presence>")
	h.ping(tea)
	h.login("romeo@example.com/phone")
	balcony := h.login("juliet@example.com/balcony")
	if _, err := balcony.Roster(h.ctx()); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, v := range h.srv.View(juliet, romeo, romeo, addr.MustBare("nobody@example.com")) {
		lines = append(lines, describe(v))
	}
	want := `juliet@example.com: 1 contacts, loaded: balcony interested
romeo@example.com: 1 contacts, loaded: phone; tea available interested 5 directed [nurse@example.com]
romeo@example.com: 1 contacts, loaded: phone; tea available interested 5 directed [nurse@example.com]
nobody@example.com: 0 contacts:`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func describe(v xmppcore.AccountView) string {
	text := fmt.Sprintf("%s: %d contacts", v.User, v.Roster.Len())
	if v.Loaded {
		text += ", loaded"
	}
	var list []string
	for _, r := range v.Resources {
		word := " " + r.Resource
		if r.Available {
			word += " available"
		}
		if r.Interested {
			word += " interested"
		}
		if r.Priority != 0 {
			word += fmt.Sprint(" ", r.Priority)
		}
		if len(r.Directed) > 0 {
			word += fmt.Sprint(" directed ", r.Directed)
		}
		if r.Available == r.Shown.IsZero() || r.Address.String() == "" || r.Encrypted {
			word += fmt.Sprintf(" shown %v from %v", r.Shown, r.Address)
		}
		list = append(list, word)
	}
	return text + ":" + strings.Join(list, ";")
}

// Whoever looks at pairs, both ways at once and while they change, is answered.
func TestViewOfMany(t *testing.T) {
	h := newHouse(t, nil)
	users := []addr.Bare{addr.MustBare("romeo@example.com"), addr.MustBare("juliet@example.com"), addr.MustBare("nurse@example.com")}
	for _, u := range users {
		for _, c := range users {
			if c != u {
				h.serveRoster(u.String(), both(c.String()))
			}
		}
	}
	a, b := h.available("romeo@example.com/a"), h.available("juliet@example.com/b")
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for range 200 {
				one, two := users[k%3], users[(k+1)%3]
				if v := h.srv.View(one, two, one); v[0].User != one || v[1].User != two || len(v[0].Resources) != len(v[2].Resources) {
					t.Errorf("looked at %s and %s, got %v", one, two, v)
				}
			}
		})
	}
	for range 50 {
		h.send(a, "<presence/>")
		h.send(b, "<presence/>")
		h.ping(a)
		h.ping(b)
	}
	wg.Wait()
}
