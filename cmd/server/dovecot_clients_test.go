//go:build clients

package main

import (
	"fmt"
	"testing"

	"rosterd/passwords/dovecot/dovecottest"
)

// TestDovecot: users log in with the passwords that Debian's Dovecot knows, by their names alone and with the host; while
// it is away nobody does, and nobody is told that his password is wrong.
func TestDovecot(t *testing.T) {
	t.Parallel()
	server := dovecottest.Start(t, map[string]string{"john": "his", "marie@example.com": "hers", "marie": "another"}, "")
	const in = "%s@example.com/r"
	type attempt struct{ user, password, want string }
	for _, tt := range []struct {
		name, options string
		attempts      []attempt
	}{
		{"names", "", []attempt{{"john", "his", fmt.Sprintf(in, "john")}, {"john", "hers", "not-authorized"}, {"marie", "another", fmt.Sprintf(in, "marie")}, {"nobody", "his", "not-authorized"}}},
		{"addresses", "auth_append_host = true; validate_append_host = true", []attempt{{"marie", "hers", fmt.Sprintf(in, "marie")}, {"marie", "another", "not-authorized"}, {"john", "his", "not-authorized"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newPlace(t, tokenHost("dovecot", fmt.Sprintf("dovecot_auth_socket = %q", server.Socket), tt.options)).serve(t)
			s.quiet = true
			for _, a := range tt.attempts {
				if got := s.saslOutcome(t, "PLAIN", a.user, a.password); got != a.want {
					t.Errorf("%s with %s: %s, want %s", a.user, a.password, got, a.want)
				}
			}
			server.Stop(t)
			if got := s.saslOutcome(t, "PLAIN", tt.attempts[0].user, tt.attempts[0].password); got != "temporary-auth-failure" {
				t.Errorf("while Dovecot is away: %s", got)
			}
			server.Serve(t)
			if got := s.saslOutcome(t, "PLAIN", tt.attempts[0].user, tt.attempts[0].password); got != tt.attempts[0].want {
				t.Errorf("when it is back: %s", got)
			}
		})
	}
}
