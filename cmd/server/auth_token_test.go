package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/xmppcore/xmpptest"
)

// issuer is an authorization server: it publishes its keys, answers questions about tokens, and gives tokens for passwords.
type issuer struct {
	*httptest.Server

	mu  sync.Mutex // guards the fields below
	key *ecdsa.PrivateKey
	id  string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.rotate(t, "one")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.URL, i.URL+"/keys")
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		e := base64.RawURLEncoding
		point, err := i.key.PublicKey.Bytes() // 4, x and y
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","use":"sig","kid":%q,"x":%q,"y":%q}]}`, i.id, e.EncodeToString(point[1:33]), e.EncodeToString(point[33:]))
	})
	mux.HandleFunc("POST /introspect", func(w http.ResponseWriter, r *http.Request) {
		name, secret, _ := r.BasicAuth()
		switch who, ok := strings.CutPrefix(r.PostFormValue("token"), "opaque-"); {
		case name != "rosterd" || secret != "hush":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			fmt.Fprintf(w, `{"active":%v,"username":%q}`, ok, who)
		}
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("password") != "hers" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant"}`)
			return
		}
		fmt.Fprintf(w, `{"access_token":"opaque-%s","token_type":"bearer"}`, r.PostFormValue("username"))
	})
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, r *http.Request) {
		who, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer opaque-")
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"preferred_username":%q}`, who)
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

// rotate makes another key.
func (i *issuer) rotate(t *testing.T, id string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key, i.id = key, id
}

// token is one for a user, signed by hand (RFC 7515 §3.3, ES256).
func (i *issuer) token(t *testing.T, sub string, changes map[string]any) string {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	claims := map[string]any{"iss": i.URL, "aud": "chat", "sub": sub, "exp": time.Now().Add(time.Hour).Unix()}
	for k, v := range changes {
		claims[k] = v
	}
	e := base64.RawURLEncoding
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := e.EncodeToString(fmt.Appendf(nil, `{"alg":"ES256","kid":%q}`, i.id)) + "." + e.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	half := func(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }
	return text + "." + e.EncodeToString(append(half(r), half(s)...))
}

// tokenHost is a host whose users are known by tokens.
func tokenHost(provider string, more ...string) string {
	return "c2s_require_encryption = false\nallow_unencrypted_plain_auth = true\n" +
		"modules_enabled = { \"saslauth\", \"roster\", \"disco\" }\n" +
		fmt.Sprintf("VirtualHost \"example.com\"\nauthentication = %q\n%s\n", provider, strings.Join(more, "\n"))
}

// saslOutcome is how a mechanism ends: "" and the user, or the condition and what was said before.
func (s *program) saslOutcome(t testing.TB, mechanism, user, password string) string {
	t.Helper()
	c := s.connect(t, "example.com")
	c.must(c.Open(c.ctx))
	err := c.Authenticate(c.ctx, mechanism, user, password)
	if failed, ok := errors.AsType[*xmpptest.Failure](err); ok {
		return strings.TrimSpace(failed.Condition + " " + failed.Said)
	}
	c.must(err)
	c.must(c.Open(c.ctx))
	c.must(c.Bind(c.ctx, "r"))
	return c.JID
}

// TestTokens: each way to know whose a token is, by OAUTHBEARER and as a password.
func TestTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	john := i.token(t, "john", nil)
	const (
		in      = "john@example.com/r"
		refused = "not-authorized"
	)
	invalid := func(scope, url string) string {
		return refused + ` {"status":"invalid_token"` + scope + `,"openid-configuration":"` + url + `"}`
	}
	keyFile := filepath.Join(t.TempDir(), "keys.pem")
	der, err := x509.MarshalPKIXPublicKey(&i.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	discovered := i.URL + "/.well-known/openid-configuration"
	type attempt struct{ mechanism, user, password, want string }
	for _, tt := range []struct {
		name, provider, options string
		attempts                []attempt
	}{
		{"metadata of the issuer", "jwt", fmt.Sprintf("rosterd_token_issuer = %q; rosterd_token_audience = { 'chat' }", i.URL), []attempt{
			{"OAUTHBEARER", "john", john, in},
			{"OAUTHBEARER", "john@example.com", john, in},
			{"OAUTHBEARER", "", john, in},
			{"OAUTHBEARER", "marie", john, "invalid-authzid"},
			{"OAUTHBEARER", "", i.token(t, "john", map[string]any{"exp": 1000}), invalid("", discovered)},
			{"OAUTHBEARER", "", i.token(t, "john", map[string]any{"aud": "mail"}), invalid("", discovered)},
			{"PLAIN", "john", john, in},
			{"PLAIN", "marie", john, refused},
			{"PLAIN", "john", "secret", refused},
		}},
		{"a key in a file", "jwt", fmt.Sprintf("rosterd_token_key_file = %q; rosterd_token_audience = 'chat'; rosterd_token_as_password = false", keyFile), []attempt{
			{"OAUTHBEARER", "", john, in},
			{"PLAIN", "john", john, "invalid-mechanism"},
		}},
		{"questions", "oauthbearer", fmt.Sprintf("oauth_url = %q; oauth_client_id = 'rosterd'; oauth_client_secret = 'hush'", i.URL+"/introspect"), []attempt{
			{"OAUTHBEARER", "", "opaque-john", in},
			{"OAUTHBEARER", "", "nothing", refused + ` {"status":"invalid_token"}`},
			{"PLAIN", "john", "opaque-john", in},
			{"PLAIN", "marie", "opaque-john", refused},
		}},
		{"our own secret is wrong", "oauthbearer", fmt.Sprintf("oauth_url = %q; oauth_client_id = 'rosterd'; oauth_client_secret = 'hash'", i.URL+"/introspect"), []attempt{
			{"OAUTHBEARER", "", "opaque-john", "temporary-auth-failure"},
		}},
		{"as Prosody's module", "oauth_external", fmt.Sprintf("oauth_external_issuer = %q; oauth_external_validation_endpoint = %q; oauth_external_token_endpoint = %q", i.URL, i.URL+"/userinfo", i.URL+"/token"), []attempt{
			{"OAUTHBEARER", "", "opaque-john", in},
			{"OAUTHBEARER", "", "nothing", invalid(`,"scope":"openid"`, i.URL+"/.well-known/oauth-authorization-server")},
			{"PLAIN", "john", "hers", in},
			{"PLAIN", "john", "his", refused},
			{"PLAIN", "john", "opaque-john", refused},
		}},
		{"without passwords", "oauth_external", fmt.Sprintf("oauth_external_validation_endpoint = %q; oauth_external_token_endpoint = %q; oauth_external_resource_owner_password = false", i.URL+"/userinfo", i.URL+"/token"), []attempt{
			{"OAUTHBEARER", "", "opaque-john", in},
			{"PLAIN", "john", "hers", "invalid-mechanism"},
		}},
		{"passwords alone", "oauth_external", fmt.Sprintf("oauth_external_token_endpoint = %q", i.URL+"/token"), []attempt{
			{"OAUTHBEARER", "", "opaque-john", "invalid-mechanism"},
			{"PLAIN", "john", "hers", in},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newPlace(t, tokenHost(tt.provider, tt.options)).serve(t)
			s.quiet = true // an outage is an error
			for _, a := range tt.attempts {
				if got := s.saslOutcome(t, a.mechanism, a.user, a.password); got != a.want {
					t.Errorf("%s of %q: %s, want %s", a.mechanism, a.user, got, a.want)
				}
			}
		})
	}
}

// TestTokensRefused: what tokens cannot be known by refuses the start, with the line.
func TestTokensRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ provider, options, want string }{
		{"jwt", "", `rosterd_token_audience: authentication = "jwt" needs it`},
		{"jwt", "rosterd_token_audience = 'a'", `rosterd_token_jwks_url: authentication = "jwt" needs it`},
		{"jwt", "rosterd_token_audience = 'a'\nrosterd_token_secret = 'twenty and no more: '", "prosody.cfg.lua:15  rosterd_token_secret: HS256 needs 32 bytes or more, these are 20"},
		{"jwt", "rosterd_token_audience = 'a'; rosterd_token_jwks_url = 'https://x/'; rosterd_token_algorithms = { 'HS256' }", "rosterd_token_secret: HS256 needs it"},
		{"jwt", "rosterd_token_audience = 'a'; rosterd_token_jwks_url = 'https://x/'; rosterd_token_algorithms = { 'none' }", `rosterd_token_algorithms: takes "RS256"`},
		{"jwt", "rosterd_token_audience = 'a'; rosterd_token_jwks_url = 'https://x/'; rosterd_token_algorithms = { 'RS256' }; rosterd_token_secret = ('x'):rep(40)", "rosterd_token_secret: no algorithm"},
		{"jwt", "rosterd_token_audience = 'a'; rosterd_token_jwks_url = 'x'", "prosody.cfg.lua:14  rosterd_token_jwks_url: it has to start with"},
		{"jwt", "rosterd_token_audience = 'a'; rosterd_token_key_file = 'nowhere.pem'", "rosterd_token_key_file: open "},
		{"oauthbearer", "", `oauth_url: authentication = "oauthbearer" needs it`},
		{"oauthbearer", "oauth_url = 'https://x/{{password}}'; oauth_client_id = 'x'", "prosody.cfg.lua:14  oauth_url: the token is sent in the body"},
		{"oauth_external", "", `oauth_external_validation_endpoint: authentication = "oauth_external" needs it`},
		{"oauth_external", "oauth_external_token_endpoint = 'https://x/'; oauth_external_resource_owner_password = false", `oauth_external_validation_endpoint: authentication`},
		{"token", "token_secret = 'x'", `otp_seed: authentication = "token" needs it`},
		{"token", "app_id = 'x'; app_secret = 'y'", `prosody.cfg.lua:14  app_id: signed tokens in the URL`},
		{"dovecot", "dovecot_auth_port = 'imap'", `dovecot_auth_port: `},
		{"cyrus", "", "authentication = \"dovecot\" asks a Dovecot, whose passdb may be pam, ldap or sql"},
	} {
		p := newPlace(t, tokenHost(tt.provider, tt.options))
		p.c2s, p.http, p.https = 5222, 5280, 5281
		p.write(t)
		status, out, said := p.command(t, "", "check")
		if status == exitOK || !strings.Contains(out+said, tt.want) {
			t.Errorf("%s: check exits with %d:\n%s%s\nwant %s", tt.options, status, out, said, tt.want)
		}
	}
}

// TestOneTimeTokens: an application makes tokens as it did for Prosody's auth_token; each is good once, also after a
// reload.
func TestOneTimeTokens(t *testing.T) {
	t.Parallel()
	s := newPlace(t, tokenHost("token", "token_secret = 'hush'; otp_seed = 'XVGR73KMZH2M4XMY'")).serve(t)
	seed, err := base32.StdEncoding.DecodeString("XVGR73KMZH2M4XMY")
	if err != nil {
		t.Fatal(err)
	}
	mint := func(who string) string {
		var step [8]byte
		binary.BigEndian.PutUint64(step[:], uint64(time.Now().Unix()/30))
		mac := hmac.New(sha1.New, seed)
		mac.Write(step[:])
		sum := mac.Sum(nil)
		code := binary.BigEndian.Uint32(sum[sum[19]&15:]) & 0x7fffffff % 100_000_000
		head := fmt.Sprintf("%08d%s", code, "31415926")
		signature := hmac.New(sha256.New, []byte("hush"))
		signature.Write([]byte(head + who))
		return head + " " + base64.StdEncoding.EncodeToString(signature.Sum(nil))
	}
	john := mint("john@example.com")
	equal(t, "the first time", s.saslOutcome(t, "PLAIN", "john", john), "john@example.com/r")
	equal(t, "the second", s.saslOutcome(t, "PLAIN", "john", john), "not-authorized")
	equal(t, "of somebody else", s.saslOutcome(t, "PLAIN", "marie", mint("john@example.com")), "not-authorized")
	s.wantReloaded(t, s.text+"\nname = 'another'\n")
	equal(t, "after a reload", s.saslOutcome(t, "PLAIN", "john", john), "not-authorized")
	equal(t, "another one", s.saslOutcome(t, "PLAIN", "marie", mint("marie@example.com")), "marie@example.com/r")
}

// TestTokensAfterReload: keys that are known outlive a reload while who publishes them is away, unless they are another's.
func TestTokensAfterReload(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	john := i.token(t, "john", nil)
	text := func(url string) string {
		return tokenHost("jwt", fmt.Sprintf("rosterd_token_jwks_url = %q; rosterd_token_audience = 'chat'", url))
	}
	s := newPlace(t, text(i.URL+"/keys")).serve(t)
	s.quiet = true // an outage is an error
	const in = "john@example.com/r"
	equal(t, "while it is there", s.saslOutcome(t, "OAUTHBEARER", "", john), in)
	i.Close()
	for range 2 {
		s.wantReloaded(t, text(i.URL+"/keys"))
		equal(t, "when it is gone", s.saslOutcome(t, "OAUTHBEARER", "", john), in)
	}
	s.wantReloaded(t, text(i.URL+"/others"))
	equal(t, "keys of others", s.saslOutcome(t, "OAUTHBEARER", "", john), "temporary-auth-failure")
}
