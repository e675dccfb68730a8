package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/auth"
)

type tokensFunc func(ctx context.Context, domain, token string) (addr.Bare, error)

func (f tokensFunc) CheckToken(ctx context.Context, domain, token string) (addr.Bare, error) {
	return f(ctx, domain, token)
}

// bearerHost knows tokens that are the names of their users.
func bearerHost(said *strings.Builder) *auth.Host {
	h := &auth.Host{
		Domain: "example.com", Log: slog.New(slog.NewTextHandler(said, nil)), Throttle: &auth.Throttle{},
		TokenHelp: auth.TokenHelp{Scope: "chat", Discovery: "https://id.example.com/.well-known/openid-configuration"},
		Tokens: tokensFunc(func(_ context.Context, domain, token string) (addr.Bare, error) {
			switch token {
			case "juliet", "a=b":
				return addr.NewBare("juliet", domain)
			case "elsewhere":
				return addr.NewBare("juliet", "example.org")
			case "down":
				return addr.Bare{}, errors.New("no answer")
			case "spared":
				return addr.Bare{}, fmt.Errorf("%w: spared", auth.ErrUnasked)
			}
			return addr.Bare{}, fmt.Errorf("%w: expired", auth.ErrRefused)
		}),
	}
	h.Throttle = auth.NewThrottle(auth.FailureLimits{PerAccount: 1, PerAddress: 3, Period: time.Hour}, h.Log)
	return h
}

// TestOAuthBearer is the examples of RFC 7628 §4, and what nobody should send.
func TestOAuthBearer(t *testing.T) {
	const help = `{"status":"invalid_token","scope":"chat","openid-configuration":"https://id.example.com/.well-known/openid-configuration"}`
	var said strings.Builder
	h := bearerHost(&said)
	ch := auth.Channel{Encrypted: true, Bindings: []auth.Binding{{Type: "tls-exporter", Data: []byte("x")}}}
	if got := h.Mechanisms(ch); !slices.Equal(got, []string{"OAUTHBEARER"}) {
		t.Errorf("offered are %q", got)
	}
	if got := h.Mechanisms(auth.Channel{}); len(got) != 0 {
		t.Errorf("offered without encryption are %q", got)
	}
	for _, tt := range []struct {
		name, message string
		challenge     string
		want          auth.Condition // "" lets in
	}{
		{"whole", "n,a=juliet@example.com,\x01host=example.com\x01port=5222\x01auth=Bearer juliet\x01\x01", "", ""},
		{"without a name", "n,,\x01auth=Bearer juliet\x01\x01", "", ""},
		{"a name alone", "n,a=Juliet,\x01auth=bearer  juliet\x01\x01", "", ""},
		{"knows of channel binding", "y,,\x01auth=Bearer juliet\x01\x01", "", ""},
		{"a token with =", "n,,\x01auth=Bearer a=b\x01\x01", "", ""},
		{"asks for channel binding", "p=tls-exporter,,\x01auth=Bearer juliet\x01\x01", "", auth.MalformedRequest},
		{"expired", "n,,\x01auth=Bearer old\x01\x01", help, auth.NotAuthorized},
		{"asks where tokens are", "n,a=juliet,\x01auth=\x01\x01", help, auth.NotAuthorized},
		{"no token", "n,a=juliet,\x01auth=Bearer \x01\x01", help, auth.NotAuthorized},
		{"for somebody else", "n,a=romeo@example.com,\x01auth=Bearer juliet\x01\x01", "", auth.InvalidAuthzid},
		{"at another host", "n,a=juliet@example.org,\x01auth=Bearer juliet\x01\x01", "", auth.InvalidAuthzid},
		{"a token of another host", "n,,\x01auth=Bearer elsewhere\x01\x01", "", auth.TemporaryAuthFailure},
		{"an outage", "n,,\x01auth=Bearer down\x01\x01", "", auth.TemporaryAuthFailure},
		{"nobody is asked", "n,,\x01auth=Bearer spared\x01\x01", "", auth.TemporaryAuthFailure},
		{"the answer first", "\x01", "", auth.MalformedRequest},
		{"nothing", "", "", auth.MalformedRequest},
		{"no header", "auth=Bearer juliet\x01\x01", "", auth.MalformedRequest},
		{"two tokens", "n,,\x01auth=Bearer juliet\x01auth=Bearer old\x01\x01", "", auth.MalformedRequest},
		{"no auth", "n,,\x01host=example.com\x01\x01", "", auth.MalformedRequest},
		{"Basic", "n,,\x01auth=Basic anVsaWV0Og==\x01\x01", "", auth.MalformedRequest},
		{"two words", "n,,\x01auth=Bearer juliet old\x01\x01", "", auth.MalformedRequest},
		{"a stray =", "n,a=ju=liet,\x01auth=Bearer juliet\x01\x01", "", auth.MalformedRequest},
		{"no UTF-8", "n,a=\xff,\x01auth=Bearer juliet\x01\x01", "", auth.MalformedRequest},
		{"not closed", "n,,\x01auth=Bearer juliet", "", auth.MalformedRequest},
		{"of PLAIN", "\x00juliet\x00juliet", "", auth.MalformedRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, err := h.Start("OAUTHBEARER", ch)
			if err != nil {
				t.Fatal(err)
			}
			challenge, done, err := x.Next(t.Context(), []byte(tt.message))
			if string(challenge) != tt.challenge {
				t.Errorf("challenge %s, want %s", challenge, tt.challenge)
			}
			if tt.challenge != "" {
				if done || err != nil {
					t.Fatalf("done %v, error %v before the answer to the challenge", done, err)
				}
				_, done, err = x.Next(t.Context(), []byte("\x01"))
			}
			var refused *auth.Error
			if errors.As(err, &refused); tt.want == "" && (err != nil || !done || x.User().String() != "juliet@example.com") ||
				tt.want != "" && (refused == nil || refused.Condition != tt.want || done || !x.User().IsZero()) {
				t.Errorf("done %v, user %v, error %v", done, x.User(), err)
			}
		})
	}
	if s := said.String(); !strings.Contains(s, "token could not be checked") || strings.Contains(s, "spared") {
		t.Errorf("the log says %s", s)
	}
}

// TestOAuthBearerThrottle: bad tokens count for their address, and an account cannot be locked by them.
func TestOAuthBearerThrottle(t *testing.T) {
	var said strings.Builder
	h := bearerHost(&said)
	try := func(from, token string) auth.Condition {
		x, err := h.Start("OAUTHBEARER", auth.Channel{Encrypted: true, From: netip.MustParseAddr(from)})
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := x.Next(t.Context(), []byte("n,,\x01auth=Bearer "+token+"\x01\x01"))
		if len(c) > 0 {
			_, _, err = x.Next(t.Context(), []byte("\x01"))
		}
		if e := (*auth.Error)(nil); errors.As(err, &e) {
			return e.Condition
		}
		return ""
	}
	for i, want := range []auth.Condition{auth.NotAuthorized, auth.NotAuthorized, auth.NotAuthorized, auth.TemporaryAuthFailure} {
		if got := try("192.0.2.1", "old"); got != want {
			t.Errorf("attempt %d: %q, want %q", i, got, want)
		}
	}
	for range 5 {
		if got := try("192.0.2.2", "juliet"); got != "" {
			t.Errorf("from elsewhere: %q", got)
		}
	}
	for range 5 { // an outage is nobody's fault
		if got := try("192.0.2.3", "down"); got != auth.TemporaryAuthFailure {
			t.Errorf("during an outage: %q", got)
		}
	}
	if got := try("192.0.2.3", "juliet"); got != "" {
		t.Errorf("after an outage: %q", got)
	}
}

// FuzzOAuthBearer: whatever a client says, it is juliet, or nobody.
func FuzzOAuthBearer(f *testing.F) {
	f.Add([]byte("n,a=juliet@example.com,\x01host=example.com\x01auth=Bearer juliet\x01\x01"))
	f.Add([]byte("y,,\x01auth=\x01\x01"))
	f.Add([]byte("p=x,a==2C=3D,\x01auth=Bearer old\x01\x01"))
	var said strings.Builder
	h := bearerHost(&said)
	h.Throttle = nil
	f.Fuzz(func(t *testing.T, message []byte) {
		x, err := h.Start("OAUTHBEARER", auth.Channel{Encrypted: true})
		if err != nil {
			t.Fatal(err)
		}
		_, done, err := x.Next(t.Context(), message)
		if done != (x.User().String() == "juliet@example.com") || done && err != nil {
			t.Errorf("done %v, user %q, error %v", done, x.User(), err)
		}
		said.Reset()
	})
}
