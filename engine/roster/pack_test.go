package roster_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// A roster holds the texts of its contacts, and not the document that they were read from.
func TestDecodeLetsGo(t *testing.T) {
	const contacts, rosters = 10, 100
	for name, comment := range map[string]string{"plain": `"x"`, "escaped": `"\u0078"`} {
		t.Run(name, func(t *testing.T) {
			var doc strings.Builder
			for i := range contacts {
				fmt.Fprintf(&doc, `,"contact%d@example.com": {"name": "Contact Number %d", "groups": ["Friends"], "comment": %s%s}`, i, i, comment, strings.Repeat(" ", 2000))
			}
			body := []byte("{" + doc.String()[1:] + "}")
			list := make([]roster.Roster, rosters)
			before := inUse()
			for i := range list {
				r, bad, err := roster.DecodeJSON(addr.Bare{}, body, roster.Limits{})
				if err != nil || len(bad) > 0 {
					t.Fatal(bad, err)
				}
				list[i] = r
			}
			each := (inUse() - before) / rosters
			if most := int64(contacts * 140); each > most {
				t.Errorf("a roster of %d contacts holds %d bytes, more than %d", contacts, each, most)
			}
			runtime.KeepAlive(list)
		})
	}
}

// A roster that has become small does not hold the memory of the large one before, however it became so; nor does what is
// said of contacts that were left out.
func TestDecodeNextLetsGo(t *testing.T) {
	const many, few, rosters = 300, 10, 10
	doc := func(n int) []byte {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"contact%d@example.com":{"name":"Contact Number %d","groups":["Friends"]}`, i, i)
		}
		return []byte(`{"not one":{}` + b.String() + "}")
	}
	next := func(last roster.Roster, n int) (roster.Roster, []roster.BadItem) {
		r, bad, err := roster.DecodeNext(last, addr.Bare{}, doc(n), roster.Limits{})
		if err != nil || len(bad) != 1 || r.Len() != n {
			t.Fatal(r.Len(), bad, err)
		}
		return r, bad
	}
	for name, sizes := range map[string][]int{"at once": {many, few}, "by and by": {many, 180, 100, 60, 35, 20, few}} {
		t.Run(name, func(t *testing.T) {
			list, left := make([]roster.Roster, rosters), make([][]roster.BadItem, rosters)
			before := inUse()
			for i := range list {
				for _, n := range sizes {
					r, bad := next(list[i], n)
					if list[i] = r; n == many {
						left[i] = bad
					}
				}
			}
			each := (inUse() - before) / rosters
			if most := int64(2 * few * 140); each > most {
				t.Errorf("a roster of %d contacts, after one of %d, holds %d bytes, more than %d", few, many, each, most)
			}
			runtime.KeepAlive(list)
			runtime.KeepAlive(left)
		})
	}
}

func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Contacts keep what they are when their texts are moved, whatever groups they share.
func TestDecodeShares(t *testing.T) {
	doc := `{"a@b": {"name": "A", "groups": ["x", "y"]}, "c@b": {"groups": ["z"]}, "d@b": {"groups": ["y", "x"]}, "e": {"name": "E"},
		"f@b": {"groups": ["1"]}, "g@b": {"groups": ["2"]}, "h@b": {"groups": ["3"]}, "i@b": {"groups": ["4"]}, "j@b": {"groups": ["z"]}}`
	r, bad, err := roster.DecodeJSON(addr.Bare{}, []byte(doc), roster.Limits{})
	if err != nil || len(bad) > 0 {
		t.Fatal(bad, err)
	}
	var got []string
	for i := range r.All() {
		got = append(got, fmt.Sprintf("%s %s %s %s%v", i.JID, i.JID.Local(), i.JID.Domain(), i.Name, i.Groups))
	}
	want := "a@b a b A[x y]; c@b c b [z]; d@b d b [x y]; e  e E[]; f@b f b [1]; g@b g b [2]; h@b h b [3]; i@b i b [4]; j@b j b [z]"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}
