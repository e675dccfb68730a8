package stream

import (
	"crypto/tls"
	"crypto/x509"
)

// noting is config for one handshake. It notes the certificate that is served in
// it, which a client may bind its login to (RFC 5929 §4): another may take its
// place in config a moment later. Sessions are not resumed, because no
// certificate is served then.
func noting(config *tls.Config, served **x509.Certificate) *tls.Config {
	c := config.Clone()
	c.SessionTicketsDisabled = true
	c.Certificates = nil
	c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := choose(config, hello)
		if cert != nil {
			*served = leaf(cert)
		}
		return cert, err
	}
	if another := config.GetConfigForClient; another != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			config, err := another(hello)
			if config == nil || err != nil {
				return nil, err
			}
			return noting(config, served), nil
		}
	}
	return c
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
