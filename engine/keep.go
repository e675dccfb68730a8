package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/bits"
	"strings"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// kept is what a Keeper keeps of a user. What each fetch changes stands before the items: see document.append.
type kept struct {
	Rev     string    `json:"rev,omitempty"`
	Fetched time.Time `json:"fetched"`
	terms
	Generation string          `json:"generation,omitempty"` // of the backend that it is of
	Held       *Held           `json:"held,omitempty"`
	Items      json.RawMessage `json:"items"` // the standard form
	History    roster.History  `json:"history,omitzero"`
}

// remember reads the kept roster before the user's first fetch: it serves if the backend fails, and its
// revision may spare the backend an answer. Nobody is shown it before that, unless it is fresh.
func (e *Engine) remember(u *user) {
	h := u.host.conf()
	if h.Keeper == nil {
		return
	}
	u.mu.Lock()
	known := u.state != absent || !u.fetched.IsZero()
	u.mu.Unlock()
	if known {
		return
	}
	doc, ok, err := h.Keeper.LoadRoster(e.ctx, u.addr)
	if e.ctx.Err() != nil {
		return // Close has ended it, which is no error
	}
	if err != nil {
		e.log.Error("reading the last good roster", "user", u.addr, "error", err)
		return
	}
	if !ok {
		return
	}
	k, r, err := decodeKept(u.addr, doc)
	if err != nil {
		e.log.Error("the last good roster cannot be read; it is passed over", "user", u.addr, "error", err)
		return
	}
	own, err := h.own(e.ctx, u.addr)
	if err != nil {
		e.log.Error("reading the contacts of a user's own", "user", u.addr, "error", err)
		return
	}
	if k.Generation != h.Generation {
		k.FreshUntil = time.Time{}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state != absent || !u.fetched.IsZero() {
		return // something newer came meanwhile
	}
	u.roster, u.managed, u.rev, u.fetched, u.history = beside(u.addr, r, own), r, k.Rev, k.Fetched, k.History
	u.setTerms(k.terms)
	u.generation, u.held, u.kept = k.Generation, k.Held, true
}

func decodeKept(owner addr.Bare, doc []byte) (k kept, r roster.Roster, err error) {
	if err = json.Unmarshal(doc, &k); err != nil {
		return k, r, err
	}
	const any = 1 << 30 // what was served once is served again, whatever the limits
	r, _, err = roster.DecodeJSON(owner, k.Items, roster.Limits{Items: any, Text: any, Groups: any})
	return k, r, err
}

// keptSteps are the changes that are kept of those that are remembered. Each refresh that changes anything writes them all
// again, and few clients come back from longer ago.
const keptSteps = 25

// document is what is kept, but for its items and its history, which are nearly all of it: they cannot change, and are
// written when somebody wants the bytes.
type document struct {
	before, after []byte
	items         roster.Roster
	history       roster.History
}

// document is what json.Marshal would make, but for spaces, which would read through the items and the history once more.
func (k kept) document(items roster.Roster) (document, error) {
	history := k.History.Latest(keptSteps)
	k.Items, k.History = noItems, roster.History{}
	doc, err := json.Marshal(k)
	if err != nil {
		return document{}, err
	}
	before, after, ok := bytes.Cut(doc, itemsField)
	if !ok {
		return document{}, errors.New("a kept roster has no items")
	}
	return document{before, after, items, history}, nil
}

// size is about what append appends, or what its items hold until then. Names and groups may be far longer than all else.
func (d document) size() int {
	n := len(d.before) + len(d.after) + headStep + 128 + 96*d.items.Len() + 112*d.history.Len()
	items := d.items.Items()
	for k := range items {
		n += len(items[k].JID.String()) + len(items[k].Name)
		for _, g := range items[k].Groups {
			n += len(g) + len(`"",`)
		}
	}
	return n + tailStep(n)
}

// append leaves room, so that the next copy is most often as long as this one and what has not changed stands at the same
// place: a Keeper may write over it, and only where they differ.
func (d document) append(all []byte) []byte {
	from := len(all)
	all = pad(append(all, d.before...), from, headStep)
	all = d.items.AppendBrief(append(all, `,"items":`...))
	if !d.history.IsZero() {
		all = d.history.AppendJSON(append(all, `,"history":`...))
	}
	all = append(all, d.after...)
	return pad(all, from, tailStep(len(all)-from))
}

// headStep is what the length of all that is before the items is a multiple of.
const headStep = 64

// tailStep is what the length of a document of n bytes is made a multiple of: a sixteenth to an eighth of it, but most often
// enough for a remembered change.
func tailStep(n int) int { return max(256, 1<<bits.Len(uint(n)>>4)) }

// pad appends spaces, which are nothing to JSON here, until what is behind the first from bytes is a multiple of step long.
func pad(all []byte, from, step int) []byte {
	missing := (step - (len(all)-from)%step) % step
	for ; missing > len(spaces); missing -= len(spaces) {
		all = append(all, spaces...)
	}
	return append(all, spaces[:missing]...)
}

var spaces = strings.Repeat(" ", 256)

func (d document) bytes() []byte { return d.append(make([]byte, 0, d.size())) }

// What is in the items' place until then. No text of the fields before it can hold this: quotes in them are escaped.
var (
	noItems    = json.RawMessage("null")
	itemsField = []byte(`,"items":null`)
)

func (e *Engine) keep(u *user) {
	h := u.host.conf()
	if h.Keeper == nil {
		return
	}
	u.mu.Lock()
	k, r := kept{Rev: u.rev, Fetched: u.fetched, History: u.history, terms: u.terms(), Generation: u.generation, Held: u.held}, u.managed
	u.kept = true
	u.mu.Unlock()
	if err := save(context.WithoutCancel(e.ctx), h.Keeper, u.addr, k, r); err != nil { // Close waits for it
		e.log.Error("keeping the last good roster", "user", u.addr, "error", err)
	}
}

func save(ctx context.Context, to Keeper, u addr.Bare, k kept, items roster.Roster) error {
	doc, err := k.document(items)
	if err != nil {
		return err
	}
	until := k.FreshUntil
	if k.Held != nil {
		until = time.Time{}
	}
	switch to := to.(type) {
	case LateKeeper:
		return to.SaveLater(ctx, u, doc.size(), doc.append, until)
	case FreshKeeper:
		if !until.IsZero() {
			return to.SaveFresh(ctx, u, doc.bytes(), until)
		}
	}
	return to.SaveRoster(ctx, u, doc.bytes())
}
