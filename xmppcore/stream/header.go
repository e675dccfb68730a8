package stream

import (
	"crypto/rand"
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
	h := &n.header
	*h = scan.Header{}
	n.turn.listen()
	err := n.c.ReadOpen(h)
	n.turn.heard()
	if err != nil {
		return err
	}
	n.turn.known = true
	refused := n.check(h)
	o := n.opening(h.From)
	if refused == nil {
		o.Features = n.features()
	}
	if err := n.c.WriteOpen(o); err != nil {
		return err
	}
	n.opened = true
	return refused
}

// check finds the host and returns what is wrong with the header, in the order
// in which RFC 6120 §4.7 and §4.8 put it. The host stays what the first header
// said: TLS and SASL were for that one.
func (n *negotiation) check(h *scan.Header) error {
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

// opening is our answer to a client that says it is from.
func (n *negotiation) opening(from string) Opening {
	o := Opening{To: n.peer(from), ID: rand.Text()}
	if n.host != nil {
		o.From = n.host.Domain
	}
	return o
}

// peer is whom we say to be talking to: nobody if the client gave no from, the
// one it claims to be if it did (RFC 6120 §4.7.2). That is a bare JID; a client
// that writes a full one has it back, since some (mellium's) go on with no other.
// Who the client is, SASL alone decides: once it has, that user is named.
func (n *negotiation) peer(from string) addr.JID {
	if from == "" { // as nearly all clients have it; an error that nobody reads costs more than the rest
		return addr.JID{}
	}
	j, err := addr.Parse(from)
	switch {
	case err != nil:
		return addr.JID{}
	case !n.user.IsZero() && n.user != j.Bare():
		return n.user.Full()
	}
	return j
}
