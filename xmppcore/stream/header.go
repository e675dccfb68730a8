package stream

import (
	"crypto/rand"
	"errors"
	"strconv"
	"strings"

	"rosterd/engine/addr"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// open reads a stream header and answers it with ours and the features
// (RFC 6120 §4.2, §4.3). Each stream of a connection begins with it: the first,
// the one inside TLS, and the one after SASL.
func (n *negotiation) open() error {
	n.opened = false
	h, err := n.readHeader()
	if err != nil {
		return err
	}
	refused := n.check(h)
	b := n.header(h)
	if refused == nil {
		b = n.appendFeatures(b)
	}
	if err := n.c.Write(b); err != nil {
		return err
	}
	n.opened = true
	return refused
}

func (n *negotiation) readHeader() (h scan.Header, err error) {
	for {
		if n.isClientHello() {
			return h, errHello
		}
		used, err := n.c.scanner.NextHeader(n.c.in.bytes(), &h)
		if err := n.use(used); err != nil {
			return h, err
		}
		if err == nil || !errors.Is(err, scan.ErrMore) {
			return h, streamError(err)
		}
		if err := n.more(); err != nil {
			return h, err
		}
	}
}

// isClientHello tells whether the client speaks TLS from the start. XML would
// tell it nothing.
func (n *negotiation) isClientHello() bool {
	const handshake = 0x16 // content type (RFC 8446 §5.1)
	b := n.c.in.bytes()
	return n.host == nil && !n.c.Secure() && len(b) > 0 && b[0] == handshake
}

// check finds the host and returns what is wrong with the header, in the order
// in which RFC 6120 §4.7 and §4.8 put it. The host stays what the first header
// said: TLS and SASL were for that one.
func (n *negotiation) check(h scan.Header) error {
	known := n.findHost(h.To)
	switch {
	case h.Default != scan.NSClient:
		return refuse(stanza.StreamInvalidNamespace, "the content namespace here is "+scan.NSClient)
	case !supported(h.Version):
		return refuse(stanza.StreamUnsupportedVersion, "this server speaks version 1.0")
	case h.To == "" && n.host == nil:
		return refuse(stanza.StreamImproperAddressing, "the stream header needs a to")
	case !known:
		return refuse(stanza.StreamHostUnknown, "")
	}
	return nil
}

func refuse(c stanza.StreamCondition, text string) error {
	return &stanza.StreamError{Condition: c, Text: text}
}

// findHost tells whether to names the host of this connection, which the first
// header decides. A later one may leave it out.
func (n *negotiation) findHost(to string) bool {
	if to == "" {
		return n.host != nil
	}
	domain, err := addr.PrepareDomain(to)
	if err != nil {
		return false
	}
	if n.host == nil {
		n.host = n.server.Host(domain)
	}
	return n.host != nil && n.host.Domain == domain
}

// supported tells whether a client that sends this version can be answered with
// 1.0, which is the lower one of both (RFC 6120 §4.7.5). None means 0.9.
func supported(version string) bool {
	major, minor, ok := strings.Cut(version, ".")
	a, errA := strconv.ParseUint(major, 10, 16)
	_, errB := strconv.ParseUint(minor, 10, 16)
	return ok && errA == nil && errB == nil && a >= 1
}

// header is our answer to h. The from is empty if the client wants a host that
// is not here (RFC 6120 §4.9.1.3).
func (n *negotiation) header(h scan.Header) []byte {
	b := []byte("<?xml version='1.0'?><stream:stream xmlns='" + scan.NSClient + "' xmlns:stream='" + scan.NSStream + "'")
	domain := ""
	if n.host != nil {
		domain = n.host.Domain
	}
	b = stanza.AppendAttr(b, "from", domain)
	if to := n.peer(h.From); !to.IsZero() {
		b = stanza.AppendAttr(b, "to", to.String())
	}
	b = stanza.AppendAttr(b, "id", rand.Text())
	return append(b, " version='1.0' xml:lang='en'>"...)
}

// peer is whom we say to be talking to: nobody if the client gave no from, the
// one it claims to be if it did (RFC 6120 §4.7.2). That is a bare JID; a client
// that writes a full one has it back, since some (mellium's) go on with no other.
// Who the client is, SASL alone decides: once it has, that user is named.
func (n *negotiation) peer(from string) addr.JID {
	j, err := addr.Parse(from)
	switch {
	case err != nil:
		return addr.JID{}
	case !n.user.IsZero() && n.user != j.Bare():
		return n.user.Full()
	}
	return j
}
