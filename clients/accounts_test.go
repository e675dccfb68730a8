//go:build clients

package clients

import (
	"strconv"
	"strings"
	"testing"
)

// TestAccounts: blocking, last activity, private data; and an account that is made, gets another password and is deleted.
func TestAccounts(t *testing.T) {
	t.Parallel()
	h := &house{form: strings.NewReplacer(`"smacks"`, `"blocklist", "lastactivity", "uptime", "register"`, `authentication`, "allow_registration = true\nauthentication").Replace(configuration), lists: cast()}
	h.open(t)
	h.story(t, "accounts.py", strconv.Itoa(h.c2s), password)
}
