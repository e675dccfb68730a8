package auth

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/xdg-go/scram"
)

// Binding ties an exchange to the TLS connection below it (RFC 5056): a client that sees other data is not connected
// to us but to somebody in between.
type Binding struct {
	Type string // as registered, such as "tls-exporter"
	Data []byte
}

// Bindings are those of a connection whose TLS ends here, the better one first: tls-exporter (RFC 9266), unless it is
// TLS 1.2 without extended master secret, whose keys two connections may share (RFC 7627 §1); and
// tls-server-end-point (RFC 5929 §4) of the certificate that was served in its handshake, unless that is nil or
// signed by an algorithm for which no hash is defined, such as Ed25519. tls-unique is not there: TLS 1.3 has none,
// and that of TLS 1.2 was broken.
func Bindings(state *tls.ConnectionState, served *x509.Certificate) []Binding {
	var list []Binding
	if b, err := scram.NewTLSExporterBinding(state); err == nil { // says no where the keys are not safe
		list = append(list, Binding{string(b.Type), b.Data})
	}
	if served == nil {
		return list
	}
	// The library takes the client's view: the server is the peer.
	seen := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{served}}
	if b, err := scram.NewTLSServerEndpointBinding(seen); err == nil {
		list = append(list, Binding{string(b.Type), b.Data})
	}
	return list
}

// binding is the one of that type; the zero one is none.
func (ch Channel) binding(kind string) scram.ChannelBinding {
	for _, b := range ch.Bindings {
		if b.Type == kind {
			return scram.ChannelBinding{Type: scram.ChannelBindingType(b.Type), Data: b.Data}
		}
	}
	return scram.ChannelBinding{}
}
