package roster

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"rosterd/engine/addr"
)

// History is what is known of a roster's past, so that a client which was away is told only what changed since
// (RFC 6121 §2.6.3). It cannot change, and is bounded; the zero value knows nothing. It holds no items, for
// each would keep the whole document that it was read from.
type History struct{ p *past }

type past struct {
	steps []step
	last  sum // the version after the last step
}

// step is one change. What became of the contact stands in the roster.
type step struct {
	contact addr.Bare
	before  sum // the version before it
	was     sum // what the contact added to that; nothing if it was not there
}

// After is h with what turned from into the next roster, in the order of Diff, of which it remembers no more
// than the last changes. What h knew is of no use if it did not end with from.
func (h History) After(from Roster, changes []Change, most int) History {
	if len(changes) == 0 && h.endsWith(from.sum()) {
		return h
	}
	if len(changes) == 0 || most <= 0 {
		return History{}
	}
	var known []step
	if h.endsWith(from.sum()) {
		known = h.p.steps
	}
	at := from.sum()
	if cut := len(changes) - most; cut > 0 { // each of them says where it leads
		at, _ = parseSum(changes[cut-1].Version)
		known, changes = nil, changes[cut:]
	}
	if cut := len(known) + len(changes) - most; cut > 0 {
		known = known[cut:]
	}
	steps := make([]step, 0, len(known)+len(changes))
	steps = append(steps, known...)
	for _, c := range changes {
		next, _ := parseSum(c.Version)
		was := at.minus(next) // of a contact who is gone: that takes no hash
		if c.Old == nil || c.New != nil {
			was = share(c.Old)
		}
		steps = append(steps, step{contact: c.Contact.Clone(), before: at, was: was})
		at = next
	}
	return History{&past{steps, at}}
}

func (h History) endsWith(s sum) bool { return h.p != nil && h.p.last == s }

// Since lists what to tell a client that holds version ver, so that it holds now: one change for each contact
// that is not the same any more, whose Old is left out. What the client holds after each of them has the
// version that stands there, so that it may go away in the midst of them. Known is false if the past does not
// reach back to ver, or is not that of now.
func (h History) Since(ver string, now Roster) (changes []Change, known bool) {
	at, ok := parseSum(ver)
	if ok && at == now.sum() {
		return nil, true
	}
	if !ok || !h.endsWith(now.sum()) {
		return nil, false
	}
	k := len(h.p.steps) - 1
	for k >= 0 && h.p.steps[k].before != at { // the last time that the roster was so
		k--
	}
	if k < 0 {
		return nil, false
	}
	for _, s := range firstOfEach(h.p.steps[k:]) {
		c := Change{Contact: s.contact, New: now.find(s.contact)}
		is := share(c.New)
		if is == s.was {
			continue // there and back again
		}
		at = at.minus(s.was).plus(is)
		c.Version = at.String()
		changes = append(changes, c)
	}
	return changes, true
}

// share is what a contact adds to the version; nothing if it is not there.
func share(i *Item) sum {
	if i == nil {
		return sum{}
	}
	return i.hash()
}

// firstOfEach picks of each contact the first step, which knows what the contact was before all of them, in
// the order in which the contacts were last touched: who goes away in the midst is then at a version that was.
func firstOfEach(steps []step) []step {
	first := make(map[addr.Bare]step, len(steps))
	var order []addr.Bare // backwards
	for _, s := range slices.Backward(steps) {
		if _, seen := first[s.contact]; !seen {
			order = append(order, s.contact)
		}
		first[s.contact] = s
	}
	list := make([]step, 0, len(order))
	for _, c := range slices.Backward(order) {
		list = append(list, first[c])
	}
	return list
}

// Latest is h without all but its last changes.
func (h History) Latest(most int) History {
	cut := h.Len() - most
	if cut <= 0 {
		return h
	}
	if most <= 0 {
		return History{}
	}
	return History{&past{h.p.steps[cut:], h.p.last}}
}

// Len is how many changes are remembered.
func (h History) Len() int {
	if h.p == nil {
		return 0
	}
	return len(h.p.steps)
}

// IsZero tells whether nothing is known.
func (h History) IsZero() bool { return h.p == nil }

// record is how a History is kept: the last version and, for each step, the contact, the version before it
// and the contact's share in that.
type record struct {
	Last  string      `json:"last"`
	Steps [][3]string `json:"steps"`
}

// MarshalJSON writes what UnmarshalJSON reads: null if nothing is known.
func (h History) MarshalJSON() ([]byte, error) { return h.AppendJSON(nil), nil }

// AppendJSON appends what MarshalJSON writes.
func (h History) AppendJSON(b []byte) []byte {
	if h.p == nil {
		return append(b, "null"...)
	}
	b = slices.Grow(b, 64+112*len(h.p.steps))
	b = h.p.last.appendJSON(append(b, `{"last":`...))
	b = append(b, `,"steps":[`...)
	for k, s := range h.p.steps {
		if k > 0 {
			b = append(b, ',')
		}
		b = appendText(append(b, '['), s.contact.String())
		b = s.before.appendJSON(append(b, ','))
		b = s.was.appendJSON(append(b, ','))
		b = append(b, ']')
	}
	return append(b, "]}"...)
}

// UnmarshalJSON reads a kept History.
func (h *History) UnmarshalJSON(b []byte) error {
	*h = History{}
	var r *record
	if err := json.Unmarshal(b, &r); err != nil || r == nil {
		return err
	}
	p := &past{steps: make([]step, len(r.Steps))}
	ok := true
	read := func(text string) sum {
		s, good := parseSum(text)
		ok = ok && good
		return s
	}
	p.last = read(r.Last)
	for k, s := range r.Steps {
		c, err := addr.ParseBare(s[0])
		if err != nil {
			return fmt.Errorf("the history of a roster: %w", err)
		}
		p.steps[k] = step{c, read(s[1]), read(s[2])}
	}
	if !ok {
		return fmt.Errorf("the history of a roster: not a version in %q", b[:min(len(b), 60)])
	}
	*h = History{p}
	return nil
}

func (s sum) appendJSON(b []byte) []byte {
	raw := s.bytes()
	b = append(b, '"')
	b = base64.RawURLEncoding.AppendEncode(b, raw[:])
	return append(b, '"')
}

func parseSum(text string) (s sum, ok bool) {
	var b [16]byte
	if len(text) != base64.RawURLEncoding.EncodedLen(len(b)) {
		return s, false
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(text)); err != nil || n != len(b) {
		return s, false
	}
	return sum{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}, true
}
