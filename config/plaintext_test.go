package config

import (
	"strings"
	"testing"
)

// TestPlaintext: whoever has passwords, tokens or keys go over the network unencrypted is told.
func TestPlaintext(t *testing.T) {
	for _, tt := range []struct {
		text string
		want bool
	}{
		{`authentication = "http"; http_auth_url = "http://app.example/"`, true},
		{`authentication = "http"; http_auth_url = "https://app.example/"`, false},
		{`authentication = "http"; http_auth_url = "http://localhost:8080/"`, false},
		{`authentication = "http"; http_auth_url = "http://[::1]/"`, false},
		{`authentication = "internal_hashed"; http_auth_url = "http://app.example/"`, false},
		{`authentication = "jwt"; rosterd_token_jwks_url = "http://id.example/"`, true},
		{`authentication = "jwt"; rosterd_token_issuer = "http://id.example"`, true},
		{`authentication = "jwt"; rosterd_token_issuer = "http://id.example"; rosterd_token_key_file = "a.pem"`, false},
		{`authentication = "oauth_external"; oauth_external_token_endpoint = "http://id.example/"`, true},
		{`authentication = "ldap"; ldap_base = "b"; ldap_server = "dir.example"`, true},
		{`authentication = "ldap"; ldap_base = "b"; ldap_server = "ldaps://a.example, LDAP://b.example:389"`, true},
		{`authentication = "ldap"; ldap_base = "b"; ldap_server = "ldaps://a.example ldapi://%2Frun%2Fldapi localhost [::1]:389"`, false},
		{`authentication = "ldap"; ldap_base = "b"; ldap_server = "dir.example"; ldap_tls = true`, false},
		{`authentication = "ldap"; ldap_base = "b"`, false},
		{`authentication = "ldap2"; ldap = { hostname = "dir.example", user = { basedn = "b", usernamefield = "u" } }`, true},
		{`authentication = "ldap2"; ldap = { hostname = "dir.example", use_tls = true, user = { basedn = "b", usernamefield = "u" } }`, false},
		{`authentication = "dovecot"`, false},
		{`authentication = "dovecot"; dovecot_auth_port = 12345`, false},
		{`authentication = "dovecot"; dovecot_auth_port = "12345"; dovecot_auth_host = "mail.example"`, true},
	} {
		c := mustLoad(t, tt.text+"\nVirtualHost \"example.com\"\n")
		said := ""
		for _, d := range Check(c) {
			if d.Code == CodePlaintext {
				said += d.String()
			}
		}
		if (said != "") != tt.want || tt.want && !strings.Contains(said, "cfg.lua:1") {
			t.Errorf("%s: %q", tt.text, said)
		}
	}
}
