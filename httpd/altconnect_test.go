package httpd

import (
	"strings"
	"testing"
)

const (
	xrdOf = `<?xml version="1.0" encoding="UTF-8"?>
<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">
  <Link rel="urn:xmpp:alt-connections:websocket" href="wss://HOST/xmpp-websocket"/>
  <Link rel="urn:xmpp:alt-connections:xbosh" href="https://HOST/http-bind"/>
</XRD>
`
	jrdOf = `{"links":[{"rel":"urn:xmpp:alt-connections:websocket","href":"wss://HOST/xmpp-websocket"},{"rel":"urn:xmpp:alt-connections:xbosh","href":"https://HOST/http-bind"}]}`
)

func altConnect(host string) AltConnect {
	return AltConnect{WebSocket: "wss://" + host + "/xmpp-websocket", BOSH: "https://" + host + "/http-bind"}
}

func TestHostMeta(t *testing.T) {
	root := []Mount{{Path: "/", Handler: says("root")}}
	hosts := []Host{
		{Name: "a.example", AltConnect: altConnect("a.example"), Mounts: root},
		{Name: "b.example", HTTPHost: "chat.example", AltConnect: altConnect("b.example")},
		{Name: "c.example", HTTPHost: "shared.example", AltConnect: altConnect("c.example")},
		{Name: "d.example", HTTPHost: "shared.example", AltConnect: altConnect("d.example")},
		{Name: "e.example", HTTPHost: "a.example", AltConnect: altConnect("e.example")},
		{Name: "f.example", Mounts: root},
		{Name: "g.example", AltConnect: AltConnect{BOSH: "http://g.example:5280/http-bind"}},
	}
	addr := start(t, &Server{}, hosts, "b.example")
	tests := []struct{ name, host, want string }{
		{"a host", "a.example", "a.example"},
		{"with a port", "A.example:5280", "a.example"},
		{"its own name, though it has an http_host", "b.example", "b.example"},
		{"its http_host", "chat.example", "b.example"},
		{"one of two behind an http_host", "c.example", "c.example"},
		{"the other", "d.example", "d.example"},
		{"an http_host of two", "shared.example", ""},
		{"its own name, though its http_host is another's name", "e.example", "e.example"},
		{"a host that is reached nowhere else", "f.example", ""},
		{"no such host: the default one", "127.0.0.1", "b.example"},
		{"no Host", "", "b.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for path, document := range map[string]string{"/.well-known/host-meta": xrdOf, "/.well-known/host-meta.json": jrdOf} {
				got := ask(t, addr, "GET", path, tt.host, "")
				want := strings.ReplaceAll(document, "HOST", tt.want)
				if tt.want != "" && (got.status != 200 || got.body != want || got.header.Get("Access-Control-Allow-Origin") != "*") {
					t.Errorf("GET %s: %+v\nwant %s", path, got, want)
				}
				if tt.want == "" && got.status == 200 && !strings.HasPrefix(got.body, "root") {
					t.Errorf("GET %s: %+v", path, got)
				}
			}
		})
	}
	t.Run("only one of both", func(t *testing.T) {
		got := ask(t, addr, "GET", "/.well-known/host-meta.json", "g.example", "")
		if want := `{"links":[{"rel":"urn:xmpp:alt-connections:xbosh","href":"http://g.example:5280/http-bind"}]}`; got.body != want {
			t.Errorf("answered %s", got.body)
		}
	})
	t.Run("types", func(t *testing.T) {
		for path, want := range map[string]string{"/.well-known/host-meta": "application/xrd+xml", "/.well-known/host-meta.json": "application/json"} {
			if got := ask(t, addr, "HEAD", path, "a.example", ""); got.status != 200 || got.header.Get("Content-Type") != want {
				t.Errorf("HEAD %s: %+v", path, got)
			}
		}
	})
	t.Run("a page asks before", func(t *testing.T) {
		got := ask(t, addr, "OPTIONS", "/.well-known/host-meta", "a.example", "", "Origin: https://x.example", "Access-Control-Request-Method: GET")
		if got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("answered %+v", got)
		}
	})
	t.Run("another method", func(t *testing.T) {
		if got := ask(t, addr, "POST", "/.well-known/host-meta", "a.example", "x"); got.status != 405 || got.header.Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("answered %+v", got)
		}
	})
	t.Run("below it", func(t *testing.T) {
		if got := ask(t, addr, "GET", "/.well-known/host-meta/", "a.example", ""); got.body != "root /.well-known/host-meta/" {
			t.Errorf("answered %+v", got)
		}
	})
	t.Run("markup in a URL", func(t *testing.T) {
		meta, err := newHostMeta(AltConnect{WebSocket: `wss://a.example/<x a="b" c='d'>&ü`})
		if err != nil {
			t.Fatal(err)
		}
		if want := `href="wss://a.example/%3Cx%20a=%22b%22%20c=%27d%27%3E&amp;%C3%BC"`; !strings.Contains(string(meta.xrd), want) {
			t.Errorf("made %s", meta.xrd)
		}
	})
	t.Run("no URL", func(t *testing.T) {
		for _, bad := range []string{"/xmpp-websocket", "wss://a.example/\x00", "wss:a.example"} {
			err := new(Server).SetHosts([]Host{{Name: "a.example", AltConnect: AltConnect{WebSocket: bad}}}, "")
			if err == nil || !strings.Contains(err.Error(), `host-meta of VirtualHost "a.example"`) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

func TestExternalURL(t *testing.T) {
	tests := []struct {
		name, base, host string
		https, http      int
		path             string
		socket           bool
		want             string
	}{
		{"HTTPS", "", "a.example", 5281, 5280, "/http-bind", false, "https://a.example:5281/http-bind"},
		{"WebSocket", "", "a.example", 5281, 5280, "xmpp-websocket/", true, "wss://a.example:5281/xmpp-websocket"},
		{"usual port", "", "a.example", 443, 80, "/http-bind", false, "https://a.example/http-bind"},
		{"no HTTPS", "", "a.example", 0, 5280, "/http-bind", false, "http://a.example:5280/http-bind"},
		{"no HTTPS, usual port", "", "a.example", 0, 80, "/xmpp-websocket", true, "ws://a.example/xmpp-websocket"},
		{"outside", "https://chat.example/", "a.example", 5281, 5280, "/http-bind", false, "https://chat.example/http-bind"},
		{"outside with port and path", "https://chat.example:8443/xmpp/", "a.example", 0, 5280, "/xmpp-websocket", true, "wss://chat.example:8443/xmpp/xmpp-websocket"},
		{"outside without TLS", "http://chat.example", "a.example", 0, 5280, "/xmpp-websocket", true, "ws://chat.example/xmpp-websocket"},
		{"variable", "", "a.example", 443, 80, "/$host/bosh", false, "https://a.example/v.example/bosh"},
		{"root", "", "a.example", 443, 80, "/", false, "https://a.example/"},
		{"IDN", "", "bücher.example", 443, 80, "/b", false, "https://xn--bcher-kva.example/b"},
		{"IPv6", "", "[2001:db8::1]", 5281, 80, "/b", false, "https://[2001:db8::1]:5281/b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ExternalURL(tt.base, tt.host, tt.https, tt.http, tt.path, "v.example", tt.socket)
			if err != nil || got != tt.want {
				t.Errorf("ExternalURL = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	for _, bad := range []string{"chat.example", "ftp://chat.example", "https://", "https://a b/"} {
		if got, err := ExternalURL(bad, "a.example", 443, 80, "/", "", false); err == nil || !strings.Contains(err.Error(), "http_external_url") {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}
