//go:build clients

package dovecot_test

import (
	"errors"
	"testing"

	"rosterd/passwords"
	"rosterd/passwords/dovecot"
	"rosterd/passwords/dovecot/dovecottest"
)

// TestDovecot asks Debian's.
func TestDovecot(t *testing.T) {
	server := dovecottest.Start(t, map[string]string{
		"juliet": "r0m30", "zoë": "pässword", `john@mail.example`: "d0nne", "romeo@example.com": "jul13t", "nurse@example.com": "x", "a&b": "tenspaces",
	}, "auth_username_chars =")
	plain := &dovecot.Source{Network: "unix", Address: server.Socket}
	defer plain.Close()
	appended := &dovecot.Source{Network: "unix", Address: server.Socket, Realm: "example.com", Split: true, CheckDomain: true}
	defer appended.Close()
	for _, tt := range []struct {
		name           string
		source         *dovecot.Source
		user, password string
		ok             bool
	}{
		{"right", plain, "juliet@example.com", "r0m30", true},
		{"in capitals", plain, "Juliet@example.com", "r0m30", true},
		{"wrong", plain, "juliet@example.com", "tybalt", false},
		{"empty", plain, "juliet@example.com", "", false},
		{"nobody", plain, "nobody@example.com", "r0m30", false},
		{"not in ASCII", plain, "zoë@example.com", "pässword", true},
		{"an address", plain, `john\40mail.example@example.com`, "d0nne", true},
		{"escaped", plain, `a\26b@example.com`, "tenspaces", true},
		{"of a host", plain, "romeo@example.com", "jul13t", false},
		{"host appended", appended, "romeo@example.com", "jul13t", true},
		{"host appended, wrong", appended, "romeo@example.com", "x", false},
		{"host appended, of nobody", appended, "juliet@example.com", "r0m30", false},
		{"very long", plain, "juliet@example.com", string(make([]byte, 1000)) + "x", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.source.CheckPassword(t.Context(), bare(t, tt.user), tt.password)
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, passwords.ErrRefused) {
				t.Error(err)
			}
		})
	}

	server.Stop(t)
	if err := plain.CheckPassword(t.Context(), bare(t, "juliet@example.com"), "r0m30"); err == nil || errors.Is(err, passwords.ErrRefused) {
		t.Errorf("while it is away: %v", err)
	}
	server.Serve(t)
	for _, s := range []*dovecot.Source{plain, appended} { // one had been asked since, the other has a connection that has ended
		if err := s.CheckPassword(t.Context(), bare(t, map[bool]string{false: "juliet", true: "romeo"}[s == appended]+"@example.com"),
			map[bool]string{false: "r0m30", true: "jul13t"}[s == appended]); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	}
}
