package xep_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/xep"
)

func keyed(t *testing.T, name string) store.Keyed {
	t.Helper()
	db, err := store.OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db.Stores("example.com").Keyed(name)
}

var quiet = slog.New(slog.DiscardHandler)

func own(typ, payload string) string { return "<iq type='" + typ + "' id='1'>" + payload + "</iq>" }

const mine = "<iq type='result' id='1' to='romeo@example.com/x'"

func private(element string) string {
	return "<query xmlns='jabber:iq:private'>" + element + "</query>"
}

// What a user may store is bounded, and what is there can be changed all the same.
func TestPrivateLimits(t *testing.T) {
	p := &xep.Private{Store: keyed(t, "private"), Log: quiet}
	set := func(name string, size int) bool {
		t.Helper()
		got := ask(t, own("set", private("<"+name+" xmlns='x'>"+strings.Repeat("y", size)+"</"+name+">")), p.Extension())
		if got != mine+"/>" && !strings.Contains(got, "<error type='cancel'><resource-constraint ") {
			t.Fatal(got)
		}
		return got == mine+"/>"
	}
	for i := range 4 {
		if !set(fmt.Sprint("n", i), 1<<18-100) {
			t.Fatalf("%d. was refused", i)
		}
	}
	if set("n5", 1000) {
		t.Error("too much was stored")
	}
	if !set("n0", 0) || !set("n5", 1000) || !set("n5", 2000) {
		t.Error("there is no room where there is")
	}
	many := map[string][]byte{}
	for i := range 1000 {
		many[fmt.Sprint("m", i, ":x")] = []byte("<a/>")
	}
	user := addr.MustBare("romeo@example.com")
	if err := p.Store.Change(t.Context(), user, many); err != nil {
		t.Fatal(err)
	}
	if set("n6", 10) || !set("m0", 0) {
		t.Error("too many were stored, or one of them cannot be removed")
	}
}

type bookmarks struct {
	kept    string
	refused *stanza.Error
}

func (b *bookmarks) Private(context.Context, addr.Bare) ([]byte, error) {
	if b.refused != nil {
		return nil, errors.New("broken")
	}
	return []byte(b.kept), nil
}

func (b *bookmarks) SetPrivate(_ context.Context, _ addr.Bare, e scan.Element) *stanza.Error {
	b.kept = string(e.AppendAlone(nil))
	return b.refused
}

// What is kept elsewhere is asked for there alone.
func TestPrivateElsewhere(t *testing.T) {
	var b bookmarks
	p := &xep.Private{Store: keyed(t, "private"), Log: quiet, Elsewhere: map[router.Payload]xep.PrivateElement{{Space: "storage:bookmarks", Name: "storage"}: &b}}
	const element = "<storage xmlns='storage:bookmarks'><url/></storage>"
	for _, c := range []struct {
		name, typ, element, want string
		refused                  *stanza.Error
	}{
		{"nothing yet", "get", "<storage xmlns='storage:bookmarks'/>", mine + ">" + private("<storage xmlns='storage:bookmarks'/>") + "</iq>", nil},
		{"set", "set", element, mine + "/>", nil},
		{"get", "get", "<storage xmlns='storage:bookmarks'/>", mine + ">" + private(element) + "</iq>", nil},
		{"refused", "set", element, "<iq type='error' id='1' to='romeo@example.com/x'><error type='modify'><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", &stanza.Error{Condition: stanza.PolicyViolation}},
		{"broken", "get", element, "<iq type='error' id='1' to='romeo@example.com/x'><error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", &stanza.Error{Condition: stanza.PolicyViolation}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.refused = c.refused
			if got := ask(t, own(c.typ, private(c.element)), p.Extension()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	if all, err := p.Store.All(t.Context(), addr.MustBare("romeo@example.com")); err != nil || len(all) != 0 {
		t.Errorf("stored as well: %v, %v", all, err)
	}
}

// broken is a store that fails.
type broken struct{ store.Keyed }

var errBroken = errors.New("disk on fire")

func (broken) Get(context.Context, addr.Bare, string) ([]byte, bool, error) {
	return nil, false, errBroken
}
func (broken) All(context.Context, addr.Bare) (map[string][]byte, error)  { return nil, errBroken }
func (broken) Change(context.Context, addr.Bare, map[string][]byte) error { return errBroken }
func exists(context.Context, addr.Bare) (bool, error)                     { return true, nil }
func granted(context.Context, addr.Bare, addr.Bare) (bool, error)         { return true, nil }
func offline(addr.Bare) bool                                              { return false }
func at(now string) func() time.Time {
	return func() time.Time {
		when, err := time.Parse(time.RFC3339, now)
		if err != nil {
			panic(err)
		}
		return when
	}
}

// A store that fails is said to the log, and to the client that it may try again.
func TestBrokenStore(t *testing.T) {
	const want = "<error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
	p := &xep.Private{Store: broken{}, Log: quiet}
	l := &xep.LastActivity{Store: broken{}, Now: time.Now, Log: quiet, Exists: exists, Online: offline, Grants: granted}
	for _, c := range []struct {
		name, request string
		x             xep.Extension
	}{
		{"private get", own("get", private("<a xmlns='a'/>")), p.Extension()},
		{"private set", own("set", private("<a xmlns='a'>x</a>")), p.Extension()},
		{"last activity", own("get", "<query xmlns='jabber:iq:last'/>"), l.Extension()},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ask(t, c.request, c.x); !strings.HasSuffix(got, want) {
				t.Error(got)
			}
		})
	}
}

func TestUptime(t *testing.T) {
	for running, want := range map[time.Duration]string{0: "0", 59*time.Second + 999*time.Millisecond: "59", 400 * 24 * time.Hour: "34560000", -time.Hour: "0"} {
		got := ask(t, get("<query xmlns='jabber:iq:last'/>"), xep.Uptime(func() time.Duration { return running }))
		if got != answered+"><query xmlns='jabber:iq:last' seconds='"+want+"'/></iq>" {
			t.Errorf("%v: %s", running, got)
		}
	}
}

func TestLastActivity(t *testing.T) {
	const asked = "<query xmlns='jabber:iq:last'/>"
	romeo := addr.MustBare("romeo@example.com")
	for _, c := range []struct {
		name, status, left, now string
		want                    string
	}{
		{"silently", "", "2026-01-01T00:00:00Z", "2026-01-01T01:00:01Z", "<query xmlns='jabber:iq:last' seconds='3601'/>"},
		{"with a word", "<good night>\nand more", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "<query xmlns='jabber:iq:last' seconds='1'>&lt;good night&gt;\nand more</query>"},
		{"a clock that went back", "", "2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "<query xmlns='jabber:iq:last' seconds='0'/>"},
		{"at length", strings.Repeat("x", 1023) + "é…", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "<query xmlns='jabber:iq:last' seconds='0'>" + strings.Repeat("x", 1023) + "</query>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &xep.LastActivity{Store: keyed(t, "lastactivity"), Now: at(c.left), Log: quiet, Exists: exists, Online: offline, Grants: granted}
			write := l.Left(romeo, c.status)
			check := func(when string) {
				t.Helper()
				l.Now = at(c.now)
				if got := ask(t, own("get", asked), l.Extension()); got != mine+">"+c.want+"</iq>" {
					t.Errorf("%s: got %s", when, got)
				}
			}
			check("before it is written")
			write()
			check("after")
			if _, ok, err := l.Store.Get(t.Context(), romeo, ""); err != nil || !ok {
				t.Errorf("not written: %v", err)
			}
		})
	}
}

// Who leaves again while the first time is being written has the second time written, by the same.
func TestLastActivityAgain(t *testing.T) {
	romeo := addr.MustBare("romeo@example.com")
	l := &xep.LastActivity{Store: keyed(t, "lastactivity"), Now: at("2026-01-01T00:00:00Z"), Log: quiet, Exists: exists, Online: offline, Grants: granted}
	write := l.Left(romeo, "first")
	if l.Left(romeo, "second") != nil {
		t.Error("two write at once")
	}
	write()
	kept, _, err := l.Store.Get(t.Context(), romeo, "")
	if err != nil || !strings.HasSuffix(string(kept), "second") {
		t.Errorf("kept %q, %v", kept, err)
	}
	if write = l.Left(romeo, "third"); write == nil {
		t.Fatal("nobody writes")
	}
	l.Exists = func(context.Context, addr.Bare) (bool, error) { return false, nil }
	write() // of somebody who does not exist any more
	if kept, _, err = l.Store.Get(t.Context(), romeo, ""); err != nil || !strings.HasSuffix(string(kept), "second") {
		t.Errorf("kept %q, %v", kept, err)
	}
}

// A store that keeps nothing refuses what a user wants to store (storage = { private = "none" }).
func TestPrivateNowhere(t *testing.T) {
	p := &xep.Private{Store: store.Nowhere{}.Keyed("private"), Log: quiet}
	if got := ask(t, own("set", private("<x xmlns='x'>y</x>")), p.Extension()); !strings.Contains(got, "<error ") {
		t.Errorf("stored nowhere: %s", got)
	}
}
