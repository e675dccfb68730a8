//go:build clients

package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rosterd/directory/slapdtest"
	"rosterd/xmppcore/xmpptest"
)

// onePixel is a picture, in Base64 as LDIF has it.
const onePixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

var verona = slapdtest.User("romeo", "Romeo Montague", "r0m30", "mail: romeo@montague.example", "jpegPhoto:: "+onePixel) +
	slapdtest.User("juliet", "Juliet", "jul13t") + slapdtest.User("nurse", "Angelica", "nurs3") +
	slapdtest.Group("Verona", "romeo", "juliet") + slapdtest.Group("Secret", "romeo", "nurse")

// table is ldap = { … } of a file that Prosody reads, too.
func table(s *slapdtest.Server, more string) string {
	return fmt.Sprintf(`ldap = {
	hostname = %q, bind_dn = %q, bind_password = %q,
	user = { basedn = "ou=Users,dc=example,dc=com", filter = "objectClass=inetOrgPerson", usernamefield = "uid", namefield = "cn" },
	groups = { basedn = "ou=Groups,dc=example,dc=com", memberfield = "memberUid", namefield = "cn", { name = "Friends", cn = "Verona", admin = false } },
	vcard_format = { displayname = "cn", photo = { type = "image/png", binval = "jpegPhoto" }, email = { { internet = true, userid = "mail" } } },
	%s
}
`, s.Address, slapdtest.Manager, slapdtest.Password, more)
}

func inDirectory(head string, modules string) string {
	return head + fmt.Sprintf("c2s_require_encryption = false\nallow_unencrypted_plain_auth = true\nmodules_enabled = { \"saslauth\", \"disco\", %s }\nVirtualHost \"example.com\"\n", modules)
}

// TestLDAPAuth: passwords that a directory knows, by each of the two providers.
func TestLDAPAuth(t *testing.T) {
	dir := slapdtest.Start(t, verona)
	for name, head := range map[string]string{
		"ldap": fmt.Sprintf("authentication = \"ldap\"\nldap_server = \"127.0.0.1:1 %s\"\nldap_rootdn = %q\nldap_password = %q\nldap_base = \"ou=Users,dc=example,dc=com\"\nldap_filter = \"(uid=%%s)\"\n",
			dir.Address, slapdtest.Manager, slapdtest.Password),
		"getpasswd": fmt.Sprintf("authentication = \"ldap\"\nldap_server = %q\nldap_mode = \"getpasswd\"\nldap_rootdn = %q\nldap_password = %q\nldap_base = \"dc=example,dc=com\"\nldap_filter = \"(&(uid=$user)(!(cn=$host)) (objectClass=*))\"\n",
			dir.Address, slapdtest.Manager, slapdtest.Password),
		"StartTLS": fmt.Sprintf("authentication = \"ldap\"\nldap_server = %q\nldap_tls = true\nrosterd_ldap_ca = %q\nldap_base = \"dc=example,dc=com\"\n", dir.Address, dir.CA),
		"ldap2":    "authentication = \"ldap2\"\n" + table(dir, ""),
	} {
		t.Run(name, func(t *testing.T) {
			s := newPlace(t, inDirectory(head, `"roster"`)).serve(t)
			for _, tt := range []struct{ user, password, want string }{
				{"romeo", "r0m30", ""},
				{"romeo", "wrong", "not-authorized"},
				{"Romeo", "r0m30", ""}, // it is prepared
				{"tybalt", "r0m30", "not-authorized"},
				{"*", "r0m30", "not-authorized"},
				{"rom*", "r0m30", "not-authorized"},
				{"x)(|(uid=romeo)", "r0m30", "not-authorized"},
				{"juliet", "jul13t", ""},
			} {
				if got := s.saslCondition(t, "example.com", tt.user, tt.password); got != tt.want {
					t.Errorf("%s with %s: %q, want %q", tt.user, tt.password, got, tt.want)
				}
			}
			s.quiet = true
			dir.Stop(t)
			equal(t, "while the directory is down", s.saslCondition(t, "example.com", "romeo", "r0m30"), "temporary-auth-failure")
			dir.Serve(t)
			equal(t, "when it is back", s.saslCondition(t, "example.com", "romeo", "r0m30"), "")
			if strings.Contains(s.log.String(), slapdtest.Password) || strings.Contains(s.log.String(), "r0m30") {
				t.Errorf("a password is in the log:\n%s", s.log)
			}
		})
	}
}

// TestLDAPRosters: rosters that are groups of a directory, as mod_storage_ldap makes them, with vCards; a refresh asks for
// them anew, and they stay while it is down.
func TestLDAPRosters(t *testing.T) {
	dir := slapdtest.Start(t, verona)
	s := newPlace(t, inDirectory("authentication = \"ldap2\"\nstorage = { roster = \"ldap\", vcard = \"ldap\" }\n"+table(dir, ""), `"roster", "vcard"`)).serve(t)
	login := func(user, password string) *client {
		t.Helper()
		c := s.connect(t, "example.com")
		c.must(c.Login(c.ctx, user, password, ""))
		return c
	}
	juliet, romeo := login("juliet", "jul13t"), login("romeo", "r0m30")
	juliet.wantRoster("romeo@example.com|Romeo Montague|both|Friends")
	romeo.wantRoster("juliet@example.com|Juliet|both|Friends")
	juliet.appear()
	romeo.appear()
	juliet.wantPresence(romeo.JID, "")
	if got := juliet.set("<item jid='nurse@example.com'/>"); got == "result" {
		t.Error("a roster of the directory is edited")
	}
	juliet.send("<iq id='card' type='get' to='romeo@example.com'><vCard xmlns='vcard-temp'/></iq>")
	card := juliet.expect("vCard", func(e xmpptest.Element) bool { return e.Attr("id") == "card" })
	for want, path := range map[string][]string{"Romeo Montague": {"vCard", "FN"}, "romeo@montague.example": {"vCard", "EMAIL", "USERID"}, onePixel: {"vCard", "PHOTO", "BINVAL"}} {
		if e, _ := card.Path(path...); e.Text != want {
			t.Errorf("%v is %q, want %q", path, e.Text, want)
		}
	}

	dir.Modify(t, "dn: cn=Verona,ou=Groups,dc=example,dc=com\nchangetype: modify\nadd: memberUid\nmemberUid: nurse\n-\ndelete: memberUid\nmemberUid: romeo\n")
	s.notice(t, "[]")
	juliet.wantPushes("nurse@example.com|Angelica|both|Friends", "romeo@example.com||remove|")
	juliet.wantPresence(romeo.JID, "unavailable")

	s.quiet = true
	dir.Stop(t)
	s.notice(t, `["juliet"]`)
	juliet.leave()
	if lines := s.log.find("groups cannot be read: they stay as they were"); len(lines) != 1 {
		t.Errorf("not said that the directory is down:\n%s", s.log)
	}
	romeo.wantRoster()
	dir.Serve(t)
	s.notice(t, "[]")
	juliet = login("juliet", "jul13t")
	juliet.wantRoster("nurse@example.com|Angelica|both|Friends")
	s.wantReloaded(t, strings.Replace(s.text, `"Friends"`, `"Mates"`, 1)) // the groups stay until the directory has answered
	juliet.wantPushes("nurse@example.com|Angelica|both|Mates")
}

// TestLDAPDownAtStart: the server starts without its directory. Nobody is told that he has no contacts.
func TestLDAPDownAtStart(t *testing.T) {
	dir := slapdtest.Start(t, verona)
	dir.Stop(t)
	p := newPlace(t, inDirectory(table(dir, ""), `"roster", "groups_ldap"`))
	p.account(t, "juliet@example.com")
	s := p.serve(t)
	s.quiet = true
	juliet := s.connect(t, "example.com")
	juliet.must(juliet.Login(juliet.ctx, "juliet", password, ""))
	juliet.wantNoRoster("wait/internal-server-error")
	dir.Serve(t)
	s.notice(t, "[]")
	juliet.wantRoster("romeo@example.com|Romeo Montague|both|Friends")
}

// notice is POST …/refresh.
func (s *program) notice(t *testing.T, body string) {
	t.Helper()
	if res, text := s.request(t, "POST", "/roster_admin/refresh", body); res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", res.Status, text)
	}
}
