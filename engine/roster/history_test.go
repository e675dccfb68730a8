package roster

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rosterd/engine/addr"
)

// course is a roster that changes, and its history.
func course(t testing.TB, most int, rosters ...Roster) (h History) {
	t.Helper()
	for k := 1; k < len(rosters); k++ {
		h = h.After(rosters[k-1], Diff(rosters[k-1], rosters[k]), most)
	}
	return h
}

// The latest changes are all that is left, and lead to where the others led.
func TestHistoryLatest(t *testing.T) {
	a, b, c := item("a@x", "A", Both), item("b@x", "B", Both), item("c@x", "C", Both)
	course := []Roster{mustNew(t, a), mustNew(t, a, b), mustNew(t, a, b, c), mustNew(t, b, c)}
	var h History
	for k := 1; k < len(course); k++ {
		h = h.After(course[k-1], Diff(course[k-1], course[k]), 9)
	}
	for _, tc := range []struct {
		most int
		from int // in the course
		want string
	}{
		{9, 0, "b@x=B c@x=C a@x-"}, {3, 0, "b@x=B c@x=C a@x-"}, {2, 0, "unknown"}, {2, 1, "c@x=C a@x-"}, {1, 1, "unknown"}, {1, 2, "a@x-"}, {0, 2, "unknown"},
	} {
		l := h.Latest(tc.most)
		if got := list(l.Since(course[tc.from].Version(), course[3])); got != tc.want || l.Len() != min(tc.most, 3) {
			t.Errorf("the last %d of them, %d, since %d: %q, want %q", tc.most, l.Len(), tc.from, got, tc.want)
		}
	}
	if got := h.Len(); got != 3 {
		t.Errorf("%d changes are remembered after that", got)
	}
}

func TestSince(t *testing.T) {
	a, b, c := item("a@x", "A", Both), item("b@x", "B", Both), item("c@x", "C", Both)
	named := func(i Item, name string) Item { i.Name = name; return i }
	of := func(items ...Item) Roster { return mustNew(t, items...) }
	start := of(a, b)
	for _, tc := range []struct {
		name  string
		most  int
		after []Roster // start
		want  string
	}{
		{"nothing", 9, nil, ""},
		{"nothing, and nothing is remembered", 0, nil, ""},
		{"added", 9, []Roster{of(a, b, c)}, "c@x=C"},
		{"renamed", 9, []Roster{of(named(a, "Al"), b)}, "a@x=Al"},
		{"removed", 9, []Roster{of(a)}, "b@x-"},
		{"renamed twice: one change", 9, []Roster{of(named(a, "Al"), b), of(named(a, "Alf"), b)}, "a@x=Alf"},
		{"renamed and back again", 9, []Roster{of(named(a, "Al"), b), of(a, b)}, ""},
		{"renamed, another added, renamed back", 9, []Roster{of(named(a, "Al"), b), of(named(a, "Al"), b, c), of(a, b, c)}, "c@x=C"},
		{"removed and added again", 9, []Roster{of(a), of(a, named(b, "Bo"))}, "b@x=Bo"},
		{"added and removed again", 9, []Roster{of(a, b, c), of(named(a, "Al"), b)}, "a@x=Al"},
		{"all gone", 9, []Roster{of()}, "a@x- b@x-"},
		{"in the order of the last touch", 9, []Roster{of(named(a, "Al"), b), of(named(a, "Al"), b, c), of(named(a, "Alf"), b, c)}, "c@x=C a@x=Alf"},
		{"as many as are remembered", 2, []Roster{of(a), of(a, c)}, "b@x- c@x=C"},
		{"one more than are remembered", 2, []Roster{of(a), of(a, c), of(c)}, "unknown"},
		{"more at once than are remembered", 2, []Roster{of(c)}, "unknown"},
		{"none are remembered", 0, []Roster{of(a)}, "unknown"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			all := append([]Roster{start}, tc.after...)
			h, now := course(t, tc.most, all...), all[len(all)-1]
			if got := list(h.Since(start.Version(), now)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if h.Len() > tc.most {
				t.Errorf("%d steps are remembered, more than %d", h.Len(), tc.most)
			}
		})
	}
}

func list(changes []Change, known bool) string {
	if !known {
		return "unknown"
	}
	var words []string
	for _, c := range changes {
		if c.New == nil {
			words = append(words, c.Contact.String()+"-")
		} else {
			words = append(words, c.Contact.String()+"="+c.New.Name)
		}
	}
	return strings.Join(words, " ")
}

func TestSinceUnknown(t *testing.T) {
	one, two, other := mustNew(t, item("a@x", "A", Both)), mustNew(t, item("a@x", "B", Both)), mustNew(t, item("z@x", "Z", Both))
	h := course(t, 9, one, two)
	for _, c := range []struct {
		name, ver string
		now       Roster
		want      bool
	}{
		{"the one before", one.Version(), two, true},
		{"the last", two.Version(), two, true},
		{"never was", other.Version(), two, false},
		{"no version", "", two, false},
		{"of another server", "ver14", two, false},
		{"as long as a version", strings.Repeat("*", 22), two, false},
		{"lines in it", "AAAAAAAAAA\nAAAAAAAAAA\n", two, false},
		{"the history is not that of the roster", one.Version(), other, false},
		{"not that of the roster, but the version is", other.Version(), other, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if changes, known := h.Since(c.ver, c.now); known != c.want {
				t.Errorf("known is %v, want %v (%s)", known, c.want, list(changes, known))
			}
		})
	}
	t.Run("a gap", func(t *testing.T) {
		h := h.After(other, Diff(other, one), 9)
		if got := list(h.Since(two.Version(), one)); got != "unknown" {
			t.Error(got)
		}
		if got := list(h.Since(other.Version(), one)); got != "a@x=A z@x-" {
			t.Error(got)
		}
	})
	t.Run("nobody changes a history that is held", func(t *testing.T) {
		three := mustNew(t, item("a@x", "C", Both))
		h.After(two, Diff(two, other), 9)
		h.After(two, Diff(two, three), 9)
		if got := list(h.Since(one.Version(), two)); got != "a@x=B" {
			t.Error(got)
		}
	})
}

// holder is a client that keeps its roster and comes back with its version.
type holder struct {
	roster map[addr.Bare]Item
	ver    string
}

func (c *holder) take(t *testing.T, ch Change) {
	t.Helper()
	if delete(c.roster, ch.Contact); ch.New != nil {
		c.roster[ch.Contact] = *ch.New
	}
	if c.ver = ch.Version; c.held(t).Version() != c.ver {
		t.Fatalf("told version %s of %v", c.ver, c.roster)
	}
}

func (c *holder) held(t *testing.T) Roster {
	var items []Item
	for _, i := range c.roster {
		items = append(items, i)
	}
	return mustNew(t, items...)
}

// TestHistoryProperty: whoever held version v and takes Since(v) holds the roster; each version on the way is
// that of what is held, also for who goes away in the midst and comes back; no contact comes twice; what is
// remembered is bounded, and reaches as far back as it is said to.
func TestHistoryProperty(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		most := rnd.IntN(12)
		var h History
		var now Roster
		clients := []*holder{{}, {}, {}}
		var versions []string // before each step
		for range 30 {
			next := now.Apply(draw(rnd, now)...)
			changes := Diff(now, next)
			at := now.Version()
			for _, c := range changes {
				versions = append(versions, at)
				at = c.Version
			}
			h, now = h.After(now, changes, most), next
			if rnd.IntN(4) == 0 {
				h = kept(t, h)
			}
			if h.Len() > most {
				t.Fatalf("%d steps, more than %d", h.Len(), most)
			}
			for k, v := range versions[max(0, len(versions)-most):] {
				if _, known := h.Since(v, now); !known {
					t.Fatalf("the version %d of %d steps ago is not known", k, most)
				}
			}
			for _, c := range clients {
				if rnd.IntN(3) == 0 {
					c.returns(t, rnd, h, now)
				}
			}
		}
	}
}

func (c *holder) returns(t *testing.T, rnd *rand.Rand, h History, now Roster) {
	t.Helper()
	changes, known := h.Since(c.ver, now)
	if !known {
		c.roster, c.ver = map[addr.Bare]Item{}, now.Version()
		for i := range now.All() {
			c.roster[i.JID] = i
		}
		return
	}
	seen := map[addr.Bare]bool{}
	for _, ch := range changes {
		if seen[ch.Contact] {
			t.Fatalf("%s comes twice in %s", ch.Contact, list(changes, true))
		}
		seen[ch.Contact] = true
		if rnd.IntN(8) == 0 {
			return // gone, with what it has
		}
		c.take(t, ch)
	}
	if !c.held(t).Equal(now) || c.ver != now.Version() {
		t.Fatalf("after %s it holds %v, the roster is %v", list(changes, true), c.roster, now.Items())
	}
}

// draw changes a few of few contacts, so that what was comes again.
func draw(rnd *rand.Rand, now Roster) (changes []Change) {
	for k := range 5 {
		c := addr.MustBare(fmt.Sprintf("c%d@x", k))
		if rnd.IntN(5) > 0 {
			continue
		}
		ch := Change{Contact: c, Old: now.find(c)}
		if rnd.IntN(3) > 0 {
			i := item(c.String(), string(rune('A'+rnd.IntN(2))), Both)
			ch.New = &i
		}
		changes = append(changes, ch)
	}
	return changes
}

// kept is h written and read again.
func kept(t testing.TB, h History) (again History) {
	t.Helper()
	b, err := json.Marshal(h)
	if err == nil {
		err = json.Unmarshal(b, &again)
	}
	if err != nil {
		t.Fatal(err)
	}
	if (h.p == nil) != (again.p == nil) || h.p != nil && (h.p.last != again.p.last || !slices.Equal(h.p.steps, again.p.steps)) {
		t.Fatalf("%s became something else", b)
	}
	return again
}

func TestHistoryRefuses(t *testing.T) {
	const v = "AAAAAAAAAAAAAAAAAAAAAA"
	for name, text := range map[string]string{
		"no object": `[]`, "a bad version": `{"last":"x"}`, "no last": `{"steps":[]}`,
		"a bad contact": `{"last":"` + v + `","steps":[["a@x/y","` + v + `","` + v + `"]]}`,
		"a bad step":    `{"last":"` + v + `","steps":[["a@x","` + v + `",""]]}`,
	} {
		t.Run(name, func(t *testing.T) {
			var h History
			if err := json.Unmarshal([]byte(text), &h); err == nil || !h.IsZero() {
				t.Errorf("%s was read", text)
			}
		})
	}
}

// FuzzHistory: whatever is read is written the same, and can be asked.
func FuzzHistory(f *testing.F) {
	one, two := mustNew(f, item("a@x", "A", Both)), mustNew(f, item("b@x", "B", Both))
	b, err := json.Marshal(course(f, 9, one, two))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(b), "null", `{"last":"AAAAAAAAAAAAAAAAAAAAAA","steps":null}`, `{"last":"AAAAAAAAAAAAAAAAAAAAAA","steps":[["A@X","AAAAAAAAAAAAAAAAAAAAAA","AAAAAAAAAAAAAAAAAAAAAA"]]}`, `{"last":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h History
		if json.Unmarshal(b, &h) != nil {
			return
		}
		kept(t, h)
		h.Since(one.Version(), two)
		h.After(two, Diff(two, one), 2)
	})
}

// A change of one contact in a large roster costs no more than in a small one.
func BenchmarkSince(b *testing.B) {
	var items []Item
	for k := range 10_000 {
		items = append(items, item(fmt.Sprintf("contact%d@example.com", k), fmt.Sprintf("Contact Number %d", k), Both, "Friends"))
	}
	from := mustNew(b, items...)
	items[5000].Name = "Renamed"
	to := mustNew(b, items...)
	h := course(b, 100, from, to)
	ver := from.Version()
	b.ReportAllocs()
	for b.Loop() {
		h.Since(ver, to)
	}
}
