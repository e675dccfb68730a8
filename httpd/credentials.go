package httpd

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	signatureField = "X-Hub-Signature-256"
	timestampField = "X-Rosterd-Timestamp"
	timestampSkew  = 5 * time.Minute
)

// crossOrigin tells requests that some other site's page made a browser send.
var crossOrigin = http.NewCrossOriginProtection()

// checkPage refuses web pages of other origins where nothing is needed that they do not have. A certificate is no such
// thing: a browser shows it for any page.
func (a *Refresh) checkPage(r *http.Request) error {
	if a.Token != "" || a.Secret != "" {
		return nil
	}
	asPost := *r // it would let any GET pass, yet ours does something
	asPost.Method = http.MethodPost
	if err := crossOrigin.Check(&asPost); err != nil {
		return fmt.Errorf("not for web pages of other origins: %w", err)
	}
	return nil
}

// checkName refuses names that are not ours where nothing else is needed: they may be a stranger's, who has them lead
// here, so that his page is of the same origin as we are and its GET tells nobody that a page makes it (DNS rebinding).
// Nobody has a name without a dot, or an address, to himself, nor a certificate for his name here.
func (a *refreshAPI) checkName(r *http.Request) error {
	t := a.server.table.Load()
	key := hostKey(r.Host)
	page := r.Header.Get("Origin") != "" || !slices.Contains([]string{"", "none"}, r.Header.Get("Sec-Fetch-Site"))
	switch {
	case a.Token != "", a.Secret != "", r.TLS != nil:
	case t.sites[key] != nil, local(key):
	case page:
		return fmt.Errorf("not for web pages under the name %q, which is none of %s; http_default_host does not change that", clip(r.Host, 256), a.host)
	case !t.anyName:
		return fmt.Errorf("not under the name %q, which may be a stranger's: use an address, localhost or %s, or let http_default_host say that any name will do", clip(r.Host, 256), a.host)
	}
	return nil
}

// local tells whether a name, as of hostKey, is one that no stranger can have.
func local(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil || !strings.Contains(name, ".") || strings.HasSuffix(name, ".localhost")
}

// Errors that RFC 6750 §3 tells apart.
var (
	errNoToken    = errors.New("a bearer token is needed (Authorization: Bearer TOKEN)")
	errWrongToken = errors.New("the bearer token is not the one that is configured here")
)

func (a *Refresh) checkToken(r *http.Request) error {
	if a.Token == "" {
		return nil
	}
	token, ok := bearer(r)
	switch {
	case !ok:
		return errNoToken
	case !equal(token, a.Token):
		return errWrongToken
	}
	return nil
}

func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.Trim(token, " "), strings.EqualFold(scheme, "Bearer")
}

// equal takes as long for any two strings of their lengths.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// checkCertificate looks at what the handshake only asked for: which authorities count depends on the VirtualHost, and
// that is known by the Host header.
func (a *Refresh) checkCertificate(r *http.Request) error {
	switch {
	case a.ClientCAs == nil:
		return nil
	case r.TLS == nil:
		return errors.New("a client certificate is needed, and only HTTPS has them")
	case len(r.TLS.PeerCertificates) == 0:
		return errors.New("a client certificate is needed, and none was shown")
	}
	between := x509.NewCertPool()
	for _, cert := range r.TLS.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := r.TLS.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: a.ClientCAs, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("the client certificate is refused: %w", err)
	}
	return nil
}

// signature is what a request says that its body was signed with.
type signature struct {
	mac       []byte
	timestamp string // "" without
}

// readSignature refuses what cannot be valid before the body is read.
func (a *Refresh) readSignature(r *http.Request) (s signature, err error) {
	if a.Secret == "" {
		return s, nil
	}
	if r.Method != http.MethodPost {
		return s, errors.New("a signature is needed, and a GET has no body to sign: POST a JSON array of usernames")
	}
	value, err := single(r, signatureField)
	switch {
	case err != nil:
		return s, err
	case value == "":
		return s, fmt.Errorf("a signature is needed (%s: sha256=HEX)", signatureField)
	}
	text, ok := strings.CutPrefix(value, "sha256=")
	if s.mac, err = hex.DecodeString(text); !ok || err != nil || len(s.mac) != sha256.Size {
		return s, fmt.Errorf("the signature is not of the form sha256=HEX with %d digits", 2*sha256.Size)
	}
	if s.timestamp, err = single(r, timestampField); err != nil || s.timestamp == "" {
		return s, err
	}
	return s, checkTimestamp(s.timestamp, time.Now())
}

// single returns the value of a field, which may be there once.
func single(r *http.Request, field string) (string, error) {
	values := r.Header.Values(field)
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		if values[0] == "" {
			return "", fmt.Errorf("%s is empty", field)
		}
		return values[0], nil
	}
	return "", fmt.Errorf("%s is there %d times", field, len(values))
}

func checkTimestamp(text string, now time.Time) error {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != text || seconds < 0 {
		return fmt.Errorf("%s is not a number of seconds since 1970", timestampField)
	}
	if off := now.Unix() - seconds; off > int64(timestampSkew/time.Second) || off < -int64(timestampSkew/time.Second) {
		return fmt.Errorf("%s is %d seconds off the time here; at most %d are accepted", timestampField, off, timestampSkew/time.Second)
	}
	return nil
}

// checkSignature compares it with that of the body.
func (a *Refresh) checkSignature(s signature, body []byte) error {
	if a.Secret == "" {
		return nil
	}
	mac := hmac.New(sha256.New, []byte(a.Secret))
	if s.timestamp != "" {
		mac.Write([]byte(s.timestamp + "."))
	}
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), s.mac) {
		return errors.New("the signature is not that of this body with the secret that is configured here")
	}
	return nil
}

// ParseClientCAs reads the certificates of authorities, in PEM, for Refresh.ClientCAs.
func ParseClientCAs(text []byte) (*x509.CertPool, error) {
	pool, n := x509.NewCertPool(), 0
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("block %d is %s, not CERTIFICATE", n+1, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", n+1, err)
		}
		if !cert.IsCA {
			return nil, fmt.Errorf("certificate %d (%s) is not an authority's", n+1, cert.Subject)
		}
		pool.AddCert(cert)
		n++
	}
	if len(bytes.TrimSpace(text)) > 0 && n > 0 && bytes.Contains(text, []byte("-----BEGIN")) {
		return nil, fmt.Errorf("what follows certificate %d is not PEM", n)
	}
	if n == 0 {
		return nil, errors.New("no certificate in it")
	}
	return pool, nil
}

// askCertificates returns config, except that handshakes for names where client certificates count ask for one.
func (s *Server) askCertificates(config *tls.Config) *tls.Config {
	choose := config.GetConfigForClient
	config = config.Clone()
	ask := asking(config)
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (chosen *tls.Config, err error) {
		if choose != nil {
			if chosen, err = choose(hello); err != nil {
				return nil, err
			}
		}
		switch {
		case !s.table.Load().wantsCertificate(hello.ServerName):
			return chosen, nil
		case chosen == nil:
			return ask, nil
		}
		return asking(chosen), nil
	}
	return config
}

// asking is config with a question for a certificate, which is verified later. Nothing is resumed: a session that was
// begun before the question was asked has no certificate, and its client would not know why it is refused.
func asking(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.ClientAuth = tls.RequestClientCert
	config.SessionTicketsDisabled = true
	return config
}

// wantsCertificate tells whether a client that asks for that name in its handshake should be asked for a certificate.
// Who names none, or one that we do not have, may mean any host.
func (t *table) wantsCertificate(serverName string) bool {
	if t == nil {
		return false
	}
	if site := t.sites[hostKey(serverName)]; serverName != "" && site != nil {
		return site.certificates
	}
	for _, site := range t.sites {
		if site.certificates {
			return true
		}
	}
	return false
}
