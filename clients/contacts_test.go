//go:build clients

package clients

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ordinary is a host whose users edit their rosters.
var ordinary = strings.Split(configuration, "VirtualHost")[0] + `
VirtualHost "example.com"
  modules_enabled = { "roster" }
  -- there is no backend at %q
`

// TestContacts: users with slixmpp ask and approve, rename, refuse and remove each other.
func TestContacts(t *testing.T) {
	t.Parallel()
	h := (&house{form: ordinary, lists: map[string]map[string]contact{"romeo": nil, "juliet": nil, "nurse": nil}}).open(t)
	h.python(t, filepath.Join("python", "contacts.py"))
}

// python runs a story that is told in Python, with Debian's own Python, which python3-slixmpp is installed for.
func (h *house) python(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/usr/bin/python3", name, h.address(h.c2s), domain, password, h.certificate()).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
