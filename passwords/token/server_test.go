package token_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/passwords"
	"rosterd/passwords/token"
)

func user(t *testing.T, s string) addr.Bare {
	t.Helper()
	u, err := addr.ParseBare(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func client(t *testing.T, name, secret string) *token.Client {
	c := token.NewClient(name, secret, "rosterd/test", 4)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestPublished: keys are fetched once, again when they are old or another one is wanted, and outlive an outage.
func TestPublished(t *testing.T) {
	var mu sync.Mutex
	now, set, status := noon, published("ec"), 200
	var fetched, discovered atomic.Int32
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	issuer := srv.URL
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(status)
		_, _ = w.Write(encoded(t, set))
	})
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		discovered.Add(1)
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer, srv.URL+"/keys")
	})
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	p := &token.Published{Client: client(t, "", ""), Discovery: srv.URL + "/.well-known/openid-configuration", Issuer: issuer, Now: clock}
	j := &token.JWT{Rules: token.Rules{Username: "sub"}, Algorithms: []string{"ES256", "RS256"}, Keys: p, Now: clock}
	ask := func(key, want string) {
		t.Helper()
		algorithm := map[string]string{"ec": "ES256", "other": "ES256", "rsa": "RS256"}[key]
		mu.Lock()
		exp := float64(now.Add(time.Minute).Unix())
		mu.Unlock()
		u, err := j.CheckToken(t.Context(), "example.com", sign(t, algorithm, ring()[key], key, map[string]any{"sub": "juliet", "exp": exp}))
		wantUser(t, u, err, want)
	}
	count := func(want int32) {
		t.Helper()
		if got := fetched.Load(); got != want {
			t.Errorf("keys were fetched %d times, want %d", got, want)
		}
	}
	pass := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	const juliet = "juliet@example.com"

	ask("ec", juliet)
	ask("ec", juliet)
	count(1)
	for range 3 { // a key that is not there is not looked for again and again
		ask("rsa", "refused")
	}
	count(1)
	pass(31 * time.Second)
	ask("rsa", "refused")
	ask("rsa", "refused")
	count(2)
	pass(31 * time.Second)
	mu.Lock()
	set = published("rsa") // rotated
	mu.Unlock()
	ask("rsa", juliet)
	ask("ec", "refused")
	count(3)
	mu.Lock()
	status = 500
	mu.Unlock()
	pass(time.Hour)
	ask("rsa", juliet) // tried once, and not again at once
	ask("rsa", juliet)
	count(4)
	pass(24 * time.Hour)
	ask("rsa", "unknown")
	ask("rsa", "unknown")
	count(5)
	mu.Lock()
	status = 200
	mu.Unlock()
	pass(6 * time.Second)
	ask("rsa", juliet)
	count(6)
	if discovered.Load() != fetched.Load() {
		t.Errorf("%d questions where the keys are", discovered.Load())
	}

	issuer = "https://somebody.else"
	p = &token.Published{Client: p.Client, Discovery: p.Discovery, Issuer: srv.URL}
	if _, err := p.Find(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "somebody.else") {
		t.Errorf("metadata of somebody else: %v", err)
	}
}

// TestPublishedHangs: keys that are known serve though who publishes them does not answer, also while somebody else waits
// for a key that is not known.
func TestPublishedHangs(t *testing.T) {
	t.Parallel()
	var hangs atomic.Bool
	waiting, set := make(chan struct{}, 10), encoded(t, published("ec"))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hangs.Load() {
			waiting <- struct{}{}
			<-r.Context().Done()
			return
		}
		_, _ = w.Write(set)
	}))
	defer srv.Close()
	var now atomic.Int64
	p := &token.Published{Client: client(t, "", ""), URL: srv.URL, Now: func() time.Time { return noon.Add(time.Duration(now.Load())) }}
	find := func() {
		t.Helper()
		if list, err := p.Find(t.Context(), "ec"); err != nil || len(list) != 1 {
			t.Errorf("%d keys, %v", len(list), err)
		}
	}
	find()
	hangs.Store(true)
	now.Store(int64(2 * time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	var other sync.WaitGroup
	other.Go(func() {
		if list, err := p.Find(ctx, "unknown"); err == nil {
			t.Errorf("%d keys of that name", len(list))
		}
	})
	<-waiting
	find()
	cancel()
	other.Wait()
	find()
	if len(waiting) != 1 {
		t.Errorf("asked %d times more", len(waiting))
	}
	find() // just now it did not answer
}

// TestAnswers: what a server must not do to us.
func TestAnswers(t *testing.T) {
	var seen atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen.Add(1) }))
	defer other.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"active":true,"username":"` + strings.Repeat("a", 1<<20) + `"}`))
	})
	mux.HandleFunc("/html", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(`<html>`)) })
	mux.HandleFunc("/null", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(`null`)) })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	for _, path := range []string{"/moved", "/long", "/html", "/null", "/missing"} {
		i := &token.Introspection{Rules: token.Rules{Username: "username"}, Client: client(t, "rosterd", "hidden"), URL: srv.URL + path + "?key=hidden"}
		u, err := i.CheckToken(t.Context(), "example.com", "TOKEN")
		wantUser(t, u, err, "unknown")
		if err != nil && (strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "TOKEN")) {
			t.Errorf("%s: the error shows what is secret: %v", path, err)
		}
	}
	if seen.Load() > 0 {
		t.Error("a redirect was followed with a token")
	}
}

// TestIntrospection is RFC 7662 §2.
func TestIntrospection(t *testing.T) {
	var said string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, secret, _ := r.BasicAuth()
		said = fmt.Sprintf("%s %s %s:%s %s", r.Method, r.URL.Path, name, secret, r.PostFormValue("token"))
		answers := map[string]string{
			"good": `{"active":true,"username":"juliet","aud":"xmpp"}`, "old": `{"active":false}`, "word": `{"active":"true","username":"juliet","aud":"xmpp"}`,
			"mail": `{"active":true,"username":"juliet","aud":"mail"}`, "late": `{"active":true,"username":"juliet","aud":"xmpp","exp":1000}`, "nobody": `{"active":true,"aud":"xmpp"}`,
		}
		if a, ok := answers[r.PostFormValue("token")]; ok {
			_, _ = w.Write([]byte(a))
			return
		}
		switch r.PostFormValue("token") {
		case "garbage":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_token"}`))
		case "our question is wrong":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_request"}`))
		case "long":
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer srv.Close()
	i := &token.Introspection{Rules: token.Rules{Username: "username", Audience: []string{"xmpp"}}, Client: client(t, "ros:terd", "s e"), URL: srv.URL + "/introspect"}
	for _, tt := range []struct{ token, want string }{
		{"good", "juliet@example.com"}, {"old", "refused"}, {"word", "refused"}, {"mail", "refused"}, {"late", "refused"},
		{"garbage", "refused"}, {"long", "refused"}, {"our question is wrong", "unknown"},
		{"nobody", "unknown"}, {"our own secret is wrong", "unknown"},
	} {
		u, err := i.CheckToken(t.Context(), "example.com", tt.token)
		wantUser(t, u, err, tt.want)
	}
	if want := "POST /introspect ros%3Aterd:s+e our own secret is wrong"; said != want {
		t.Errorf("asked was %s, want %s", said, want)
	}
	if err := i.CheckPassword(t.Context(), user(t, "juliet@example.com"), "good"); err != nil {
		t.Errorf("as a password: %v", err)
	}
	if err := i.CheckPassword(t.Context(), user(t, "romeo@example.com"), "good"); !errors.Is(err, passwords.ErrRefused) {
		t.Errorf("as a password of somebody else: %v", err)
	}
}

// TestExternal is what Prosody's auth_oauth_external asks, and what it makes of the answers.
func TestExternal(t *testing.T) {
	var asked url.Values
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		asked = r.PostForm
		switch r.PostFormValue("password") {
		case "r0m30":
			_, _ = w.Write([]byte(`{"access_token":"juliet's","token_type":"Bearer"}`))
		case "mac":
			_, _ = w.Write([]byte(`{"access_token":"juliet's","token_type":"mac"}`))
		case "client":
			w.WriteHeader(401)
			_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
		case "scope":
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"error":"invalid_scope"}`))
		case "second factor":
			w.WriteHeader(403)
			_, _ = w.Write([]byte(`{"error":"mfa_required"}`))
		case "down":
			w.WriteHeader(502)
		default:
			w.WriteHeader(401)
			_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		}
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Authorization") {
		case "Bearer juliet's":
			_, _ = w.Write([]byte(`{"preferred_username":"Juliet","email":"j.capulet@mail.example","sub":"77"}`))
		case "Bearer down":
			w.WriteHeader(503)
		case "Bearer long":
			w.WriteHeader(431)
		default:
			w.WriteHeader(401)
		}
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	e := &token.External{
		Rules: token.Rules{Username: "preferred_username", Escape: true}, Client: client(t, "prosody", "s"),
		Validation: srv.URL + "/me", Token: srv.URL + "/token", Scopes: "openid",
	}
	for _, tt := range []struct {
		token, want string
		rules       token.Rules
	}{
		{"juliet's", "juliet@example.com", e.Rules},
		{"juliet's", "77@example.com", token.Rules{Username: "sub", Escape: true}},
		{"juliet's", `j.capulet\40mail.example@example.com`, token.Rules{Username: "email", Escape: true}},
		{"juliet's", "j.capulet@example.com", token.Rules{Username: "email", Escape: true, Split: true}},
		{"juliet's", "unknown", token.Rules{Username: "nickname", Escape: true}},
		{"old", "refused", e.Rules},
		{"down", "unknown", e.Rules},
		{"long", "refused", e.Rules},
	} {
		e := &token.External{Rules: tt.rules, Client: e.Client, Validation: e.Validation}
		u, err := e.CheckToken(t.Context(), "example.com", tt.token)
		wantUser(t, u, err, tt.want)
	}
	for _, tt := range []struct{ name, password, want string }{
		{"juliet", "r0m30", ""}, {"juliet", "tybalt", "refused"}, {"romeo", "r0m30", "refused"}, {"juliet", "mac", "refused"},
		{"juliet", "client", "unknown"}, {"juliet", "scope", "unknown"}, {"juliet", "second factor", "refused"}, {"juliet", "down", "unknown"},
	} {
		err := e.CheckPassword(t.Context(), user(t, tt.name+"@example.com"), tt.password)
		if refused := errors.Is(err, passwords.ErrRefused); (err == nil) != (tt.want == "") || refused != (tt.want == "refused") {
			t.Errorf("%s, %s: %v, want %q", tt.name, tt.password, err, tt.want)
		}
	}
	alone := &token.External{Client: e.Client, Token: e.Token, Join: true}
	if err := alone.CheckPassword(t.Context(), user(t, `j\40x@example.com`), "r0m30"); err != nil {
		t.Errorf("without a second question: %v", err)
	}
	if want := "client_id=prosody&client_secret=s&grant_type=password&password=r0m30&username=j%40x%40example.com"; asked.Encode() != want {
		t.Errorf("asked was %s, want %s", asked.Encode(), want)
	}
	if _, err := alone.CheckToken(t.Context(), "example.com", "juliet's"); !errors.Is(err, passwords.ErrUnknown) {
		t.Errorf("a token where nobody knows them: %v", err)
	}
	if err := (&token.External{Client: e.Client, Validation: e.Validation}).CheckPassword(t.Context(), user(t, "juliet@example.com"), "r0m30"); !errors.Is(err, passwords.ErrRefused) {
		t.Errorf("a password where none are taken: %v", err)
	}
}

// TestOneTime is tokens of Prosody's auth_token. Its code is the last of RFC 6238 appendix B.
func TestOneTime(t *testing.T) {
	seed, err := token.ParseSeed("gezdgnbvgy3tqojqgezdgnbvgy3tqojq") // 12345678901234567890
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(20000000000, 0)
	o := &token.OneTime{Seed: seed, Secret: []byte("hush"), Used: &token.Used{}, Now: func() time.Time { return now }}
	mint := func(code, nonce, who string) string {
		mac := hmac.New(sha256.New, []byte("hush"))
		mac.Write([]byte(code + nonce + who))
		return code + nonce + " " + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	const code, juliet = "65353130", "juliet@example.com"
	for _, tt := range []struct {
		name, who, token string
		ok               bool
	}{
		{"good", juliet, mint(code, "1", juliet), true},
		{"again", juliet, mint(code, "1", juliet), false},
		{"another nonce", juliet, mint(code, "2", juliet), true},
		{"of somebody else", "romeo@example.com", mint(code, "3", juliet), false},
		{"of this host only", "juliet@example.org", mint(code, "3", juliet), false},
		{"another code", juliet, mint("65353131", "3", juliet), false},
		{"another secret", juliet, code + "3 " + base64.StdEncoding.EncodeToString(make([]byte, 32)), false},
		{"no signature", juliet, code + "3", false},
		{"letters", juliet, mint("6535313a", "3", juliet), false},
		{"no base64", juliet, code + "3 %", false},
		{"short", juliet, mint("6535", "", juliet), false},
	} {
		if err := o.CheckPassword(t.Context(), user(t, tt.who), tt.token); (err == nil) != tt.ok || err != nil && !errors.Is(err, passwords.ErrRefused) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	now = now.Add(30 * time.Second)
	if err := o.CheckPassword(t.Context(), user(t, juliet), mint(code, "4", juliet)); err != nil {
		t.Errorf("of the period before: %v", err)
	}
	if err := o.CheckPassword(t.Context(), user(t, juliet), mint(code, "1", juliet)); err == nil {
		t.Error("a token was forgotten too early")
	}
	now = now.Add(30 * time.Second)
	if err := o.CheckPassword(t.Context(), user(t, juliet), mint(code, "5", juliet)); err == nil {
		t.Error("an old code is taken")
	}
	guarded := passwords.Guard(o, passwords.Limits{Cache: time.Hour}, nil) // which joins equal questions, and keeps answers
	defer guarded.Close()
	now = time.Unix(20000000000, 0)
	for i, want := range []bool{true, false} {
		if err := guarded.CheckPassword(t.Context(), user(t, juliet), mint(code, "6", juliet)); (err == nil) != want {
			t.Errorf("guarded, attempt %d: %v", i, err)
		}
	}
	for _, s := range []string{"", "===", "nö", "1"} {
		if _, err := token.ParseSeed(s); err == nil {
			t.Errorf("%q is a seed", s)
		}
	}
}
