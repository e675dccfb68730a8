//go:build clients

package clients

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rosterd/directory/slapdtest"
	"rosterd/xmppcore/xmpptest"
)

// TestLDAP: with the same file, and one directory behind both, the same people are let in at Debian's Prosody as at
// rosterd, and have the same contacts. Its community's modules are those of Debian's prosody-modules.
func TestLDAP(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.User("romeo", "Romeo Montague", "his")+slapdtest.User("juliet", "Juliet", "hers")+slapdtest.User("nurse", "Angelica", "old")+
		slapdtest.Group("Verona", "romeo", "juliet", "stranger")+slapdtest.Group("House", "juliet", "nurse")+slapdtest.Group("Secret", "romeo", "nurse"))
	attempts := [][2]string{{"romeo", "his"}, {"Juliet", "hers"}, {"nurse", "hers"}} // after a wrong one Prosody has to wait
	entry := fmt.Sprintf(`ldap_server = %q ldap_rootdn = %q ldap_password = %q ldap_base = "ou=Users,dc=example,dc=com"`, server.Address, slapdtest.Manager, slapdtest.Password)
	table := fmt.Sprintf(`ldap = {
	hostname = %q, bind_dn = %q, bind_password = %q,
	user = { basedn = "ou=Users,dc=example,dc=com", filter = "objectClass=inetOrgPerson", usernamefield = "uid", namefield = "cn" },
	groups = { basedn = "ou=Groups,dc=example,dc=com", memberfield = "memberUid", namefield = "cn",
		{ name = "Friends", cn = "Verona", admin = false }, { name = "Home", cn = "House", admin = true } },
}
`, server.Address, slapdtest.Manager, slapdtest.Password)
	for _, tt := range []struct{ name, provider, storage string }{
		{"ldap", `"ldap" ldap_filter = "(&(uid=$user)(objectClass=inetOrgPerson))" ` + entry, ""},
		{"older", `"ldap" ldap_filter = "(uid=%s)" ldap_scope = "onelevel" ` + entry, ""},
		{"read", `"ldap" ldap_mode = "getpasswd" ` + entry, ""},
		{"ldap2", `"ldap2" ` + table, `storage = { roster = "ldap" }`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := prosodyHouse(t, strings.NewReplacer(`"internal_hashed"`, strings.ReplaceAll(tt.provider, "%", "%%"), "STORAGE", tt.storage).Replace(moving))
			see := func() string {
				if tt.storage == "" {
					return strings.Join(h.letIn(t, attempts), "\n")
				}
				return h.contacts(t, attempts[:2]) + strings.Join(h.letIn(t, attempts[2:]), "\n")
			}
			stop := h.prosody(t)
			want := see()
			stop()
			h.serve(t)
			if got := see(); got != want {
				t.Errorf("%s\nat Prosody\n%s", got, want)
			}
			if !strings.HasSuffix(want, "not-authorized") || strings.Count(want, "not-") > 1 {
				t.Errorf("at Prosody %q", want)
			}
		})
	}
}

// contacts are those of users, as they see them.
func (h *house) contacts(t *testing.T, users [][2]string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	var lines []string
	for _, u := range users {
		c, err := xmpptest.Dial(ctx, h.address(h.c2s), domain)
		must(t, err)
		must(t, c.Open(ctx))
		must(t, c.StartTLS(ctx))
		must(t, c.Open(ctx))
		must(t, c.Authenticate(ctx, "PLAIN", u[0], u[1]))
		must(t, c.Open(ctx))
		must(t, c.Bind(ctx, "r"))
		items, err := c.Roster(ctx)
		must(t, err)
		for _, i := range items {
			slices.Sort(i.Groups)
			lines = append(lines, fmt.Sprintf("%s: %s %q %s %q", c.JID, i.JID, i.Name, i.Subscription, i.Groups))
		}
		c.Disconnect()
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}
