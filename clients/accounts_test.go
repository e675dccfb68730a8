//go:build clients

package clients

import (
	"strconv"
	"strings"
	"testing"
)

// TestAccounts: blocking, also while the backend changes the contacts, last activity, private data; and an account that is made, gets another password and is deleted.
func TestAccounts(t *testing.T) {
	t.Parallel()
	h := &house{form: strings.NewReplacer(`"smacks"`, `"blocklist", "lastactivity", "uptime", "register"`, `authentication`, "allow_registration = true\nauthentication").Replace(configuration), lists: cast()}
	h.open(t)
	h.play(t, "accounts.py", map[string]func(){"new names": func() {
		h.change(t, "romeo", func(l map[string]contact) { l[juliet] = contact{"My love", []string{"Capulets"}} })
		h.change(t, "juliet", func(l map[string]contact) { l[romeo] = contact{"My lord", []string{"Montagues"}} })
	}}, strconv.Itoa(h.c2s), password)
}
