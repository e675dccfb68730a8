package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate makes a self-signed certificate in PEM.
func certificate(t *testing.T, days int, names ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Duration(days) * 24 * time.Hour)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: until.Add(-1000 * 24 * time.Hour), NotAfter: until}
	if len(names) == 1 && strings.HasPrefix(names[0], "CN=") {
		tmpl.DNSNames, tmpl.Subject = nil, pkix.Name{CommonName: names[0][3:]}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestCertificate(t *testing.T) {
	long, short, expired := certificate(t, 100, "chat.example.com"), certificate(t, 10, "chat.example.com"), certificate(t, -1, "chat.example.com")
	wild := certificate(t, 100, "*.example.com")
	idn := certificate(t, 100, "xn--bcher-kva.example")
	common := certificate(t, 100, "CN=chat.example.com")
	for _, c := range []struct {
		name  string
		src   string
		files files
		want  string // certificate and key below the directory, or part of the error
	}{
		{"nothing", "", nil, "no certificate with its key for chat.example.com in DIR/certs"},
		{"by file name", "", files{"certs/chat.example.com.crt": "x", "certs/chat.example.com.key": "x"}, "certs/chat.example.com.crt certs/chat.example.com.key"},
		{"by directory", "", files{"certs/chat.example.com/fullchain.pem": "x", "certs/chat.example.com/privkey.pem": "x"}, "certs/chat.example.com/fullchain.pem certs/chat.example.com/privkey.pem"},
		{"both in one file", "", files{"certs/chat.example.com.pem": "x"}, "certs/chat.example.com.pem certs/chat.example.com.pem"},
		{"without a key it does not count", "", files{"certs/chat.example.com.crt": "x"}, "no certificate"},
		{"by name in the certificate", "", files{"certs/server.crt": long, "certs/server.key": "x"}, "certs/server.crt certs/server.key"},
		{"by common name where there is no other", "", files{"certs/server.crt": common, "certs/server.key": "x"}, "certs/server.crt certs/server.key"},
		{"the name in the certificate comes first", "", files{"certs/a.crt": long, "certs/a.key": "x", "certs/chat.example.com.crt": "x", "certs/chat.example.com.key": "x"}, "certs/a.crt certs/a.key"},
		{"deep", "", files{"certs/a/b/fullchain.pem": long, "certs/a/b/privkey.pem": "x"}, "certs/a/b/fullchain.pem certs/a/b/privkey.pem"},
		{"too deep", "", files{"certs/a/b/c/fullchain.pem": long, "certs/a/b/c/privkey.pem": "x"}, "no certificate"},
		{"hidden", "", files{"certs/.a/fullchain.pem": long, "certs/.a/privkey.pem": "x"}, "no certificate"},
		{"expired", "", files{"certs/a.crt": expired, "certs/a.key": "x"}, "no certificate"},
		{"the longest valid", "", files{"certs/a.crt": short, "certs/a.key": "x", "certs/b.crt": long, "certs/b.key": "x", "certs/c.crt": short, "certs/c.key": "x"}, "certs/b.crt certs/b.key"},
		{"a wildcard", "", files{"certs/w.crt": wild, "certs/w.key": "x"}, "certs/w.crt certs/w.key"},
		{"the name before a wildcard", "", files{"certs/w.crt": wild, "certs/w.key": "x", "certs/x.crt": short, "certs/x.key": "x"}, "certs/x.crt certs/x.key"},
		{"the domain above", "", files{"certs/example.com.crt": "x", "certs/example.com.key": "x"}, "certs/example.com.crt certs/example.com.key"},
		{"another directory", "certificates = 'tls'", files{"tls/chat.example.com.crt": "x", "tls/chat.example.com.key": "x"}, "tls/chat.example.com.crt tls/chat.example.com.key"},
		{"the host's own", "VirtualHost 'chat.example.com'\ncertificate = 'own/c.crt'", files{"own/c.crt": "x", "own/c.key": "x"}, "own/c.crt own/c.key"},
		{"the host's own directory", "VirtualHost 'chat.example.com'\ncertificate = 'own'", files{"own/chat.example.com/fullchain.pem": "x", "own/chat.example.com/privkey.pem": "x"}, "own/chat.example.com/fullchain.pem own/chat.example.com/privkey.pem"},
		{"global ssl", "ssl = { certificate = 's/c.pem', key = 's/k.pem' }", files{"s/c.pem": "x", "s/k.pem": "x", "certs/chat.example.com.pem": "x"}, "s/c.pem s/k.pem"},
		{"ssl of the host", "ssl = { certificate = 's/c.pem', key = 's/k.pem' }\nVirtualHost 'chat.example.com'\nssl = { certificate = 'h/c.pem', key = 'h/k.pem' }", files{"h/c.pem": "x", "h/k.pem": "x"}, "h/c.pem h/k.pem"},
		{"ssl of the host above", "VirtualHost 'example.com'\nssl = { certificate = 'h/c.pem', key = 'h/k.pem' }\nVirtualHost 'chat.example.com'", files{"h/c.pem": "x", "h/k.pem": "x"}, "h/c.pem h/k.pem"},
		{"c2s_ssl over ssl", "ssl = { certificate = 's/c.pem', key = 's/k.pem' }\nc2s_ssl = { certificate = 'c/c.pem', key = 'c/k.pem' }", files{"c/c.pem": "x", "c/k.pem": "x"}, "c/c.pem c/k.pem"},
		{"ssl of the host over global c2s_ssl", "c2s_ssl = { certificate = 'c/c.pem', key = 'c/k.pem' }\nVirtualHost 'chat.example.com'\nssl = { certificate = 'h/c.pem', key = 'h/k.pem' }", files{"h/c.pem": "x", "h/k.pem": "x"}, "h/c.pem h/k.pem"},
		{"ssl with a file that is not there", "ssl = { certificate = 's/c.pem', key = 's/k.pem' }", files{"s/c.pem": "x"}, "no file DIR/s/k.pem, which ssl names"},
		{"c2s_ssl of the host above", "VirtualHost 'example.com'\nc2s_ssl = { certificate = 'h/c.pem', key = 'h/k.pem' }\nVirtualHost 'chat.example.com'", files{"h/c.pem": "x", "h/k.pem": "x"}, "h/c.pem h/k.pem"},
		{"ssl of the host hides that of the host above", "VirtualHost 'example.com'\nssl = { certificate = 'h/c.pem', key = 'h/k.pem' }\nVirtualHost 'chat.example.com'\nssl = { protocol = 'tlsv1_3' }", files{"h/c.pem": "x", "h/k.pem": "x"}, "no certificate"},
		{"another key for what is found", "ssl = { key = 's/k.pem' }", files{"s/k.pem": "x", "certs/chat.example.com.pem": "x"}, "certs/chat.example.com.pem s/k.pem"},
		{"a key by the certificate's name", "ssl = { certificate = 's/fullchain.pem' }", files{"s/fullchain.pem": "x", "s/privkey.pem": "x"}, "s/fullchain.pem s/privkey.pem"},
		{"a wildcard is one label", "VirtualHost 'a.chat.example.com'", files{"certs/w.crt": wild, "certs/w.key": "x"}, "certs/w.crt certs/w.key"}, // as that of chat.example.com
		{"a wildcard is not the domain itself", "VirtualHost 'example.com'", files{"certs/w.crt": wild, "certs/w.key": "x"}, "no certificate"},
		{"of nobody above", "VirtualHost 'chat.example.org'", files{"certs/a.crt": long, "certs/a.key": "x"}, "no certificate"},
		{"an internationalised domain", "VirtualHost 'bücher.example'", files{"certs/a.crt": idn, "certs/a.key": "x"}, "certs/a.crt certs/a.key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := files{"prosody.cfg.lua": c.src}
			if !strings.Contains(c.src, "VirtualHost") {
				fs["prosody.cfg.lua"] += "\nVirtualHost 'chat.example.com'"
			}
			for name, text := range c.files {
				fs[name] = text
			}
			cfg, err := Load(filepath.Join(fs.write(t), "prosody.cfg.lua"), LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			h := cfg.hosts[len(cfg.hosts)-1]
			p, err := h.Certificate(STARTTLS, 0)
			got := strings.ReplaceAll(p.Certificate+" "+p.Key, cfg.Dir+"/", "")
			if err != nil {
				got = strings.ReplaceAll(err.Error(), cfg.Dir, "DIR")
			}
			if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// The directory is read once for a configuration, however many hosts and services look into it.
func TestCertificatesAreReadOnce(t *testing.T) {
	dir := files{
		"prosody.cfg.lua": "VirtualHost 'a.example'\nVirtualHost 'b.example'",
		"certs/x.crt":     certificate(t, 100, "a.example", "b.example"), "certs/x.key": "x",
	}.write(t)
	c, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range c.Hosts() {
		if _, err := h.Certificate(STARTTLS, 0); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "certs", "x.crt")); err != nil {
			t.Fatal(err)
		}
	}
}

// Services have certificates of their own, for all hosts or for one, and by port; else that of the host's name there.
func TestServiceCertificate(t *testing.T) {
	const host = "\nVirtualHost 'example.com'\n"
	found := files{"certs/example.com.crt": "x", "certs/example.com.key": "x"}
	own := files{"certs/example.com.crt": "x", "certs/example.com.key": "x", "w/a.crt": "x", "w/a.key": "x", "w/b.crt": "x", "w/b.key": "x"}
	for _, c := range []struct {
		name    string
		src     string
		files   files
		service TLSService
		port    int
		want    string // below the directory, or part of the error
	}{
		{"the host's", host, found, HTTPS, 5281, "certs/example.com.crt"},
		{"that of http_host", host + "http_host = 'web.example.net'", files{"certs/web.example.net.crt": "x", "certs/web.example.net.key": "x"}, HTTPS, 5281, "certs/web.example.net.crt"},
		{"https_certificate", "https_certificate = 'w/a.crt'" + host, own, HTTPS, 5281, "w/a.crt"},
		{"https_certificate, a directory", "https_certificate = 'w'" + host, files{"w/https.pem": "x"}, HTTPS, 5281, "w/https.pem"},
		{"https_certificate that is not there", "https_certificate = 'w/c.crt'" + host, own, HTTPS, 5281, "no certificate with its key at DIR/w/c.crt"},
		{"https_certificate by port", "https_certificate = { [443] = 'w/a.crt', [5281] = 'w/b.crt' }" + host, own, HTTPS, 443, "w/a.crt"},
		{"https_certificate by port, as text", "https_certificate = { ['443'] = 'w/a.crt' }" + host, own, HTTPS, 443, "w/a.crt"},
		{"https_certificate by default", "https_certificate = { [443] = 'w/a.crt', default = 'w/b.crt' }" + host, own, HTTPS, 5281, "w/b.crt"},
		{"https_certificate for other ports", "https_certificate = { [443] = 'w/a.crt' }" + host, own, HTTPS, 5281, "certs/example.com.crt"},
		{"https_ssl", "https_ssl = { certificate = 'w/a.crt', key = 'w/a.key' }\nhttps_certificate = 'w/b.crt'" + host, own, HTTPS, 5281, "w/a.crt"},
		{"https_ssl of the host", "https_ssl = { certificate = 'w/a.crt', key = 'w/a.key' }" + host + "https_ssl = { certificate = 'w/b.crt', key = 'w/b.key' }", own, HTTPS, 5281, "w/b.crt"},
		{"global ssl", "ssl = { certificate = 'w/a.crt', key = 'w/a.key' }" + host, own, HTTPS, 5281, "w/a.crt"},
		{"the host's ssl is for clients", host + "ssl = { certificate = 'w/a.crt', key = 'w/a.key' }", own, HTTPS, 5281, "certs/example.com.crt"},
		{"the service's name", host, files{"certs/https/fullchain.pem": "x", "certs/https/privkey.pem": "x"}, HTTPS, 5281, "certs/https/fullchain.pem"},
		{"nothing", host, nil, HTTPS, 5281, "no certificate with its key for example.com"},

		{"the host's", host, found, DirectTLS, 5223, "certs/example.com.crt"},
		{"the host's ssl", host + "ssl = { certificate = 'w/a.crt', key = 'w/a.key' }", own, DirectTLS, 5223, "w/a.crt"},
		{"the host's ssl before a global one", "ssl = { certificate = 'w/b.crt', key = 'w/b.key' }" + host + "ssl = { certificate = 'w/a.crt', key = 'w/a.key' }", own, DirectTLS, 5223, "w/a.crt"},
		{"c2s_direct_tls_ssl", "c2s_direct_tls_ssl = { certificate = 'w/b.crt', key = 'w/b.key' }" + host + "ssl = { certificate = 'w/a.crt', key = 'w/a.key' }", own, DirectTLS, 5223, "w/b.crt"},
		{"c2s_direct_tls_ssl under its old name", "legacy_ssl_ssl = { certificate = 'w/b.crt', key = 'w/b.key' }" + host, own, DirectTLS, 5223, "w/b.crt"},
		{"c2s_direct_tls_certificate", "c2s_direct_tls_certificate = 'w/a.crt'" + host, own, DirectTLS, 5223, "w/a.crt"},
		{"c2s_direct_tls_certificate by port, under its old name", "legacy_ssl_certificate = { [5223] = 'w/a.crt' }" + host, own, DirectTLS, 5223, "w/a.crt"},
		{"what is for others", "https_certificate = 'w/a.crt'\nhttps_ssl = { certificate = 'w/a.crt', key = 'w/a.key' }" + host, own, DirectTLS, 5223, "certs/example.com.crt"},
	} {
		t.Run(fmt.Sprint(c.service, ": ", c.name), func(t *testing.T) {
			fs := files{"prosody.cfg.lua": c.src}
			maps.Copy(fs, c.files)
			cfg, err := Load(filepath.Join(fs.write(t), "prosody.cfg.lua"), LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			p, err := cfg.Hosts()[0].Certificate(c.service, c.port)
			got := strings.TrimPrefix(p.Certificate, cfg.Dir+"/")
			if err != nil {
				got = strings.ReplaceAll(err.Error(), cfg.Dir, "DIR")
			}
			if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestTLSOptionsRefused(t *testing.T) {
	for src, want := range map[string]string{
		"ssl = { [5222] = { certificate = 'a', key = 'b' } }":                "settings for 5222 alone are not available",
		"https_ssl = { ['127.0.0.1'] = { certificate = 'a' } }":              "settings for 127.0.0.1 alone are not available",
		"https_certificate = { [0] = 'a' }":                                  `takes ports and "default", not "0"`,
		"https_certificate = { [65536] = 'a' }":                              `takes ports and "default", not "65536"`,
		"https_certificate = { host = 'a' }":                                 `takes ports and "default", not "host"`,
		"https_certificate = { 'a', default = 'b' }":                         "takes a path, or a table",
		"c2s_direct_tls_certificate = { [5223] = {} }":                       "takes a single value",
		"c2s_ssl = { certificate = 'a', password = 'b' }":                    "keys with a password are not available",
		"c2s_direct_tls_ssl = { protocol = 'sslv3' }":                        "protocol",
		"VirtualHost 'a.example'\nhttps_ssl = { protocol = 'sslv2' }":        "protocol",
		"c2s_ssl = { verify = { 'peer', 'fail_if_no_peer_cert' } }":          "clients without a certificate could connect",
		"VirtualHost 'a.example'\nssl = { verify = 'fail_if_no_peer_cert' }": "clients without a certificate could connect",
	} {
		var refused []string
		for _, d := range Check(mustLoad(t, src)) {
			if d.Severity == Refused {
				refused = append(refused, d.Message)
			}
		}
		if !strings.Contains(strings.Join(refused, "\n"), want) {
			t.Errorf("%s: refused for %q, want %q", src, refused, want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name, domain string
		names        []string
		want         bool
	}{
		{"itself", "chat.example.com", []string{"example.com", "chat.example.com"}, true},
		{"another", "chat.example.com", []string{"example.com"}, false},
		{"a wildcard", "chat.example.com", []string{"*.example.com"}, true},
		{"a wildcard for the domain itself", "example.com", []string{"*.example.com"}, false},
		{"a wildcard two labels up", "a.chat.example.com", []string{"*.example.com"}, false},
		{"upper case", "chat.example.com", []string{"Chat.Example.COM"}, true},
		{"the common name alone", "chat.example.com", []string{"CN=chat.example.com"}, false},
		{"an internationalised domain", "bücher.example", []string{"xn--bcher-kva.example"}, true},
		{"localhost", "localhost", []string{"localhost"}, true},
		{"a name that is none", "example.com", []string{"..", "example.com"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			block, _ := pem.Decode([]byte(certificate(t, 10, c.names...)))
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if got := Names(cert, c.domain); got != c.want {
				t.Errorf("%v for %s: %v", c.names, c.domain, got)
			}
		})
	}
}

func TestMinTLSVersion(t *testing.T) {
	for src, want := range map[string]uint16{
		"tls_profile = 'modern'\nssl = { certificate = 'a' }": tls.VersionTLS13,
		"":                                   tls.VersionTLS12,
		"tls_profile = 'modern'":             tls.VersionTLS13,
		"tls_profile = 'old'":                tls.VersionTLS12,
		"ssl = { protocol = 'tlsv1_3' }":     tls.VersionTLS13,
		"ssl = { protocol = 'tlsv1+' }":      tls.VersionTLS12,
		"ssl = { protocol = 'tlsv1' }":       tls.VersionTLS12,
		"ssl = { protocol = 'tlsv1_2' }":     tls.VersionTLS12,
		"c2s_ssl = { protocol = 'tlsv1_3' }": tls.VersionTLS13,
		"ssl = { protocol = 'tlsv1_2+' }\ntls_profile = 'modern'": tls.VersionTLS12,
	} {
		if got := mustLoad(t, src+"\nVirtualHost 'h.example'").Hosts()[0].MinTLSVersion(STARTTLS); got != want {
			t.Errorf("%q: %x, want %x", src, got, want)
		}
	}
}

func TestMinTLSVersionOfServices(t *testing.T) {
	h := mustLoad(t, "ssl = { protocol = 'tlsv1_2+' }\ntls_profile = 'modern'\nc2s_direct_tls_ssl = { protocol = 'tlsv1_3' }\nVirtualHost 'h.example'\nhttps_ssl = { protocol = 'tlsv1_3' }").Hosts()[0]
	for _, c := range []struct {
		service TLSService
		want    uint16
	}{{STARTTLS, tls.VersionTLS12}, {DirectTLS, tls.VersionTLS13}, {HTTPS, tls.VersionTLS13}} {
		if got := h.MinTLSVersion(c.service); got != c.want {
			t.Errorf("%s: %x, want %x", c.service, got, c.want)
		}
	}
}
