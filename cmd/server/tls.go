package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"rosterd/config"
	"rosterd/engine/addr"
)

// certificates are what a configuration serves TLS with. They do not change: a reload puts others in their place.
type certificates struct {
	client map[string]*tls.Config // of STARTTLS, by VirtualHost
	direct *serverNames           // nil: no certificate at all
	https  *serverNames
}

// c2s is the TLS of one host's client streams, nil without a certificate.
func (c *certificates) c2s(h *config.Host) *tls.Config { return c.client[h.Name] }

// loadCertificates reads the certificate of every host. A host without one is served all the same, as by Prosody:
// others have theirs.
func loadCertificates(cfg *config.Config, log *slog.Logger) (*certificates, error) {
	l := newLoader()
	c := &certificates{client: map[string]*tls.Config{}}
	for _, h := range cfg.Hosts() {
		cert, err := l.load(h, config.STARTTLS, 0)
		switch {
		case err == nil:
			l.warn(log, h, config.STARTTLS, cert)
			c.client[h.Name] = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: h.MinTLSVersion(config.STARTTLS)}
		case !errors.Is(err, config.ErrNoCertificate):
			return nil, fmt.Errorf("%v: certificate of %s: %w", h.Pos(), h.Name, err)
		case config.C2SRequireEncryption.Get(h):
			log.Warn("no certificate, and c2s_require_encryption is on: nobody can log in", "host", h.Name, "looked", err)
		default:
			log.Warn("no certificate: no TLS", "host", h.Name, "looked", err)
		}
	}
	var err error
	if c.direct, err = l.byName(cfg, log, config.DirectTLS, "xmpp-client"); err != nil {
		return nil, err
	}
	c.https, err = l.byName(cfg, log, config.HTTPS, "http/1.1")
	return c, err
}

// lost refuses to go on without a certificate that there was: nobody could log in any more, and most likely it is being
// renewed.
func (c *certificates) lost(before *certificates, cfg *config.Config) error {
	for _, h := range cfg.Hosts() {
		if before.c2s(h) != nil && c.c2s(h) == nil && config.C2SRequireEncryption.Get(h) {
			return fmt.Errorf("%v: %s has lost its certificate, and c2s_require_encryption is on: nobody could log in", h.Pos(), h.Name)
		}
	}
	return nil
}

// serverNames choose the TLS of a service by the port and by the name that a client asks for in its handshake (RFC
// 6066 §3), else the first host's. It is not known yet whom the client wants to talk to behind that.
type serverNames struct {
	hosts map[int]map[string]*tls.Config
	first map[int]*tls.Config
}

func (n *serverNames) choose(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	port := 0
	if n == nil { // a port that is being closed, because a reload has found no certificate
		return nil, errors.New("no certificate any more")
	}
	if at, ok := hello.Conn.LocalAddr().(*net.TCPAddr); ok {
		port = at.Port
	}
	if name, err := addr.PrepareDomain(hello.ServerName); err == nil && n.hosts[port][name] != nil {
		return n.hosts[port][name], nil
	}
	if n.first[port] == nil {
		return nil, fmt.Errorf("no certificate for port %d", port)
	}
	return n.first[port], nil
}

// byName loads what a service serves on its ports, nil if there is no certificate. A client that speaks another
// protocol is told so (RFC 7301 §3.2); one that does not say what it speaks is welcome.
func (l *loader) byName(cfg *config.Config, log *slog.Logger, s config.TLSService, protocol string) (*serverNames, error) {
	n := &serverNames{hosts: map[int]map[string]*tls.Config{}, first: map[int]*tls.Config{}}
	for _, port := range s.Ports(cfg) {
		n.hosts[port] = map[string]*tls.Config{}
		for _, h := range cfg.Hosts() {
			cert, err := l.load(h, s, port)
			if errors.Is(err, config.ErrNoCertificate) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%v: %s certificate of %s: %w", h.Pos(), s, h.Name, err)
			}
			l.warn(log, h, s, cert)
			c := &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: h.MinTLSVersion(s), NextProtos: []string{protocol}}
			if n.first[port] == nil {
				n.first[port] = c
			}
			n.hosts[port][h.Name] = c
			n.hosts[port][h.TLSName(s)] = c
		}
	}
	if len(n.first) == 0 {
		return nil, nil
	}
	return n, nil
}

// loader reads certificates, each once, and says once what is wrong with them.
type loader struct {
	now  time.Time
	read map[config.KeyPair]*tls.Certificate
	said map[string]bool
}

func newLoader() *loader {
	return &loader{now: time.Now(), read: map[config.KeyPair]*tls.Certificate{}, said: map[string]bool{}}
}

func (l *loader) load(h *config.Host, s config.TLSService, port int) (*tls.Certificate, error) {
	p, err := h.Certificate(s, port)
	if err != nil {
		return nil, err
	}
	if cert := l.read[p]; cert != nil {
		return cert, nil
	}
	cert, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", p.Certificate, p.Key, err)
	}
	l.read[p] = &cert
	return &cert, nil
}

// A flaw is why clients do not accept a certificate, or will not soon.
type flaw string

const (
	early   flaw = "is not valid yet"
	expired flaw = "has expired"
	soon    flaw = "expires soon"
	foreign flaw = "does not name the host"
)

// renewal is how long before their end certificates should have been renewed.
const renewal = 14 * 24 * time.Hour

// flaws are those of a certificate as one of a host's service that have not been named yet.
func (l *loader) flaws(h *config.Host, s config.TLSService, cert *x509.Certificate) (list []flaw) {
	switch {
	case l.now.Before(cert.NotBefore):
		list = append(list, early)
	case l.now.After(cert.NotAfter):
		list = append(list, expired)
	case l.now.Add(renewal).After(cert.NotAfter):
		list = append(list, soon)
	}
	if !config.Names(cert, h.TLSName(s)) {
		list = append(list, foreign)
	}
	return slices.DeleteFunc(list, func(f flaw) bool {
		key := fmt.Sprint(h.Name, h.TLSName(s), cert.SerialNumber, f)
		said := l.said[key]
		l.said[key] = true
		return said
	})
}

func (l *loader) warn(log *slog.Logger, h *config.Host, s config.TLSService, cert *tls.Certificate) {
	for _, f := range l.flaws(h, s, cert.Leaf) {
		switch f {
		case early:
			log.Warn("certificate is not valid yet", "host", h.Name, "from", cert.Leaf.NotBefore)
		case expired:
			log.Warn("certificate has expired", "host", h.Name, "expired", cert.Leaf.NotAfter)
		case soon:
			log.Warn("certificate expires soon", "host", h.Name, "expires", cert.Leaf.NotAfter)
		case foreign:
			log.Warn("certificate does not name the host", "host", h.Name, "wanted", h.TLSName(s), "names", cert.Leaf.DNSNames)
		}
	}
}

// tryCertificates refuses certificates that are there and cannot be used, and warns of those that clients refuse.
func tryCertificates(cfg *config.Config) (found []config.Diag) {
	l := newLoader()
	for _, h := range cfg.Hosts() {
		found = append(found, l.try(h, config.STARTTLS, 0)...)
		for _, s := range []config.TLSService{config.DirectTLS, config.HTTPS} {
			for _, port := range s.Ports(cfg) {
				found = append(found, l.try(h, s, port)...)
			}
		}
	}
	return found
}

func (l *loader) try(h *config.Host, s config.TLSService, port int) (found []config.Diag) {
	say := func(sev config.Severity, code config.Code, format string, args ...any) {
		found = append(found, config.Diag{
			Severity: sev, Code: code, Pos: h.Pos(), Host: h.Name, Name: "certificates",
			Message: fmt.Sprintf("VirtualHost %q: its %s certificate ", h.Name, s) + fmt.Sprintf(format, args...),
		})
	}
	cert, err := l.load(h, s, port)
	switch {
	case errors.Is(err, config.ErrNoCertificate):
		return nil
	case err != nil && !l.said[h.Name+err.Error()]:
		l.said[h.Name+err.Error()] = true
		say(config.Refused, config.CodeCertificate, "cannot be used: %v", err)
		return found
	case err != nil:
		return nil
	}
	for _, f := range l.flaws(h, s, cert.Leaf) {
		switch f {
		case foreign:
			say(config.Warn, config.CodeExpiry, "does not name %s, so clients refuse it: it names %v", h.TLSName(s), cert.Leaf.DNSNames)
		case early:
			say(config.Warn, config.CodeExpiry, "is not valid before %s", cert.Leaf.NotBefore.Format(time.DateTime))
		default:
			say(config.Warn, config.CodeExpiry, "%s: it is valid until %s", f, cert.Leaf.NotAfter.Format(time.DateTime))
		}
	}
	return found
}
