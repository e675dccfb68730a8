package xmpptest

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xdg-go/scram"

	"rosterd/xmppcore/scan"
)

const (
	nsTLS  = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind = "urn:ietf:params:xml:ns:xmpp-bind"
)

// Login goes from a new connection to a bound resource: STARTTLS if it is
// offered, the best of the mechanisms offered, and a resource, "" for one that
// the server makes. user is a localpart.
func (c *Client) Login(ctx context.Context, user, password, resource string) error {
	if err := c.Enter(ctx, user, password); err != nil {
		return err
	}
	return c.Bind(ctx, resource)
}

// Enter is Login without the resource.
func (c *Client) Enter(ctx context.Context, user, password string) error {
	if err := c.Open(ctx); err != nil {
		return err
	}
	if _, ok := c.Features.Find(nsTLS, "starttls"); ok {
		if err := c.StartTLS(ctx); err != nil {
			return err
		}
		if err := c.Open(ctx); err != nil {
			return err
		}
	}
	if err := c.Authenticate(ctx, c.best(), user, password); err != nil {
		return err
	}
	return c.Open(ctx)
}

// Open begins a stream, and reads the server's header and features.
func (c *Client) Open(ctx context.Context) error {
	err := c.Send(ctx, "<?xml version='1.0'?><stream:stream to='"+escape(c.Domain)+
		"' version='1.0' xmlns='"+scan.NSClient+"' xmlns:stream='"+scan.NSStream+"'>")
	if err != nil {
		return err
	}
	return c.Opened(ctx)
}

// Opened reads the server's header and features; the client's header was sent
// by Send.
func (c *Client) Opened(ctx context.Context) error {
	if err := c.ReadHeader(ctx); err != nil {
		return err
	}
	var err error
	c.Features, err = c.Expect(ctx, "stream features", named(scan.NSStream, "features"))
	return err
}

// ReadHeader reads the server's header.
func (c *Client) ReadHeader(ctx context.Context) error {
	for {
		n, err := c.scanner.NextHeader(c.in, &c.Header)
		c.in = c.in[n:]
		if !errors.Is(err, scan.ErrMore) {
			return err
		}
		if err := c.read(ctx); err != nil {
			return fmt.Errorf("expected a stream header: %w", err)
		}
	}
}

func named(space, name string) func(Element) bool {
	return func(e Element) bool { return e.Is(space, name) }
}

// StartTLS encrypts the connection. Open must follow.
func (c *Client) StartTLS(ctx context.Context) error {
	if err := c.Send(ctx, "<starttls xmlns='"+nsTLS+"'/>"); err != nil {
		return err
	}
	if _, err := c.Expect(ctx, "proceed", named(nsTLS, "proceed")); err != nil {
		return err
	}
	return c.Handshake(ctx)
}

// Handshake encrypts the connection without asking.
func (c *Client) Handshake(ctx context.Context) error {
	config := c.TLS
	if config == nil {
		config = &tls.Config{InsecureSkipVerify: true, ServerName: c.Domain}
	}
	t := tls.Client(c.conn, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.conn, c.in = t, nil
	return nil
}

// Mechanisms lists what the server offers.
func (c *Client) Mechanisms() []string {
	var names []string
	offered, _ := c.Features.Find(nsSASL, "mechanisms")
	for _, m := range offered.Children {
		names = append(names, m.Text)
	}
	return names
}

// best is the mechanism to use, PLAIN if none of those we know is offered.
func (c *Client) best() string {
	for _, m := range []string{"SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"} {
		if _, bindable := c.conn.(*tls.Conn); slices.Contains(c.Mechanisms(), m) && (bindable || !strings.HasSuffix(m, "-PLUS")) {
			return m
		}
	}
	if slices.Equal(c.Mechanisms(), []string{"ANONYMOUS"}) {
		return "ANONYMOUS"
	}
	if slices.Contains(c.Mechanisms(), bearer) {
		return bearer
	}
	return "PLAIN"
}

const bearer = "OAUTHBEARER"

// Failure is a SASL failure (RFC 6120 §6.5).
type Failure struct {
	Condition string
	Said      string // what the server said before it, where it says why (RFC 7628 §3.2.2)
}

func (f *Failure) Error() string { return "authentication failed: " + f.Condition }

// Authenticate runs ANONYMOUS, PLAIN, OAUTHBEARER with a token for a password, or a SCRAM mechanism, with channel binding
// or without. The error is a *Failure if the server says so. Open must follow.
func (c *Client) Authenticate(ctx context.Context, mechanism, user, password string) error {
	if mechanism == "PLAIN" {
		_, err := c.sasl(ctx, "<auth xmlns='"+nsSASL+"' mechanism='PLAIN'>"+encode("\x00"+user+"\x00"+password)+"</auth>")
		return err
	}
	if mechanism == "ANONYMOUS" { // as web clients do it, which say nothing of themselves
		_, err := c.sasl(ctx, "<auth xmlns='"+nsSASL+"' mechanism='ANONYMOUS'/>")
		return err
	}
	if mechanism == bearer {
		return c.bearer(ctx, user, password)
	}
	name, bound := strings.CutSuffix(mechanism, "-PLUS")
	hash, ok := map[string]scram.HashGeneratorFcn{
		"SCRAM-SHA-1": scram.SHA1, "SCRAM-SHA-256": scram.SHA256, "SCRAM-SHA-512": scram.SHA512,
	}[name]
	if !ok {
		return fmt.Errorf("mechanism %q is not known here", mechanism)
	}
	client, err := hash.NewClient(user, password, "")
	if err != nil {
		return fmt.Errorf("prepare the password: %w", err)
	}
	if !bound {
		return c.scram(ctx, mechanism, client.NewConversation())
	}
	binding, err := c.binding()
	if err != nil {
		return err
	}
	return c.scram(ctx, mechanism, client.NewConversationWithChannelBinding(binding))
}

// bearer shows a token (RFC 7628). user may be "".
func (c *Client) bearer(ctx context.Context, user, token string) error {
	header := "n,,"
	if user != "" {
		header = "n,a=" + user + ","
	}
	why, err := c.sasl(ctx, "<auth xmlns='"+nsSASL+"' mechanism='"+bearer+"'>"+encode(header+"\x01auth=Bearer "+token+"\x01\x01")+"</auth>")
	if err != nil || why == "" {
		return err
	}
	_, err = c.sasl(ctx, "<response xmlns='"+nsSASL+"'>"+encode("\x01")+"</response>")
	if failed, ok := errors.AsType[*Failure](err); ok {
		failed.Said = why
	}
	return err
}

// binding is what ties a login to this connection.
func (c *Client) binding() (scram.ChannelBinding, error) {
	state := c.state()
	if state == nil {
		return scram.ChannelBinding{}, errors.New("channel binding without TLS")
	}
	if c.BindTo == "tls-server-end-point" {
		return scram.NewTLSServerEndpointBinding(state)
	}
	return scram.NewTLSExporterBinding(state)
}

// state is that of the TLS of this connection, nil if there is none.
func (c *Client) state() *tls.ConnectionState {
	switch nc := c.conn.(type) {
	case *tls.Conn:
		state := nc.ConnectionState()
		return &state
	case *linked:
		if l, ok := nc.link.(interface{ TLS() *tls.ConnectionState }); ok {
			return l.TLS()
		}
	}
	return nil
}

// Resumed tells whether the TLS of this connection goes on with a session of before.
func (c *Client) Resumed() bool {
	state := c.state()
	return state != nil && state.DidResume
}

func (c *Client) scram(ctx context.Context, mechanism string, talk *scram.ClientConversation) error {
	first, err := talk.Step("")
	if err != nil {
		return err
	}
	challenge, err := c.sasl(ctx, "<auth xmlns='"+nsSASL+"' mechanism='"+mechanism+"'>"+encode(first)+"</auth>")
	if err != nil {
		return err
	}
	final, err := talk.Step(challenge)
	if err != nil {
		return err
	}
	proof, err := c.sasl(ctx, "<response xmlns='"+nsSASL+"'>"+encode(final)+"</response>")
	if err != nil {
		return err
	}
	if _, err := talk.Step(proof); err != nil {
		return fmt.Errorf("server's proof: %w", err)
	}
	return nil
}

// sasl sends an element and returns the data of the server's answer.
func (c *Client) sasl(ctx context.Context, text string) (string, error) {
	if err := c.Send(ctx, text); err != nil {
		return "", err
	}
	e, err := c.Expect(ctx, "an answer to SASL", func(e Element) bool { return e.Name.Space == nsSASL })
	if err != nil {
		return "", err
	}
	if e.Name.Local == "failure" {
		if len(e.Children) == 0 {
			return "", &Failure{}
		}
		return "", &Failure{Condition: e.Children[0].Name.Local}
	}
	data, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(e.Text, "="))
	return string(data), err
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// Bind asks for a resource, "" for one that the server makes.
func (c *Client) Bind(ctx context.Context, resource string) error {
	payload := "<bind xmlns='" + nsBind + "'/>"
	if resource != "" {
		payload = "<bind xmlns='" + nsBind + "'><resource>" + escape(resource) + "</resource></bind>"
	}
	answer, err := c.IQ(ctx, "set", "", payload)
	if err != nil {
		return err
	}
	jid, ok := answer.Path("bind", "jid")
	if !ok {
		return fmt.Errorf("bind refused: %s", answer)
	}
	c.JID = jid.Text
	return nil
}
