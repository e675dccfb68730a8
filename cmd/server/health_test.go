package main

import (
	"strings"
	"testing"

	"rosterd/engine/enginetest"
)

// TestHealthCommand: over HTTP or HTTPS, exit status 0 says that the server answers, 1 that it does not.
func TestHealthCommand(t *testing.T) {
	for name, https := range map[string]bool{"HTTP": false, "HTTPS alone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, open(enginetest.Serve(t, nil).Template()))
			p.certify(t, "example.com")
			p.secure = true
			s := p.serve(t)
			if https { // for the one who asks
				p.text = "http_ports = {}\n" + p.text
				p.write(t)
			}
			if status, out, stderr := p.command(t, "", "health"); status != exitOK || out != "" || stderr != "" {
				t.Errorf("exit %d, %s%s", status, out, stderr)
			}
			equal(t, "exit status of the server", s.exit(t), exitOK)
			if status, _, stderr := p.command(t, "", "health"); status != exitFailed || !strings.Contains(stderr, "connection refused") {
				t.Errorf("nobody there: exit %d, %s", status, stderr)
			}
		})
	}
}

func TestHealthURL(t *testing.T) {
	for _, tt := range []struct{ name, options, url, err string }{
		{"default", "", "http://127.0.0.1:5280/healthz", ""},
		{"IPv6 alone", "use_ipv4 = false", "http://[::1]:5280/healthz", ""},
		{"all addresses", `http_interfaces = { "*" }; http_ports = { 80, 81 }`, "http://127.0.0.1:80/healthz", ""},
		{"all addresses of IPv6", `http_interfaces = { "::" }`, "http://[::1]:5280/healthz", ""},
		{"one address", `http_interfaces = { "192.0.2.1" }`, "http://192.0.2.1:5280/healthz", ""},
		{"HTTPS alone", "http_ports = {}", "https://127.0.0.1:5281/healthz", ""},
		{"neither", "http_ports = {}; https_ports = {}", "", "there is no HTTP to ask"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t, "")
			cfg := loadText(t, p.file(t, "prosody.cfg.lua", tt.options+"\n"+open("http://127.0.0.1:1/%s")))
			url, err := healthURL(cfg)
			if url != tt.url || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s, %v", url, err)
			}
		})
	}
}
