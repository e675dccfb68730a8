package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/session"
)

func resource(a *registry.Account, full string) *registry.Resource {
	return &registry.Resource{Session: &session.Session{Full: addr.MustParse(full)}, Account: a}
}

func TestRegistry(t *testing.T) {
	var r registry.Registry
	romeo, orchard := addr.MustBare("romeo@example.com"), addr.MustParse("romeo@example.com/orchard")
	if r.Account(romeo) != nil || r.Resource(orchard) != nil || r.Written([]byte("romeo@example.com/orchard")) != nil {
		t.Fatal("somebody is there")
	}
	a := r.Join(romeo)
	if r.Join(romeo) != a || r.Account(romeo) != a || a.User != romeo {
		t.Fatal("another account")
	}
	old, chamber := resource(a, "romeo@example.com/orchard"), resource(a, "romeo@example.com/chamber")
	r.Add(old)
	r.Add(chamber)
	if r.Resource(orchard) != old || len(slices.Collect(r.All())) != 2 {
		t.Fatal("not added")
	}
	fresh := resource(a, "romeo@example.com/orchard")
	r.Add(fresh)
	r.Remove(old) // too late
	if r.Resource(orchard) != fresh || r.Written([]byte("romeo@example.com/orchard")) != fresh {
		t.Fatal("removed by the one it replaced")
	}
	r.Remove(fresh)
	r.Remove(chamber)
	if r.Resource(orchard) != nil || len(slices.Collect(r.All())) != 0 {
		t.Fatal("not removed")
	}
	r.Leave(a)
	if r.Account(romeo) != a {
		t.Fatal("forgotten before its last member")
	}
	r.Leave(a)
	if r.Account(romeo) != nil || r.Join(romeo) == a {
		t.Fatal("not forgotten")
	}
}

func TestWritten(t *testing.T) {
	var r registry.Registry
	a := r.Join(addr.MustBare("romeo@example.com"))
	for _, full := range []string{"romeo@example.com/orchard", "romeo@example.com/a&amp;b", "romeo@example.com/a/b", "romeo@example.com/café"} {
		r.Add(resource(a, full))
	}
	for _, c := range []struct{ written, found string }{
		{"romeo@example.com/orchard", "romeo@example.com/orchard"},
		{"romeo@example.com/a/b", "romeo@example.com/a/b"},
		{"romeo@example.com/café", "romeo@example.com/café"},
		{"romeo@example.com/Orchard", ""},
		{"Romeo@example.com/orchard", ""}, // found by Resource, once it is prepared
		{"romeo@example.com", ""},
		{"romeo@example.com/", ""},
		{"romeo@example.com/orch&#97;rd", ""},
		{"romeo@example.com/a&amp;b", ""}, // which means a&b
		{"", ""},
		{"/", ""},
	} {
		t.Run(c.written, func(t *testing.T) {
			got := ""
			if res := r.Written([]byte(c.written)); res != nil {
				got = res.Full.String()
			}
			if got != c.found {
				t.Errorf("found %q", got)
			}
		})
	}
	written := []byte("romeo@example.com/orchard")
	if n := testing.AllocsPerRun(100, func() { r.Written(written) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Many come and go; under -race.
func TestRegistryAtOnce(t *testing.T) {
	var r registry.Registry
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 200 {
				u := addr.MustBare(fmt.Sprintf("u%d@example.com", i%5))
				a := r.Join(u)
				res := resource(a, fmt.Sprintf("%s/%d", u, g))
				r.Add(res)
				if r.Account(u) != a || r.Resource(res.Full) != res {
					t.Errorf("%s is not there", res.Full)
				}
				for range r.All() {
					break
				}
				r.Remove(res)
				r.Leave(a)
			}
		})
	}
	all.Wait()
	for range r.All() {
		t.Error("somebody is left")
	}
	for i := range 5 {
		if r.Account(addr.MustBare(fmt.Sprintf("u%d@example.com", i))) != nil {
			t.Errorf("u%d is left", i)
		}
	}
}

func names(list []*registry.Resource) string {
	var s []string
	for _, r := range list {
		s = append(s, r.Full.Resource())
	}
	return strings.Join(s, " ")
}

// A list of resources that somebody holds does not change under him.
func TestAccountResources(t *testing.T) {
	var a registry.Account
	x, y, z := resource(&a, "a@b/x"), resource(&a, "a@b/y"), resource(&a, "a@b/z")
	a.Enter(x)
	a.Enter(y)
	before := a.Resources()
	a.Enter(z)
	during := a.Resources()
	x.Available = true
	a.Exit(x)
	if names(before) != "x y" || names(during) != "x y z" || names(a.Resources()) != "y z" {
		t.Errorf("%s; %s; %s", names(before), names(during), names(a.Resources()))
	}
	if a.Find("y") != y || a.Find("x") != nil || !x.Detached || x.Available {
		t.Error("x is not gone, or y is")
	}
}

func TestAccountRoster(t *testing.T) {
	var a registry.Account
	juliet, nurse := addr.MustBare("juliet@example.com"), addr.MustBare("nurse@example.com")
	x := resource(&a, "a@b/x")
	a.Enter(x)
	if _, ok := a.Roster(); ok {
		t.Fatal("has a roster")
	}
	list, _ := roster.New(addr.Bare{}, roster.Item{JID: juliet, Subscription: roster.To})
	a.SetRoster(list, nil)
	if r, ok := a.Roster(); !ok || r.Len() != 1 || !a.Shows(juliet, false) || a.Shows(nurse, true) {
		t.Fatal("not set")
	}
	// Dropped twice, and settled once: the second one's unavailable still passes.
	a.SetRoster(roster.Roster{}, []addr.Bare{juliet})
	a.SetRoster(roster.Roster{}, []addr.Bare{juliet})
	a.Faded(juliet)
	if a.Shows(juliet, false) || !a.Shows(juliet, true) || a.Shows(nurse, true) {
		t.Error("fading")
	}
	a.Faded(juliet)
	if a.Shows(juliet, true) {
		t.Error("not faded")
	}
	a.SetRoster(list, []addr.Bare{nurse})
	a.Exit(x)
	if _, ok := a.Roster(); ok || a.Shows(juliet, false) {
		t.Error("the roster stays when the last resource has left")
	}
	// What fades in one life of the account does not end with that of another.
	a.Enter(x)
	a.SetRoster(list, []addr.Bare{nurse})
	a.Faded(nurse)
	if !a.Shows(nurse, true) {
		t.Error("faded too early")
	}
	a.Faded(nurse)
	if a.Shows(nurse, true) {
		t.Error("not faded")
	}
}

func TestSentTo(t *testing.T) {
	for _, c := range []struct {
		sent, to string
		want     bool
	}{
		{"a@b/x", "a@b/x", true},
		{"a@b/x", "a@b/y", false},
		{"a@b/x", "a@b", false},
		{"a@b", "a@b", true},
		{"a@b", "a@b/x", true},
		{"b", "a@b", false},
	} {
		r := registry.Resource{Directed: map[addr.JID]struct{}{addr.MustParse(c.sent): {}}}
		if got := r.SentTo(addr.MustParse(c.to)); got != c.want {
			t.Errorf("sent to %s, asked for %s: %v", c.sent, c.to, got)
		}
	}
}

func BenchmarkWritten(b *testing.B) {
	var r registry.Registry
	for i := range 10_000 {
		a := r.Join(addr.MustBare(fmt.Sprintf("u%d@example.com", i)))
		r.Add(resource(a, fmt.Sprintf("u%d@example.com/home", i)))
	}
	to := []byte("u5000@example.com/home")
	b.ReportAllocs()
	for b.Loop() {
		if r.Written(to) == nil {
			b.Fatal("not found")
		}
	}
}
