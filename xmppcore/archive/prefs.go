package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// Policy says with whom what is said is archived.
type Policy string

// The policies (XEP-0441 §2).
const (
	Always Policy = "always"
	Never  Policy = "never"
	Roster Policy = "roster" // with contacts
)

// Preferences are what a user wants to be archived (XEP-0441). They do not change.
type Preferences struct {
	Default Policy
	Always  []addr.JID // a bare JID stands for its resources, too
	Never   []addr.JID
}

// Limits of what a user can prefer.
const (
	maxJIDs  = 500
	maxPrefs = 16 << 10 // bytes of the JIDs
)

// decide is what is done with a message from or to somebody. Who is named with a resource goes before who is named
// without.
func (p *Preferences) decide(with addr.JID) Policy {
	for _, j := range []addr.JID{with, with.Bare().Full()} {
		switch {
		case slices.Contains(p.Never, j):
			return Never
		case slices.Contains(p.Always, j):
			return Always
		}
	}
	return p.Default
}

// preferences are those of all users of a host.
type preferences struct {
	store store.Keyed

	mu    sync.Mutex
	known map[addr.Bare]*Preferences // of users who were looked up of late; nil: they have none
}

// maxKnown is of how many users the preferences are held.
const maxKnown = 2_000

// of are the preferences of a user, nil if there are none.
func (p *preferences) of(ctx context.Context, user addr.Bare) (*Preferences, error) {
	p.mu.Lock()
	v, ok := p.known[user]
	p.mu.Unlock()
	if ok {
		return v, nil
	}
	b, ok, err := p.store.Get(ctx, user, "")
	switch {
	case err != nil:
		return nil, fmt.Errorf("archive preferences of %s: %w", user, err)
	case ok:
		if v, err = decode(b); err != nil {
			return nil, fmt.Errorf("archive preferences of %s: %w", user, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now, ok := p.known[user]; ok { // set meanwhile
		return now, nil
	}
	p.remember(user, v)
	return v, nil
}

func (p *preferences) remember(user addr.Bare, v *Preferences) {
	if len(p.known) >= maxKnown {
		clear(p.known)
	}
	p.known[user] = v
}

func (p *preferences) forget(user addr.Bare) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, user)
}

func (p *preferences) set(ctx context.Context, user addr.Bare, v *Preferences) error {
	if err := p.store.Change(ctx, user, map[string][]byte{"": encode(v)}); err != nil {
		return fmt.Errorf("archive preferences of %s: %w", user, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remember(user, v)
	return nil
}

// kept is the form in which preferences are stored.
type kept struct {
	Default Policy   `json:"default"`
	Always  []string `json:"always,omitempty"`
	Never   []string `json:"never,omitempty"`
}

func encode(p *Preferences) []byte {
	k := kept{Default: p.Default}
	for _, j := range p.Always {
		k.Always = append(k.Always, j.String())
	}
	for _, j := range p.Never {
		k.Never = append(k.Never, j.String())
	}
	b, err := json.Marshal(k)
	if err != nil {
		panic(err) // of strings it cannot fail
	}
	return b
}

func decode(b []byte) (*Preferences, error) {
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		return nil, err
	}
	p := &Preferences{Default: k.Default}
	for _, l := range []struct {
		to   *[]addr.JID
		from []string
	}{{&p.Always, k.Always}, {&p.Never, k.Never}} {
		for _, s := range l.from {
			j, err := addr.Parse(s)
			if err != nil {
				return nil, err
			}
			*l.to = append(*l.to, j)
		}
	}
	return p, nil
}

// preferencesOf answers XEP-0441: what a user wants, after a set.
func (a *Archive) preferencesOf(q *router.Query) *stanza.Error {
	ctx, cancel := timeout()
	defer cancel()
	user := q.To.Bare()
	p, err := a.explicit(ctx, user)
	if err == nil && q.Set {
		var refused *stanza.Error
		if p, refused = parsePreferences(q.Payload, p.Default); refused != nil {
			return refused
		}
		err = a.prefs.set(ctx, user, p)
	}
	if err != nil {
		return a.failed(err)
	}
	q.Result(appendPreferences(nil, p))
	return nil
}

// explicit are the preferences of a user whose client knows of the archive: with mam_smart_enable, that makes it begin.
func (a *Archive) explicit(ctx context.Context, user addr.Bare) (*Preferences, error) {
	p, err := a.prefs.of(ctx, user)
	if err != nil || p != nil {
		return p, err
	}
	p = &Preferences{Default: a.Policy}
	if a.Smart {
		err = a.prefs.set(ctx, user, p)
	}
	return p, err
}

func parsePreferences(e scan.Element, current Policy) (*Preferences, *stanza.Error) {
	p := &Preferences{Default: current}
	if d, ok := e.Attr("default"); ok {
		p.Default = Policy(d)
	}
	switch p.Default {
	case Always, Never, Roster:
	default:
		return nil, &stanza.Error{Condition: stanza.BadRequest, Text: "default is always, never or roster"}
	}
	bytes := 0
	for _, l := range []struct {
		to   *[]addr.JID
		name string
	}{{&p.Always, "always"}, {&p.Never, "never"}} {
		list, ok := e.Find(nsMAM, l.name)
		if !ok {
			continue
		}
		for c := range list.Elements() {
			j, err := addr.Parse(strings.TrimSpace(c.Text()))
			if err != nil {
				return nil, &stanza.Error{Condition: stanza.JIDMalformed, Text: err.Error()}
			}
			bytes += len(j.String())
			if len(p.Always)+len(p.Never) == maxJIDs || bytes > maxPrefs {
				return nil, &stanza.Error{Condition: stanza.ResourceConstraint, Text: "too many addresses"}
			}
			if !slices.Contains(*l.to, j) {
				*l.to = append(*l.to, j)
			}
		}
	}
	return p, nil
}

func appendPreferences(dst []byte, p *Preferences) []byte {
	dst = append(dst, "<prefs xmlns='"+nsMAM+"'"...)
	dst = append(stanza.AppendAttr(dst, "default", string(p.Default)), '>')
	dst = appendJIDs(dst, "always", p.Always)
	dst = appendJIDs(dst, "never", p.Never)
	return append(dst, "</prefs>"...)
}

func appendJIDs(dst []byte, name string, list []addr.JID) []byte {
	dst = append(append(append(dst, '<'), name...), '>')
	for _, j := range list {
		dst = append(stanza.AppendText(append(dst, "<jid>"...), j.String()), "</jid>"...)
	}
	return append(append(append(dst, "</"...), name...), '>')
}
