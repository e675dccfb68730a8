package stream

import (
	"context"
	"crypto/tls"

	"rosterd/engine/addr"
)

// Host is one virtual host as streams see it. It must not change while streams
// use it; give Server.Host a new one instead.
type Host struct {
	Domain string // prepared

	TLS                   *tls.Config // for STARTTLS; nil if it is not offered
	RequireTLS            bool        // nothing but STARTTLS before encryption (RFC 6120 §5.3.1)
	AllowPlainUnencrypted bool        // mechanisms that show the password, without encryption

	Auth     Authenticator
	Features []byte // XML offered beside bind, such as <ver xmlns='urn:xmpp:features:rosterver'/>
}

// Channel is what a SASL mechanism may want to know of the stream it runs on.
type Channel struct {
	TLS        *tls.ConnectionState // nil without encryption
	AllowPlain bool                 // mechanisms that show the password may be used although TLS is nil
}

// Authenticator runs SASL for a host (RFC 6120 §6).
type Authenticator interface {
	// Mechanisms lists what is offered on a channel, preferred ones first.
	Mechanisms(ch Channel) []string
	// Start begins an exchange with a mechanism that is offered.
	Start(ctx context.Context, mechanism string, ch Channel) (Exchange, error)
}

// Exchange is one run of a mechanism.
type Exchange interface {
	// Next takes what the client sent, nil if it sent nothing. Without done the
	// challenge is sent and Next is called with the answer; with done it goes along
	// with success, unless it is nil.
	Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error)
	// User is who the client is, once Next was done.
	User() addr.Bare
}
