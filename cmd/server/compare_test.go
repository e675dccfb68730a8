package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"rosterd/compare"
	"rosterd/daemontest"
	"rosterd/engine/enginetest"
)

// comparablePlace is one whose rosters come from a backend.
func comparablePlace(t *testing.T, backend *enginetest.Server, more string) *place {
	t.Helper()
	return newPlace(t, fmt.Sprintf(`authentication = "internal_plain"
modules_enabled = { "saslauth", "tls", "disco", "ping", "version", "private" }
%s
VirtualHost "example.com"
  modules_enabled = { "http_roster_admin", "block_subscriptions" }
  modules_disabled = { "roster" }
  http_roster_url = %q
`, more, backend.Template()))
}

// certificatesOf names certificates for several places, as two servers for one domain have them.
func certificatesOf(t *testing.T) string {
	t.Helper()
	p := newPlace(t, "")
	p.certify(t, "example.com")
	return fmt.Sprintf("certificates = %q\n", p.dir+"/certs")
}

// TestCompare: what two servers have in common is not reported, and what they have not is.
func TestCompare(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"romeo": `{"juliet@example.com": {"name": "Juliet", "groups": ["Friends"]}}`})
	other := enginetest.Serve(t, map[string]string{"romeo": `{"juliet@example.com": {"name": "Juliet"}}`})
	certified, direct := certificatesOf(t), daemontest.Port(t)
	places := map[string]*place{
		"one":     comparablePlace(t, backend, certified),
		"another": comparablePlace(t, backend, certified),
		"changed": comparablePlace(t, other, certified+`disable_sasl_mechanisms = { "PLAIN" } modules_disabled = { "private" }`),
		"direct":  comparablePlace(t, backend, certified+fmt.Sprintf("c2s_direct_tls_ports = { %d }", direct)),
		"plain":   comparablePlace(t, backend, `c2s_require_encryption = false allow_unencrypted_plain_auth = true`),
	}
	at := map[string]string{"nobody": "127.0.0.1:1"}
	for name, p := range places {
		p.account(t, "romeo@example.com")
		s := p.serve(t)
		at[name] = s.address(s.c2s)
	}
	at["direct"] = "xmpps://" + places["direct"].address(direct)
	file := places["one"].file(t, "password", password+"\nthe rest is not read\n")
	empty := places["one"].file(t, "empty", "\n")

	for _, tt := range []struct {
		name, second, as, file string
		status                 int
		want                   []string
	}{
		{"the same", "another", "romeo@example.com", file, exitOK, []string{"login, ", " roster, ", "; 0 expected differences; 0 unexpected\n"}},
		{"another configuration", "changed", "romeo@example.com", file, exitFailed, []string{
			"DIFFERS   SASL mechanisms: only A: PLAIN\n",
			"DIFFERS   roster: only A: juliet@example.com both named \"Juliet\" in \"Friends\"\n", "DIFFERS   roster: only B: juliet@example.com both named \"Juliet\"\n",
			"DIFFERS   private data: bookmarks: only B: error cancel/service-unavailable\n", "SAME      TLS, certificate, ",
		}},
		{"no TLS on loopback", "plain", "romeo@example.com", file, exitFailed, []string{"DIFFERS   stream features before TLS: only A: starttls ", "DIFFERS   TLS: only A: TLS 1.3"}},
		{"direct TLS", "direct", "romeo@example.com", file, exitFailed, []string{"DIFFERS   stream features before TLS: only A: starttls ", "DIFFERS   STARTTLS is required: only A: true\n", "SAME      TLS, certificate, ", "; 2 unexpected\n"}},
		{"password from a pipe", "another", "romeo@example.com", "", exitOK, []string{"0 unexpected"}},
		{"no such user", "another", "tybalt@example.com", file, exitUsage, []string{"neither server lets us in: log in as tybalt@example.com", " (" + at["one"] + "); log in as tybalt@example.com", " (" + at["another"] + ")\n"}},
		{"no such host", "another", "romeo@example.org", file, exitUsage, []string{"host-unknown"}},
		{"no user", "another", "example.com", file, exitUsage, []string{`user "example.com" is not USER@HOST`}},
		{"nobody listens", "nobody", "romeo@example.com", file, exitUsage, []string{"127.0.0.1:1: ", "connection refused"}},
		{"no password", "another", "romeo@example.com", empty, exitUsage, []string{"its first line is empty"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"check", "--compare", at["one"], "--as", tt.as, "--compare=" + at[tt.second]}
			if tt.file != "" {
				args = append(args, "--password-file", tt.file)
			}
			status, out, stderr := places["one"].command(t, password+"\n", args...)
			equal(t, "exit status", status, tt.status)
			for _, text := range tt.want {
				if tt.status == exitOK {
					out = strings.ReplaceAll(out, ", private data: bookmarks", "")
				}
				if !strings.Contains(out+stderr, text) {
					t.Errorf("%q is not in\n%s%s", text, out, stderr)
				}
			}
		})
	}
	t.Run("with the server of the configuration", func(t *testing.T) {
		status, out, stderr := places["changed"].command(t, password+"\n", "check", "--compare", at["one"], "--as", "romeo@example.com", "--json")
		equal(t, "exit status", status, exitFailed)
		var r compare.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v\n%s%s", err, out, stderr)
		}
		equal(t, "servers", [2]string{r.Servers[0].Address, r.Servers[1].Address}, [2]string{at["one"], at["changed"]})
		for _, f := range r.Findings {
			if f.Probe == mechanismsProbe {
				equal(t, f.Probe, f, compare.Finding{Probe: mechanismsProbe, Same: 6, Differences: []compare.Difference{{Server: 0, Fact: "PLAIN"}}})
			}
		}
	})
	t.Run("usage", func(t *testing.T) {
		for _, args := range [][]string{
			{"--compare", "a:1"}, {"--compare", "a:1", "--as", "x@y", "more"}, {"--compare", "a:1", "--compare", "b:1", "--compare", "c:1", "--as", "x@y"},
			{"--compare", "a:1", "--as", "x@y", "--refresh", "http://a"}, {"--compare", "a:1", "--as", "x@y", "--change", "true"}, {"--compare", "http://a", "--as", "x@y"},
		} {
			status, out, _ := places["one"].command(t, password+"\n", append([]string{"check"}, args...)...)
			equal(t, strings.Join(args, " "), fmt.Sprint(status, out), "2")
		}
	})
}

const mechanismsProbe = "SASL mechanisms"

// TestCompareCut: a server that ends the session instead of answering is asked the rest in another one.
func TestCompareCut(t *testing.T) {
	t.Parallel()
	p := comparablePlace(t, enginetest.Serve(t, nil), `c2s_require_encryption = false allow_unencrypted_plain_auth = true`)
	p.account(t, "romeo@example.com")
	s := p.serve(t)
	cut := cutter(t, s.address(s.c2s), "jabber:iq:private")
	status, out, stderr := p.command(t, password+"\n", "check", "--compare", cut, "--compare", s.address(s.c2s), "--as", "romeo@example.com")
	equal(t, "exit status", status, exitFailed)
	for _, want := range []string{
		"DIFFERS   private data: bookmarks: only A: the stream is closed instead of an answer\n", "DIFFERS   private data: notes: only A: the stream is closed", "DIFFERS   private data: notes: only B: result\n",
		" roster, ", " time, ", " archive: the newest messages\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s%s", want, out, stderr)
		}
	}
}

// cutter passes on what clients say, and cuts those who say a word.
func cutter(t *testing.T, to, word string) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var passing sync.WaitGroup
	t.Cleanup(func() {
		ln.Close()
		passing.Wait()
	})
	passing.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				t.Error(err)
				client.Close()
				return
			}
			passing.Go(func() {
				_, _ = io.Copy(client, server) // until either is closed
				client.Close()
			})
			passing.Go(func() {
				defer server.Close()
				for b := make([]byte, 4096); ; {
					n, err := client.Read(b)
					if err != nil || strings.Contains(string(b[:n]), word) {
						return
					}
					if _, err := server.Write(b[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	return ln.Addr().String()
}

// TestComparePushes: a change of the roster is pushed by both, and whoever pushes something else is found out.
func TestComparePushes(t *testing.T) {
	t.Parallel()
	before, after := `{"juliet@example.com": {"name": "Juliet"}, "nurse@example.com": {}}`, `{"juliet@example.com": {"name": "J"}, "paris@example.com": {}}`
	one, other := enginetest.Serve(t, map[string]string{"romeo": before}), enginetest.Serve(t, map[string]string{"romeo": before})
	var targets [2]compare.Target
	certified := certificatesOf(t)
	var first *place
	for i, b := range []*enginetest.Server{one, other} {
		p := comparablePlace(t, b, certified+`rosterd_refresh_token = "let-me-in"`)
		p.account(t, "romeo@example.com")
		s := p.serve(t)
		first = p
		targets[i] = compare.Target{Address: s.address(s.c2s), Refresh: "http://" + s.address(s.http)}
	}
	difference := func(change func(context.Context) error) (list []string) {
		t.Helper()
		r, err := compare.Compare(testContext(t), targets[0], targets[1], compare.Options{User: "romeo@example.com", Password: password, Token: "let-me-in", Change: change})
		if err != nil {
			t.Fatal(err)
		}
		pushes := 0
		for _, f := range r.Findings {
			if f.Probe == "pushes after a refresh" {
				pushes = f.Same
			}
			for _, d := range f.Differences {
				list = append(list, fmt.Sprintf("%s: %c %s", f.Probe, 'A'+d.Server, d.Fact))
			}
		}
		return append(list, fmt.Sprint(pushes))
	}
	equal(t, "without a change", difference(nil), []string{"0"})
	status, out, stderr := first.command(t, password+"\n", "check", "--compare", targets[0].Address, "--refresh", targets[0].Refresh, "--compare", targets[1].Address, "--refresh", targets[1].Refresh,
		"--change", "exit 7", "--as", "romeo@example.com")
	equal(t, "a change that fails", fmt.Sprint(status, out, strings.Contains(stderr, "change of the roster: exit 7: exit status 7")), "2true")
	equal(t, "the same change", difference(func(context.Context) error {
		one.Set("romeo", after)
		other.Set("romeo", after)
		return nil
	}), []string{"6"}) // three contacts, each with a version
	equal(t, "a change that one backend does not make", difference(func(context.Context) error {
		one.Set("romeo", before)
		return nil
	})[:2], []string{"pushes after a refresh: A a version", "pushes after a refresh: A a version"})
}
