package stream

import (
	"crypto/tls"

	"rosterd/xmppcore/auth"
)

// Host is one virtual host as streams see it. It must not change while streams
// use it; let Server.Host return a new one instead.
type Host struct {
	Domain string // prepared

	TLS                   *tls.Config // for STARTTLS; nil if it is not offered
	RequireTLS            bool        // nothing but STARTTLS before encryption (RFC 6120 §5.3.1)
	AllowPlainUnencrypted bool        // mechanisms that show the password, without encryption

	Auth     *auth.Host
	Register Registrar // nil: nobody registers
	Features []byte    // XML offered beside bind, such as <ver xmlns='urn:xmpp:features:rosterver'/>
	Managed  bool      // offer stream management; the Acceptor is a Resumer
}
