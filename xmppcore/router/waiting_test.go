package router

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// kept are messages that wait for one user.
type kept struct {
	mu    sync.Mutex
	ids   []string
	fails error // of Drop
}

func (k *kept) Put(context.Context, addr.Bare, []byte) (bool, error) { return false, nil }
func (k *kept) Sync(context.Context) error                           { return nil }

func (k *kept) Each(_ context.Context, _ addr.Bare, f func(string, []byte) bool) error {
	for _, id := range k.list() {
		if !f(id, []byte("<message id='"+id+"'><body>x</body></message>")) {
			break
		}
	}
	return nil
}

func (k *kept) Drop(_ context.Context, _ addr.Bare, ids []string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fails != nil {
		return k.fails
	}
	k.ids = slices.DeleteFunc(k.ids, func(id string) bool { return slices.Contains(ids, id) })
	return nil
}

func (k *kept) list() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.ids)
}

// brokenPipe is a transport that calls somebody when it is cut.
type brokenPipe struct {
	stream.Transport
	aborted func()
}

func (p *brokenPipe) Write([]byte) error        { return nil }
func (p *brokenPipe) Close(*stanza.StreamError) {}
func (p *brokenPipe) Abort()                    { p.aborted() }

// What waits for a user is not forgotten where it is handed to a resource that leaves in that moment.
func TestHandedToOneWhoLeaves(t *testing.T) {
	user := addr.MustBare("juliet@example.com")
	full, err := user.WithResource("a")
	if err != nil {
		t.Fatal(err)
	}
	store := &kept{ids: []string{"1", "2"}}
	m := &Messages{Offline: store, Failed: func(what string, _ addr.Bare, err error) { t.Error(what, err) }}
	reg := new(registry.Registry)
	r := &Router{Registry: reg, Host: func(string) *Host { return &Host{Domain: "example.com", Messages: m} }}
	res := &registry.Resource{Account: &registry.Account{User: user}}
	left := make(chan struct{})
	pipe := &brokenPipe{aborted: func() { // it cannot take the second
		go func() {
			defer close(left)
			r.Ended(res)
		}()
		for range 10_000 {
			runtime.Gosched()
		}
	}}
	res.Session = session.New(full, pipe, session.NewLimits(session.Limits{Own: 1})) // nothing is written
	r.handOver(res, m, false)
	<-left
	if got := store.list(); !slices.Contains(got, "2") {
		t.Errorf("%q wait", got)
	}
	if !r.underway.start(user, "2") {
		t.Error("what nobody has is on its way for ever")
	}
}

// What a client has, and could not be forgotten while the store failed, is forgotten when somebody comes next, and nobody
// gets it again.
func TestForgottenLater(t *testing.T) {
	user := addr.MustBare("juliet@example.com")
	full, err := user.WithResource("a")
	if err != nil {
		t.Fatal(err)
	}
	store := &kept{ids: []string{"1", "2"}, fails: errors.New("the store fails")}
	m := &Messages{Offline: store, Failed: func(string, addr.Bare, error) {}}
	r := &Router{Registry: new(registry.Registry), Host: func(string) *Host { return &Host{Domain: "example.com", Messages: m} }}
	come := func() *registry.Resource {
		res := &registry.Resource{Account: &registry.Account{User: user}}
		res.Session = session.New(full, &brokenPipe{}, session.NewLimits(session.Limits{}))
		r.handOver(res, m, false)
		return res
	}
	first := come()
	r.Ended(first) // of which nothing is lost
	if got := store.list(); len(got) != 2 {
		t.Fatalf("%q wait", got)
	}
	store.fails = nil
	if next := come(); next.Queued() > 0 {
		t.Error("what a client has is handed again")
	}
	if got := store.list(); len(got) != 0 {
		t.Errorf("%q wait for ever", got)
	}
	if !r.underway.start(user, "1") {
		t.Error("what is forgotten is on its way for ever")
	}
}
