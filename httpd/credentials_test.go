package httpd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	testToken  = "sesame"
	testSecret = "open, says me"
)

// sign is what a backend does.
func sign(secret, message string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(message))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func TestSignatures(t *testing.T) {
	const body = `["updated"]`
	now := time.Now()
	right := signatureField + ": " + sign(testSecret, body)
	at := func(when time.Time) []string {
		return []string{signatureField + ": " + sign(testSecret, seconds(when)+"."+body), timestampField + ": " + seconds(when)}
	}
	tests := []struct {
		name    string
		method  string
		target  string
		body    string
		header  []string
		status  int
		message string
	}{
		{name: "right", header: []string{right}, status: 200},
		{name: "digits in capitals", header: []string{signatureField + ": sha256=" + strings.ToUpper(sign(testSecret, body)[7:])}, status: 200},
		{name: "none", status: 403, message: "a signature is needed (X-Hub-Signature-256: sha256=HEX)"},
		{name: "empty", header: []string{signatureField + ":"}, status: 403, message: "X-Hub-Signature-256 is empty"},
		{name: "of another body", header: []string{signatureField + ": " + sign(testSecret, `["updated" ]`)}, status: 403, message: "not that of this body"},
		{name: "another body", body: `["updated","failed"]`, header: []string{right}, status: 403, message: "not that of this body"},
		{name: "with another secret", header: []string{signatureField + ": " + sign("x", body)}, status: 403, message: "not that of this body"},
		{name: "of nothing", header: []string{signatureField + ": " + sign(testSecret, "")}, status: 403, message: "not that of this body"},
		{name: "one digit less", header: []string{right[:len(right)-1]}, status: 403, message: "not of the form sha256=HEX with 64 digits"},
		{name: "no digits", header: []string{signatureField + ": sha256=" + strings.Repeat("z", 64)}, status: 403, message: "not of the form"},
		{name: "no scheme", header: []string{strings.Replace(right, "sha256=", "", 1)}, status: 403, message: "not of the form"},
		{name: "SHA-1", header: []string{strings.Replace(right, "sha256=", "sha1=", 1)}, status: 403, message: "not of the form"},
		{name: "twice", header: []string{right, right}, status: 403, message: "X-Hub-Signature-256 is there 2 times"},
		{name: "right, and a wrong one", header: []string{right, signatureField + ": " + sign("x", body)}, status: 403, message: "2 times"},
		{name: "in a list", header: []string{right + "," + sign("x", body)}, status: 403, message: "not of the form"},
		{name: "as a token", header: []string{"Authorization: Bearer " + testSecret}, status: 403, message: "a signature is needed"},
		{name: "now", header: at(now), status: 200},
		{name: "a while ago", header: at(now.Add(-4 * time.Minute)), status: 200},
		{name: "a clock that is fast", header: at(now.Add(4 * time.Minute)), status: 200},
		{name: "long ago", header: at(now.Add(-6 * time.Minute)), status: 403, message: "seconds off the time here; at most 300 are accepted"},
		{name: "in the future", header: at(now.Add(6 * time.Minute)), status: 403, message: "seconds off the time here"},
		{name: "a timestamp that is not signed", header: []string{right, timestampField + ": " + seconds(now)}, status: 403, message: "not that of this body"},
		{name: "another timestamp", header: []string{at(now)[0], timestampField + ": " + seconds(now.Add(-time.Second))}, status: 403, message: "not that of this body"},
		{name: "timestamp left out", header: at(now)[:1], status: 403, message: "not that of this body"},
		{name: "timestamp moved into the body", body: seconds(now) + "." + body, header: at(now)[:1], status: 400, message: "not JSON"},
		{name: "timestamp twice", header: append(at(now), timestampField+": 1"), status: 403, message: "X-Rosterd-Timestamp is there 2 times"},
		{name: "timestamp empty", header: []string{right, timestampField + ":"}, status: 403, message: "X-Rosterd-Timestamp is empty"},
		{name: "timestamp no number", header: []string{right, timestampField + ": now"}, status: 403, message: "not a number of seconds"},
		{name: "timestamp with a sign", header: []string{right, timestampField + ": +" + seconds(now)}, status: 403, message: "not a number of seconds"},
		{name: "timestamp too large", header: []string{right, timestampField + ": 9223372036854775808"}, status: 403, message: "not a number of seconds"},
		{name: "timestamp at the end of time", header: []string{right, timestampField + ": 9223372036854775807"}, status: 403, message: "seconds off"},
		{name: "timestamp in milliseconds", header: []string{right, timestampField + ": " + seconds(now) + "000"}, status: 403, message: "seconds off"},
		{name: "GET", method: "GET", target: "/refresh/updated", body: " ", header: []string{signatureField + ": " + sign(testSecret, " ")}, status: 403, message: "a GET has no body to sign: POST"},
		{name: "GET with the path signed", method: "GET", target: "/refresh/updated", body: " ", header: []string{signatureField + ": " + sign(testSecret, "/roster_admin/refresh/updated")}, status: 403, message: "POST a JSON array"},
		{name: "too large", body: strings.Repeat(" ", 300), header: []string{signatureField + ": " + sign(testSecret, strings.Repeat(" ", 300))}, status: 413, message: "larger than"},
	}
	refresher := new(calls)
	addr := start(t, &Server{}, oneHost(Refresh{Refresher: refresher, Secret: testSecret, MaxBytes: 256}), "")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, addr, or(tt.method, "POST"), "/roster_admin"+or(tt.target, "/refresh"), "example.com", or(tt.body, body), tt.header...)
			if got.status != tt.status {
				t.Errorf("answered %d %s, want %d", got.status, got.body, tt.status)
			}
			asked := refresher.take()
			if tt.status == 200 {
				if len(asked) != 1 {
					t.Errorf("asked for %v", asked)
				}
				return
			}
			checkRefusal(t, got, tt.message)
			if len(asked) > 0 {
				t.Errorf("asked for %v", asked)
			}
			if strings.Contains(got.body, testSecret) || strings.Contains(got.body, sign(testSecret, body)[10:]) {
				t.Errorf("the answer helps: %s", got.body)
			}
		})
	}
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string, parent *authority) *authority {
	a := &authority{t: t}
	a.cert, a.key = issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, parent)
	return a
}

func issue(t *testing.T, template *x509.Certificate, parent *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = serial
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	by, byKey := template, key
	if parent != nil {
		by, byKey = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), byKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// client is a certificate that the authority made of a template, with what stands between them.
func (a *authority) client(template x509.Certificate, between ...*authority) *tls.Certificate {
	cert, key := issue(a.t, &template, a)
	c := &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
	for _, b := range between {
		c.Certificate = append(c.Certificate, b.cert.Raw)
	}
	return c
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// webClient is a client of an HTTPS server that shows a certificate, whatever it is asked for, unless that is nil.
func webClient(t *testing.T, server *tls.Certificate, name string, cert *tls.Certificate) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(server.Leaf)
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, ServerName: name, ClientSessionCache: tls.NewLRUClientSessionCache(10),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if cert == nil {
				return new(tls.Certificate), nil
			}
			return cert, nil
		},
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

var clientAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}

func TestClientCertificates(t *testing.T) {
	ours, others := newAuthority(t, "ours", nil), newAuthority(t, "others", nil)
	branch := newAuthority(t, "branch", ours)
	server := certificate(t, "example.com")
	refresher := new(calls)
	s := &Server{}
	plain := start(t, s, []Host{
		{Name: "example.com", Refresh: &Refresh{Refresher: refresher, ClientCAs: ours.pool()}},
		{Name: "other.example", Refresh: &Refresh{Refresher: refresher, ClientCAs: others.pool()}},
		{Name: "open.example", Refresh: &Refresh{Refresher: refresher}},
	}, "")
	secure := listen(t, s, func(l net.Listener) error {
		return s.ServeTLS(l, &tls.Config{Certificates: []tls.Certificate{*server}})
	})
	usual := x509.Certificate{Subject: pkix.Name{CommonName: "backend"}, ExtKeyUsage: clientAuth}
	selfSigned, selfKey := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "ours"}, ExtKeyUsage: clientAuth}, nil)
	tests := []struct {
		name    string
		cert    *tls.Certificate
		host    string // Host header; example.com unless given
		plain   bool
		refused string // "" if it is not
	}{
		{name: "ours", cert: ours.client(usual)},
		{name: "for any use", cert: ours.client(x509.Certificate{})},
		{name: "of a branch", cert: branch.client(usual, branch)},
		{name: "of a branch that is not shown", cert: branch.client(usual), refused: "client certificate is refused: x509: certificate signed by unknown authority"},
		{name: "none", refused: "none was shown"},
		{name: "of others", cert: others.client(usual), refused: "unknown authority"},
		{name: "of others, for them", cert: others.client(usual), host: "other.example"},
		{name: "ours, for others", cert: ours.client(usual), host: "other.example", refused: "unknown authority"},
		{name: "self-signed in our name", cert: &tls.Certificate{Certificate: [][]byte{selfSigned.Raw}, PrivateKey: selfKey}, refused: "unknown authority"},
		{name: "self-signed with our authority behind", cert: &tls.Certificate{Certificate: [][]byte{selfSigned.Raw, ours.cert.Raw}, PrivateKey: selfKey}, refused: "unknown authority"},
		{name: "expired", cert: ours.client(x509.Certificate{ExtKeyUsage: clientAuth, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}), refused: "expired"},
		{name: "not yet valid", cert: ours.client(x509.Certificate{ExtKeyUsage: clientAuth, NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour)}), refused: "not yet valid"},
		{name: "of a server", cert: ours.client(x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}), refused: "incompatible key usage"},
		{name: "a host that wants none", host: "open.example"},
		{name: "a host that wants none, and one of others", cert: others.client(usual), host: "open.example"},
		{name: "plain HTTP", plain: true, refused: "only HTTPS has them"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := webClient(t, server, "example.com", tt.cert)
			url := "https://" + secure
			if tt.plain {
				url = "http://" + plain
			}
			for _, method := range []string{"GET", "POST", "POST"} { // the second POST over a resumed session, if that were possible
				target, body := url+"/roster_admin/refresh", `["updated"]`
				if method == "GET" {
					target, body = target+"/updated", ""
				}
				r, err := http.NewRequest(method, target, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Host = or(tt.host, "example.com")
				got := do(t, client, r)
				client.CloseIdleConnections()
				asked := len(refresher.take())
				if tt.refused == "" && (got.status != 200 || asked != 1) {
					t.Errorf("%s: answered %d %s", method, got.status, got.body)
				}
				if tt.refused != "" {
					checkRefusal(t, got, tt.refused)
					if got.status != 403 || asked != 0 {
						t.Errorf("%s: answered %d %s, asked %d times", method, got.status, got.body, asked)
					}
				}
			}
		})
	}
	t.Run("a page cannot use the browser's certificate", func(t *testing.T) {
		r, err := http.NewRequest("GET", "https://"+secure+"/roster_admin/refresh/updated", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "example.com"
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		got := do(t, webClient(t, server, "example.com", ours.client(usual)), r)
		checkRefusal(t, got, "not for web pages of other origins")
		if asked := refresher.take(); len(asked) > 0 {
			t.Errorf("asked for %v", asked)
		}
	})
}

// A client that was there before a certificate was wanted has a session without one, and is not let down by it.
func TestCertificateIsAskedForAfterAReload(t *testing.T) {
	ca := newAuthority(t, "ours", nil)
	server := certificate(t, "example.com")
	s := &Server{}
	if err := s.SetHosts(oneHost(Refresh{}), ""); err != nil {
		t.Fatal(err)
	}
	addr := listen(t, s, func(l net.Listener) error {
		return s.ServeTLS(l, &tls.Config{Certificates: []tls.Certificate{*server}})
	})
	client := webClient(t, server, "example.com", ca.client(x509.Certificate{ExtKeyUsage: clientAuth}))
	for _, step := range []string{"before", "after"} {
		r, err := http.NewRequest("GET", "https://"+addr+"/roster_admin/refresh/updated", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "example.com"
		if got := do(t, client, r); got.status != 200 {
			t.Errorf("%s: answered %d %s", step, got.status, got.body)
		}
		client.CloseIdleConnections()
		if err := s.SetHosts(oneHost(Refresh{ClientCAs: ca.pool()}), ""); err != nil {
			t.Fatal(err)
		}
	}
}

func do(t *testing.T, client *http.Client, r *http.Request) reply {
	t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

// A browser is asked for a certificate by nobody but a host that wants one.
func TestWhoIsAskedForACertificate(t *testing.T) {
	ca := newAuthority(t, "ours", nil)
	server := certificate(t, "example.com")
	wants := &Refresh{Refresher: refresherFunc(outcomes), ClientCAs: ca.pool()}
	hosts := []Host{
		{Name: "wants.example", Refresh: wants},
		{Name: "not.example", Refresh: &Refresh{Refresher: refresherFunc(outcomes)}},
		{Name: "x.example", HTTPHost: "shared.example", Refresh: &Refresh{Refresher: refresherFunc(outcomes), Path: "/x"}},
		{Name: "y.example", HTTPHost: "shared.example", Refresh: wants},
	}
	tests := []struct {
		name, server string
		chosen       bool // by a GetConfigForClient of its own
		want         bool
	}{
		{name: "a host that wants one", server: "wants.example", want: true},
		{name: "one that does not", server: "not.example"},
		{name: "a name of two", server: "shared.example", want: true},
		{name: "its own name", server: "x.example"},
		{name: "no name", want: true},
		{name: "unknown name", server: "nobody.example", want: true},
		{name: "a host that wants one, with settings of its own", server: "wants.example", chosen: true, want: true},
		{name: "one that does not, with settings of its own", server: "not.example", chosen: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &Server{}
			if err := s.SetHosts(hosts, ""); err != nil {
				t.Fatal(err)
			}
			config := &tls.Config{Certificates: []tls.Certificate{*server}}
			if tt.chosen {
				config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
					return &tls.Config{Certificates: []tls.Certificate{*server}, MaxVersion: tls.VersionTLS12}, nil
				}
			}
			addr := listen(t, s, func(l net.Listener) error { return s.ServeTLS(l, config) })
			asked := false
			conn, err := tls.Dial("tcp", addr, &tls.Config{
				ServerName: tt.server, InsecureSkipVerify: true,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					asked = true
					return new(tls.Certificate), nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if asked != tt.want {
				t.Errorf("asked: %v", asked)
			}
			if old := conn.ConnectionState().Version == tls.VersionTLS12; old != tt.chosen {
				t.Errorf("the settings of its own were used: %v", old)
			}
		})
	}
	t.Run("settings that fail", func(t *testing.T) {
		s := &Server{}
		bad := errors.New("no such name")
		config := s.askCertificates(&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, bad }})
		if _, err := config.GetConfigForClient(&tls.ClientHelloInfo{}); !errors.Is(err, bad) {
			t.Errorf("GetConfigForClient: %v", err)
		}
	})
}

// Whatever a host wants, and whatever a request brings of it: rosters are fetched if all is there, and never else.
func TestNothingIsFetchedWithoutCredentials(t *testing.T) {
	const body = `["updated"]`
	ca := newAuthority(t, "ours", nil)
	server := certificate(t, "example.com")
	clients := map[string]*http.Client{
		"right": webClient(t, server, "example.com", ca.client(x509.Certificate{ExtKeyUsage: clientAuth})),
		"wrong": webClient(t, server, "example.com", newAuthority(t, "ours", nil).client(x509.Certificate{ExtKeyUsage: clientAuth})),
		"none":  webClient(t, server, "example.com", nil),
	}
	states := []string{"none", "wrong", "right"}
	header := func(h http.Header, field, state, wrong, right string) {
		switch state {
		case "wrong":
			h.Set(field, wrong)
		case "right":
			h.Set(field, right)
		}
	}
	for wants := range 8 {
		wantsToken, wantsSignature, wantsCertificate := wants&1 > 0, wants&2 > 0, wants&4 > 0
		refresher := new(calls)
		settings := Refresh{Refresher: refresher}
		if wantsToken {
			settings.Token = testToken
		}
		if wantsSignature {
			settings.Secret = testSecret
		}
		if wantsCertificate {
			settings.ClientCAs = ca.pool()
		}
		s := &Server{}
		if err := s.SetHosts(oneHost(settings), ""); err != nil {
			t.Fatal(err)
		}
		addr := listen(t, s, func(l net.Listener) error {
			return s.ServeTLS(l, &tls.Config{Certificates: []tls.Certificate{*server}})
		})
		for _, token := range states {
			for _, signature := range append(states, "old") {
				for _, certificate := range states {
					for _, method := range []string{"GET", "POST"} {
						name := fmt.Sprintf("token %v %s, signature %v %s, certificate %v %s: %s", wantsToken, token, wantsSignature, signature, wantsCertificate, certificate, method)
						target, sent := "https://"+addr+"/roster_admin/refresh", body
						if method == "GET" {
							target, sent = target+"/updated", ""
						}
						r, err := http.NewRequest(method, target, strings.NewReader(sent))
						if err != nil {
							t.Fatal(err)
						}
						r.Host = "example.com"
						header(r.Header, "Authorization", token, "Bearer "+testSecret, "Bearer "+testToken)
						header(r.Header, signatureField, signature, sign(testToken, sent), sign(testSecret, sent))
						if signature == "old" {
							when := seconds(time.Now().Add(-time.Hour))
							r.Header.Set(signatureField, sign(testSecret, when+"."+sent))
							r.Header.Set(timestampField, when)
						}
						valid := (!wantsToken || token == "right") && (!wantsSignature || signature == "right" && method == "POST") && (!wantsCertificate || certificate == "right")
						got := do(t, clients[certificate], r)
						if fetched := len(refresher.take()) > 0; fetched != valid || (got.status == 200) != valid {
							t.Errorf("%s: answered %d %s, fetched %v", name, got.status, got.body, fetched)
						}
						if !valid && !slices.Contains([]int{401, 403}, got.status) {
							t.Errorf("%s: answered %d", name, got.status)
						}
					}
				}
			}
		}
	}
}

func TestParseClientCAs(t *testing.T) {
	ca, other := newAuthority(t, "ours", nil), newAuthority(t, "others", nil)
	leaf := ca.client(x509.Certificate{Subject: pkix.Name{CommonName: "backend"}})
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	tests := []struct {
		name, text string
		n          int
		err        string
	}{
		{"one", block("CERTIFICATE", ca.cert.Raw), 1, ""},
		{"two with text around", "# ours\n" + block("CERTIFICATE", ca.cert.Raw) + "\n# others\n" + block("CERTIFICATE", other.cert.Raw) + "\nend\n", 2, ""},
		{"nothing", "", 0, "no certificate"},
		{"text", "hello", 0, "no certificate"},
		{"a key", block("EC PRIVATE KEY", []byte{1}), 0, "block 1 is EC PRIVATE KEY"},
		{"a certificate and a key", block("CERTIFICATE", ca.cert.Raw) + block("PRIVATE KEY", []byte{1}), 0, "block 2 is PRIVATE KEY"},
		{"garbage in PEM", block("CERTIFICATE", []byte("garbage")), 0, "certificate 1: x509"},
		{"not an authority's", block("CERTIFICATE", leaf.Certificate[0]), 0, "certificate 1 (CN=backend) is not an authority's"},
		{"cut short", block("CERTIFICATE", ca.cert.Raw) + block("CERTIFICATE", other.cert.Raw)[:100], 0, "not PEM"},
		{"cut short at once", block("CERTIFICATE", other.cert.Raw)[:100], 0, "no certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pool, err := ParseClientCAs([]byte(tt.text))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("ParseClientCAs: %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := x509.NewCertPool()
			for _, a := range []*authority{ca, other}[:tt.n] {
				want.AddCert(a.cert)
			}
			if !pool.Equal(want) {
				t.Error("not the certificates that were written")
			}
		})
	}
}

// FuzzSignature: no header passes that is not the signature of the body.
func FuzzSignature(f *testing.F) {
	for _, seed := range []string{"", "sha256=", "sha256=00", sign(testSecret, "[]"), sign(testSecret, "1.[]"), "sha1=" + strings.Repeat("0", 64)} {
		f.Add(seed, "", "[]")
		f.Add(seed, seconds(time.Now()), "[]")
	}
	f.Fuzz(func(t *testing.T, value, timestamp, body string) {
		a := &Refresh{Secret: testSecret}
		r := &http.Request{Method: "POST", Header: http.Header{signatureField: {value}}}
		message := body
		if timestamp != "" {
			r.Header.Set(timestampField, timestamp)
			message = timestamp + "." + body
		}
		s, err := a.readSignature(r)
		if err == nil {
			err = a.checkSignature(s, []byte(body))
		}
		if passed := err == nil; passed && !strings.EqualFold(value, sign(testSecret, message)) {
			t.Errorf("%q passes for %q with %q", value, body, timestamp)
		}
	})
}
