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
	mu    sync.Mutex
	total int
	from  map[netip.Addr]int
}

// enter counts a connection; leave must follow if it returns true. The error is
// what the client is to be told if it cannot stay.
func (d *door) enter(from netip.Addr, l *Limits) (*stanza.StreamError, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.total >= l.Unauthenticated+maxRefusals || from.IsValid() && d.from[from] >= l.PerAddress+maxRefusals {
		return nil, false
	}
	d.total++
	if from.IsValid() {
		if d.from == nil {
			d.from = make(map[netip.Addr]int)
		}
		d.from[from]++
	}
	switch {
	case d.from[from] > l.PerAddress:
		return &stanza.StreamError{
			Condition: stanza.StreamPolicyViolation,
			Text:      fmt.Sprintf("more than %d connections from %s wait for authentication", l.PerAddress, from),
		}, true
	case d.total > l.Unauthenticated:
		return &stanza.StreamError{
			Condition: stanza.StreamResourceConstraint,
			Text:      fmt.Sprintf("more than %d connections wait for authentication", l.Unauthenticated),
		}, true
	}
	return nil, true
}

func (d *door) leave(from netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total--
	if !from.IsValid() {
		return
	}
	if d.from[from]--; d.from[from] <= 0 {
		delete(d.from, from)
	}
}
