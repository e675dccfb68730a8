package httpd

import (
	"errors"
	"io"
	"sync"
)

const (
	// freeBytes of a body anybody may have kept: connections are bounded (Server.PerAddress), and most refreshes are
	// smaller.
	freeBytes = 64 << 10
	// unsignedBodies of the largest size may be kept at a time, besides that.
	unsignedBodies = 4
)

// errBusy is what a body ends with that there is no room for.
var errBusy = errors.New("too much is being sent here whose signature is not known before its end; try again")

// room is what is kept of bodies before anybody knows who sends them: a signature is one of the whole body, and who has
// none must not fill the memory with many at a time.
type room struct {
	mu    sync.Mutex
	taken int64
}

// take is false if there were more than most then.
func (r *room) take(n, most int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken+n > most {
		return false
	}
	r.taken += n
	return true
}

func (r *room) give(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken -= n
}

// roomReader takes room for what is read, but for the first freeBytes. Its owner calls leave.
type roomReader struct {
	io.Reader
	room  *room
	most  int64
	read  int64
	taken int64
}

func (r *roomReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read += int64(n)
	if want := r.read - freeBytes - r.taken; want > 0 {
		if !r.room.take(want, r.most) {
			return 0, errBusy
		}
		r.taken += want
	}
	return n, err
}

func (r *roomReader) leave() { r.room.give(r.taken) }
