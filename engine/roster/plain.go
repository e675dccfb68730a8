package roster

import (
	"bytes"
	"strings"
)

// plainReader reads the standard form as nearly all backends write it, in one pass: texts without escapes, and nothing in
// a contact but what has a meaning, and numbers and words. Of all else, and of whatever is wrong, it says no more than that
// it cannot read it.
//
// What is the same in the last roster is taken from there, with its memory: it need not be made, nor hashed.
type plainReader struct {
	body  []byte
	at    int
	whole string // a copy of body, of which texts are parts; "": each has memory of its own
	last  []Item
	near  int // where in last the next contact is likely to be
	room  Room
	more  int // contacts that are expected
	c     contact
}

// contact is what was read of one, which may be there already.
type contact struct {
	name          span
	groups        []span
	subscription  Subscription
	ask, approved bool
}

// span is a text in the body.
type span struct{ from, to int }

// decodePlain adds what it reads to b. It is false if it cannot read body; then b is of no use.
func decodePlain(b *Builder, body []byte) bool {
	r := plainReader{body: body, last: b.last.items(), more: bytes.Count(body, []byte("@"))}
	b.Grow(r.more) // about as many contacts as there are
	if r.more/2 > len(r.last) {
		r.whole, b.parts = string(body), true
	}
	if !r.byte('{') {
		return false
	}
	like, first := false, true
	for !r.byte('}') {
		if !first && !r.byte(',') {
			return false
		}
		first = false
		key, ok := r.member()
		if !ok {
			return false
		}
		object, ok := r.contact()
		if !ok {
			return false
		}
		like = like || object || bytes.ContainsAny(r.bytes(key), "@.")
		if r.add(b, key); len(b.items) > b.lim.Items {
			return false
		}
	}
	r.space()
	return r.at == len(body) && (like || first)
}

// add takes the contact from the last roster, or makes it.
func (r *plainReader) add(b *Builder, key span) {
	if i := r.known(r.bytes(key)); i != nil && r.same(i) {
		b.known(*i)
		return
	}
	i := Item{Subscription: r.c.subscription, Ask: r.c.ask, Approved: r.c.approved, Name: r.string(r.c.name)}
	more := 1
	if r.whole != "" {
		more = r.more - len(b.items)
	}
	if n := len(r.c.groups); n > 0 {
		i.Groups = r.room.Groups(n, more)
		for k, g := range r.c.groups {
			i.Groups[k] = r.string(g)
		}
	}
	b.Add(r.string(key), i)
}

// known finds a contact in the last roster, in which he stands behind the one before, unless the backend's order is another.
func (r *plainReader) known(jid []byte) *Item {
	low, high := 0, len(r.last)
	for k := r.near; low < high; k = int(uint(low+high) >> 1) {
		if k < low || k >= high {
			continue
		}
		switch s := r.last[k].JID.String(); {
		case string(jid) == s:
			r.near = k + 1
			return &r.last[k]
		case string(jid) < s:
			high = k
		default:
			low = k + 1
		}
	}
	return nil
}

func (r *plainReader) same(i *Item) bool {
	if r.c.subscription != i.Subscription || r.c.ask != i.Ask || r.c.approved != i.Approved || len(r.c.groups) != len(i.Groups) ||
		string(r.bytes(r.c.name)) != i.Name {
		return false
	}
	for k, g := range r.c.groups {
		if string(r.bytes(g)) != i.Groups[k] {
			return false
		}
	}
	return true
}

// contact reads what is said of one; object tells whether that is an object, and not null.
func (r *plainReader) contact() (object, ok bool) {
	r.c = contact{subscription: Both, groups: r.c.groups[:0]}
	if r.word("null") {
		return false, true
	}
	return true, r.byte('{') && r.members(r.field)
}

// members reads what follows {.
func (r *plainReader) members(each func(name span) bool) bool {
	if r.byte('}') {
		return true
	}
	for {
		name, ok := r.member()
		if !ok || !each(name) {
			return false
		}
		if !r.byte(',') {
			return r.byte('}')
		}
	}
}

func (r *plainReader) field(name span) (ok bool) {
	if r.word("null") {
		return true
	}
	switch string(r.bytes(name)) {
	case "name":
		r.c.name, ok = r.text()
	case "groups":
		ok = r.groups()
	case "subscription":
		r.c.subscription, ok = r.kind()
	case "ask":
		r.c.ask, ok = r.asks()
	case "approved":
		r.c.approved, ok = r.flag()
	default:
		ok = r.other()
	}
	return ok
}

func (r *plainReader) kind() (Subscription, bool) {
	if text, ok := r.text(); ok {
		for s, word := range subscriptions {
			if string(r.bytes(text)) == word {
				return Subscription(s), true
			}
		}
	}
	return None, false
}

func (r *plainReader) asks() (ask, ok bool) {
	if ask, ok = r.flag(); ok {
		return ask, true
	}
	text, ok := r.text()
	ask = string(r.bytes(text)) == "subscribe"
	return ask, ok && (ask || text.from == text.to)
}

func (r *plainReader) flag() (set, ok bool) {
	if r.word("true") {
		return true, true
	}
	return false, r.word("false")
}

func (r *plainReader) groups() bool {
	r.c.groups = r.c.groups[:0]
	if r.byte('{') {
		return r.members(func(name span) bool {
			r.c.groups = append(r.c.groups, name)
			return r.word("null") || r.other()
		})
	}
	if !r.byte('[') {
		return false
	}
	if r.byte(']') {
		return true
	}
	for {
		g, ok := r.text()
		if !ok {
			return false
		}
		r.c.groups = append(r.c.groups, g)
		if !r.byte(',') {
			return r.byte(']')
		}
	}
}

// other passes over a value that means nothing.
func (r *plainReader) other() bool {
	if _, ok := r.flag(); ok {
		return true
	}
	if _, ok := r.text(); ok {
		return true
	}
	return r.number()
}

// number passes over a natural one; others are rare.
func (r *plainReader) number() bool {
	from := r.at // text has passed over the space
	for r.at < len(r.body) && '0' <= r.body[r.at] && r.body[r.at] <= '9' {
		r.at++
	}
	if r.at == from || r.body[from] == '0' && r.at > from+1 {
		return false
	}
	return r.at < len(r.body) && strings.IndexByte(" \t\r\n,}]", r.body[r.at]) >= 0
}

// member reads a name and its colon.
func (r *plainReader) member() (name span, ok bool) {
	if name, ok = r.text(); ok {
		ok = r.byte(':')
	}
	return name, ok
}

// text reads a string without escapes.
func (r *plainReader) text() (span, bool) {
	if !r.byte('"') {
		return span{}, false
	}
	from := r.at
	end := from + textEnd(r.body[from:])
	if end == len(r.body) || r.body[end] != '"' {
		return span{}, false
	}
	r.at = end + 1
	return span{from, end}, true
}

func (r *plainReader) word(w string) bool {
	r.space()
	if len(r.body)-r.at < len(w) || r.body[r.at] != w[0] || string(r.body[r.at:r.at+len(w)]) != w {
		return false
	}
	r.at += len(w)
	return true
}

func (r *plainReader) byte(c byte) bool {
	if r.at < len(r.body) && r.body[r.at] <= ' ' {
		r.space()
	}
	if r.at == len(r.body) || r.body[r.at] != c {
		return false
	}
	r.at++
	return true
}

func (r *plainReader) space() {
	for r.at < len(r.body) {
		switch r.body[r.at] {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return
		}
	}
}

func (r *plainReader) bytes(s span) []byte { return r.body[s.from:s.to] }

func (r *plainReader) string(s span) string {
	if r.whole != "" {
		return r.whole[s.from:s.to]
	}
	return string(r.bytes(s))
}

// known adds a contact of a roster that was served before. What has become of the limits meanwhile counts; what XML can
// carry stays so.
func (b *Builder) known(i Item) {
	if b.within(&i) {
		b.add(i.JID, i)
		return
	}
	b.Bad(i.JID.String(), b.check(&i))
}

func (b *Builder) within(i *Item) bool {
	long := len(i.Name) > b.lim.Text || len(i.Groups) > b.lim.Groups
	for _, g := range i.Groups {
		long = long || len(g) > b.lim.Text
	}
	return !long
}

// sumAfter is the sum of items, which are sorted, worked out by what they do not have in common with the last roster;
// same tells that this is nothing.
func sumAfter(last Roster, items []Item) (s sum, same bool) {
	a, b, differ := last.items(), items, 0
	s = last.sum()
	for len(a) > 0 || len(b) > 0 {
		switch order(a, b) {
		case -1:
			s, a = s.minus(a[0].hash()), a[1:]
			differ++
		case 1:
			s, b = s.plus(b[0].hash()), b[1:]
			differ++
		default:
			if !a[0].Equal(b[0]) {
				s = s.minus(a[0].hash()).plus(b[0].hash())
				differ += 2
			}
			a, b = a[1:], b[1:]
		}
		if differ > len(items)+1 { // there is less in common than not
			return sumOf(items), false
		}
	}
	return s, differ == 0
}

func sumOf(items []Item) (s sum) {
	for k := range items {
		s = s.plus(items[k].hash())
	}
	return s
}
