package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"rosterd/engine/addr"
	"rosterd/passwords"
	"rosterd/passwords/token"
)

// ring is the keys of an authorization server, made once.
var ring = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(k crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return k
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	e, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, d, err3 := ed25519.GenerateKey(rand.Reader)
	other, err4 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return map[string]crypto.Signer{"rsa": must(r, err), "ec": must(e, err2), "ed": must(d, err3), "other": must(other, err4)}
})

// published is a key set with the public keys of those names.
func published(names ...string) jose.JSONWebKeySet {
	var set jose.JSONWebKeySet
	for _, name := range names {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: ring()[name].Public(), KeyID: name, Use: "sig"})
	}
	return set
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sign makes a token; kid "" has no key named.
func sign(t testing.TB, algorithm string, key any, kid string, claims map[string]any) string {
	t.Helper()
	o := &jose.SignerOptions{}
	if kid != "" {
		o = o.WithHeader("kid", kid)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: key}, o.WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign(encoded(t, claims))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// by writes a token by hand, with a signature that is no concern of its header.
func by(header, payload string, signature []byte) string {
	e := base64.RawURLEncoding
	return e.EncodeToString([]byte(header)) + "." + e.EncodeToString([]byte(payload)) + "." + e.EncodeToString(signature)
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) float64 { return float64(noon.Add(d).Unix()) }

// good are claims that are accepted, with changes; nil takes one away.
func good(changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": "https://id.example.com", "aud": "xmpp", "sub": "juliet", "scope": "openid chat",
		"exp": at(time.Minute), "nbf": at(-time.Minute), "iat": at(-time.Minute),
	}
	for k, v := range changes {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func wantUser(t *testing.T, user addr.Bare, err error, want string) {
	t.Helper()
	switch {
	case want == "refused" && (!errors.Is(err, passwords.ErrRefused) || !user.IsZero()):
		t.Errorf("%v, %v, want a refusal", user, err)
	case want == "unknown" && (err == nil || errors.Is(err, passwords.ErrRefused)):
		t.Errorf("%v, %v, want an outage", user, err)
	case want != "refused" && want != "unknown" && (err != nil || user.String() != want):
		t.Errorf("%v, %v, want %s", user, err, want)
	}
}

const secret = "a secret that is thirty-two long"

func TestJWT(t *testing.T) {
	keys, err := token.ParseKeys(encoded(t, published("rsa", "ec", "ed")))
	if err != nil {
		t.Fatal(err)
	}
	j := &token.JWT{
		Rules: token.Rules{
			Issuer: "https://id.example.com", Audience: []string{"xmpp", "https://example.com/"}, Scope: "chat", Leeway: 10 * time.Second, Username: "sub",
		},
		Algorithms: []string{"RS256", "ES256", "EdDSA", "HS256"}, Keys: keys, Secret: []byte(secret),
		Now: func() time.Time { return noon },
	}
	public, err := x509.MarshalPKIXPublicKey(ring()["rsa"].Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	ec := ring()["ec"]
	with := func(changes map[string]any) string { return sign(t, "ES256", ec, "ec", good(changes)) }
	const juliet = "juliet@example.com"
	whole := with(nil)
	for _, tt := range []struct {
		name, token, want string
	}{
		{"RS256", sign(t, "RS256", ring()["rsa"], "rsa", good(nil)), juliet},
		{"ES256", whole, juliet},
		{"EdDSA", sign(t, "EdDSA", ring()["ed"], "ed", good(nil)), juliet},
		{"HS256", sign(t, "HS256", []byte(secret), "", good(nil)), juliet},
		{"no key named", sign(t, "ES256", ec, "", good(nil)), juliet},
		{"another key named", sign(t, "ES256", ec, "rsa", good(nil)), "refused"},
		{"a key that is not there", sign(t, "ES256", ring()["other"], "other", good(nil)), "refused"},
		{"signed with another key", sign(t, "ES256", ring()["other"], "ec", good(nil)), "refused"},
		{"an algorithm that is not allowed", sign(t, "PS256", ring()["rsa"], "rsa", good(nil)), "refused"},
		{"alg none", by(`{"alg":"none"}`, string(encoded(t, good(nil))), nil), "refused"},
		{"alg None", by(`{"alg":"None"}`, string(encoded(t, good(nil))), nil), "refused"},
		{"alg none in capitals", by(`{"alg":"NONE","kid":"ec"}`, string(encoded(t, good(nil))), []byte("x")), "refused"},
		{"public key as a secret, in DER", sign(t, "HS256", public, "rsa", good(nil)), "refused"},
		{"public key as a secret, in PEM", sign(t, "HS256", publicPEM, "", good(nil)), "refused"},
		{"another secret", sign(t, "HS256", []byte(strings.ToUpper(secret)), "", good(nil)), "refused"},
		{"changed", strings.Replace(whole, ".ey", ".fy", 1), "refused"},
		{"its own key in the header", func() string {
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: "ES256", Key: ring()["other"]}, &jose.SignerOptions{EmbedJWK: true})
			if err != nil {
				t.Fatal(err)
			}
			signed, err := s.Sign(encoded(t, good(nil)))
			if err != nil {
				t.Fatal(err)
			}
			text, err := signed.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			return text
		}(), "refused"},
		{"something critical in the header", by(`{"alg":"ES256","crit":["x"],"x":1}`, "{}", []byte("x")), "refused"},
		{"no token", "juliet", "refused"},
		{"nothing", "", "refused"},
		{"very long", strings.Repeat("a", 1<<20), "refused"},
		{"claims that are no object", func() string {
			s, _ := jose.NewSigner(jose.SigningKey{Algorithm: "ES256", Key: ec}, nil)
			signed, _ := s.Sign([]byte("[1]"))
			text, _ := signed.CompactSerialize()
			return text
		}(), "refused"},

		{"expired", with(map[string]any{"exp": at(-11 * time.Second)}), "refused"},
		{"expired within the leeway", with(map[string]any{"exp": at(-9 * time.Second)}), juliet},
		{"good for ever", with(map[string]any{"exp": nil}), "refused"},
		{"exp in words", with(map[string]any{"exp": "tomorrow"}), "refused"},
		{"not yet", with(map[string]any{"nbf": at(11 * time.Second)}), "refused"},
		{"not yet, within the leeway", with(map[string]any{"nbf": at(9 * time.Second)}), juliet},
		{"from the future", with(map[string]any{"iat": at(time.Hour)}), "refused"},
		{"no nbf, no iat", with(map[string]any{"nbf": nil, "iat": nil}), juliet},
		{"another issuer", with(map[string]any{"iss": "https://id.example.org"}), "refused"},
		{"a slash more", with(map[string]any{"iss": "https://id.example.com/"}), "refused"},
		{"no issuer", with(map[string]any{"iss": nil}), "refused"},
		{"another audience", with(map[string]any{"aud": "mail"}), "refused"},
		{"no audience", with(map[string]any{"aud": nil}), "refused"},
		{"several audiences", with(map[string]any{"aud": []string{"mail", "https://example.com/"}}), juliet},
		{"scope of something else", with(map[string]any{"scope": "openid chatter"}), "refused"},
		{"scp", with(map[string]any{"scope": nil, "scp": []string{"chat"}}), juliet},
		{"bound to a key", with(map[string]any{"cnf": map[string]any{"jkt": "x"}}), "refused"},

		{"an address", with(map[string]any{"sub": "Juliet@Example.com"}), juliet},
		{"an address elsewhere", with(map[string]any{"sub": "juliet@example.org"}), "refused"},
		{"a full JID", with(map[string]any{"sub": "juliet@example.com/balcony"}), "refused"},
		{"a number", with(map[string]any{"sub": 7}), "refused"},
		{"nobody", with(map[string]any{"sub": ""}), "refused"},
		{"no name", with(map[string]any{"sub": "a b"}), "refused"},
		{"no sub", with(map[string]any{"sub": nil}), "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			user, err := j.CheckToken(t.Context(), "example.com", tt.token)
			wantUser(t, user, err, tt.want)
			if err != nil && tt.token != "" && len(tt.token) > 40 && strings.Contains(err.Error(), tt.token[len(tt.token)-40:]) {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}

	t.Run("as a password", func(t *testing.T) {
		ask := func(j *token.JWT, user string) error {
			b, err := addr.ParseBare(user)
			if err != nil {
				t.Fatal(err)
			}
			return j.CheckPassword(t.Context(), b, whole)
		}
		if err := ask(j, juliet); err != nil {
			t.Error(err)
		}
		if err := ask(j, "romeo@example.com"); !errors.Is(err, passwords.ErrRefused) {
			t.Errorf("of somebody else: %v", err)
		}
		none := &token.JWT{Rules: j.Rules, Algorithms: j.Algorithms, Keys: keys, Now: j.Now, NotAsPassword: true}
		if err := ask(none, juliet); !errors.Is(err, passwords.ErrRefused) {
			t.Errorf("where it is none: %v", err)
		}
	})
	t.Run("no secret", func(t *testing.T) { // an empty one signs nothing, whatever is allowed
		none := &token.JWT{Rules: j.Rules, Algorithms: j.Algorithms, Keys: keys, Now: j.Now}
		user, err := none.CheckToken(t.Context(), "example.com", sign(t, "HS256", make([]byte, 32), "", good(nil)))
		wantUser(t, user, err, "refused")
	})
}

func TestParseKeys(t *testing.T) {
	der := func(kind string, key any) string {
		b, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	secretSet := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: []byte(secret), KeyID: "s"}, {Key: ring()["rsa"], KeyID: "private"}}}
	mixed := published("ec")
	mixed.Keys = append(mixed.Keys, secretSet.Keys...)
	mixed.Keys = append(mixed.Keys, jose.JSONWebKey{Key: ring()["rsa"].Public(), KeyID: "enc", Use: "enc"})
	for _, tt := range []struct {
		name, data string
		want       int
		fault      string
	}{
		{"PEM", der("PUBLIC KEY", ring()["rsa"].Public()), 1, ""},
		{"two in PEM", der("PUBLIC KEY", ring()["ec"].Public()) + der("PUBLIC KEY", ring()["ed"].Public()), 2, ""},
		{"a private key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0, "PRIVATE KEY is no public key"},
		{"RSA with 1024 bits", der("PUBLIC KEY", small.Public()), 0, "RSA with 1024 bits"},
		{"key set", string(encoded(t, published("rsa", "ed"))), 2, ""},
		{"secrets, and what is not for signatures", string(encoded(t, mixed)), 1, ""},
		{"secrets alone", string(encoded(t, secretSet)), 0, "no public key"},
		{"unknown kinds", `{"keys":[{"kty":"new"},{"kty":"EC"}]}`, 0, "no public key"},
		{"neither", "hello", 0, "read a key set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys, err := token.ParseKeys([]byte(tt.data))
			if len(keys) != tt.want || tt.fault == "" && err != nil || tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)) {
				t.Errorf("%d keys, %v", len(keys), err)
			}
		})
	}
}

// FuzzJWT: what has not been signed lets nobody in.
func FuzzJWT(f *testing.F) {
	keys, err := token.ParseKeys(func() []byte { b, _ := json.Marshal(published("ec", "ed")); return b }())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(by(`{"alg":"none"}`, `{"sub":"juliet","exp":99999999999}`, nil))
	f.Add(by(`{"alg":"ES256","kid":"ec"}`, `{"sub":"juliet","exp":99999999999}`, make([]byte, 64)))
	f.Add("..")
	j := &token.JWT{Rules: token.Rules{Username: "sub"}, Algorithms: []string{"ES256", "EdDSA", "HS256"}, Keys: keys, Secret: []byte(secret)}
	f.Fuzz(func(t *testing.T, text string) {
		if user, err := j.CheckToken(t.Context(), "example.com", text); !errors.Is(err, passwords.ErrRefused) {
			t.Errorf("%v, %v", user, err)
		}
	})
}

func BenchmarkJWT(b *testing.B) {
	set, err := json.Marshal(published("rsa", "ec", "ed"))
	if err != nil {
		b.Fatal(err)
	}
	keys, err := token.ParseKeys(set)
	if err != nil {
		b.Fatal(err)
	}
	for algorithm, key := range map[string]string{"RS256": "rsa", "ES256": "ec", "EdDSA": "ed"} {
		b.Run(algorithm, func(b *testing.B) {
			j := &token.JWT{Rules: token.Rules{Username: "sub"}, Algorithms: []string{algorithm}, Keys: keys, Now: func() time.Time { return noon }}
			text := sign(b, algorithm, ring()[key], key, good(nil))
			for b.Loop() {
				if _, err := j.CheckToken(b.Context(), "example.com", text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
