package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
	"mellium.im/sasl"

	"rosterd/store/credential"
)

// boundChannel is encrypted and can be bound to in two ways.
var boundChannel = Channel{Encrypted: true, Bindings: []Binding{
	{Type: "tls-exporter", Data: []byte("exported")},
	{Type: "tls-server-end-point", Data: []byte("certificate")},
}}

// selfSigned makes a certificate whose signature is of that algorithm.
func selfSigned(t *testing.T, key crypto.Signer, algorithm x509.SignatureAlgorithm) *tls.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"example.net"}, SignatureAlgorithm: algorithm}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// handshake returns what both sides know of a connection.
func handshake(t *testing.T, cert *tls.Certificate, version uint16) (server, client tls.ConnectionState) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	s := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{*cert}, SessionTicketsDisabled: true})
	c := tls.Client(b, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
	done := make(chan error, 1)
	go func() { done <- s.HandshakeContext(t.Context()) }()
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return s.ConnectionState(), c.ConnectionState()
}

// The hash of tls-server-end-point is that of the certificate's signature, but never a weak one (RFC 5929 §4.1).
func TestEndPoint(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecKey := newKey(t)
	sum256 := func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }
	sum384 := func(b []byte) []byte { h := sha512.Sum384(b); return h[:] }
	sum512 := func(b []byte) []byte { h := sha512.Sum512(b); return h[:] }
	tests := []struct {
		name      string
		key       crypto.Signer
		algorithm x509.SignatureAlgorithm
		want      func([]byte) []byte // nil: not offered
	}{
		{"ECDSA, SHA-256", ecKey, x509.ECDSAWithSHA256, sum256},
		{"ECDSA, SHA-384", ecKey, x509.ECDSAWithSHA384, sum384},
		{"ECDSA, SHA-512", ecKey, x509.ECDSAWithSHA512, sum512},
		{"ECDSA, SHA-1", ecKey, x509.ECDSAWithSHA1, sum256},
		{"RSA, SHA-256", rsaKey, x509.SHA256WithRSA, sum256},
		{"RSA, SHA-384", rsaKey, x509.SHA384WithRSA, sum384},
		{"RSA, SHA-512", rsaKey, x509.SHA512WithRSA, sum512},
		{"RSA, SHA-1", rsaKey, x509.SHA1WithRSA, sum256},
		{"RSA-PSS, SHA-384", rsaKey, x509.SHA384WithRSAPSS, sum384},
		{"Ed25519", edKey, x509.PureEd25519, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cert := selfSigned(t, tt.key, tt.algorithm)
			state, _ := handshake(t, cert, tls.VersionTLS13)
			list := Bindings(&state, cert.Leaf)
			if tt.want == nil {
				if len(list) != 1 || list[0].Type != "tls-exporter" {
					t.Errorf("offered %v", list)
				}
				return
			}
			if len(list) != 2 || list[1].Type != "tls-server-end-point" || !slices.Equal(list[1].Data, tt.want(cert.Certificate[0])) {
				t.Errorf("offered %v, want %x", list, tt.want(cert.Certificate[0]))
			}
		})
	}
}

// Both sides of a connection export the same, and nobody else does.
func TestExporter(t *testing.T) {
	cert := selfSigned(t, newKey(t), x509.ECDSAWithSHA256)
	var before []byte
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} { // Go's client always has extended master secret
		server, client := handshake(t, cert, version)
		theirs, err := scram.NewTLSExporterBinding(&client)
		if err != nil {
			t.Fatal(err)
		}
		list := Bindings(&server, nil)
		if len(list) != 1 || list[0].Type != "tls-exporter" || !slices.Equal(list[0].Data, theirs.Data) {
			t.Errorf("%s: we offer %v, the client has %x", tls.VersionName(version), list, theirs.Data)
		} else if slices.Equal(list[0].Data, before) {
			t.Error("two connections are bound to the same")
		}
		before = theirs.Data
	}
	if list := Bindings(nil, nil); list != nil {
		t.Errorf("without TLS: %v", list)
	}
}

// boundClient is a client with channel binding of that type, xdgClient's sister.
func boundClient(t *testing.T, mechanism, kind string, data []byte) client {
	t.Helper()
	gen := map[string]scram.HashGeneratorFcn{"SCRAM-SHA-1": scram.SHA1, "SCRAM-SHA-256": scram.SHA256}[mechanism]
	c, err := gen.NewClient("juliet", password, "")
	if err != nil {
		t.Fatal(err)
	}
	return xdg{c.NewConversationWithChannelBinding(scram.ChannelBinding{Type: scram.ChannelBindingType(kind), Data: data})}
}

// yClient knows of channel binding and has not seen it offered.
func yClient(t *testing.T) client {
	t.Helper()
	c, err := scram.SHA1.NewClient("juliet", password, "")
	if err != nil {
		t.Fatal(err)
	}
	return xdg{c.NewConversationAdvertisingChannelBinding()}
}

func TestChannelBinding(t *testing.T) {
	host, noPlus, onlyPlus := hashedHost(credential.SHA1), hashedHost(credential.SHA1), hashedHost(credential.SHA1)
	noPlus.Disabled, onlyPlus.Disabled = []string{"SCRAM-SHA-1-PLUS"}, []string{"SCRAM-SHA-1", "PLAIN"}
	stored := plainHost()
	stored.Accounts = book{"juliet@example.net": {Password: password, HasPassword: true}}
	bind := func(kind, data string) client { return boundClient(t, "SCRAM-SHA-1", kind, []byte(data)) }
	tests := []struct {
		name      string
		host      *Host
		ch        Channel
		mechanism string
		client    client
		want      Condition
	}{
		{"exporter", host, boundChannel, "SCRAM-SHA-1-PLUS", bind("tls-exporter", "exported"), ""},
		{"end-point", host, boundChannel, "SCRAM-SHA-1-PLUS", bind("tls-server-end-point", "certificate"), ""},
		{"another hash", stored, boundChannel, "SCRAM-SHA-256-PLUS", boundClient(t, "SCRAM-SHA-256", "tls-exporter", []byte("exported")), ""},
		{"nothing else is offered", onlyPlus, boundChannel, "SCRAM-SHA-1-PLUS", bind("tls-exporter", "exported"), ""},
		{"another connection", host, boundChannel, "SCRAM-SHA-1-PLUS", bind("tls-exporter", "imported"), NotAuthorized},
		{"another certificate", host, boundChannel, "SCRAM-SHA-1-PLUS", bind("tls-server-end-point", "copy"), NotAuthorized},
		{"data of another type", host, boundChannel, "SCRAM-SHA-1-PLUS", bind("tls-server-end-point", "exported"), NotAuthorized},
		{"unique", host, boundChannel, "SCRAM-SHA-1-PLUS", bind("tls-unique", "finished"), MalformedRequest},
		{"a type that is not offered here", host, Channel{Encrypted: true, Bindings: boundChannel.Bindings[1:]}, "SCRAM-SHA-1-PLUS", bind("tls-exporter", "exported"), MalformedRequest},
		{"binding without -PLUS", host, boundChannel, "SCRAM-SHA-1", bind("tls-exporter", "exported"), MalformedRequest},
		{"-PLUS without binding", host, boundChannel, "SCRAM-SHA-1-PLUS", xdgClient(t, "SCRAM-SHA-1", "juliet", password, ""), MalformedRequest},
		{"-PLUS with y", host, boundChannel, "SCRAM-SHA-1-PLUS", yClient(t), MalformedRequest},

		{"n where it is offered", host, boundChannel, "SCRAM-SHA-1", xdgClient(t, "SCRAM-SHA-1", "juliet", password, ""), ""},
		{"y where it is offered", host, boundChannel, "SCRAM-SHA-1", yClient(t), MalformedRequest},
		{"y where it is disabled", noPlus, boundChannel, "SCRAM-SHA-1", yClient(t), ""},
		{"y behind a proxy", host, encrypted, "SCRAM-SHA-1", yClient(t), ""},
		{"y in the clear", host, Channel{}, "SCRAM-SHA-1", yClient(t), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			user, _, _, err := talkOn(t, tt.host, tt.ch, tt.mechanism, tt.client)
			if condition(err) != tt.want || (err == nil) != (user.String() == "juliet@example.net") {
				t.Errorf("user %q, error %v, want %q", user, err, tt.want)
			}
			if err != nil && strings.ContainsAny(err.Error(), "0123456789") && tt.want == NotAuthorized {
				t.Errorf("%v shows what the connection exports", err)
			}
		})
	}
	_, _, _, err := talkOn(t, host, boundChannel, "SCRAM-SHA-1", yClient(t))
	if !errors.Is(err, errDowngrade) {
		t.Errorf("a downgrade is refused as %v", err)
	}
	_, _, _, err = talkOn(t, host, boundChannel, "SCRAM-SHA-1-PLUS", bind("tls-exporter", "imported"))
	if !errors.Is(err, errBinding) {
		t.Errorf("the binding of another connection is refused as %v", err)
	}
}

// mellium's client binds to connections that exist.
func TestMelliumChannelBinding(t *testing.T) {
	cert := selfSigned(t, newKey(t), x509.ECDSAWithSHA256)
	server, client := handshake(t, cert, tls.VersionTLS13)
	_, other := handshake(t, cert, tls.VersionTLS13)
	ch := Channel{Encrypted: true, Bindings: Bindings(&server, cert.Leaf)}
	for name, tt := range map[string]struct {
		state tls.ConnectionState
		want  Condition
	}{"the connection": {client, ""}, "another connection": {other, NotAuthorized}} {
		t.Run(name, func(t *testing.T) {
			c := mellium{sasl.NewClient(sasl.ScramSha1Plus, sasl.TLSState(tt.state), sasl.RemoteMechanisms(ch.mechanisms()...),
				sasl.Credentials(func() (username, pass, identity []byte) { return []byte("juliet"), []byte(password), nil }))}
			user, _, _, err := talkOn(t, hashedHost(credential.SHA1), ch, "SCRAM-SHA-1-PLUS", c)
			if condition(err) != tt.want || (err == nil) != (user.String() == "juliet@example.net") {
				t.Errorf("user %q, error %v, want %q", user, err, tt.want)
			}
		})
	}
}

// mechanisms are those of a host with default settings.
func (ch Channel) mechanisms() []string { return (&Host{}).Mechanisms(ch) }
