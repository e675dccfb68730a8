package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"rosterd/engine/enginetest"
)

// TestVersions has a client that keeps its roster go away and come back, also over a restart of the server, and be told
// no more than what changed.
func TestVersions(t *testing.T) {
	names := make(map[string]string)
	for i := range 200 {
		names[fmt.Sprintf("c%d@example.com", i)] = fmt.Sprint("Contact ", i)
	}
	backend := enginetest.Serve(t, map[string]string{"john": named(names)})
	p := newPlace(t, seedFor(backend.Template()))
	p.head = withoutBinding
	p.certify(t, "example.com")
	s := p.serve(t)
	if status, _, stderr := p.command(t, password+"\n", "user", "add", "john@example.com"); status != exitOK {
		t.Fatal(stderr)
	}
	john := &keeper{slixmpp: dialSlixmpp(t, s, "john@example.com/tea", password).(*slixmpp)}
	equal(t, "contacts at first", len(john.next(t, "roster").Contacts), len(names))

	john.goAway(t)
	john.comeBack(t, s)
	john.wantHeld(t, names)

	john.goAway(t)
	names["c150@example.com"] = "Renamed"
	backend.Set("john", named(names))
	john.comeBack(t, s, "c150@example.com")
	john.wantHeld(t, names)

	john.goAway(t)
	names["c150@example.com"] = "Renamed again"
	delete(names, "c7@example.com")
	backend.Set("john", named(names))
	equal(t, "exit status", s.exit(t), exitOK)
	s = p.serve(t)
	john.comeBack(t, s, "c150@example.com", "c7@example.com")
	john.wantHeld(t, names)

	names["c8@example.com"] = "Later"
	backend.Set("john", named(names))
	s.refresh(t, "john")
	equal(t, "who is pushed later", keys(john.next(t, "push").Contacts), "c8@example.com")
	john.wantHeld(t, names)
	john.leave(t)
}

// named is a backend's answer with these contacts.
func named(names map[string]string) string {
	list := make(map[string]map[string]string)
	for jid, name := range names {
		list[jid] = map[string]string{"name": name}
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func keys[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), " ") }

// keeper is a slixmpp that goes away and comes back with the roster it holds.
type keeper struct {
	*slixmpp
	read int // lines of what happened
}

// next waits for the next such event, after those that were waited for.
func (k *keeper) next(t testing.TB, what string) (e event) {
	t.Helper()
	n := 0
	_, err := k.happened().wait(testContext(t), func(line string) bool {
		var got event
		if n++; n <= k.read || json.Unmarshal([]byte(line), &got) != nil || got.Event != what {
			return false
		}
		e, k.read = got, n
		return true
	})
	if err != nil {
		t.Fatalf("no such event: %s: %v; what happened:\n%s", what, err, k.happened())
	}
	return e
}

func (k *keeper) goAway(t testing.TB) {
	t.Helper()
	k.do(t, map[string]string{"do": "go away"})
	k.next(t, "disconnected")
}

// comeBack expects an empty result and a push of each of those contacts, and nothing else.
func (k *keeper) comeBack(t testing.TB, s *program, pushed ...string) {
	t.Helper()
	host, port, err := net.SplitHostPort(s.address(s.c2s))
	if err != nil {
		t.Fatal(err)
	}
	before := len(k.happened().find(`"push"`))
	k.do(t, map[string]string{"do": "come back", "host": host, "port": port})
	equal(t, "contacts in the result", len(k.next(t, "roster").Contacts), 0)
	for _, jid := range pushed {
		equal(t, "who is pushed", keys(k.next(t, "push").Contacts), jid)
	}
	k.presence(t, "back") // what was sent before it comes before it
	k.next(t, "online")
	equal(t, "pushes", len(k.happened().find(`"push"`))-before, len(pushed))
}

func (k *keeper) wantHeld(t testing.TB, names map[string]string) {
	t.Helper()
	k.do(t, map[string]string{"do": "say what you hold"})
	held := make(map[string]string)
	for jid, c := range k.next(t, "holds").Contacts {
		held[jid] = c.Name
	}
	if !maps.Equal(held, names) {
		t.Errorf("holds %d contacts, want %d: %v", len(held), len(names), held)
	}
}
