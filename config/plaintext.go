package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// askedByHTTP are the options with URLs that passwords and tokens are sent to, or keys come from, by the values of
// authentication that read them.
var askedByHTTP = map[string][]*Option[string]{
	"http":           {HTTPAuthURL},
	"http_async":     {HTTPAuthURL},
	"custom_http":    {CustomHTTPAuth},
	"jwt":            {TokenKeysURL, TokenIssuer},
	"oauthbearer":    {OAuthURL},
	"oauth_external": {OAuthValidationEndpoint, OAuthTokenEndpoint},
}

// plaintext: what decides who gets in goes over the network as it is. As in Prosody; within a machine room it may be meant.
func (ck *checker) plaintext(h *Host) {
	provider, _, ok := h.OutsideProvider()
	if !ok {
		return
	}
	for _, o := range askedByHTTP[provider] {
		raw, pos, _ := o.Lookup(h)
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "http" || loopback(net.JoinHostPort(u.Hostname(), "80")) || o == TokenIssuer && TokenKeysURL.Get(h)+TokenKeyFile.Get(h) != "" {
			continue
		}
		what := "passwords and tokens go"
		if provider == "jwt" {
			what = "the keys that decide who gets in come"
		}
		ck.once(Warn, CodePlaintext, h, o.Name, pos, fmt.Sprintf("%s: %s over the network unencrypted, and whoever is in between could let himself in", o.Name, what), "use https")
	}
	switch l := LDAPTable.Get(h); {
	case provider == "ldap" && !LDAPTLS.Get(h) && unencrypted(LDAPServer.Get(h)):
		_, pos, _ := LDAPServer.Lookup(h)
		ck.once(Warn, CodePlaintext, h, LDAPServer.Name, pos, fmt.Sprintf(passwordsGo, LDAPServer.Name), "use ldap_tls, or ldaps:// servers")
	case provider == "ldap2" && !l.UseTLS && unencrypted(l.Hostname):
		_, pos, _ := LDAPTable.Lookup(h)
		ck.once(Warn, CodePlaintext, h, LDAPTable.Name, pos, fmt.Sprintf(passwordsGo, LDAPTable.Name), "use use_tls, or ldaps:// servers")
	}
	if port := DovecotPort.Get(h); provider == "dovecot" && port != 0 && !loopback(net.JoinHostPort(DovecotHost.Get(h), strconv.Itoa(port))) {
		_, pos, _ := DovecotPort.Lookup(h)
		ck.once(Warn, CodePlaintext, h, DovecotPort.Name, pos, fmt.Sprintf(passwordsGo, DovecotPort.Name),
			"use dovecot_auth_socket, or a tunnel")
	}
}

const passwordsGo = "%s: passwords go over the network unencrypted, and whoever is in between could let himself in"

// unencrypted tells whether one of the LDAP servers is asked over the network as it is, unless by StartTLS. Names have no
// scheme.
func unencrypted(servers string) bool {
	return slices.ContainsFunc(strings.Fields(strings.ReplaceAll(servers, ",", " ")), func(server string) bool {
		if !strings.Contains(server, "://") {
			server = "ldap://" + server
		}
		u, err := url.Parse(server) // whoever asks says what is wrong with it
		return err == nil && u.Scheme == "ldap" && u.Hostname() != "" && !loopback(net.JoinHostPort(u.Hostname(), "389"))
	})
}
