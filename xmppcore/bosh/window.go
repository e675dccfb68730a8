package bosh

import (
	"slices"
	"strconv"
	"strings"
)

// request is what one rid stands for: a body that came, and the response to it.
type request struct {
	rid    int64
	last   bool        // one of which one more may be open
	in     *input      // until its turn comes
	waiter chan []byte // takes the response to the connection that waits for it; nil if none does

	answer  []byte // nil until there is one
	attrs   []byte // what it says beside the content
	acked   bool   // and that it has arrived
	ripe    bool   // it has waited long enough for what it has caused
	expired bool   // it has waited as long as a request is to be held
}

func (r *request) content() []byte { return contentOf(r.answer, r.attrs) }

// window holds the requests of a session by rid (XEP-0124 §14): the last that were answered, those that are to be, and
// those that are here too early.
type window struct {
	size int   // how many requests a client may have open
	last int64 // the highest rid up to which all have come
	list []*request
}

// find returns the request that has come with rid, nil if none has or nobody remembers.
func (w *window) find(rid int64) *request {
	for _, r := range w.list {
		if r.rid == rid {
			return r
		}
	}
	return nil
}

// admits tells whether a request that has not been here is one of the next. One more may come if that is the last, or
// asks for a pause (§11).
func (w *window) admits(in *input) bool {
	most := w.last + int64(w.size)
	if in.last() {
		most++
	}
	return in.rid > w.last && in.rid <= most
}

func (w *window) add(r *request) {
	i := len(w.list)
	for i > 0 && w.list[i-1].rid > r.rid {
		i--
	}
	w.list = slices.Insert(w.list, i, r)
}

// advance returns the next request in order, once it is here.
func (w *window) advance() *request {
	r := w.find(w.last + 1)
	if r != nil {
		w.last++
	}
	return r
}

// newest is the last request in order.
func (w *window) newest() *request { return w.find(w.last) }

// open yields the requests in order that have no answer. The window must not change meanwhile.
func (w *window) open(yield func(*request) bool) {
	for _, r := range w.list {
		if r.rid <= w.last && r.answer == nil && !yield(r) {
			return
		}
	}
}

// waiting is how many requests count as open.
func (w *window) waiting() (n int) {
	for _, r := range w.list {
		if r.waiter != nil && !r.last {
			n++
		}
	}
	return n
}

// first is the first of these.
func (w *window) first() *request {
	for r := range w.open {
		return r
	}
	return nil
}

// trim forgets the answers that no client may ask for again.
func (w *window) trim() {
	for len(w.list) > w.size && w.list[0].answer != nil && w.list[w.size].answer != nil {
		w.list = slices.Delete(w.list, 0, 1)
	}
}

// minorOf is 6 in "1.6". It is not ok for what is no version of BOSH 1.
func minorOf(ver string) (minor int, ok bool) {
	major, rest, found := strings.Cut(ver, ".")
	n, err := strconv.ParseUint(rest, 10, 16)
	return int(n), found && err == nil && major == "1"
}
