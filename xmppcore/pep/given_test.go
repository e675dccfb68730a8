package pep

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"weak"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/session"
)

// late is a site of whose users nothing is known yet.
type late struct{}

func (late) Nodes() []string { return []string{"given"} }
func (late) Told() string    { return "given" }
func (late) Item(context.Context, addr.Bare, string) (p Published, ok bool, err error) {
	return p, false, nil
}
func (late) Last(addr.Bare) (p Published, ok, known bool) { return p, false, false }

// viewerOf is a resource that sees the presence of romeo, and wants what is given of him.
func viewerOf(t *testing.T, name string) *registry.Resource {
	user := addr.MustBare(name + "@example.com")
	full, err := user.WithResource("balcony")
	if err != nil {
		t.Fatal(err)
	}
	r, bad := roster.New(user, roster.Item{JID: romeo, Subscription: roster.To})
	if bad != nil {
		t.Fatal(bad)
	}
	a := &registry.Account{User: user}
	a.SetRoster(r, nil)
	res := &registry.Resource{
		Session: session.New(full, nil, session.NewLimits(session.Limits{})), Account: a,
		Available: true, Caps: &registry.Capabilities{Notify: []string{"given"}},
	}
	a.Enter(res)
	return res
}

// told is what is queued for a resource.
func told(r *registry.Resource) (s string) {
	r.AppendOwn(func(b []byte) []byte { s = string(b); return b })
	return s
}

// Who waits to be told of a user is not told what he may not know or want any more.
func TestGivenTooLate(t *testing.T) {
	for name, change := range map[string]func(w *world, r *registry.Resource){
		"nothing has changed": func(*world, *registry.Resource) {},
		"no subscription":     func(_ *world, r *registry.Resource) { r.Account.SetRoster(roster.Roster{}, nil) },
		"blocked": func(w *world, r *registry.Resource) {
			w.Blocked = func(owner addr.Bare, other addr.JID) bool { return owner == romeo && other.Bare() == r.Account.User }
		},
		"blocks": func(w *world, r *registry.Resource) {
			w.Blocked = func(owner addr.Bare, other addr.JID) bool { return owner == r.Account.User && other.Bare() == romeo }
		},
		"one resource is blocked": func(w *world, r *registry.Resource) {
			w.Blocked = func(owner addr.Bare, other addr.JID) bool { return owner == romeo && other == r.Full }
		},
		"unavailable": func(_ *world, r *registry.Resource) { r.Available = false },
		"no interest": func(_ *world, r *registry.Resource) { r.Caps = &registry.Capabilities{} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.host.Given = late{}
			r := viewerOf(t, "juliet")
			w.lastGiven(w.host, romeo, debt{to: r, nodes: []string{"given"}})
			change(w, r)
			w.Tell(romeo, "given", Published{"1", []byte("<x xmlns='a'/>")})
			if got, want := told(r), name == "nothing has changed"; strings.Contains(got, "<x xmlns='a'/>") != want {
				t.Errorf("told: %q", got)
			}
		})
	}
}

// Of whom nothing is ever known holds nobody in memory who has left, and nobody waits for him twice.
func TestGivenNever(t *testing.T) {
	w := newWorld(t)
	w.host.Given = late{}
	r := viewerOf(t, "juliet")
	for range 10 {
		w.lastGiven(w.host, romeo, debt{to: r, nodes: []string{"given"}})
	}
	if w.awaiting.n != 1 {
		t.Errorf("one resource waits %d times", w.awaiting.n)
	}
	left := weak.Make(r)
	r.Account.Exit(r)
	r = nil
	runtime.GC()
	runtime.GC()
	if left.Value() != nil {
		t.Error("who has left is still there")
	}
	runtime.KeepAlive(w)
}

// What a user published in a node before somebody else said what it holds is not found there.
func TestGivenNodesAlone(t *testing.T) {
	w := newWorld(t)
	for _, node := range []string{"given", "own"} {
		if err := w.publish(node, "1", "<x xmlns='a'/>", true); err != nil {
			t.Fatal(err)
		}
	}
	w.host.Given = late{}
	answer, refused := w.discoGiven(t.Context(), w.host, &viewer{s: w.Service, owner: romeo, bare: addr.MustBare("juliet@example.com")}, "", true)
	if want := "<item jid='" + romeo.String() + "' node='own'/>"; string(answer) != want || refused != nil {
		t.Errorf("%s, %v; want %s", answer, refused, want)
	}
}

// Who waited and is gone takes no room once somebody else waits for the same user.
func TestAwaitingGone(t *testing.T) {
	owner, w := romeo, awaiting{}
	w.add(owner, &registry.Resource{})
	runtime.GC()
	runtime.GC()
	r := &registry.Resource{}
	w.add(owner, r)
	if w.n != 1 || len(w.of[owner]) != 1 {
		t.Errorf("%d wait", w.n)
	}
	if !w.remove(owner, r) || w.n != 0 || len(w.of) != 0 {
		t.Errorf("%d wait for nothing", w.n)
	}
}
