package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
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
		{"an internationalised domain", "VirtualHost 'bücher.example'", files{"certs/a.crt": idn, "certs/a.key": "x"}, "certs/a.crt certs/a.key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := files{"prosody.cfg.lua": c.src}
			if !strings.Contains(c.src, "VirtualHost 'chat") && !strings.Contains(c.src, "bücher") {
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

func TestHTTPSCertificate(t *testing.T) {
	fs := files{"certs/web.example.com.crt": "x", "certs/web.example.com.key": "x", "w/a.crt": "x", "w/a.key": "x",
		"prosody.cfg.lua": "VirtualHost 'example.com'\nhttp_host = 'web.example.com'", "own.cfg.lua": "https_certificate = 'w/a.crt'\nVirtualHost 'example.com'", "ssl.cfg.lua": "https_ssl = { certificate = 'w/a.crt', key = 'w/a.key' }\nVirtualHost 'example.com'"}
	dir := fs.write(t)
	for file, want := range map[string]string{"prosody.cfg.lua": "certs/web.example.com.crt", "own.cfg.lua": "w/a.crt", "ssl.cfg.lua": "w/a.crt"} {
		cfg, err := Load(filepath.Join(dir, file), LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := cfg.Hosts()[0].Certificate(HTTPS, 5281)
		if err != nil || p.Certificate != filepath.Join(dir, want) {
			t.Errorf("%s: found %v, %v; want %s", file, p, err, want)
		}
	}
}

func TestMinTLSVersion(t *testing.T) {
	for src, want := range map[string]uint16{
		"":                                   tls.VersionTLS12,
		"tls_profile = 'modern'":             tls.VersionTLS13,
		"tls_profile = 'old'":                tls.VersionTLS12,
		"ssl = { protocol = 'tlsv1_3' }":     tls.VersionTLS13,
		"ssl = { protocol = 'tlsv1+' }":      tls.VersionTLS12,
		"c2s_ssl = { protocol = 'tlsv1_3' }": tls.VersionTLS13,
		"ssl = { protocol = 'tlsv1_2+' }\ntls_profile = 'modern'": tls.VersionTLS12,
	} {
		if got := mustLoad(t, src+"\nVirtualHost 'h.example'").Hosts()[0].MinTLSVersion(STARTTLS); got != want {
			t.Errorf("%q: %x, want %x", src, got, want)
		}
	}
}
