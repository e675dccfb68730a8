package compare

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stanza"
)

const nsSASL, nsTLS = "urn:ietf:params:xml:ns:xmpp-sasl", "urn:ietf:params:xml:ns:xmpp-tls"

// What is learned on the way to a login.
const (
	mechanisms = "SASL mechanisms"
	beforeTLS  = "stream features before TLS"
	underTLS   = "stream features"
	bound      = "stream features after login"
)

// A peer is one of the servers, with our session there.
type peer struct {
	seen
	target  Target
	user    jid.JID
	timeout time.Duration
	options Options
	secure  bool // by TLS
	conn    net.Conn
	session *xmpp.Session
	ended   chan struct{} // closed when the session has ended
	refused error         // why there is no session

	mu      sync.Mutex // guards the fields below
	pushes  facts      // roster pushes, in their order
	results facts      // what the archive has sent
}

// wire is a connection that keeps what it hears until it is told to stop: the features of each stream.
type wire struct {
	net.Conn
	heard bytes.Buffer
	deaf  bool
}

// most is how much of a login is kept.
const most = 1 << 18

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if !w.deaf && w.heard.Len() < most {
		w.heard.Write(p[:n])
	}
	return n, err
}

// ConnectionState is what channel binding asks for.
func (w *wire) ConnectionState() tls.ConnectionState {
	if c, ok := w.Conn.(*tls.Conn); ok {
		return c.ConnectionState()
	}
	return tls.ConnectionState{}
}

// dial connects and logs in. A server that refuses the login is one to compare, too: refused says why. Any other failure
// is an error.
func dial(ctx context.Context, t Target, o Options) (*peer, error) {
	user, err := jid.Parse(o.User)
	if err != nil || user.Localpart() == "" {
		return nil, fmt.Errorf("user %q is not USER@HOST", o.User)
	}
	p := &peer{target: t, user: user.Bare(), timeout: o.Timeout, options: o}
	err = p.login(ctx, true)
	if errors.Is(err, errNoTLS) && t.local() {
		p.seen = seen{}
		err = p.login(ctx, false)
	}
	switch {
	case err == nil:
		p.add("login", "succeeds")
		p.serve()
		return p, nil
	case len(p.by[mechanisms]) > 0: // it got as far as to offer a way to log in
		p.add("login", "refused: "+err.Error())
		p.refused = err
		return p, nil
	}
	if p.conn != nil {
		p.conn.Close()
	}
	return nil, err
}

var errNoTLS = errors.New("the server offers no TLS")

// serve reads what the server sends, until the session ends.
func (p *peer) serve() {
	session, ended := p.session, make(chan struct{})
	p.ended = ended
	go func() {
		defer close(ended)
		// However it ends: what we asked and was not answered says so.
		_ = session.Serve(xmpp.HandlerFunc(p.handle))
	}()
}

// again logs in anew, after the server has ended the session. What is offered then is known.
func (p *peer) again(ctx context.Context) error {
	known := p.seen
	defer func() { p.seen = known }()
	p.seen = seen{}
	p.conn.Close()
	if err := p.login(ctx, p.secure); err != nil {
		return err
	}
	p.serve()
	return nil
}

// login negotiates a stream, and records what was offered on the way.
func (p *peer) login(ctx context.Context, secure bool) (err error) {
	o := p.options
	p.secure = secure
	ctx, cancel := context.WithTimeout(ctx, 3*p.timeout)
	defer cancel()
	conn, err := (&net.Dialer{Timeout: p.timeout}).DialContext(ctx, "tcp", p.target.Address)
	if err != nil {
		return err
	}
	domain := p.user.Domainpart()
	config := o.trust(p.target, domain)
	config.NextProtos = []string{"xmpp-client"}
	plain, crypted := &wire{Conn: conn}, (*wire)(nil)
	p.conn = conn
	state := xmpp.SessionState(0)
	if p.target.Direct {
		client := tls.Client(conn, config)
		if err := client.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
		plain.Conn, state = client, xmpp.Secure
	}
	login := xmpp.SASL("", o.Password, sasl.ScramSha256, sasl.ScramSha1, sasl.Plain)
	features := []xmpp.StreamFeature{login, xmpp.BindResource()}
	if secure {
		config.NextProtos = nil // which is for direct TLS
		start := xmpp.StartTLS(config)
		negotiate := start.Negotiate
		start.Negotiate = func(ctx context.Context, s *xmpp.Session, data any) (xmpp.SessionState, io.ReadWriter, error) {
			plain.deaf = true
			mask, rw, err := negotiate(ctx, s, data)
			if err != nil {
				return mask, rw, err
			}
			client := rw.(*tls.Conn)
			if err := client.HandshakeContext(ctx); err != nil {
				return 0, nil, fmt.Errorf("TLS: %w", err)
			}
			crypted = &wire{Conn: client}
			return mask, crypted, nil
		}
		features = append(features, start)
	} else {
		login.Necessary &^= xmpp.Secure
		features[0] = login
	}
	p.session, err = xmpp.NewSession(ctx, p.user.Domain(), p.user, plain, state, xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
		return xmpp.StreamConfig{Features: features}
	}))
	p.streams(plain, crypted)
	if err == nil {
		plain.deaf = true
		if crypted != nil {
			crypted.deaf = true
		}
		return nil
	}
	if secure && state == 0 && crypted == nil && !slices.Contains(p.by[beforeTLS], "starttls "+nsTLS) {
		p.conn.Close()
		return errNoTLS
	}
	return fmt.Errorf("log in as %s: %w", p.user, err)
}

// streams records the features of each stream of a login.
func (p *peer) streams(plain, crypted *wire) {
	names := []string{beforeTLS, underTLS, bound}
	heard := featuresIn(plain.heard.Bytes())
	switch {
	case crypted != nil:
		heard = append(heard[:min(1, len(heard))], featuresIn(crypted.heard.Bytes())...)
		p.certificate(crypted.ConnectionState())
	case p.target.Direct:
		names = names[1:]
		p.certificate(plain.ConnectionState())
	case len(heard) > 1:
		names = names[1:] // there is no TLS
	}
	for i, f := range heard {
		if i >= len(names) {
			break
		}
		p.add(names[i])
		for _, n := range f.Nodes {
			p.feature(names[i], n)
		}
	}
}

// feature records one feature of a stream, and the mechanisms in it.
func (p *peer) feature(probe string, n node) {
	name := n.XMLName.Local + " " + n.XMLName.Space
	if n.XMLName.Space == nsTLS && len(n.Nodes) > 0 {
		p.add(probe, name)
		p.add("STARTTLS is required", fmt.Sprint(n.child("required") != nil))
		return
	}
	if n.XMLName.Space == nsSASL && n.XMLName.Local == "mechanisms" {
		for _, m := range n.Nodes {
			p.add(mechanisms, strings.TrimSpace(m.Text))
		}
	}
	if n.XMLName.Local == "sasl-channel-binding" {
		for _, m := range n.Nodes {
			p.add("channel binding", m.attr("type"))
		}
	}
	p.add(probe, name)
}

func (p *peer) certificate(s tls.ConnectionState) {
	p.add("TLS", tls.VersionName(s.Version))
	if len(s.PeerCertificates) > 0 {
		leaf := s.PeerCertificates[0]
		p.add("certificate", fmt.Sprintf("of %s until %s, SHA-256 %x…", strings.Join(leaf.DNSNames, " "), leaf.NotAfter.UTC().Format(time.DateOnly), sha256Of(leaf.Raw)[:8]))
	}
}

func sha256Of(b []byte) []byte { sum := sha256.Sum256(b); return sum[:] }

// handle takes what the server sends unasked.
func (p *peer) handle(rw xmlstream.TokenReadEncoder, start *xml.StartElement) error {
	var n node
	if err := xml.NewTokenDecoder(xmlstream.MultiReader(xmlstream.Token(*start), rw)).Decode(&n); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if q := n.child("query"); n.XMLName.Local == "iq" && n.attr("type") == "set" && q != nil && q.XMLName.Space == nsRoster {
		p.mu.Lock()
		p.pushes = append(p.pushes, rosterFacts(*q)...)
		p.mu.Unlock()
		_, err := xmlstream.Copy(rw, stanza.IQ{ID: n.attr("id"), Type: stanza.ResultIQ}.Wrap(nil))
		return err
	}
	if r := n.child("result"); n.XMLName.Local == "message" && r != nil && r.XMLName.Space == nsMAM {
		p.mu.Lock()
		p.results = append(p.results, archived(*r))
		p.mu.Unlock()
	}
	return nil
}

// What becomes of a question that is not answered.
var (
	errSilent = errors.New("no answer")
	errClosed = errors.New("the stream is closed instead of an answer")
)

// iq asks for something and returns the answer, an error stanza included; errSilent or errClosed if there is none.
func (p *peer) iq(ctx context.Context, typ stanza.IQType, to, text string) (answer node, err error) {
	iq := stanza.IQ{Type: typ}
	if to != "" {
		if iq.To, err = jid.Parse(to); err != nil {
			return node{}, err
		}
	}
	waiting, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	ended := p.ended // of this session: who logs in again has another one
	go func() {
		select {
		case <-ended:
			cancel()
		case <-waiting.Done():
		}
	}()
	r, err := p.session.SendIQElement(waiting, payload(text), iq)
	if err == nil {
		err = errors.Join(xml.NewTokenDecoder(r).Decode(&answer), r.Close())
	}
	if err == nil || ctx.Err() != nil {
		return answer, err
	}
	select {
	case <-ended:
		return node{}, errClosed
	case <-waiting.Done():
	}
	if errors.Is(waiting.Err(), context.DeadlineExceeded) {
		return node{}, errSilent
	}
	return node{}, errClosed
}

// payload reads XML for the library, which writes namespaces by itself.
func payload(text string) xml.TokenReader {
	d := xml.NewDecoder(strings.NewReader(text))
	return xmlstream.ReaderFunc(func() (xml.Token, error) {
		t, err := d.Token()
		if start, ok := t.(xml.StartElement); ok {
			start.Attr = slices.DeleteFunc(start.Attr, func(a xml.Attr) bool { return a.Name.Local == "xmlns" || a.Name.Space == "xmlns" })
			return start, err
		}
		return t, err
	})
}

// close ends the session, if there is one, and the connection.
func (p *peer) close() {
	if p.ended != nil {
		// A server that does not say good-bye is not waited for: what there is to know is known.
		if err := p.session.Close(); err == nil {
			if err := p.conn.SetReadDeadline(time.Now().Add(p.timeout)); err == nil {
				<-p.ended
			}
		}
	}
	p.conn.Close()
}

func (p *peer) server() Server { return Server{Address: p.target.Address, Software: p.software} }
