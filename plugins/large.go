package plugins

import (
	"context"
	"sync"
)

const (
	// smallAnswer is what an answer may have read of it without asking anybody.
	smallAnswer = 1 << 20
	// largeAnswers is what the larger answers of one plugin may take together: a plugin that asks for the largest that there
	// may be, as often as it may, would else take gigabytes of the server.
	largeAnswers = 64 << 20
)

// Hold keeps the place of a large answer until whoever asked for it has no more use of the body. Its zero value holds
// nothing.
type Hold struct {
	mu      sync.Mutex
	release func()
	over    bool
}

// Release gives the place back, now or as soon as it is taken. It may be called again.
func (h *Hold) Release() {
	h.mu.Lock()
	release := h.release
	h.release, h.over = nil, true
	h.mu.Unlock()
	if release != nil {
		release()
	}
}

func (h *Hold) keep(release func()) {
	h.mu.Lock()
	over := h.over
	if !over {
		h.release = release
	}
	h.mu.Unlock()
	if over {
		release()
	}
}

type holdKey struct{}

// Holding has the place of a large answer kept by h, and not only while it is read.
func Holding(ctx context.Context, h *Hold) context.Context {
	return context.WithValue(ctx, holdKey{}, h)
}

// largePlaces are as many as answers of that size may be read at a time.
func largePlaces(limit int64) chan struct{} {
	return make(chan struct{}, max(1, largeAnswers/max(limit, 1)))
}

// place is that of one request's answer.
type place struct {
	ctx    context.Context
	places chan struct{}
	taken  bool
}

// grow is called when an answer turns out to be a large one. It waits until others are done.
func (p *place) grow() error {
	if p.taken {
		return nil
	}
	select {
	case p.places <- struct{}{}:
		p.taken = true
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// leave gives the place back when the answer is read, or hands it to who holds it.
func (p *place) leave() {
	if !p.taken {
		return
	}
	release := func() { <-p.places }
	if h, ok := p.ctx.Value(holdKey{}).(*Hold); ok {
		h.keep(release)
		return
	}
	release()
}

type placeKey struct{}

// growing is what reads the answer of a request that has no place.
func growing(ctx context.Context) func() error {
	if p, ok := ctx.Value(placeKey{}).(*place); ok {
		return p.grow
	}
	return func() error { return nil }
}
