package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// demoClient is alice at a terminal: she logs in, asks for her roster, and shows what she receives.
type demoClient struct {
	conn  net.Conn
	xml   *xml.Decoder
	view  *demoView
	ended chan error
}

const demoHeader = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// dialDemoClient returns when the roster has arrived.
func dialDemoClient(ctx context.Context, p demoPlace, view *demoView) (*demoClient, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.C2S)))
	if err != nil {
		return nil, err
	}
	c := &demoClient{conn: conn, view: view, ended: make(chan error, 1)}
	ready := make(chan struct{})
	if err = conn.SetDeadline(time.Now().Add(patience)); err == nil {
		err = c.login(ctx, p)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	go func() { c.ended <- c.read(ready) }()
	select {
	case <-ready:
		return c, nil
	case err := <-c.ended:
		conn.Close()
		return nil, err
	case <-time.After(patience):
		conn.Close()
		return nil, errors.New("no roster")
	}
}

func (c *demoClient) close() {
	fmt.Fprint(c.conn, "</stream:stream>")
	c.conn.Close()
}

// login is RFC 6120 §9.1 in short.
func (c *demoClient) login(ctx context.Context, p demoPlace) error {
	if err := c.open("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "proceed"); err != nil {
		return err
	}
	pem, err := os.ReadFile(filepath.Join(p.Dir, "certs", "localhost.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	secure := tls.Client(c.conn, &tls.Config{ServerName: "localhost", RootCAs: roots})
	if err := secure.HandshakeContext(ctx); err != nil {
		return err
	}
	c.conn = secure
	plain := base64.StdEncoding.EncodeToString([]byte("\x00alice\x00" + p.Password))
	if err := c.open("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"+plain+"</auth>", "success"); err != nil {
		return err
	}
	if err := c.open("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>terminal</resource></bind></iq>", "iq"); err != nil {
		return err
	}
	_, err = io.WriteString(c.conn, "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>")
	return err
}

// open starts a stream, sends a request behind the features, and waits for its answer.
func (c *demoClient) open(request, answer string) error {
	if _, err := io.WriteString(c.conn, demoHeader); err != nil {
		return err
	}
	c.xml = xml.NewDecoder(c.conn)
	for _, want := range []string{"stream", "features", answer} {
		if want == answer {
			if _, err := io.WriteString(c.conn, request); err != nil {
				return err
			}
		}
		start, err := c.next()
		if err != nil {
			return err
		}
		if start.Name.Local != want {
			return fmt.Errorf("got <%s/> instead of <%s/>", start.Name.Local, want)
		}
		if want != "stream" {
			if err := c.xml.Skip(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *demoClient) next() (xml.StartElement, error) {
	for {
		t, err := c.xml.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return t, nil
		case xml.EndElement:
			return xml.StartElement{}, io.EOF
		}
	}
}

// demoStanza is what the client shows of a stanza.
type demoStanza struct {
	XMLName xml.Name
	demoIQ
	From string `xml:"from,attr"`
	Body string `xml:"body"`
}

func (c *demoClient) read(ready chan struct{}) error {
	for {
		start, err := c.next()
		if err != nil {
			return fmt.Errorf("the stream ended: %w", err)
		}
		var s demoStanza
		if err := c.xml.DecodeElement(&s, &start); err != nil {
			return err
		}
		c.show(s)
		if s.Query != nil && s.Type == "result" {
			close(ready)
		}
	}
}

func (c *demoClient) show(s demoStanza) {
	switch {
	case s.Query != nil && s.Type == "set":
		c.view.say("alice", "sees the change: %s", s.Query)
	case s.Query != nil:
		c.view.say("alice", "has her roster: %s", s.Query)
	case s.XMLName.Local == "presence" && s.Type == "unavailable":
		c.view.say("alice", "sees %s go offline", s.From)
	case s.XMLName.Local == "presence":
		c.view.say("alice", "sees %s online", s.From)
	case s.Body != "":
		c.view.say("alice", "has a message from %s: %s", s.From, s.Body)
	}
}
