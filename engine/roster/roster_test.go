package roster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rosterd/engine/addr"
)

func item(jid, name string, s Subscription, groups ...string) Item {
	return Item{JID: addr.MustBare(jid), Name: name, Subscription: s, Groups: groups}
}

func mustNew(t testing.TB, items ...Item) Roster {
	t.Helper()
	r, bad := New(addr.Bare{}, items...)
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	return r
}

func TestNewDropsAndNames(t *testing.T) {
	me := addr.MustBare("me@x")
	r, bad := New(me, item("b@x", "B", Both), item("me@x", "Me", Both), item("a@x", "first", To), item("a@x", "last", From))
	if r.Len() != 2 || len(bad) != 2 {
		t.Fatal(r.Items(), bad)
	}
	if a, ok := r.Get(addr.MustBare("a@x")); !ok || a.Name != "last" {
		t.Fatal("the last of two items with one JID counts", a)
	}
	if !r.Grants(addr.MustBare("a@x")) || r.Wants(addr.MustBare("a@x")) || r.Wants(me) {
		t.Fatal("grants and wants")
	}
}

func TestVersion(t *testing.T) {
	a, b := item("a@x", "A", Both, "g"), item("b@x", "B", To)
	ab, ba := mustNew(t, a, b), mustNew(t, b, a)
	if ab.Version() != ba.Version() || !ab.Equal(ba) {
		t.Fatal("the order of the document matters")
	}
	if (Roster{}).Version() == "" || (Roster{}).Version() != mustNew(t).Version() {
		t.Fatal("the empty roster")
	}
	seen := map[string]Item{}
	for _, i := range []Item{a, item("a@x", "B", Both, "g"), item("a@x", "A", To, "g"), item("a@x", "A", Both, "h"), item("a@x", "A", Both, "g", "h"), item("a@x", "A", Both),
		item("a@x", "Ag", Both), {JID: a.JID, Name: "A", Subscription: Both, Groups: a.Groups, Ask: true}, {JID: a.JID, Name: "A", Subscription: Both, Groups: a.Groups, Approved: true}} {
		v := mustNew(t, i).Version()
		if o, ok := seen[v]; ok {
			t.Fatalf("%v and %v have one version", o, i)
		}
		seen[v] = i
	}
}

func TestDiff(t *testing.T) {
	a, b := item("a@x", "A", Both, "g"), item("b@x", "B", Both)
	for _, c := range []struct {
		name     string
		from, to []Item
		want     string
	}{
		{"nothing", []Item{a, b}, []Item{b, a}, ""},
		{"from empty", nil, []Item{a, b}, "+a@x +b@x"},
		{"to empty", []Item{a, b}, nil, "-a@x -b@x"},
		{"added", []Item{a}, []Item{a, b}, "+b@x"},
		{"removed", []Item{a, b}, []Item{b}, "-a@x"},
		{"renamed", []Item{a, b}, []Item{item("a@x", "Z", Both, "g"), b}, "~a@x"},
		{"regrouped", []Item{a, b}, []Item{item("a@x", "A", Both, "h"), b}, "~a@x"},
		{"subscription", []Item{a, b}, []Item{a, item("b@x", "B", To)}, "~b@x"},
		{"removals come last", []Item{a}, []Item{b}, "+b@x -a@x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to := mustNew(t, c.from...), mustNew(t, c.to...)
			changes := Diff(from, to)
			var got []string
			for _, ch := range changes {
				sign := "~"
				if ch.Old == nil {
					sign = "+"
				} else if ch.New == nil {
					sign = "-"
				}
				got = append(got, sign+ch.Contact.String())
			}
			if g := strings.Join(got, " "); g != c.want {
				t.Fatalf("got %s, want %s", g, c.want)
			}
			if n := len(changes); n > 0 && changes[n-1].Version != to.Version() {
				t.Fatal("the last step is not the roster's version")
			}
		})
	}
}

// TestDiffApply: applying Diff(a, b) to a gives b, step by step with the versions it names.
func TestDiffApply(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	draw := func() Roster {
		var items []Item
		for k := range 12 {
			if rnd.IntN(2) == 0 {
				items = append(items, Item{JID: addr.MustBare(fmt.Sprintf("c%d@x", k)), Name: string(rune('A' + rnd.IntN(3))), Subscription: Subscription(rnd.IntN(4)), Approved: rnd.IntN(9) == 0})
			}
		}
		return mustNew(t, items...)
	}
	for range 2000 {
		a, b := draw(), draw()
		changes := Diff(a, b)
		if got := a.Apply(changes...); !got.Equal(b) || !slices.EqualFunc(got.Items(), b.Items(), Item.Equal) {
			t.Fatal(a.Items(), b.Items(), changes)
		}
		step := a
		for _, c := range changes {
			if step = step.Apply(c); step.Version() != c.Version {
				t.Fatal("version after a step")
			}
		}
	}
}

func TestDecodeJSON(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		bad            int
	}{
		{"standard", `{"marie@example.com":{"name":"Marie","groups":["Friends"]}}`, "marie@example.com|Marie|both|Friends", 0},
		{"empty object", `{}`, "", 0},
		{"empty array", ` [] `, "", 0},
		{"BOM", "\uFEFF{}", "", 0},
		{"no name", `{"a@x":{}}`, "a@x||both|", 0},
		{"null name and groups", `{"a@x":{"name":null,"groups":null,"subscription":null,"ask":null}}`, "a@x||both|", 0},
		{"null item", `{"a@x":null}`, "a@x||both|", 0},
		{"string item", `{"a@x":"Al"}`, "a@x||both|", 0},
		{"array item", `{"a@x":[],"b@x":["x"]}`, "a@x||both| b@x||both|", 0},
		{"groups as object", `{"a@x":{"groups":{"B":false,"A":true}}}`, "a@x||both|A,B", 0},
		{"groups repeated and empty", `{"a@x":{"groups":["B","","A","B"]}}`, "a@x||both|A,B", 0},
		{"one empty group", `{"a@x":{"groups":[""]}}`, "a@x||both|", 0},
		{"subscriptions", `{"a@x":{"subscription":"none"},"b@x":{"subscription":"to"},"c@x":{"subscription":"from"},"d@x":{"subscription":"both"}}`, "a@x||none| b@x||to| c@x||from| d@x||both|", 0},
		{"ask and approved", `{"a@x":{"ask":"subscribe","approved":true,"subscription":"none"}}`, "a@x||none||ask|approved", 0},
		{"unknown fields", `{"a@x":{"name":"A","phone":{"x":[1]}}}`, "a@x|A|both|", 0},
		{"escapes", `{"a@x":{"name":"<&'\">\n\u00e9\ud83d\ude00"}}`, "a@x|<&'\">\né😀|both|", 0},
		{"prepared", `{"MARIE@Example.COM":{}}`, "marie@example.com||both|", 0},
		{"domain", `{"icq.example.com":{}}`, "icq.example.com||both|", 0},
		{"the key pending is a domain", `{"pending":{}}`, "pending||both|", 0},
		{"last duplicate", `{"a@x":{"name":"1"},"A@x":{"name":"2"}}`, "a@x|2|both|", 1},
		{"own JID", `{"me@x":{},"a@x":{}}`, "a@x||both|", 1},
		{"full JID", `{"a@x/phone":{},"b@x":{}}`, "b@x||both|", 1},
		{"malformed JIDs", `{"":{},"not a jid":{},"@x":{},"b@x":{}}`, "b@x||both|", 3},
		{"name of another type", `{"a@x":{"name":5},"b@x":{"name":true},"c@x":{"name":[]},"d@x":{"name":{}},"e@x":{}}`, "e@x||both|", 4},
		{"groups of another type", `{"a@x":{"groups":"F"},"b@x":{"groups":5},"c@x":{"groups":[1]},"d@x":{"groups":true},"e@x":{}}`, "e@x||both|", 4},
		{"item of another type", `{"a@x":5,"b@x":true,"e@x":{}}`, "e@x||both|", 2},
		{"subscription remove", `{"a@x":{"subscription":"remove"},"b@x":{"subscription":3}}`, "", 2},
		{"NUL and control characters", `{"a@x":{"name":"a\u0000b"},"b@x":{"groups":["\u0008"]},"c@x":{"name":"\ufffe"},"e@x":{}}`, "e@x||both|", 3},
		{"invalid UTF-8", "{\"a@x\":{\"name\":\"\xff\"},\"b\xff@x\":{},\"e@x\":{}}", "e@x||both|", 2},
		{"lone surrogate", `{"a@x":{"name":"\ud800"}}`, "a@x|\uFFFD|both|", 0},
		{"long name", `{"a@x":{"name":"` + strings.Repeat("n", 1024) + `"},"e@x":{}}`, "e@x||both|", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, bad, err := DecodeJSON(addr.MustBare("me@x"), []byte(c.in), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got := show(r); got != c.want || len(bad) != c.bad {
				t.Fatalf("got %q, dropped %v; want %q, %d dropped", got, bad, c.want, c.bad)
			}
		})
	}
}

func show(r Roster) string {
	var lines []string
	for i := range r.All() {
		s := fmt.Sprintf("%s|%s|%s|%s", i.JID, i.Name, i.Subscription, strings.Join(i.Groups, ","))
		if i.Ask {
			s += "|ask"
		}
		if i.Approved {
			s += "|approved"
		}
		lines = append(lines, s)
	}
	return strings.Join(lines, " ")
}

func TestDecodeJSONRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"null": "null", "string": `"x"`, "number": "5", "boolean": "true", "array": `["a@x"]`, "empty": "", "white space": " \n", "invalid": `{"a`, "HTML": "<html>", "trailing garbage": "{} x",
		"raw control character": "{\"a@x\":{\"name\":\"a\x01\"}}", "single quotes": "{'a':1}", "deep": strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
		"very deep": strings.Repeat("[", 1<<24), "UTF-16": "\xff\xfe{\x00}\x00", "too many": `{"a@x":{},"b@x":{},"c@x":{},"d@x":{}}`,
		"an error with status 200": `{"error": "no database"}`, "another form": `{"people": [{"login": "marie"}], "next": null}`, "a status": `{"status": 0, "data": []}`,
	} {
		t.Run(name, func(t *testing.T) {
			if r, _, err := DecodeJSON(addr.Bare{}, []byte(in), Limits{Items: 3}); !errors.Is(err, ErrNotRoster) || r.Len() != 0 {
				t.Fatal(r.Len(), err)
			}
		})
	}
}

// FuzzDecodeJSON: what is served is fit for the wire and comes back from its own encoding.
func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{`{"marie@example.com":{"name":"Marie","groups":["Friends"]}}`, `{"a@x":null,"b@x":[],"me@x":{}}`, `{"a@x":{"groups":{"A":1},"ask":"subscribe"}}`, "[]", `{"a@x":{"name":"\ud800\u0000"}}`} {
		f.Add([]byte(s))
	}
	me := addr.MustBare("me@x")
	f.Fuzz(func(t *testing.T, body []byte) {
		r, _, err := DecodeJSON(me, body, Limits{})
		if err != nil {
			if !errors.Is(err, ErrNotRoster) {
				t.Fatal(err)
			}
			return
		}
		if !slices.IsSortedFunc(r.Items(), func(a, b Item) int { return a.JID.Compare(b.JID) }) {
			t.Fatal("not sorted")
		}
		if _, ok := r.Get(me); ok {
			t.Fatal("own JID")
		}
		again, bad, err := DecodeJSON(me, r.EncodeJSON(), Limits{})
		if err != nil || len(bad) > 0 || !again.Equal(r) {
			t.Fatalf("%s → %s: %v %v", body, r.EncodeJSON(), bad, err)
		}
	})
}

func BenchmarkDecodeJSON(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		var items []Item
		for k := range n {
			items = append(items, item(fmt.Sprintf("contact%d@example.com", k), fmt.Sprintf("Contact Number %d", k), Both, "Friends"))
		}
		body := mustNew(b, items...).EncodeJSON()
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := DecodeJSON(addr.Bare{}, body, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
