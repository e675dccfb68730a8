package worker

import (
	"io"
	"sync"
)

// outbox writes the frames for a child when the child reads, so that nobody waits for a child that does not. What can
// be in it is bounded by the calls and the calls of services that are under way.
type outbox struct {
	wake chan struct{} // cap 1

	mu     sync.Mutex // guards the fields below
	frames []queued
	closed bool
}

type queued struct {
	frame   []byte
	written func() // nil: nobody wants to know
}

func (o *outbox) init() { o.wake = make(chan struct{}, 1) }

func (o *outbox) put(frame []byte, written func()) {
	o.mu.Lock()
	if !o.closed {
		o.frames = append(o.frames, queued{seal(frame), written})
	}
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) close() {
	o.mu.Lock()
	o.closed, o.frames = true, nil
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// drain writes until the outbox is closed or nobody reads.
func (o *outbox) drain(w io.Writer) {
	for range o.wake {
		o.mu.Lock()
		frames, closed := o.frames, o.closed
		o.frames = nil
		o.mu.Unlock()
		if closed {
			return
		}
		for _, q := range frames {
			if _, err := w.Write(q.frame); err != nil {
				return // the child ends, or has
			}
			if q.written != nil {
				q.written()
			}
		}
	}
}
