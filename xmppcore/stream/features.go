package stream

import (
	"crypto/x509"
	"slices"
	"strconv"
	"time"

	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/stanza"
)

// features are what the client can negotiate next (RFC 6120 §4.3.2), in the
// order in which it should. They are not nil, even if there are none.
func (n *negotiation) features() []byte {
	b := []byte{}
	if n.user.IsZero() {
		return n.appendSecurity(b)
	}
	b = append(b, "<bind xmlns='"+nsBind+"'/>"...)
	// RFC 3921 had it; some clients still will not go on without. It does nothing.
	b = append(b, "<session xmlns='"+nsSession+"'><optional/></session>"...)
	if n.host.Managed {
		b = append(b, "<sm xmlns='"+nsManaged+"'><optional/></sm>"...)
	}
	b = append(b, n.host.Features...)
	return n.appendLimits(b)
}

func (n *negotiation) appendSecurity(b []byte) []byte {
	if n.offersTLS() {
		b = append(b, "<starttls xmlns='"+nsTLS+"'>"...)
		if n.host.RequireTLS {
			b = append(b, "<required/>"...)
		}
		b = append(b, "</starttls>"...)
	}
	if n.host.Register != nil && n.host.Register.Open(n.c.Secure()) {
		b = append(b, "<register xmlns='http://jabber.org/features/iq-register'/>"...)
	}
	mechanisms := n.mechanisms()
	if len(mechanisms) == 0 {
		return b
	}
	b = append(b, "<mechanisms xmlns='"+nsSASL+"'>"...)
	for _, m := range mechanisms {
		b = append(b, "<mechanism>"...)
		b = stanza.AppendText(b, m)
		b = append(b, "</mechanism>"...)
	}
	b = append(b, "</mechanisms>"...)
	return appendBindings(b, mechanisms, n.channel().Bindings)
}

// appendBindings says what the mechanisms with channel binding can be bound to
// (XEP-0440).
func appendBindings(b []byte, mechanisms []string, list []auth.Binding) []byte {
	if !slices.ContainsFunc(mechanisms, auth.Binds) {
		return b
	}
	b = append(b, "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"...)
	for _, binding := range list {
		b = append(b, "<channel-binding"...)
		b = stanza.AppendAttr(b, "type", binding.Type)
		b = append(b, "/>"...)
	}
	return append(b, "</sasl-channel-binding>"...)
}

// appendLimits says how long a stanza may be, and after what silence the client is
// asked for a sign of life, where it is (XEP-0478).
func (n *negotiation) appendLimits(b []byte) []byte {
	var idle time.Duration
	if c, ok := n.c.(Asker); ok {
		idle = c.Asks()
	}
	bounded := n.limits.Stanza < countless
	if !bounded && idle < time.Second {
		return b
	}
	b = append(b, "<limits xmlns='urn:xmpp:stream-limits:0'>"...)
	if bounded {
		b = appendNumber(b, "max-bytes", int64(n.limits.Stanza))
	}
	if idle >= time.Second {
		b = appendNumber(b, "idle-seconds", int64(idle/time.Second))
	}
	return append(b, "</limits>"...)
}

func appendNumber(b []byte, name string, v int64) []byte {
	b = append(b, "<"+name+">"...)
	b = strconv.AppendInt(b, v, 10)
	return append(b, "</"+name+">"...)
}

func (n *negotiation) offersTLS() bool {
	return n.tcp != nil && !n.c.Secure() && n.host.TLS != nil
}

// mechanisms are those that are offered now: none before the encryption that
// the host insists on (RFC 6120 §5.3.1, §6.3.4).
func (n *negotiation) mechanisms() []string {
	if n.host.RequireTLS && !n.c.Secure() {
		return nil
	}
	return n.host.Auth.Mechanisms(n.channel())
}

func (n *negotiation) channel() auth.Channel {
	return auth.Channel{
		Encrypted: n.c.Secure(), AllowPlain: n.host.AllowPlainUnencrypted,
		Bindings: n.bindings(), From: n.from, Address: address(n.c.RemoteAddr()).Unmap(),
	}
}

// bindings are made once for a handshake.
func (n *negotiation) bindings() []auth.Binding {
	if !n.c.Secure() || n.bound != nil {
		return n.bound
	}
	n.bound = []auth.Binding{}
	if state := n.c.TLS(); state != nil {
		n.bound = append(n.bound, auth.Bindings(state, n.served())...)
	}
	return n.bound
}

// served is the certificate that the client has seen, if anybody knows.
func (n *negotiation) served() *x509.Certificate {
	if n.tcp == nil {
		return nil
	}
	return n.tcp.served
}
