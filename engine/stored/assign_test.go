package stored_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/engine/stored"
)

// assigned puts contacts, as "NAME SUBSCRIPTION [NICK [GROUP…]]", and removes those that are written "- NAME".
func assigned(t *testing.T, r *stored.Rosters, lines ...string) string {
	t.Helper()
	n, err := r.Assign(t.Context(), engine.Assignment{User: jid("romeo"), Decide: func(roster.Roster) (put []roster.Item, remove []addr.Bare, err error) {
		for _, line := range lines {
			w := append(strings.Fields(line), "", "")
			if w[0] == "-" {
				remove = append(remove, jid(w[1]))
				continue
			}
			i := roster.Item{JID: jid(w[0]), Name: w[2]}
			if i.Subscription, err = roster.ParseSubscription(w[1]); err != nil {
				return nil, nil, err
			}
			if i.Name == "LONG" {
				i.Name = strings.Repeat("n", 2000)
			}
			if len(w) > 5 {
				i.Groups = w[3 : len(w)-2]
			}
			put = append(put, i)
		}
		return put, remove, nil
	}})
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprint(n)
}

func TestAssign(t *testing.T) {
	r := rosters(t, func(r *stored.Rosters) { r.Limits = stored.Limits{Items: 4, Bytes: 4000} })
	for _, step := range []struct{ do, want, roster string }{
		{"juliet both J B A B", "1", "juliet: both J [A B]"},
		{"juliet both J A B", "0", "juliet: both J [A B]"},
		{"juliet from", "1", "juliet: from"},
		{"nurse none N, paris to", "2", "juliet: from, nurse: none N, paris: to"},
		{"- nurse, - nobody, tybalt both", "2", "juliet: from, paris: to, tybalt: both"},
		{"romeo both", "error: romeo@example.com in the roster of romeo@example.com: the backend denies access: nobody is a contact of his own", "juliet: from, paris: to, tybalt: both"},
		{"a both, b both", "error: roster of romeo@example.com: the roster is full: more than 4 contacts", "juliet: from, paris: to, tybalt: both"},
		{"a both, b both, - tybalt", "3", "a: both, b: both, juliet: from, paris: to"},
		{"a both LONG", "error: a@example.com in the roster of romeo@example.com: the backend denies access: name of 2000 bytes, more than 1023", "a: both, b: both, juliet: from, paris: to"},
		{"- a, - b, - juliet, - paris", "4", ""},
	} {
		got := assigned(t, r, strings.Split(step.do, ", ")...)
		if got != step.want {
			t.Errorf("%s: %s, want %s", step.do, got, step.want)
		}
		if got := contents(t, r, "romeo"); got != step.roster {
			t.Errorf("%s: the roster is %s, want %s", step.do, got, step.roster)
		}
	}
}

// What an application says answers requests, and leaves those that are still to be answered.
func TestAssignAndRequests(t *testing.T) {
	r := rosters(t, nil)
	for _, do := range []string{"out-subscribe juliet", "in-subscribe paris", "in-subscribe nurse"} {
		if got := outcome(r.Edit(t.Context(), edit(do))); strings.HasPrefix(got, "error") {
			t.Fatal(got)
		}
	}
	for _, step := range []struct{ do, want string }{
		{"juliet from", "juliet: from ask, paris asks <in-subscribe paris/>, nurse asks <in-subscribe nurse/>"},
		{"juliet both", "juliet: both, paris asks <in-subscribe paris/>, nurse asks <in-subscribe nurse/>"},
		{"paris to", "juliet: both, paris: to, paris asks <in-subscribe paris/>, nurse asks <in-subscribe nurse/>"},
		{"paris both", "juliet: both, paris: both, nurse asks <in-subscribe nurse/>"},
	} {
		assigned(t, r, step.do)
		if got := contents(t, r, "romeo"); got != step.want {
			t.Errorf("%s: %s, want %s", step.do, got, step.want)
		}
	}
}

// A roster that comes from elsewhere is kept here with the first change.
func TestAssignToImported(t *testing.T) {
	asked := 0
	broken := errors.New("line 3")
	var err error
	r := rosters(t, func(r *stored.Rosters) {
		r.Import = func(_ context.Context, user addr.Bare) ([]stored.Entry, []roster.BadItem, error) {
			asked++
			return []stored.Entry{{Contact: jid("juliet"), Item: &roster.Item{JID: jid("juliet"), Name: "J", Subscription: roster.Both}}}, nil, err
		}
	})
	if got := assigned(t, r, "- nobody"); got != "0" {
		t.Error(got)
	}
	err = broken
	if got := assigned(t, r, "nurse both"); got != "error: line 3" {
		t.Error(got)
	}
	err = nil
	if got := assigned(t, r, "nurse both"); got != "1" {
		t.Error(got)
	}
	asked = 0
	if got := contents(t, r, "romeo"); got != "juliet: both J, nurse: both" || asked > 0 {
		t.Errorf("%s, imported %d times after the change", got, asked)
	}
}
