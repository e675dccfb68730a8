package worker

import (
	"io"
	"os"
	"sync"
)

// outbox writes the frames for a child: at once, if the pipe takes them, or else when the child reads, so that nobody
// waits for a child that does not. What can be in it is bounded by the calls and the calls of services that are under
// way.
type outbox struct {
	try  func([]byte) (int, error) // writes what the pipe takes at once; nil: nothing
	wake chan struct{}             // cap 1

	mu       sync.Mutex // guards the fields below
	frames   []queued
	draining bool // frames that are not here any more are not yet written either
	closed   bool
}

type queued struct {
	frame   []byte
	written func() // nil: nobody wants to know
}

func (o *outbox) init(pipe *os.File) {
	o.wake = make(chan struct{}, 1)
	if pipe != nil {
		o.try = writer(pipe)
	}
}

// put writes a frame, here or later. To wake somebody up for it costs more than to write it.
func (o *outbox) put(frame []byte, written func()) {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return
	}
	frame = seal(frame)
	if o.try != nil && !o.draining && len(o.frames) == 0 {
		n, err := o.try(frame)
		if err != nil {
			n = 0 // drain runs into it, too, and is the one that ends then
		}
		if n == len(frame) {
			o.mu.Unlock()
			if written != nil {
				written()
			}
			return
		}
		frame = frame[n:]
	}
	o.frames = append(o.frames, queued{frame, written})
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
		for {
			o.mu.Lock()
			frames, closed := o.frames, o.closed
			o.frames, o.draining = nil, len(frames) > 0
			o.mu.Unlock()
			if closed {
				return
			}
			if len(frames) == 0 {
				break
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
}
