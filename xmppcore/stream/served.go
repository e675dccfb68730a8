package stream

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
)

// serving notes which certificate the client of one handshake has seen, which it
// may bind its login to (RFC 5929 §4).
type serving struct {
	keys    *tls.Config       // makes and reads the tickets of all configs
	chosen  *x509.Certificate // for a whole handshake
	resumed *x509.Certificate // seen when the session began that a ticket is of
}

// certificate is the one that counts.
func (s *serving) certificate(state tls.ConnectionState) *x509.Certificate {
	if state.DidResume {
		return s.resumed
	}
	return s.chosen
}

// noting is config for that handshake. Another certificate may take its place in
// config a moment later. Where a session is resumed none is served: that of its
// first handshake counts, and only while config has it still.
func (s *serving) noting(config *tls.Config) *tls.Config {
	c := config.Clone()
	c.Certificates = nil
	c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := choose(config, hello)
		if cert != nil {
			s.chosen = leaf(cert)
		}
		return cert, err
	}
	c.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		session.Extra = append(session.Extra, fingerprint(s.certificate(state)))
		return s.keys.EncryptTicket(state, session)
	}
	c.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		session, err := s.keys.DecryptTicket(ticket, state)
		if session == nil || err != nil {
			return nil, err
		}
		if s.resumed = seen(config, session); s.resumed == nil {
			return nil, nil // a whole handshake
		}
		return session, nil
	}
	if another := config.GetConfigForClient; another != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			config, err := another(hello)
			if config == nil || err != nil {
				return nil, err
			}
			return s.noting(config), nil
		}
	}
	return c
}

// fingerprint is what a ticket says of the certificate that its client has seen.
func fingerprint(cert *x509.Certificate) []byte {
	b := []byte("rosterd certificate ")
	if cert == nil {
		return b
	}
	sum := sha256.Sum256(cert.Raw)
	return append(b, sum[:]...)
}

// seen is the certificate that a session began with, nil if it is none of those that config has.
func seen(config *tls.Config, session *tls.SessionState) *x509.Certificate {
	for i := range config.Certificates {
		cert := leaf(&config.Certificates[i])
		if cert == nil {
			continue
		}
		for _, extra := range session.Extra {
			if bytes.Equal(extra, fingerprint(cert)) {
				return cert
			}
		}
	}
	return nil
}

// choose finds the certificate for a client as crypto/tls does.
func choose(config *tls.Config, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if config.GetCertificate != nil {
		if cert, err := config.GetCertificate(hello); cert != nil || err != nil {
			return cert, err
		}
	}
	for i := range config.Certificates {
		if cert := &config.Certificates[i]; hello.SupportsCertificate(cert) == nil {
			return cert, nil
		}
	}
	if len(config.Certificates) == 0 {
		return nil, nil
	}
	return &config.Certificates[0], nil
}

// leaf is nil for what is no certificate; the handshake fails then.
func leaf(cert *tls.Certificate) *x509.Certificate {
	if cert.Leaf != nil || len(cert.Certificate) == 0 {
		return cert.Leaf
	}
	l, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil
	}
	return l
}
