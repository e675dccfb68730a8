package roster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"rosterd/engine/addr"
)

// Limits bound what a backend may hand over. Zero fields mean the defaults.
type Limits struct {
	Items  int // contacts in a roster; 100,000
	Text   int // bytes of a name or a group; 1023
	Groups int // groups of a contact; 256
}

func (l Limits) withDefaults() Limits {
	def := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	def(&l.Items, 100_000)
	def(&l.Text, 1023)
	def(&l.Groups, 256)
	return l
}

// BadItem is a contact that was left out of a roster, as the backend wrote it, and why.
type BadItem struct{ JID, Reason string }

func (b BadItem) String() string { return fmt.Sprintf("%q: %s", b.JID, b.Reason) }

// Builder makes a roster of what comes from outside, contact by contact. What may not stand in a roster is
// left out and named; the rest is served.
type Builder struct {
	owner addr.Bare
	lim   Limits
	last  Roster // served before this one
	parts bool   // texts are parts of a document, which is to be let go
	items []Item
	bad   []BadItem
	more  int // neither kept nor named, since Roster refuses them all
}

// NewBuilder starts the roster of owner.
func NewBuilder(owner addr.Bare, lim Limits) *Builder {
	return &Builder{owner: owner, lim: lim.withDefaults()}
}

// Grow makes room for n contacts, so far as there may be so many.
func (b *Builder) Grow(n int) { b.items = slices.Grow(b.items, min(n, b.lim.Items+1)) }

// Add prepares and checks one contact. The item's own JID is not looked at.
func (b *Builder) Add(jid string, i Item) {
	j, err := addr.Parse(jid)
	switch {
	case err != nil:
		b.Bad(jid, "not a valid JID")
		return
	case !j.IsBare():
		b.Bad(jid, "a full JID; contacts are bare JIDs")
		return
	}
	if why := b.check(&i); why != "" {
		b.Bad(jid, why)
		return
	}
	b.add(j.Bare(), i)
}

// Full tells that there are too many contacts already: Roster refuses them, whatever follows.
func (b *Builder) Full() bool {
	return len(b.items) > b.lim.Items || len(b.bad) > max(b.lim.Items, maxBad)
}

// maxBad is how many contacts may be left out, where fewer may be in the roster.
const maxBad = 100_000

// Bad names a contact that the caller could not read.
func (b *Builder) Bad(jid, reason string) {
	if b.Full() {
		b.more++
		return
	}
	if len(jid) > 200 {
		jid = jid[:200] + "…"
	}
	b.bad = append(b.bad, BadItem{strings.Clone(strings.ToValidUTF8(jid, "\uFFFD")), reason}) // it may be part of a document
}

func (b *Builder) add(j addr.Bare, i Item) {
	if j == b.owner && !j.IsZero() {
		b.Bad(j.String(), "the owner's own JID")
		return
	}
	if b.Full() {
		b.more++
		return
	}
	i.JID = j
	b.items = append(b.items, i)
}

func (b *Builder) check(i *Item) string {
	if why := checkText("name", i.Name, b.lim.Text); why != "" {
		return why
	}
	if len(i.Groups) == 0 {
		i.Groups = nil
		return ""
	}
	if len(i.Groups) > b.lim.Groups {
		return fmt.Sprintf("%d groups, more than %d", len(i.Groups), b.lim.Groups)
	}
	for _, g := range i.Groups {
		if why := checkText("group", g, b.lim.Text); why != "" {
			return why
		}
	}
	if len(i.Groups) == 1 && i.Groups[0] != "" {
		return ""
	}
	// A server must not deliver an empty or a repeated group (RFC 6121 §2.3.3).
	i.Groups = normalGroups(i.Groups)
	return ""
}

// normalGroups is sorted, without repetition and without empty names, and takes no more room than it needs.
func normalGroups(groups []string) []string {
	g := make([]string, 0, len(groups)-empties(groups))
	for _, name := range groups {
		if name != "" {
			g = append(g, name)
		}
	}
	slices.Sort(g)
	if g = slices.Compact(g); len(g) < cap(g)/2 {
		g = slices.Clone(g)
	}
	return g
}

func empties(groups []string) (n int) {
	for _, g := range groups {
		if g == "" {
			n++
		}
	}
	return n
}

// CheckText says why a text can be neither the name of a contact nor a group: it has more than most bytes, or holds what
// XML cannot carry.
func CheckText(s string, most int) error {
	if why := checkText("text", s, most); why != "" {
		return errors.New(why)
	}
	return nil
}

func checkText(what, s string, most int) string {
	if len(s) > most {
		return fmt.Sprintf("%s of %d bytes, more than %d", what, len(s), most)
	}
	if plain(s) {
		return ""
	}
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			return what + " is not valid UTF-8"
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r', r == 0xFFFE, r == 0xFFFF:
			return fmt.Sprintf("%s holds U+%04X, which XML cannot carry", what, r)
		}
	}
	return ""
}

// plain tells that s is of ASCII and has no control characters below the space, as most are.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Roster is what was built, and what was left out. Too many contacts are an error, since a roster cut
// short would look like contacts removed.
func (b *Builder) Roster() (Roster, []BadItem, error) {
	if b.Full() {
		return Roster{}, nil, fmt.Errorf("%d contacts, more than %d", len(b.items)+len(b.bad)+b.more, b.lim.Items)
	}
	less := func(x, y Item) int { return x.JID.Compare(y.JID) }
	if !slices.IsSortedFunc(b.items, less) {
		slices.SortStableFunc(b.items, less)
	}
	kept := b.items[:0]
	for k, i := range b.items {
		if k+1 < len(b.items) && b.items[k+1].JID == i.JID {
			b.Bad(i.JID.String(), "stands there again further on; the last one counts")
			continue
		}
		kept = append(kept, i)
	}
	if len(kept) == 0 {
		return Roster{}, b.bad, nil
	}
	if len(kept) < cap(kept)/2 { // room that was made for contacts of which little has come
		kept = slices.Clone(kept)
	}
	s, same := sumAfter(b.last, kept)
	if same {
		return b.last, b.bad, nil
	}
	room := max(len(kept), b.last.room())
	if b.parts || room > 2*len(kept) {
		pack(kept)
		room = len(kept)
	}
	return Roster{&doc{items: slices.Clip(kept), sum: s, room: room}}, b.bad, nil
}
