package stream

import (
	"fmt"
	"net/netip"
	"sync"

	"rosterd/xmppcore/stanza"
)

// maxRefusals is how many connections may at once be told that they are not
// welcome. More are just closed.
const maxRefusals = 100

// door counts the connections that are not authenticated yet.
type door struct {
	mu   sync.Mutex
	all  throng
	from map[netip.Addr]throng
}

// throng is how many connections have a place, and how many are being told that
// there is none: they take nobody's.
type throng struct{ inside, refused int }

func (t throng) enter(refused bool, n int) throng {
	if refused {
		t.refused += n
	} else {
		t.inside += n
	}
	return t
}

// overrun tells whether there are too many to tell more of them.
func (t throng) overrun(most int) bool { return t.inside+t.refused >= most+maxRefusals }

// enter counts a connection; leave must follow if it returns true. The error is
// what the client is to be told if it cannot stay.
func (d *door) enter(from netip.Addr, l *Limits) (*stanza.StreamError, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var se *stanza.StreamError
	switch {
	case d.from[from].inside >= l.PerAddress:
		se = &stanza.StreamError{
			Condition: stanza.StreamPolicyViolation,
			Text:      fmt.Sprintf("more than %d connections from %s wait for authentication", l.PerAddress, from),
		}
	case d.all.inside >= l.Unauthenticated:
		se = &stanza.StreamError{
			Condition: stanza.StreamResourceConstraint,
			Text:      fmt.Sprintf("more than %d connections wait for authentication", l.Unauthenticated),
		}
	}
	if se != nil {
		return se, d.tell(from, l)
	}
	d.count(from, false, 1)
	return nil, true
}

// refuse counts a connection that is told for another reason; leave must follow
// if it returns true.
func (d *door) refuse(from netip.Addr, l *Limits) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tell(from, l)
}

func (d *door) tell(from netip.Addr, l *Limits) bool {
	if d.all.overrun(l.Unauthenticated) || from.IsValid() && d.from[from].overrun(l.PerAddress) {
		return false
	}
	d.count(from, true, 1)
	return true
}

// leave is for a connection that has entered, and was refused or was not.
func (d *door) leave(from netip.Addr, refused bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count(from, refused, -1)
}

func (d *door) count(from netip.Addr, refused bool, n int) {
	d.all = d.all.enter(refused, n)
	if !from.IsValid() {
		return
	}
	if d.from == nil {
		d.from = make(map[netip.Addr]throng)
	}
	t := d.from[from].enter(refused, n)
	if t == (throng{}) {
		delete(d.from, from)
		return
	}
	d.from[from] = t
}

// full tells whether nobody else is welcome.
func (d *door) full(l *Limits) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all.inside >= l.Unauthenticated
}

// lacks tells whether somebody else must leave for a connection to be let in,
// and whether that would do.
func (d *door) lacks(from netip.Addr, l *Limits) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all.inside >= l.Unauthenticated && d.from[from].inside < l.PerAddress
}
