// Package dovecot asks Dovecot's authentication service whether a password is a user's, over its socket, in version 1 of
// Dovecot's authentication protocol.
package dovecot

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"rosterd/engine/addr"
	"rosterd/passwords"
)

// Source is a Dovecot. Each question has a connection for itself while it lasts; connections are kept for the next one.
type Source struct {
	Network, Address string // "unix" and a path, or "tcp" and host:port
	Service          string // the name of the service that is logged in to; "" is xmpp
	// Realm, if it is set, is appended to the user's name, with an @.
	Realm string
	// Split takes what is before the @ of what Dovecot calls the user for his name; CheckDomain that what follows is
	// Realm. Else the whole is his name, escaped (XEP-0106).
	Split, CheckDomain bool

	mu     sync.Mutex // guards the fields below
	idle   []*conn
	closed bool
}

var _ passwords.Source = (*Source)(nil)

const (
	mostIdle = 4
	// longestLine that Dovecot reads is 16 KiB in newer versions, 8 KiB in older ones.
	longestLine = 8 << 10
	mostLines   = 1000 // of a handshake
)

// conn is a connection after its handshake.
type conn struct {
	net.Conn
	in   *bufio.Reader
	last uint32 // request
	used bool   // since its handshake
}

// refused is a password that is wrong.
func refused(why string) error { return fmt.Errorf("%w: %s", passwords.ErrRefused, why) }

// CheckPassword implements passwords.Source.
func (s *Source) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	name := addr.Unescape(user.Local())
	if s.Realm != "" {
		name += "@" + s.Realm
	}
	if strings.ContainsRune(name+password, 0) {
		return refused("a NUL in it")
	}
	resp := base64.StdEncoding.EncodeToString([]byte("\x00" + name + "\x00" + password))
	if len(resp) > longestLine-512 {
		return refused("it is longer than Dovecot takes")
	}
	r, err := s.ask(ctx, resp)
	if err == nil {
		err = s.verdict(user, r)
	}
	if err != nil {
		return fmt.Errorf("ask Dovecot at %s: %w", s.Address, err)
	}
	return nil
}

// verdict is what a reply says of a user.
func (s *Source) verdict(user addr.Bare, r reply) error {
	switch {
	case r.command == "FAIL" && (r.has("temp") || r.params["code"] == "temp_fail"):
		return fmt.Errorf("it cannot tell: %s", shown(r.params["reason"]))
	case r.command == "FAIL":
		return refused(r.reason())
	case r.command != "OK":
		return fmt.Errorf("what came from it was %s", shown(r.command))
	case r.params["user"] == "":
		return errors.New("it does not say who has logged in")
	case !s.names(user, r.params["user"]):
		return refused(fmt.Sprintf("Dovecot calls the user %s", shown(r.params["user"])))
	default:
		return nil
	}
}

// names tells whether what Dovecot calls a user is the one who was asked about.
func (s *Source) names(user addr.Bare, said string) bool {
	name := said
	if s.Split {
		var domain string
		var whole bool
		name, domain, whole = strings.Cut(said, "@")
		if s.CheckDomain && (!whole || !sameDomain(domain, s.Realm, user.Domain())) {
			return false
		}
	} else if before, domain, whole := strings.Cut(said, "@"); whole && sameDomain(domain, s.Realm, user.Domain()) {
		name = before // Dovecot's default realm
	}
	local, err := addr.PrepareLocal(addr.Escape(name))
	return err == nil && local == user.Local()
}

func sameDomain(domain, realm, host string) bool {
	return strings.EqualFold(domain, realm) || strings.EqualFold(domain, host)
}

// ask has one reply to a PLAIN login. A connection that was kept may have ended meanwhile: then there is another.
func (s *Source) ask(ctx context.Context, resp string) (reply, error) {
	for {
		c, err := s.connect(ctx)
		if err != nil {
			return reply{}, err
		}
		r, err := s.askOn(ctx, c, resp)
		if err == nil {
			s.keep(c)
			return r, nil
		}
		c.Close()
		if !c.used || ctx.Err() != nil {
			return reply{}, err
		}
	}
}

// askOn asks on one connection. The end of ctx ends the connection.
func (s *Source) askOn(ctx context.Context, c *conn, resp string) (reply, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c.last++
	service := s.Service
	if service == "" {
		service = "xmpp"
	}
	// no-penalty: Dovecot, which is not told of the clients' addresses, would have everybody wait for who is wrong; they are
	// throttled here. nologin: nobody is going to ask for more about this login. resp is the last, as the protocol wants it.
	line := fmt.Sprintf("AUTH\t%d\tPLAIN\tservice=%s\tno-penalty\tnologin\tresp=%s\n", c.last, tabEscape(service), resp)
	if _, err := io.WriteString(c, line); err != nil {
		return reply{}, ended(ctx, err)
	}
	for {
		fields, err := c.line()
		if err != nil {
			return reply{}, ended(ctx, err)
		}
		if r, ok := parseReply(fields, c.last); ok {
			if !stop() {
				return reply{}, ctx.Err()
			}
			return r, nil
		}
	}
}

// ended is why a connection has, if somebody had it end.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// connect takes a connection that is kept, or makes one.
func (s *Source) connect(ctx context.Context) (*conn, error) {
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		c := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		c.used = true
		return c, nil
	}
	s.mu.Unlock()
	var d net.Dialer
	nc, err := d.DialContext(ctx, s.Network, s.Address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, in: bufio.NewReaderSize(nc, 2*longestLine)}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	err = c.shakeHands()
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

func (s *Source) keep(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.idle) >= mostIdle || c.last > 1<<30 {
		c.Close()
		return
	}
	s.idle = append(s.idle, c)
}

// Close ends the connections that are kept.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.idle {
		c.Close()
	}
	s.idle = nil
	return nil
}

// shakeHands begins a connection. Dovecot wants a number of the client's process that no other connection has.
func (c *conn) shakeHands() error {
	id := 1 + rand.Uint32N(1<<30)
	if _, err := io.WriteString(c, "VERSION\t1\t1\nCPID\t"+strconv.FormatUint(uint64(id), 10)+"\n"); err != nil {
		return err
	}
	version, plain := false, false
	for range mostLines {
		f, err := c.line()
		if err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
		switch {
		case f[0] == "VERSION" && (len(f) < 2 || f[1] != "1"):
			return fmt.Errorf("handshake: version %s of the protocol, 1 is spoken here", shown(strings.Join(f[1:], ".")))
		case f[0] == "VERSION":
			version = true
		case f[0] == "MECH" && len(f) > 1 && f[1] == "PLAIN":
			plain = true
		case f[0] == "DONE" && !version:
			return errors.New("handshake: no version")
		case f[0] == "DONE" && !plain:
			return errors.New("handshake: PLAIN is not among auth_mechanisms")
		case f[0] == "DONE":
			return nil
		}
	}
	return fmt.Errorf("handshake: more than %d lines", mostLines)
}

// line reads one, in fields.
func (c *conn) line() ([]string, error) {
	b, err := c.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errors.New("a line without an end")
	case errors.Is(err, io.EOF) && len(b) > 0:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return strings.Split(string(b[:len(b)-1]), "\t"), nil
}
