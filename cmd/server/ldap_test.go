package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/config"
)

// TestLDAPOptions: what nobody could be asked with refuses the start, with file and line.
func TestLDAPOptions(t *testing.T) {
	const table = "ldap = { hostname = 'h', user = { basedn = 'dc=x', usernamefield = 'uid', filter = '(a=b)' }, groups = { basedn = 'dc=x', namefield = 'cn', memberfield = 'm' } }"
	for _, tt := range []struct{ name, head, want string }{
		{"right", "authentication = 'ldap'\nldap_base = 'dc=x'", ""},
		{"no base", "\nauthentication = 'ldap'", `:2  ldap_base: authentication = "ldap" needs it`},
		{"no base that could be one", "authentication = 'ldap'\nldap_base = 'x'", `:2  ldap_base: "x" is no name of an entry`},
		{"no server", "authentication = 'ldap'\nldap_base = 'dc=x'\nldap_server = 'http://h'", `:3  ldap_server: "http://h": ldap, ldaps and ldapi are`},
		{"no filter", "authentication = 'ldap'\nldap_base = 'dc=x'\nldap_filter = '(uid=$user'", `:3  ldap_filter: "(uid=$user" is no filter`},
		{"everybody", "authentication = 'ldap'\nldap_base = 'dc=x'\nldap_filter = '(uid=*)'", `:3  ldap_filter: it has no $user: everybody would be the same`},
		{"another word", "authentication = 'ldap'\nldap_base = 'dc=x'\nldap_filter = '(uid=$username)'", `:3  ldap_filter: it has no $user: everybody would be the same`},
		{"nobody asks", "authentication = 'ldap'\nldap_base = 'dc=x'\nldap_rootdn = 'cn=m'", `:3  ldap_rootdn: without ldap_password that would be nobody`},
		{"no authority", "authentication = 'ldap'\nldap_base = 'dc=x'\nrosterd_ldap_ca = 'none.pem'", `:3  rosterd_ldap_ca: open`},
		{"the table is right", "authentication = 'ldap2'\n" + table, ""},
		{"no table", "authentication = 'ldap2'", `:1  ldap: it has to be set`},
		{"a filter in it", "authentication = 'ldap2'\n" + strings.Replace(table, "(a=b)", "(a=b", 1), `:2  ldap: user.filter: "(a=b" is no filter`},
		{"groups in it", "storage = { roster = 'ldap' }\n" + strings.Replace(table, "groups = { basedn = 'dc=x'", "groups = { basedn = 'x'", 1), `:2  ldap: groups.basedn: "x" is no name of an entry`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "prosody.cfg.lua")
			err := os.WriteFile(file, []byte(tt.head+"\nmodules_enabled = { 'saslauth', 'roster' }\ndata_path = 'data'\nVirtualHost 'example.com'\n"), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			_, diags, err := examine(t.Context(), file, true)
			if err != nil {
				t.Fatal(err)
			}
			var refused []string
			for _, d := range diags {
				if d.Severity == config.Refused {
					refused = append(refused, d.String())
				}
			}
			if all := strings.Join(refused, "\n"); tt.want == "" && all != "" || len(refused) > 1 || !strings.Contains(all, tt.want) {
				t.Errorf("refused %s\nwant %s", all, tt.want)
			}
		})
	}
}

// TestLDAPIdentity: who has other authorities in the same file is not asked by those of before.
func TestLDAPIdentity(t *testing.T) {
	dir := t.TempDir()
	ca, file := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "prosody.cfg.lua")
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "rosterd_ldap_ca = 'ca.pem'\nVirtualHost 'example.com'\n")
	cfg, err := config.Load(file, config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	identity := func() string { return ldapIdentity(cfg.Host("example.com")) }
	write(ca, "one")
	one := identity()
	write(ca, "two")
	if two := identity(); one == two {
		t.Error("two files are one")
	}
	write(ca, "one")
	if again := identity(); again != one {
		t.Error("one file is two")
	}
}

func TestPhoto(t *testing.T) {
	png := "\x89PNG\x0D\x0A\x1A\x0A and more"
	for _, tt := range []struct{ name, data, kind, want string }{
		{"as it is", png, "", "image/png"},
		{"in Base64", base64.StdEncoding.EncodeToString([]byte(png)), "image/png", "image/png"},
		{"with a type of its own", png, "image/jpeg", "image/jpeg"},
		{"an attribute for a type", png, "photoType", "image/png"},
		{"none", "", "image/png", ""},
		{"a text", "hello, this is no picture", "", ""},
		{"too large", png + strings.Repeat("x", 1<<20), "", ""},
	} {
		p := photo(tt.data, tt.kind)
		if p.Type != tt.want || tt.want != "" && string(p.Data) != png {
			t.Errorf("%s: %q, %d bytes", tt.name, p.Type, len(p.Data))
		}
	}
}
