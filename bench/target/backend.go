package target

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Backend is the web application that knows the rosters: GET URL/contacts/USER. It writes bytes that are at hand, so
// that next to nothing of what is measured is its own.
type Backend struct {
	URL string

	ln      net.Listener
	serving sync.WaitGroup

	latency atomic.Int64
	status  atomic.Int64 // 0: 200

	requests, under, peak atomic.Int64

	mu    sync.Mutex
	docs  map[string]net.Buffers
	conns map[net.Conn]bool // nil once it is closed
}

// NewBackend starts one on loopback.
func NewBackend() (*Backend, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("backend: %w", err)
	}
	b := &Backend{URL: "http://" + ln.Addr().String(), ln: ln, docs: map[string]net.Buffers{}, conns: map[net.Conn]bool{}}
	b.serving.Go(b.serve)
	return b, nil
}

// Close ends it, and what it was asked.
func (b *Backend) Close() {
	b.ln.Close()
	b.mu.Lock()
	for c := range b.conns {
		c.Close()
	}
	b.conns = nil
	b.mu.Unlock()
	b.serving.Wait()
}

// Set gives a user a document, of parts that are not changed any more: many users' may have them in common. Those who have
// none have no contacts.
func (b *Backend) Set(user string, doc ...[]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.docs[user] = doc
}

// Latency is how long it takes for an answer from now on.
func (b *Backend) Latency(d time.Duration) { b.latency.Store(int64(d)) }

// Fail has every answer be that status from now on; 0 ends it.
func (b *Backend) Fail(status int) { b.status.Store(int64(status)) }

// Requests is how many there were.
func (b *Backend) Requests() int { return int(b.requests.Load()) }

// Peak is how many of them were under way at a time, at most, since it was asked last.
func (b *Backend) Peak() int { return int(b.peak.Swap(b.under.Load())) }

func (b *Backend) serve() {
	for {
		c, err := b.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // too many open files
			continue
		}
		b.mu.Lock()
		closed := b.conns == nil
		if !closed {
			b.conns[c] = true
		}
		b.mu.Unlock()
		if closed {
			c.Close()
			return
		}
		b.serving.Go(func() { b.converse(c) })
	}
}

var noContacts = net.Buffers{[]byte("{}")}

// converse answers the requests of a connection until the other side closes it.
func (b *Backend) converse(c net.Conn) {
	defer func() {
		b.mu.Lock()
		delete(b.conns, c)
		b.mu.Unlock()
		c.Close()
	}()
	in := bufio.NewReaderSize(c, 1024)
	for {
		user, err := readRequest(in)
		if err != nil {
			return // it is the server's to complain
		}
		b.count()
		err = b.answer(c, user)
		b.under.Add(-1)
		if err != nil {
			return
		}
	}
}

// count enters a request.
func (b *Backend) count() {
	b.requests.Add(1)
	now := b.under.Add(1)
	for most := b.peak.Load(); now > most && !b.peak.CompareAndSwap(most, now); most = b.peak.Load() {
	}
}

// readRequest takes the header of a GET, and returns the last part of its path.
func readRequest(in *bufio.Reader) (user string, err error) {
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		switch {
		case err != nil:
			return "", err
		case first:
			_, rest, _ := strings.Cut(string(line), " ")
			path, _, _ := strings.Cut(rest, " ")
			if user, err = url.PathUnescape(path[strings.LastIndexByte(path, '/')+1:]); err != nil {
				return "", err
			}
		case len(line) <= len("\r\n"):
			return user, nil
		}
	}
}

func (b *Backend) answer(c net.Conn, user string) error {
	if d := b.latency.Load(); d > 0 {
		time.Sleep(time.Duration(d))
	}
	b.mu.Lock()
	doc, known := b.docs[user]
	b.mu.Unlock()
	if !known {
		doc = noContacts
	}
	status := int(b.status.Load())
	if status == 0 {
		status = http.StatusOK
	} else {
		doc = noContacts
	}
	size := 0
	for _, part := range doc {
		size += len(part)
	}
	head := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", status, http.StatusText(status), size)
	parts := append(net.Buffers{head}, doc...)
	_, err := parts.WriteTo(c)
	return err
}
