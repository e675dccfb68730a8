package rosterproto_test

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/rosterproto"
)

// renamed is a roster of n contacts, that after one of them got another name, and the history of it.
func renamed(t testing.TB, n, which int) (from, to roster.Roster, h roster.History) {
	from = numbered(t, n)
	to = from.Apply(rename(t, from, which, "Renamed"))
	return from, to, h.After(from, roster.Diff(from, to), 100)
}

func rename(t testing.TB, r roster.Roster, which int, name string) roster.Change {
	old := r.Items()[which]
	next := old
	next.Name = name
	return roster.Change{Contact: old.JID, Old: &old, New: &next}
}

func TestAppendAnswer(t *testing.T) {
	from, to, past := renamed(t, 9, 4)
	few, fewer, pastFew := renamed(t, 1, 0)
	whole := func(r roster.Roster) string { return "a result of " + fmt.Sprint(r.Len()) }
	for _, c := range []struct {
		name  string
		asked registry.Asked
		now   roster.Roster
		past  roster.History
		want  string
	}{
		{"an old version", registry.Asked{Ver: from.Version(), Versioned: true}, to, past, "an empty result, a push of contact4@example.com"},
		{"an old version, and nothing is remembered", registry.Asked{Ver: from.Version(), Versioned: true}, to, roster.History{}, whole(to)},
		{"an old version, and the history is another's", registry.Asked{Ver: from.Version(), Versioned: true}, to, pastFew, whole(to)},
		{"the same version", registry.Asked{Ver: to.Version(), Versioned: true}, to, past, "an empty result"},
		{"a version that never was", registry.Asked{Ver: "x", Versioned: true}, to, past, whole(to)},
		{"no version yet", registry.Asked{Versioned: true}, to, past, whole(to)},
		{"no versions", registry.Asked{}, to, past, whole(to)},
		{"the whole is shorter", registry.Asked{Ver: few.Version(), Versioned: true}, fewer, pastFew, whole(fewer)},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.asked.ID = "1"
			got := rosterproto.AppendAnswer([]byte("<before/>"), c.asked, "romeo@example.com/x", c.now, c.past)
			if text := describe(t, got, c.now); text != c.want {
				t.Errorf("%s, want %s:\n%s", text, c.want, got)
			}
		})
	}
}

// describe says in words what was answered, and checks what all answers have in common.
func describe(t *testing.T, b []byte, now roster.Roster) string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(string(b), "<before/>")))
	var words []string
	ver := ""
	for {
		var e struct {
			read
			Type string `xml:"type,attr"`
			To   string `xml:"to,attr"`
		}
		if d.Decode(&e) != nil {
			break
		}
		if e.To != "romeo@example.com/x" {
			t.Errorf("to %q", e.To)
		}
		switch {
		case e.Type == "set":
			words, ver = append(words, "a push of "+e.Query.Items[0].JID), e.Query.Ver
		case len(e.Query.Items) > 0:
			words, ver = append(words, fmt.Sprint("a result of ", len(e.Query.Items))), e.Query.Ver
		default:
			words = append(words, "an empty result")
		}
	}
	if ver != "" && ver != now.Version() {
		t.Errorf("ends with version %q, the roster has %q", ver, now.Version())
	}
	return strings.Join(words, ", ")
}

// One change in 10,000 contacts costs one push: a reconnect does not cost what the roster does.
func TestAnswerIsShort(t *testing.T) {
	from, to, past := renamed(t, 10_000, 5_000)
	ask := registry.Asked{ID: "1", Ver: from.Version(), Versioned: true}
	short := len(rosterproto.AppendAnswer(nil, ask, "romeo@example.com/x", to, past))
	long := len(rosterproto.AppendResult(nil, ask, "romeo@example.com/x", to))
	t.Logf("%d bytes instead of %d", short, long)
	if short > 400 {
		t.Errorf("%d bytes for one change", short)
	}
}

// Of the pushes of an answer nobody else hears; those that follow reach all, in order behind them.
func TestAnswerIsForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to, past := renamed(t, 9, 4)
		a := &registry.Account{User: romeo}
		back, w := login(a, "back")
		other, silent := login(a, "other")
		other.Interested = true
		a.SetRoster(to, nil)
		a.SetHistory(past)
		back.Asked = []registry.Asked{{ID: "1", Ver: from.Version(), Versioned: true}}
		rosterproto.Answer(a)
		if got := silent.take(); got != "" {
			t.Errorf("another resource got %s", got)
		}
		next := to.Apply(rename(t, to, 7, "Later"))
		rosterproto.Push(a, roster.Diff(to, next))
		if n := strings.Count(silent.take(), "<iq type='set'"); n != 1 {
			t.Errorf("another resource got %d pushes", n)
		}
		got := w.take()
		at := -1
		for _, part := range []string{"<iq type='result' id='1'", "ver='" + to.Version(), "name='Renamed'", "name='Later'"} {
			k := strings.Index(got, part)
			if k <= at {
				t.Fatalf("%s is not where it belongs: %s", part, got)
			}
			at = k
		}
		if n := strings.Count(got, "<iq"); n != 3 {
			t.Errorf("%d stanzas, want 3: %s", n, got)
		}
	})
}

// A client that asks with its version is answered without a look at each of its contacts.
func BenchmarkInterim(b *testing.B) {
	from, to, past := renamed(b, 10_000, 5_000)
	ask := registry.Asked{ID: "1", Ver: from.Version(), Versioned: true}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = rosterproto.AppendAnswer(dst[:0], ask, "romeo@example.com/x", to, past)
	}
}
