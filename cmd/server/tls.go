package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"rosterd/config"
)

// certificates are those of the hosts that have one.
type certificates map[string]*tls.Certificate

// tryCertificates refuses certificates that are there and cannot be used.
func tryCertificates(cfg *config.Config) (found []config.Diag) {
	for _, h := range cfg.Hosts() {
		pair, err := h.Certificate()
		found = append(found, tryPair(h, "certificate", pair, err)...)
		if web, err := h.HTTPSCertificate(); err != nil || web != pair {
			found = append(found, tryPair(h, "HTTPS certificate", web, err)...)
		}
	}
	return found
}

func tryPair(h *config.Host, use string, pair config.KeyPair, err error) []config.Diag {
	if _, err = loadPair(pair, err); err == nil || errors.Is(err, config.ErrNoCertificate) {
		return nil
	}
	return []config.Diag{{
		Severity: config.Refused, Code: config.CodeCertificate, Pos: h.Pos(), Host: h.Name, Name: "certificates",
		Message: fmt.Sprintf("VirtualHost %q: its %s cannot be used: %v", h.Name, use, err),
	}}
}

// loadCertificates reads the certificate of every host. A host without one is served all the same, as by Prosody:
// others have theirs.
func loadCertificates(cfg *config.Config, log *slog.Logger) (certificates, error) {
	list := certificates{}
	for _, h := range cfg.Hosts() {
		cert, err := loadPair(h.Certificate())
		switch {
		case err == nil:
			list[h.Name] = cert
		case !errors.Is(err, config.ErrNoCertificate):
			return nil, fmt.Errorf("%v: certificate of %s: %w", h.Pos(), h.Name, err)
		case config.C2SRequireEncryption.Get(h):
			log.Warn("no certificate, and c2s_require_encryption is on: nobody can log in", "host", h.Name, "looked", err)
		default:
			log.Warn("no certificate: no TLS", "host", h.Name, "looked", err)
		}
	}
	return list, nil
}

func loadPair(p config.KeyPair, err error) (*tls.Certificate, error) {
	if err != nil {
		return nil, err
	}
	cert, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", p.Certificate, p.Key, err)
	}
	return &cert, nil
}

// c2s is the TLS of one host's client streams, nil without a certificate.
func (c certificates) c2s(h *config.Host) *tls.Config {
	cert := c[h.Name]
	if cert == nil {
		return nil
	}
	return &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: h.MinTLSVersion()}
}

// https chooses by the name that the client asks for (RFC 6066 §3), else the first host's. nil if there is no
// certificate at all.
func (c certificates) https(cfg *config.Config) (*tls.Config, error) {
	names := map[string]*tls.Certificate{}
	var first *tls.Certificate
	for _, h := range cfg.Hosts() {
		cert, err := loadPair(h.HTTPSCertificate())
		if errors.Is(err, config.ErrNoCertificate) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%v: HTTPS certificate of %s: %w", h.Pos(), h.Name, err)
		}
		if first == nil {
			first = cert
		}
		names[h.Name], names[config.HTTPHost.Get(h)] = cert, cert
	}
	if first == nil {
		return nil, nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if cert := names[strings.ToLower(hello.ServerName)]; cert != nil {
			return cert, nil
		}
		return first, nil
	}}, nil
}
