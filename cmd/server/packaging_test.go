package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/config"
)

func packaged(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "packaging", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestManPage: the page for administrators knows every command, and those alone.
func TestManPage(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for line := range strings.Lines(packaged(t, "rosterd.8")) {
		if name, ok := strings.CutPrefix(line, ".It Cm "); ok {
			listed[strings.TrimSpace(name)] = true
		}
	}
	for _, c := range commands() {
		if !listed[c.name] && c.name != "version" {
			t.Errorf("it lacks %s", c.name)
		}
		delete(listed, c.name)
	}
	for name := range listed {
		t.Errorf("it has %s, which does not exist", name)
	}
}

// TestPackagedConfiguration: what the package installs is understood, needs nothing but the address of a backend, and
// listens on this machine alone.
func TestPackagedConfiguration(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "")
	path := p.file(t, "prosody.cfg.lua", packaged(t, "prosody.cfg.lua"))
	cfg, diags, err := examine(testContext(t), path, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diags {
		if d.Severity != config.Note && d.Code != config.CodeCertificate && d.Code != config.CodeLogin {
			t.Error(d)
		}
	}
	for _, service := range []string{"c2s", "http", "https"} {
		for _, l := range cfg.Listeners(service) {
			if !strings.HasPrefix(l.Address, "127.0.0.1:") && !strings.HasPrefix(l.Address, "[::1]:") {
				t.Errorf("%s listens on %s", service, l.Address)
			}
		}
	}
}

// TestPackagedUnit: systemd waits longer than the server takes to stop, and starts what is installed.
func TestPackagedUnit(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][]string{
		"rosterd.service": {"Type=notify\n", "TimeoutStopSec=30\n", "ExecStart=/usr/bin/rosterd serve --config /etc/rosterd/prosody.cfg.lua\n", "ExecReload=/bin/kill -HUP $MAINPID\n"},
		"prosody.conf":    {"ExecStart=\nExecStart=/usr/bin/rosterd serve --config /etc/prosody/prosody.cfg.lua\n", "User=prosody\n", "StateDirectory=\n"},
		"Containerfile":   {`"/usr/bin/rosterd", "health"`, "\nUSER 65532:65532\n"},
	} {
		text := packaged(t, file)
		for _, line := range want {
			if !strings.Contains(text, line) {
				t.Errorf("%s lacks %q", file, line)
			}
		}
	}
	if patience.Seconds() >= 30 {
		t.Errorf("systemd kills a server that takes %v to stop", patience)
	}
}
