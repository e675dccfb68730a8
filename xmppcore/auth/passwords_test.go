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
	"rosterd/store/credential"
	"rosterd/xmppcore/auth"
)

type passwordsFunc func(ctx context.Context, user addr.Bare, password string) error

func (f passwordsFunc) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	return f(ctx, user, password)
}

// TestPasswords: somebody else says whether a password is right, and sees it himself.
func TestPasswords(t *testing.T) {
	var said strings.Builder
	h := &auth.Host{
		Domain: "example.com", Log: slog.New(slog.NewTextHandler(&said, nil)),
		Throttle: &auth.Throttle{},
		Passwords: passwordsFunc(func(_ context.Context, user addr.Bare, password string) error {
			switch {
			case user.Local() == "down":
				return errors.New("no answer")
			case user.Local() == "spared":
				return fmt.Errorf("%w: spared", auth.ErrUnasked)
			case user.Local() == "juliet" && password == "r0m30":
				return nil
			}
			return fmt.Errorf("%w: not you", auth.ErrRefused)
		}),
	}
	h.Throttle.Limit(auth.FailureLimits{PerAccount: 1000, PerAddress: 1000, Period: time.Minute})
	ch := auth.Channel{Encrypted: true}
	if got := h.Mechanisms(ch); !slices.Equal(got, []string{"PLAIN"}) {
		t.Errorf("offered are %q", got)
	}
	if got := h.Mechanisms(auth.Channel{}); len(got) != 0 {
		t.Errorf("offered without encryption are %q", got)
	}
	for _, tt := range []struct {
		name, message string
		want          auth.Condition // "" lets in
	}{
		{"right", "\x00juliet\x00r0m30", ""},
		{"right, when it is prepared (RFC 4013)", "\x00juliet\x00r0\u00adm30", ""},
		{"not to be prepared", "\x00juliet\x00r0m30\n", auth.NotAuthorized},
		{"nobody is asked", "\x00spared\x00r0m30", auth.TemporaryAuthFailure},
		{"in capitals", "\x00Juliet\x00r0m30", ""},
		{"wrong", "\x00juliet\x00tybalt", auth.NotAuthorized},
		{"nobody", "\x00nobody\x00r0m30", auth.NotAuthorized},
		{"an outage is no wrong password", "\x00down\x00r0m30", auth.TemporaryAuthFailure},
		{"for somebody else", "romeo@example.com\x00juliet\x00r0m30", auth.InvalidAuthzid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, err := h.Start("PLAIN", ch)
			if err != nil {
				t.Fatal(err)
			}
			_, done, err := x.Next(t.Context(), []byte(tt.message))
			var refused *auth.Error
			if errors.As(err, &refused); tt.want == "" && (err != nil || !done) || tt.want != "" && (refused == nil || refused.Condition != tt.want || done) {
				t.Errorf("done %v, error %v", done, err)
			}
		})
	}
	if s := said.String(); !strings.Contains(s, "password could not be checked") || strings.Contains(s, "r0m30") || strings.Contains(s, "spared") {
		t.Errorf("the log says %s", s)
	}
}

// TestCheckHasNoFallback: where users have tokens alone, or are anonymous, no password lets anybody in, though the host kept
// accounts before.
func TestCheckHasNoFallback(t *testing.T) {
	juliet := addr.MustBare("juliet@example.com")
	left := accountsFunc(func(context.Context, addr.Bare) (credential.Credentials, error) {
		return credential.Credentials{Password: "r0m30", HasPassword: true}, nil
	})
	tokens := tokensFunc(func(context.Context, string, string) (addr.Bare, error) { return addr.Bare{}, auth.ErrRefused })
	for name, h := range map[string]*auth.Host{
		"tokens": {Domain: "example.com", Accounts: left, StoresPasswords: true, Tokens: tokens}, "anonymous": {Domain: "example.com", Accounts: left, StoresPasswords: true, Anonymous: true},
	} {
		err := h.Check(t.Context(), juliet, "r0m30", netip.Addr{})
		var refused *auth.Error
		if !errors.As(err, &refused) || refused.Condition != auth.NotAuthorized {
			t.Errorf("%s: %v", name, err)
		}
	}
	h := &auth.Host{Domain: "example.com", Accounts: left, StoresPasswords: true}
	if err := h.Check(t.Context(), juliet, "r0m30", netip.Addr{}); err != nil {
		t.Error(err)
	}
}

type accountsFunc func(ctx context.Context, user addr.Bare) (credential.Credentials, error)

func (f accountsFunc) Credentials(ctx context.Context, user addr.Bare) (credential.Credentials, error) {
	return f(ctx, user)
}
