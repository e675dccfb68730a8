package roster_test

import (
	"fmt"
	"strings"
	"testing"

	. "rosterd/engine/roster"
)

// The tables of RFC 6121 appendix A.2 and A.3: existing state, whether the stanza is routed or delivered, new state.
// "-" is no change. What is not in the RFC's tables, pre-approval (§3.4), is below.
const outbound = `
subscribe
	None                         | route | None + Pending Out
	None + Pending Out           | route | -
	None + Pending In            | route | None + Pending Out+In
	None + Pending Out+In        | route | -
	To                           | route | -
	To + Pending In              | route | -
	From                         | route | From + Pending Out
	From + Pending Out           | route | -
	Both                         | route | -
	None, approved               | route | None + Pending Out, approved
unsubscribe
	None                         | route | -
	None + Pending Out           | route | None
	None + Pending In            | route | -
	None + Pending Out+In        | route | None + Pending In
	To                           | route | None
	To + Pending In              | route | None + Pending In
	From                         | route | -
	From + Pending Out           | route | From
	Both                         | route | From
	To, approved                 | route | None, approved
subscribed
	None                         | keep  | None, approved
	None + Pending Out           | keep  | None + Pending Out, approved
	None + Pending In            | route | From
	None + Pending Out+In        | route | From + Pending Out
	To                           | keep  | To, approved
	To + Pending In              | route | Both
	From                         | keep  | -
	From + Pending Out           | keep  | -
	Both                         | keep  | -
	None, approved               | keep  | -
	From, approved               | keep  | -
unsubscribed
	None                         | keep  | -
	None + Pending Out           | keep  | -
	None + Pending In            | route | None
	None + Pending Out+In        | route | None + Pending Out
	To                           | keep  | -
	To + Pending In              | route | To
	From                         | route | None
	From + Pending Out           | route | None + Pending Out
	Both                         | route | To
	None, approved               | keep  | None
	To, approved                 | keep  | To
	From, approved               | route | None
	Both, approved               | route | To
`

const inbound = `
subscribe
	None                         | deliver            | None + Pending In
	None + Pending Out           | deliver            | None + Pending Out+In
	None + Pending In            | drop               | -
	None + Pending Out+In        | drop               | -
	To                           | deliver            | To + Pending In
	To + Pending In              | drop               | -
	From                         | answer subscribed  | -
	From + Pending Out           | answer subscribed  | -
	Both                         | answer subscribed  | -
	None, approved               | answer subscribed  | From, approved
	None + Pending Out, approved | answer subscribed  | From + Pending Out, approved
	To, approved                 | answer subscribed  | Both, approved
unsubscribe
	None                         | drop               | -
	None + Pending Out           | drop               | -
	None + Pending In            | deliver            | None
	None + Pending Out+In        | deliver            | None + Pending Out
	To                           | drop               | -
	To + Pending In              | deliver            | To
	From                         | deliver            | None
	From + Pending Out           | deliver            | None + Pending Out
	Both                         | deliver            | To
	From, approved               | deliver            | None, approved
subscribed
	None                         | drop               | -
	None + Pending Out           | deliver            | To
	None + Pending In            | drop               | -
	None + Pending Out+In        | deliver            | To + Pending In
	To                           | drop               | -
	To + Pending In              | drop               | -
	From                         | drop               | -
	From + Pending Out           | deliver            | Both
	Both                         | drop               | -
	None + Pending Out, approved | deliver            | To, approved
unsubscribed
	None                         | drop               | -
	None + Pending Out           | deliver            | None
	None + Pending In            | drop               | -
	None + Pending Out+In        | deliver            | None + Pending In
	To                           | deliver            | None
	To + Pending In              | deliver            | None + Pending In
	From                         | drop               | -
	From + Pending Out           | deliver            | From
	Both                         | deliver            | From
	To, approved                 | deliver            | None, approved
`

const removal = `
remove
	None                         |                          | -
	None + Pending Out           | unsubscribe              | -
	None + Pending In            | unsubscribed             | -
	None + Pending Out+In        | unsubscribe unsubscribed | -
	To                           | unsubscribe              | -
	To + Pending In              | unsubscribe unsubscribed | -
	From                         | unsubscribed             | -
	From + Pending Out           | unsubscribe unsubscribed | -
	Both                         | unsubscribe unsubscribed | -
	None, approved               |                          | -
`

func TestOutbound(t *testing.T) {
	table(t, outbound, func(s State, k Kind) (string, State) {
		next, route := s.Out(k)
		return map[bool]string{true: "route", false: "keep"}[route], next
	})
}

func TestInbound(t *testing.T) {
	table(t, inbound, func(s State, k Kind) (string, State) {
		next, deliver, answer := s.In(k)
		switch {
		case deliver && answer != "":
			t.Errorf("%s in %s is both delivered and answered", k, s)
		case deliver:
			return "deliver", next
		case answer != "":
			return "answer " + string(answer), next
		}
		return "drop", next
	})
}

func TestRemove(t *testing.T) {
	table(t, removal, func(s State, _ Kind) (string, State) {
		var words []string
		for _, k := range s.Remove() {
			words = append(words, string(k))
		}
		return strings.Join(words, " "), s
	})
}

// parseState reads what State.String writes.
func parseState(text string) (s State, ok bool) {
	name, pending, _ := strings.Cut(strings.TrimSuffix(text, ", approved"), " + Pending ")
	var err error
	s.Subscription, err = ParseSubscription(strings.ToLower(name))
	s.PendingOut, s.PendingIn = strings.HasPrefix(pending, "Out"), strings.HasSuffix(pending, "In")
	s.Approved = strings.HasSuffix(text, ", approved")
	return s, err == nil && s.Valid() && s.String() == text
}

// table holds each row against what becomes of it. Each stanza has to have the nine states of the RFC.
func table(t *testing.T, text string, becomes func(State, Kind) (string, State)) {
	rows := map[Kind]int{}
	var k Kind
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) == 1 {
			if cells[0] != "" {
				k = Kind(cells[0])
			}
			continue
		}
		from, ok := parseState(strings.TrimSpace(cells[0]))
		if !ok {
			t.Fatalf("%q is no state", cells[0])
		}
		if !from.Approved {
			rows[k]++
		}
		want := strings.TrimSpace(cells[2])
		if want == "-" {
			want = from.String()
		}
		does, next := becomes(from, k)
		if does != strings.TrimSpace(cells[1]) || next.String() != want {
			t.Errorf("%s in %q: %q, %q; want %q, %q", k, from, does, next, strings.TrimSpace(cells[1]), want)
		}
	}
	for k, n := range rows {
		if n != 9 {
			t.Errorf("%d states for %s, want 9", n, k)
		}
	}
	if len(rows) == 0 {
		t.Error("an empty table")
	}
}

// What the two servers of a pair keep fits together after each stanza that has been through: who has a subscription is
// known to have it on the other side, and who asks is heard. Nothing that can happen leads to another state than those of
// the RFC.
func FuzzPair(f *testing.F) {
	f.Add([]byte("\x00\x12\x10\x02"))
	f.Add([]byte{2, 16, 1, 17, 4, 20, 3, 19})
	f.Fuzz(func(t *testing.T, moves []byte) {
		kinds := []Kind{Subscribe, Unsubscribe, Subscribed, Unsubscribed}
		var sides [2]State
		var story []string
		var send func(from int, k Kind)
		receive := func(to int, k Kind) {
			next, _, answer := sides[to].In(k)
			if sides[to] = next; answer != "" {
				// What a server answers in the user's stead is no change of its own any more.
				if next, _, again := sides[1-to].In(answer); again == "" {
					sides[1-to] = next
				} else {
					t.Fatalf("%v: the answer %s is answered with %s", story, answer, again)
				}
			}
		}
		send = func(from int, k Kind) {
			next, route := sides[from].Out(k)
			if sides[from] = next; route {
				receive(1-from, k)
			}
		}
		for _, m := range moves {
			from := int(m>>4) & 1
			if m&4 != 0 {
				story = append(story, fmt.Sprint(from, " remove"))
				gone := sides[from].Remove()
				sides[from] = State{}
				for _, k := range gone {
					receive(1-from, k)
				}
			} else {
				story = append(story, fmt.Sprint(from, " ", kinds[m&3]))
				send(from, kinds[m&3])
			}
			for i, s := range sides {
				o := sides[1-i]
				if !s.Valid() || s.To() != o.From() || s.PendingOut != o.PendingIn {
					t.Fatalf("%v: %q and %q", story, sides[0], sides[1])
				}
			}
		}
	})
}
