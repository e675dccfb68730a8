package config

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
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
	if port := DovecotPort.Get(h); provider == "dovecot" && port != 0 && !loopback(net.JoinHostPort(DovecotHost.Get(h), strconv.Itoa(port))) {
		_, pos, _ := DovecotPort.Lookup(h)
		ck.once(Warn, CodePlaintext, h, DovecotPort.Name, pos, fmt.Sprintf("%s: passwords go over the network unencrypted, and whoever is in between could let himself in", DovecotPort.Name),
			"use dovecot_auth_socket, or a tunnel")
	}
}
