//go:build clients

package clients

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/passwords/dovecot/dovecottest"
	"rosterd/xmppcore/xmpptest"
)

// TestDovecot: with the same file, and one Dovecot behind both, the same people are let in at Debian's Prosody, with the
// module of its community, as at rosterd.
func TestDovecot(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, options string
		attempts      [][2]string // the last one is wrong: after it Prosody has to wait
	}{
		{"names", "", [][2]string{{"romeo", "his"}, {"Juliet", "hers"}, {"romeo", "hers"}}},
		{"addresses", "auth_append_host = true", [][2]string{{"juliet", "of that host"}, {"juliet", "hers"}}},
		{"of a realm", `auth_append_host = true; realm = "example.org"`, [][2]string{{"nurse", "of another"}, {"juliet", "of that host"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := dovecottest.Start(t, map[string]string{"romeo": "his", "juliet": "hers", "juliet@example.com": "of that host", "nurse@example.org": "of another"}, "")
			form := strings.NewReplacer(`"internal_hashed"`, fmt.Sprintf(`"dovecot" dovecot_auth_socket = %q %s plugin_paths = { "modules" }`, server.Socket, tt.options), "STORAGE", "").Replace(moving)
			h := prosodyHouse(t, form)
			must(t, os.CopyFS(filepath.Join(h.dir, "modules"), os.DirFS(filepath.Join(cache, "prosody-modules/usr/lib/prosody/modules/mod_auth_dovecot"))))
			must(t, filepath.WalkDir(filepath.Join(h.dir, "modules"), func(path string, _ fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				return os.Chmod(path, 0o755)
			}))
			stop := h.prosody(t)
			want := h.letIn(t, tt.attempts)
			stop()
			h.serve(t)
			if got := h.letIn(t, tt.attempts); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%q, at Prosody %q", got, want)
			}
			if n := len(want); want[n-1] != "not-authorized" || strings.Contains(strings.Join(want[:n-1], " "), "not-") {
				t.Errorf("at Prosody %q", want)
			}
		})
	}
}

// letIn tries names with passwords by PLAIN, and returns who each one is then, or why he is nobody.
func (h *house) letIn(t *testing.T, attempts [][2]string) (outcomes []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	for _, a := range attempts {
		c, err := xmpptest.Dial(ctx, h.address(h.c2s), domain)
		must(t, err)
		must(t, c.Open(ctx))
		must(t, c.StartTLS(ctx))
		must(t, c.Open(ctx))
		err = c.Authenticate(ctx, "PLAIN", a[0], a[1])
		if failed, ok := errors.AsType[*xmpptest.Failure](err); ok {
			outcomes = append(outcomes, failed.Condition)
			c.Disconnect()
			continue
		}
		must(t, err)
		must(t, c.Open(ctx))
		must(t, c.Bind(ctx, "r"))
		outcomes = append(outcomes, c.JID)
		c.Disconnect()
	}
	return outcomes
}
