package target

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// configuration drives every kind of server but the prototype: the same file, with a few lines for one of them alone.
const configuration = `data_path = %q
plugin_paths = { %q }
interfaces = { "127.0.0.1" }
c2s_ports = { %s }
c2s_direct_tls_ports = { %s }
http_ports = { %s }
http_interfaces = { "127.0.0.1" }
https_ports = { %s }
https_interfaces = { "127.0.0.1" }
component_ports = {}
s2s_ports = {}
log = { warn = "*console" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
consider_websocket_secure = true
certificates = "certs"
authentication = %q
modules_enabled = { "saslauth", "disco", "ping"%s }
modules_disabled = { "s2s", "s2s_auth_certs" }
%s
VirtualHost %q
  modules_enabled = { "http_roster_admin", "block_subscriptions" }
  modules_disabled = { "roster" }
  storage = { roster = "memory", accounts = %q }
  http_roster_url = %q
`

// configure writes the configuration, with more lines of its global section.
func (s *Server) configure(want Settings, lines string) (file string, err error) {
	modules := want.Modules
	if want.TLS {
		modules = append(modules[:len(modules):len(modules)], "tls")
		if err := certify(filepath.Join(s.dir, "certs"), want.RSA); err != nil {
			return "", fmt.Errorf("certificate: %w", err)
		}
	}
	if want.WebSocket {
		modules = append(modules[:len(modules):len(modules)], "websocket")
	}
	var quoted strings.Builder
	for _, m := range modules {
		fmt.Fprintf(&quoted, ", %q", m)
	}
	var direct, secure string
	if s.TLSAddr != "" {
		direct = port(s.TLSAddr)
	}
	if s.HTTPS != "" {
		secure = port(s.HTTPS)
	}
	authentication, accounts := want.Authentication, "internal"
	if authentication == "" {
		authentication = "internal_hashed"
	}
	if s.Kind == Rosterd {
		accounts = "rosterd"
	}
	text := fmt.Sprintf(configuration, s.dir, filepath.Join(s.dir, "modules"), port(s.Addr), direct, port(s.HTTP), secure, authentication, quoted.String(), lines,
		Domain, accounts, s.Backend.URL+"/contacts/%s")
	file = filepath.Join(s.dir, "prosody.cfg.lua")
	return file, os.WriteFile(file, []byte(text), 0o644)
}

// certify makes a certificate for the domain, and its key: ECDSA with P-256, as certificate authorities issue them now, or
// RSA with 2,048 bits.
func certify(dir string, old bool) error {
	var key crypto.Signer
	var err error
	if old {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: Domain}, DNSNames: []string{Domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, Domain)
	if err := os.WriteFile(file+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644); err != nil {
		return err
	}
	return os.WriteFile(file+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
}

// nextPort is below those that the system gives to connections, and not one of those that tests take (daemontest.Port), so
// that nobody gets it by chance meanwhile.
func nextPort() int { return 25_000 + mathrand.IntN(5_000) }
