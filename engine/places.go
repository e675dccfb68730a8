package engine

import (
	"container/list"
	"sync"
)

// places are the parallel calls of a host. Who is awaited goes first: a refresh of everybody must not keep
// people from logging in.
type places struct {
	mu    sync.Mutex
	most  int
	taken int
	first list.List // of *waiter: the awaited
	then  list.List // of *waiter: the others
}

type waiter struct {
	ready chan struct{} // closed when it has its place
	queue *list.List    // nil once it is in none
	spot  *list.Element
}

var served = func() *waiter {
	w := &waiter{ready: make(chan struct{})}
	close(w.ready)
	return w
}()

func (p *places) enter(awaited bool) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken < p.most {
		p.taken++
		return served
	}
	w := &waiter{ready: make(chan struct{}), queue: &p.then}
	if awaited {
		w.queue = &p.first
	}
	w.spot = w.queue.PushBack(w)
	return w
}

// leave gives a place to whoever is next.
func (p *places) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	p.fill()
}

// resize lets more or fewer in from now on. Who is in stays.
func (p *places) resize(most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most = most
	p.fill()
}

// fill hands out what is free. Under the lock.
func (p *places) fill() {
	for _, q := range []*list.List{&p.first, &p.then} {
		for p.taken < p.most && q.Len() > 0 {
			w := q.Remove(q.Front()).(*waiter)
			w.queue = nil
			p.taken++
			close(w.ready)
		}
	}
}

// giveUp takes w out of its queue. If it was given a place meanwhile, that goes to the next.
func (p *places) giveUp(w *waiter) {
	p.mu.Lock()
	waiting := w.queue != nil
	if waiting {
		w.queue.Remove(w.spot)
		w.queue = nil
	}
	p.mu.Unlock()
	if !waiting {
		p.leave()
	}
}
