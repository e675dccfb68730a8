package main

import (
	"strings"
	"testing"

	"rosterd/engine/enginetest"
)

// TestAccepted: what check says of a file, the server says when it starts on it; and what is accepted does not keep it from
// that, nor from reading it anew.
func TestAccepted(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": rosterOfJohn})
	text := strings.Replace(open(backend.Template()), `"ping"`, `"ping", "isolate_host"`, 1)
	const refusal = `module "isolate_host" is not available: users of the host could talk to users of other hosts [SEC001]`

	t.Run("not accepted", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, text)
		p.write(t)
		s := p.launch(t)
		equal(t, "exit status", s.wait(t), exitUsage)
		if log := s.log.String(); !strings.Contains(log, refusal) || !strings.Contains(log, "rosterd serve: refused, see above") {
			t.Error(log)
		}
	})
	t.Run("in the file", func(t *testing.T) {
		t.Parallel()
		s := newPlace(t, "rosterd_accept = { \"SEC001@isolate_host\" }\n"+text).serve(t)
		if log := s.log.String(); !strings.Contains(log, refusal) || !strings.Contains(log, "accepted by rosterd_accept (") {
			t.Error(log)
		}
	})
	t.Run("by the command line", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, text)
		p.args = []string{"--accept", "SEC001"}
		s := p.serve(t)
		if log := s.log.String(); !strings.Contains(log, "accepted by --accept") {
			t.Error(log)
		}
		s.wantReloaded(t, text)
		s.quiet = true
		s.text = strings.Replace(text, `"ping"`, `"ping", "http_authentication"`, 1)
		s.write(t)
		if line := s.reload(t); !strings.Contains(line, "1 setting is refused") {
			t.Errorf("what cannot be accepted: %s", line)
		}
	})
}

// TestAcceptedByServe: commands about accounts go on with what the server was told to accept by its command line.
func TestAcceptedByServe(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "modules_enabled = { 'roster', 'saslauth', 'isolate_host' }\nVirtualHost 'example.com'\n")
	p.c2s, p.http, p.https = 5222, 5280, 5281
	p.write(t)
	status, out, said := p.command(t, "secret\n", "user", "add", "jim@example.com")
	if status != exitOK {
		t.Errorf("user add exits with %d: %s%s", status, out, said)
	}
}
