//go:build clients

package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// verona is a groups_file.
const verona = "[Verona]\n" + romeo + "\n" + juliet + "=Juliet\n"

// TestHost: what a host says on its own, and groups that change while users are there.
func TestHost(t *testing.T) {
	t.Parallel()
	form := strings.Replace(ordinary, `"smacks"`, `"announce", "groups", "lastactivity", "motd", "register", "server_contact_info", "time", "uptime", "version", "welcome"`, 1)
	h := &house{form: form, lists: map[string]map[string]contact{"romeo": nil, "juliet": nil, "nurse": nil}}
	var file string
	group := func(text string) {
		t.Helper()
		must(t, os.WriteFile(file+".new", []byte(text), 0o600))
		must(t, os.Rename(file+".new", file))
	}
	h.more = func(h *house) (global, sections string) {
		file = filepath.Join(h.dir, "groups.txt")
		group(verona)
		return fmt.Sprintf(`
groups_file = %q
admins = { %q }
contact_info = { support = { "mailto:help@example.com" } }
motd_text = "The play is the thing"
motd_jid = "hamlet@example.com"
welcome_message = "Welcome, $username"
allow_registration = true
registration_allowlist = {}
min_seconds_between_registrations = 3600
`, file, romeo), ""
	}
	h.open(t)
	h.play(t, "host.py", map[string]func(){
		"the nurse joins":  func() { group(verona + "nurse@" + domain + "=Nurse\n") },
		"the nurse leaves": func() { group(verona) },
	}, strconv.Itoa(h.c2s), password)
}
