package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"time"
)

// client is a raw stream: it writes bytes, and counts what it looks for in those it reads.
type client struct {
	net.Conn
	user  string
	buf   []byte // read and not yet looked at
	acks  bool   // stream management is enabled (XEP-0198)
	taken int    // stanzas since
}

const header = "<stream:stream to='" + domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// login authenticates with PLAIN and binds a resource "x".
func login(s *server, user string) (*client, error) {
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	c := &client{Conn: nc, user: user}
	c.SetDeadline(time.Now().Add(time.Minute))
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00pw-" + user))
	for _, step := range [][2]string{
		{header, "</stream:features>"},
		{"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + plain + "</auth>", "<success"},
		{header, "</stream:features>"},
		{"<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x</resource></bind></iq>", "</iq>"},
	} {
		if err := c.ask(step[0], step[1]); err != nil {
			c.Close()
			return nil, fmt.Errorf("login of %s: %w", user, err)
		}
	}
	return c, nil
}

// ask sends a request and reads until its answer has come.
func (c *client) ask(request, until string) error {
	if _, err := c.Write([]byte(request)); err != nil {
		return err
	}
	return c.await(until, 1)
}

// await reads until something has come n times.
func (c *client) await(what string, n int) error {
	w := []byte(what)
	for {
		for {
			i := bytes.Index(c.buf, w)
			if i < 0 {
				break
			}
			c.buf = c.buf[i+len(w):]
			if n--; n == 0 {
				return nil
			}
		}
		keep := min(len(c.buf), len(w)-1) // it may have come in part
		next := make([]byte, keep, 64<<10)
		copy(next, c.buf[len(c.buf)-keep:])
		m, err := c.Read(next[keep:cap(next)])
		if err != nil {
			return fmt.Errorf("waiting for %d × %q: %w; last read %q", n, what, err, c.buf[max(0, len(c.buf)-300):])
		}
		c.buf = next[:keep+m]
	}
}

// acknowledge tells the server that the client has so many stanzas more, if it wants to know.
func (c *client) acknowledge(n int) error {
	if !c.acks {
		return nil
	}
	c.taken += n
	_, err := fmt.Fprintf(c, "<a xmlns='"+nsManagement+"' h='%d'/>", c.taken)
	return err
}

func loginAll(s *server, users []string) ([]*client, error) {
	var list []*client
	for _, u := range users {
		c, err := login(s, u)
		if err != nil {
			return list, err
		}
		list = append(list, c)
	}
	return list, nil
}

func closeAll(list []*client) {
	for _, c := range list {
		c.Close()
	}
}
