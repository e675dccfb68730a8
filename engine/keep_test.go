package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// What is kept is what json.Marshal makes of it, whatever is in the fields beside the items.
func TestKeptEncode(t *testing.T) {
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	before := parseRoster("nurse juliet=Juliet")
	after := parseRoster("juliet=Giulietta:to tybalt")
	history := roster.History{}.After(before, roster.Diff(before, after), 10)
	for _, c := range []struct {
		kept
		items roster.Roster
	}{
		{kept{Fetched: at}, before},
		{kept{Fetched: at}, roster.Roster{}},
		{kept{Rev: `,"items":null`, Fetched: at, Generation: `",\"items\":null`}, before},
		{kept{Rev: `W/"1"`, Fetched: at, History: history, terms: terms{FreshUntil: at, ServeUntil: at}, Generation: "x", Held: &Held{Version: "v", Since: at, Removed: 1, Of: 2}}, after},
	} {
		k := c.kept
		k.Items = c.items.AppendBrief(nil)
		want, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := encoded(c.kept, c.items)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := json.Unmarshal(got, &a); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if err := json.Unmarshal(want, &b); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("kept as\n%s\nwant\n%s", got, want)
		}
		if again, r, err := decodeKept(jid("romeo"), got); err != nil || !r.Equal(c.items) || again.Rev != c.Rev || again.History.Len() != c.History.Len() {
			t.Errorf("%s is read as %v %v %v", got, again, r.Items(), err)
		}
	}
}

// late is a keeper that makes documents when somebody reads them.
type late struct {
	*memory
	write func([]byte) []byte
	until time.Time
	size  int
}

func (l *late) SaveLater(_ context.Context, _ addr.Bare, size int, write func([]byte) []byte, until time.Time) error {
	l.write, l.size, l.until = write, size, until
	return nil
}

// What is kept later is what would be kept at once, on the same terms.
func TestKeptLater(t *testing.T) {
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	before, after := parseRoster("nurse juliet=Juliet"), parseRoster("juliet=Giulietta:to tybalt")
	history := roster.History{}.After(before, roster.Diff(before, after), 10)
	for _, k := range []kept{
		{Fetched: at, Rev: "1"},
		{Fetched: at, History: history, terms: terms{FreshUntil: at.Add(time.Hour), ServeUntil: at}, Generation: "x"},
		{Fetched: at, terms: terms{FreshUntil: at.Add(time.Hour)}, Held: &Held{Version: "v", Since: at, Removed: 1, Of: 2}},
	} {
		romeo, now, later := jid("romeo"), &memory{}, &late{memory: &memory{}}
		if err := errors.Join(save(t.Context(), now, romeo, k, after), save(t.Context(), later, romeo, k, after)); err != nil {
			t.Fatal(err)
		}
		got, again := string(later.write([]byte("x"))), string(later.write(nil))
		if got != "x"+again || again != now.docs[romeo] {
			t.Errorf("kept later as\n%s\n%s\nat once as\n%s", got, again, now.docs[romeo])
		}
		if !later.until.Equal(now.fresh[romeo]) {
			t.Errorf("fresh until %v, and at once %v", later.until, now.fresh[romeo])
		}
		if later.size < len(again)/2 || later.size > 4*len(again)+512 {
			t.Errorf("a document of %d bytes is said to have %d", len(again), later.size)
		}
		if len(later.docs) > 0 {
			t.Error("kept at once")
		}
	}
}

// What a copy is said to have is about what it has, and what its roster holds until it is made: the bound of all that waits
// counts that.
func TestKeptSize(t *testing.T) {
	long := strings.Repeat("x", 1000)
	groups := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("%03d%s", i, long))
		}
		return list
	}
	for name, i := range map[string]roster.Item{
		"plain":            {Subscription: roster.Both},
		"everything short": {Name: "Juliet", Groups: []string{"Capulet"}, Subscription: roster.From, Ask: true, Approved: true},
		"a long name":      {Name: long, Subscription: roster.Both},
		"many groups":      {Groups: groups(100), Subscription: roster.Both},
	} {
		t.Run(name, func(t *testing.T) {
			var items []roster.Item
			for n := range 100 {
				i.JID = jid(fmt.Sprintf("u%d", n))
				items = append(items, i)
			}
			r, _ := roster.New(jid("romeo"), items...)
			d, err := kept{}.document(r)
			if err != nil {
				t.Fatal(err)
			}
			if has := len(d.bytes()); d.size() < has || d.size() > 2*has+100*r.Len() {
				t.Errorf("a document of %d bytes is said to have %d", has, d.size())
			}
		})
	}
}

// A copy has the length of the one before, and what did not change its place, so that little of it is written.
func TestKeptInPlace(t *testing.T) {
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	many := func(name string, n int) (r roster.Roster) {
		items := make([]roster.Item, n)
		for i := range items {
			items[i] = roster.Item{JID: jid(fmt.Sprintf("contact%04d", i)), Name: "Contact", Subscription: roster.Both}
		}
		items[n/2].Name = name
		r, _ = roster.New(jid("romeo"), items...)
		return r
	}
	for _, n := range []int{1, 10, 100, 1000} {
		before, after := many("Tybalt", n), many("Mercutio", n)
		one, err := encoded(kept{Fetched: at, Rev: "1"}, before)
		if err != nil {
			t.Fatal(err)
		}
		fetched, err := encoded(kept{Fetched: at.Add(123456789 * time.Nanosecond), Rev: "2"}, before)
		if err != nil {
			t.Fatal(err)
		}
		renamed, err := encoded(kept{Fetched: at, Rev: "1", History: roster.History{}.After(before, roster.Diff(before, after), 10)}, after)
		if err != nil {
			t.Fatal(err)
		}
		if len(one) != len(fetched) || !bytes.Equal(one[headStep:], fetched[headStep:]) {
			t.Errorf("%d contacts: fetched again, %d bytes become %d, or others", n, len(one), len(fetched))
		}
		same := 0
		for same < len(one) && one[same] == renamed[same] {
			same++
		}
		if at := bytes.Index(one, []byte("Tybalt")); same != at {
			t.Errorf("%d contacts: renamed at %d, and different from %d on", n, at, same)
		}
		if grown := len(renamed) - len(one); n == 100 && grown != 0 && grown != tailStep(len(one)) {
			t.Errorf("a change made it %d bytes longer", grown)
		}
		if spare := len(one) - len(bytes.TrimRight(one, " ")); spare >= max(256, len(one)/7) {
			t.Errorf("%d of %d bytes are spaces", spare, len(one))
		}
	}
}

func encoded(k kept, items roster.Roster) ([]byte, error) {
	doc, err := k.document(items)
	if err != nil {
		return nil, err
	}
	return doc.bytes(), nil
}

// Of many changes the last are kept.
func TestKeptHistory(t *testing.T) {
	rosters := []roster.Roster{parseRoster("nurse"), parseRoster("nurse juliet")}
	var history roster.History
	for n := range 4 * keptSteps {
		from, to := rosters[n%2], rosters[(n+1)%2]
		history = history.After(from, roster.Diff(from, to), 100)
	}
	doc, err := encoded(kept{History: history}, rosters[0])
	if err != nil {
		t.Fatal(err)
	}
	k, r, err := decodeKept(jid("romeo"), doc)
	if err != nil || k.History.Len() != keptSteps {
		t.Fatalf("%d changes, %v", k.History.Len(), err)
	}
	if changes, known := k.History.Since(rosters[1].Version(), r); !known || len(changes) != 1 {
		t.Errorf("since the last but one: %v, %v", changes, known)
	}
}

// BenchmarkKeep is what is kept of a roster of a hundred, without the keeper.
func BenchmarkKeep(b *testing.B) {
	items := make([]roster.Item, 100)
	for i := range items {
		items[i] = roster.Item{JID: jid("contact" + string(rune('a'+i%26)) + string(rune('a'+i/26))), Name: "Contact Number", Subscription: roster.Both, Groups: []string{"Friends"}}
	}
	r, _ := roster.New(jid("romeo"), items...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encoded(kept{Fetched: time.Now()}, r); err != nil {
			b.Fatal(err)
		}
	}
}
