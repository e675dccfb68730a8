package load

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"rosterd/bench/target"
)

// Transport is what carries a stream.
type Transport string

// The transports.
const (
	TCP       Transport = "TCP" // the zero value of How means it, too
	StartTLS  Transport = "STARTTLS"
	DirectTLS Transport = "direct TLS"
	WebSocket Transport = "WebSocket"
	SecureWeb Transport = "WebSocket with TLS"
)

// The mechanisms.
const (
	Plain = "PLAIN"
	SCRAM = "SCRAM-SHA-1"
)

// How a client logs in.
type How struct {
	Transport Transport              // "": TCP
	Mechanism string                 // "": PLAIN
	Resource  string                 // "": "x"
	From      netip.Addr             // a loopback address; zero: that of the server
	Tickets   tls.ClientSessionCache // TLS sessions that are resumed; nil: none is
	Stages    *Stages                // how long the parts took; may be nil
}

// Stages are the parts of a login, each from a request of the client to its answer.
type Stages struct{ Connect, TLS, SASL, Bind Latencies }

// Login logs a user in, and binds a resource.
func Login(ctx context.Context, s *target.Server, user string, how How) (*Client, error) {
	if how.Transport == "" {
		how.Transport = TCP
	}
	if how.Mechanism == "" {
		how.Mechanism = Plain
	}
	c := &Client{User: user, Resource: how.Resource}
	if c.Resource == "" {
		c.Resource = "x"
	}
	if err := c.login(ctx, s, how); err != nil {
		c.Close()
		return nil, fmt.Errorf("login of %s by %s over %s: %w", user, how.Mechanism, how.Transport, err)
	}
	return c, nil
}

func (c *Client) login(ctx context.Context, s *target.Server, how How) error {
	stages := how.Stages
	if stages == nil {
		stages = new(Stages)
	}
	err := stages.Connect.Time(func() error { return c.connect(ctx, s, how) })
	if err != nil {
		return err
	}
	if how.Transport == StartTLS || how.Transport == DirectTLS || how.Transport == SecureWeb {
		if err := stages.TLS.Time(func() error { return c.encrypt(ctx, how) }); err != nil {
			return err
		}
	}
	if how.Transport == SecureWeb {
		if err := c.upgrade(s); err != nil {
			return err
		}
	}
	if err := stages.SASL.Time(func() error { return c.authenticate(s, how.Mechanism) }); err != nil {
		return err
	}
	return stages.Bind.Time(c.bind)
}

// connect opens the connection, with a deadline for all that follows.
func (c *Client) connect(ctx context.Context, s *target.Server, how How) (err error) {
	addr := s.Addr
	switch how.Transport {
	case DirectTLS:
		addr = s.TLSAddr
	case WebSocket:
		addr = s.HTTP
	case SecureWeb:
		addr = s.HTTPS
	}
	if addr == "" || (how.Transport == WebSocket || how.Transport == SecureWeb) && s.WebSocket == "" {
		return errors.New("the server was not asked for it")
	}
	d := net.Dialer{KeepAlive: -1} // some calls of the system less
	if how.From.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: how.From.AsSlice()}
	}
	if c.conn, err = d.DialContext(ctx, "tcp", addr); err != nil {
		return err
	}
	by := time.Now().Add(Timeout)
	if d, ok := ctx.Deadline(); ok {
		by = d
	}
	if err := c.conn.SetDeadline(by); err != nil {
		return err
	}
	if how.Transport == WebSocket {
		return c.upgrade(s)
	}
	return nil
}

// upgrade makes a WebSocket of the connection.
func (c *Client) upgrade(s *target.Server) (err error) {
	if c.web, err = upgrade(c.conn, s.WebSocket); err == nil {
		c.conn = c.web
	}
	return err
}

const (
	header     = "<stream:stream to='" + target.Domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	webHeader  = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='" + target.Domain + "' version='1.0'/>"
	nsSASL     = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsStartTLS = "urn:ietf:params:xml:ns:xmpp-tls"
)

// open opens a stream, or opens it anew.
func (c *Client) open() error {
	begin := header
	if c.web != nil {
		begin = webHeader
	}
	return c.Ask(begin, "</stream:features>")
}

// encrypt makes a TLS connection of what there is. Whose certificate it is, is not looked at.
func (c *Client) encrypt(ctx context.Context, how How) error {
	if how.Transport == StartTLS {
		if err := c.open(); err != nil {
			return err
		}
		if err := c.Ask("<starttls xmlns='"+nsStartTLS+"'/>", "<proceed"); err != nil {
			return err
		}
		if err := c.rest('>'); err != nil {
			return err
		}
	}
	config := &tls.Config{ServerName: target.Domain, InsecureSkipVerify: true, ClientSessionCache: how.Tickets, CurvePreferences: []tls.CurveID{tls.X25519}} // as most clients have it, and quick
	if how.Transport == DirectTLS {
		config.NextProtos = []string{"xmpp-client"}
	}
	secure := tls.Client(c.conn, config)
	c.conn = secure
	return secure.HandshakeContext(ctx)
}

// rest reads up to the end of an element, after which bytes are no XML any more.
func (c *Client) rest(end byte) error {
	if err := c.Await(string(end), 1); err != nil {
		return err
	}
	if len(c.buf) > 0 {
		return fmt.Errorf("%d bytes come before the handshake", len(c.buf))
	}
	return nil
}

func (c *Client) authenticate(s *target.Server, mechanism string) error {
	if err := c.open(); err != nil {
		return err
	}
	if mechanism == SCRAM {
		return c.scram(s.Password(c.User))
	}
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + c.User + "\x00" + s.Password(c.User)))
	answer, err := c.answer("<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>" + plain + "</auth>")
	if err == nil && !strings.Contains(answer, "<success") {
		err = fmt.Errorf("the server says %s", answer)
	}
	return err
}

func (c *Client) bind() error {
	if err := c.open(); err != nil {
		return err
	}
	return c.Ask("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>"+c.Resource+"</resource></bind></iq>", "</bind></iq>")
}

// answer sends a request of SASL and returns the element that comes for it.
func (c *Client) answer(request string) (string, error) {
	if _, err := c.Write([]byte(request)); err != nil {
		return "", err
	}
	return c.Until(whole)
}

// whole tells whether an element of SASL has come to its end: they are not nested, but for <failure/>.
func whole(text string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(text, "<"), " ")
	return name != "" && (strings.HasSuffix(text, "</"+name+">") || strings.HasSuffix(text, "/>") && strings.Count(text, "<") == 1)
}
