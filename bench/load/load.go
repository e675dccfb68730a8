// Package load has the clients that drive a server: they write raw bytes, and count what they look for in those they
// read, so that the program that measures has as little to do as can be.
package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"rosterd/bench/target"
)

// Timeout bounds the life of a client. None that succeeds depends on it.
const Timeout = 5 * time.Minute

// Client is a stream that has bound a resource. One goroutine at a time may read, and one write.
type Client struct {
	User     string // localpart
	Resource string

	conn  net.Conn // of bytes or, over WebSocket, of what is in the messages
	web   *webSocket
	buf   []byte // read and not yet looked at
	acks  bool   // stream management is enabled (XEP-0198)
	taken int    // stanzas since
}

// JID is the full JID.
func (c *Client) JID() string { return c.Bare() + "/" + c.Resource }

// Bare is the bare JID.
func (c *Client) Bare() string { return c.User + "@" + target.Domain }

// Write sends whole stanzas. Over WebSocket each is a message of its own.
func (c *Client) Write(b []byte) (int, error) {
	if c.web != nil {
		return c.web.writeStanzas(b)
	}
	return c.conn.Write(b)
}

// Ask sends a request and reads until its answer has come.
func (c *Client) Ask(request, until string) error {
	if _, err := c.Write([]byte(request)); err != nil {
		return err
	}
	return c.Await(until, 1)
}

// chunk is what is read at a time.
const chunk = 64 << 10

// buffers are lent to those who read: who waits for nothing holds none.
var buffers = sync.Pool{New: func() any { return new([chunk]byte) }}

// Await reads until something has come n times. What came after that is kept for the next one who waits; what came
// before is gone.
func (c *Client) Await(what string, n int) error {
	w := []byte(what)
	return c.read(len(w), func(b []byte) (used int, done bool) {
		end, found := nth(b, w, n)
		n -= found
		return end, n == 0
	}, what)
}

// Count reads until something has come, and counts what came up to then.
func (c *Client) Count(what, until string) (n int, err error) {
	w, u := []byte(what), []byte(until)
	err = c.read(max(len(w), len(u)), func(b []byte) (used int, done bool) {
		upTo := bytes.Index(b, u)
		if upTo >= 0 {
			_, found := nth(b[:upTo], w, math.MaxInt)
			n += found
			return upTo + len(u), true
		}
		end, found := nth(b, w, math.MaxInt)
		n += found
		return end, false
	}, until)
	return n, err
}

// read has take look at what comes until it is done. It says how much of it need not be looked at again; of the rest the
// next time shows it the end again, shorter than longest, since what it looks for may have come in part.
func (c *Client) read(longest int, take func(b []byte) (used int, done bool), what string) error {
	room := buffers.Get().(*[chunk]byte)
	defer buffers.Put(room)
	var last [200]byte
	var seen []byte
	buf := c.buf
	for {
		used, done := take(buf)
		if done {
			c.buf = bytes.Clone(buf[used:])
			return nil
		}
		n := copy(last[:], buf[max(0, len(buf)-len(last)):])
		seen = last[:n]
		keep := copy(room[:], buf[max(used, len(buf)-longest+1):])
		n, err := c.conn.Read(room[keep:])
		if err != nil {
			c.buf = bytes.Clone(room[:keep])
			return fmt.Errorf("%s waits for %q: %w; what came last ends in %q", c.User, what, err, seen)
		}
		buf = room[:keep+n]
	}
}

// nth counts up to n of w in b, and says where the last one ends.
func nth(b, w []byte, n int) (end, found int) {
	for found < n {
		i := bytes.Index(b[end:], w)
		if i < 0 {
			break
		}
		end += i + len(w)
		found++
	}
	return end, found
}

// Until reads until done says so of all that has come since the last one who waited, and returns that.
func (c *Client) Until(done func(text string) bool) (text string, err error) {
	for {
		if text = string(c.buf); done(text) {
			c.buf = nil
			return text, nil
		}
		room := buffers.Get().(*[chunk]byte)
		n, err := c.conn.Read(room[:])
		c.buf = append(c.buf, room[:n]...)
		buffers.Put(room)
		if err != nil {
			return string(c.buf), err
		}
	}
}

// Skip forgets what has been read already.
func (c *Client) Skip() { c.buf = nil }

// Close ends the connection without a word.
func (c *Client) Close() {
	if c != nil && c.conn != nil {
		c.conn.Close()
	}
}

// Leave ends the stream and waits for the server to do so, and closes the connection.
func (c *Client) Leave() error {
	defer c.Close()
	end := "</stream:stream>"
	if c.web != nil {
		end = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"
	}
	if _, err := c.Write([]byte(end)); err != nil {
		return err
	}
	until := "</stream:stream>"
	if c.web != nil {
		until = "<close"
	}
	return c.Await(until, 1)
}

// Deadline bounds all that waits from now on.
func (c *Client) Deadline(t time.Time) error { return c.conn.SetDeadline(t) }

// Conn is the connection: of XML, or over WebSocket of the XML that is in the messages.
func (c *Client) Conn() net.Conn { return c.conn }

// Roster asks for the roster, and returns when all of it has come.
func (c *Client) Roster() error {
	return c.Ask("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>", "</iq>")
}

// Available sends initial presence, or presence anew.
func (c *Client) Available() error {
	_, err := c.Write([]byte("<presence/>"))
	return err
}

// Presence sends initial presence, and returns when the server shows it to the client itself (RFC 6121 §4.2.2).
func (c *Client) Presence() error { return c.Ask("<presence/>", "<presence") }

// Ping asks the server for a sign of life: what was sent before has been handled when it returns.
func (c *Client) Ping() error {
	id := pings.Add(1)
	request := fmt.Sprintf("<iq type='get' id='ping%d.' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>", id, target.Domain)
	return c.Ask(request, fmt.Sprintf("ping%d.", id))
}

var pings atomic.Int64

// Acknowledge tells the server that the client has so many stanzas more, if it wants to know.
func (c *Client) Acknowledge(n int) error {
	if !c.acks {
		return nil
	}
	c.taken += n
	_, err := fmt.Fprintf(c, "<a xmlns='"+nsManagement+"' h='%d'/>", c.taken)
	return err
}

const nsManagement = "urn:xmpp:sm:3"

// EnableManagement has the client acknowledge what it takes (XEP-0198).
func (c *Client) EnableManagement() error {
	c.acks = true
	return c.Ask("<enable xmlns='"+nsManagement+"' resume='true'/>", "<enabled")
}

// EnableCarbons enables XEP-0280.
func (c *Client) EnableCarbons() error {
	return c.Ask("<iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>", "id='c1'")
}

// LoginAll logs users in, a few at a time, in their order. What has logged in is returned in any case.
func LoginAll(ctx context.Context, s *target.Server, users []string, how How, then ...func(*Client) error) ([]*Client, error) {
	list := make([]*Client, len(users))
	err := Lanes(len(users), 8, func(i int) (err error) {
		if list[i], err = Login(ctx, s, users[i], how); err != nil {
			return err
		}
		for _, f := range then {
			if err := f(list[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// CloseAll closes clients; some may be nil.
func CloseAll(list []*Client) {
	for _, c := range list {
		c.Close()
	}
}

// Lanes does f for 0 … n-1, so many at a time, in their order. It begins no more after an error, and joins what there is.
func Lanes(n, lanes int, f func(i int) error) error {
	var (
		next   atomic.Int64
		failed atomic.Bool
	)
	return Each(min(lanes, n), func(int) error {
		for !failed.Load() {
			i := int(next.Add(1)) - 1
			if i >= n {
				break
			}
			if err := f(i); err != nil {
				failed.Store(true)
				return err
			}
		}
		return nil
	})
}

// Each runs f for 0 … n-1 at once and joins the errors; of many of them the first few.
func Each(n int, f func(i int) error) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for i := range n {
		wg.Go(func() {
			err := f(i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && len(errs) < 3 {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
