package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const ldapExample = `{
	hostname = 'localhost', bind_dn = 'cn=Manager,dc=example,dc=com', bind_password = 'prosody',
	user = { basedn = 'ou=Users,dc=example,dc=com', filter = 'objectClass=posixAccount', usernamefield = 'uid', namefield = 'cn' },
	groups = { basedn = 'ou=Groups,dc=example,dc=com', memberfield = 'memberUid', namefield = 'cn',
		{ name = 'everyone', cn = 'Everyone', admin = false }, { name = 'admin', cn = 'Admin', admin = true } },
	vcard_format = { displayname = 'cn', nickname = 'uid', photo = { type = 'image/jpeg', binval = 'jpegPhoto' },
		telephone = { work = { voice = true, number = 'telephoneNumber' } }, email = { { internet = true, userid = 'mail' } } },
}`

func TestLDAPTable(t *testing.T) {
	r := &reading{}
	got, ok := ldapTable(r, value(t, ldapExample))
	want := LDAP{
		Hostname: "localhost", BindDN: "cn=Manager,dc=example,dc=com", BindPassword: "prosody",
		UserBase: "ou=Users,dc=example,dc=com", UserFilter: "objectClass=posixAccount", UserName: "uid", UserAlias: "cn",
		GroupBase: "ou=Groups,dc=example,dc=com", GroupName: "cn", GroupMember: "memberUid", Groups: map[string]string{"Everyone": "everyone", "Admin": "admin"},
		Card: map[string]string{"displayname": "cn", "nickname": "uid", "photo.type": "image/jpeg", "photo.binval": "jpegPhoto", "telephone.work.number": "telephoneNumber", "email.1.userid": "mail"},
	}
	if !ok || len(r.problems) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v\n%v", got, want, r.problems)
	}
	for _, tt := range []struct{ from, to, want string }{
		{"hostname = 'localhost',", "", "hostname is not there"},
		{"basedn = 'ou=Users,dc=example,dc=com', ", "", "user.basedn is not there"},
		{"usernamefield = 'uid',", "", "user.usernamefield is not there"},
		{"usernamefield = 'uid',", "usernamefield = {},", "takes a single value"},
		{"bind_password = 'prosody',", "", "bind_dn without bind_password would be nobody"},
		{"memberfield = 'memberUid',", "", "groups needs namefield and memberfield"},
		{"cn = 'Admin', ", "", "a group needs name, which rosters show, and cn, which the directory has"},
		{"hostname = 'localhost',", "hostname = 'localhost', use_tls = 'perhaps',", "true or false"},
		{"groups = {", "groups = 'x', x = {", "groups has to be a table"},
		{"vcard_format = {", "vcard_format = 'x', x = {", "vcard_format has to be a table of attributes"},
	} {
		r := &reading{}
		text := strings.Replace(ldapExample, tt.from, tt.to, 1)
		if _, ok := ldapTable(r, value(t, text)); ok || len(r.problems) == 0 || !strings.Contains(fmt.Sprint(r.problems), tt.want) {
			t.Errorf("without %s: %v, %v, want %s", tt.from, ok, r.problems, tt.want)
		}
	}
	for _, odd := range []string{"scope = 'x',", "admin = { basedn = 'x' },", "vcard_format = { mailer = 'x' },"} {
		r := &reading{}
		if _, ok := ldapTable(r, value(t, strings.TrimSuffix(ldapExample, "}")+odd+"}")); !ok || len(r.problems) == 0 {
			t.Errorf("with %s: %v, %v", odd, ok, r.problems)
		}
	}
}

// TestLDAPCheck: what is said of the table, and of the storage driver.
func TestLDAPCheck(t *testing.T) {
	table := "ldap = " + strings.ReplaceAll(ldapExample, "\n", " ") + "\n"
	bare := "ldap = { hostname = 'h', user = { basedn = 'b', usernamefield = 'u' } }\n"
	for _, x := range []struct{ name, src, modules, want string }{
		{"as in its README", "authentication = 'ldap2'\n" + table + "storage = 'ldap'", "'roster', 'vcard'", `warn 3 the storage driver "ldap" keeps rosters and vCards only: what users store otherwise is kept nowhere, as in Prosody`},
		{"the two", "authentication = 'ldap2'\n" + table + "storage = { roster = 'ldap', vcard = 'ldap' }", "'roster', 'vcard'", ""},
		{"accounts of rosterd's own", table + "storage = { accounts = 'ldap' }", "'roster'", `refused 2 accounts are stored by "ldap", which is not available`},
		{"no table", "storage = { roster = 'ldap' }", "'roster'", `refused 1 the storage driver "ldap" needs the table ldap`},
		{"no groups", bare + "storage = { roster = 'ldap' }", "'roster'", `refused 2 rosters are kept by "ldap", and the table ldap has no groups`},
		{"no vCards", bare + "storage = { vcard = 'ldap' }", "'roster'", `note 2 vCards are kept by "ldap", and the table ldap has no vcard_format: nobody has one, as in Prosody`},
		{"for nothing", table, "'roster'", `note 1 ldap has no effect: no host has authentication = "ldap2", storage = "ldap" or module "groups_ldap"`},
		{"the module", table, "'roster', 'groups_ldap'", ""},
		{"the module alone", table, "'groups_ldap'", ""},
		{"the module without groups", bare, "'roster', 'groups_ldap'", `note 4 module "groups_ldap" serves nothing: ldap is not set (as in Prosody)`},
		{"two sources", table + "groups_file = 'x'\n", "'roster', 'groups', 'groups_ldap'", `refused 5 VirtualHost "h.example" has two sources of groups`},
	} {
		t.Run(x.name, func(t *testing.T) {
			var got []string
			for _, d := range Check(mustLoad(t, x.src+"\nVirtualHost 'h.example'\nmodules_enabled = { "+x.modules+" }")) {
				switch d.Name {
				case "storage", "ldap", "groups_ldap", "roster":
					got = append(got, fmt.Sprintf("%s %d %s", d.Severity, d.Pos.Line, d.Message))
				}
			}
			if all := strings.Join(got, "; "); x.want == "" && all != "" || !strings.HasPrefix(all, x.want) || len(got) > 1 {
				t.Errorf("said %s\nwant %s", all, x.want)
			}
		})
	}
	c := mustLoad(t, table+"storage = { roster = 'ldap', vcard = 'ldap' }\nVirtualHost 'h.example'\nmodules_enabled = { 'roster' }")
	h := c.Host("h.example")
	if source, ok := h.SharedGroups(); !ok || source != GroupsInLDAP || h.StoresRosters() || !h.TakesNotices() || !h.LDAPCards() {
		t.Errorf("rosters of %q, stored %v, told of changes %v, vCards %v", source, h.StoresRosters(), h.TakesNotices(), h.LDAPCards())
	}
	if !Secret("ldap") || !Secret("ldap_password") {
		t.Error("passwords are shown")
	}
}

func FuzzLDAPTable(f *testing.F) {
	f.Add(ldapExample)
	f.Add("{ groups = { {}, { name = 1 } }, vcard_format = { { { {} } } } }")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(files{"prosody.cfg.lua": "ldap = " + text}.write(t), "prosody.cfg.lua")
		c, err := Load(path, LoadOptions{LookupEnv: environment(nil)})
		if err != nil {
			return
		}
		if l, _, set := LDAPTable.Lookup(c.Global()); set && (l.Hostname == "" || l.UserBase == "" || l.UserName == "") {
			t.Errorf("%s is %+v", text, l)
		}
	})
}
