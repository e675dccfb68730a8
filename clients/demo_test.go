//go:build clients

package clients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDemo is what a newcomer does: starts the demo, opens the page, and changes contacts.
func TestDemo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*atMost)
	defer cancel()
	demo, address := startDemo(t, ctx)
	b := browser{demo.node(t, "demo.js", map[string]any{"page": address})}
	r := stage{t, ctx, b}
	do := func(action string, args map[string]any) {
		t.Helper()
		r.must(b.do(ctx, action, args))
	}
	r.sees("alice's Friends / Bob: online", "alice's Friends / Marie Curie: offline", "alice's Work / Carol: offline",
		"bob's Friends / Alice: online", "bob's Friends / Marie: offline")
	do("say", map[string]any{"from": "alice", "to": "bob@localhost", "text": "Hello, Bob."})
	do("say", map[string]any{"from": "bob", "to": "alice@localhost", "text": "Hello, Alice."})
	r.hears("Alice", "Hello, Bob.")
	r.hears("Bob", "Hello, Alice.")
	r.must(b.picture(ctx, "demo-before"))

	do("fill", map[string]any{"user": "alice", "jid": "marie@localhost", "fields": map[string]string{"name": "Marie the Curious"}})
	r.sees("alice's Friends / Bob: online", "alice's Friends / Marie the Curious: offline", "alice's Work / Carol: offline",
		"bob's Friends / Alice: online", "bob's Friends / Marie: offline")
	r.hears("push", `to alice@localhost/browser: marie@localhost "Marie the Curious" in Friends`)
	r.must(b.picture(ctx, "demo-after"))

	do("fill", map[string]any{"user": "bob", "add": true, "fields": map[string]string{"jid": "dave@localhost", "name": "Dave", "groups": "Band"}})
	do("fill", map[string]any{"user": "alice", "jid": "carol@localhost", "fields": map[string]string{"groups": "Friends, Chess"}})
	do("remove", map[string]any{"user": "bob", "jid": "marie@localhost"})
	r.sees("alice's Chess / Carol: offline", "alice's Friends / Bob: online", "alice's Friends / Carol: offline", "alice's Friends / Marie the Curious: offline",
		"bob's Band / Dave: offline", "bob's Friends / Alice: online")
	r.must(b.leave(ctx))
	demo.interrupt(t)
}

// startDemo runs the demo with an empty cache, and returns it with the address that it says.
func startDemo(t *testing.T, ctx context.Context) (demo *house, address string) {
	t.Helper()
	demo = &house{dir: t.TempDir(), log: newJournal()}
	demo.process = exec.Command(rosterd, "demo")
	demo.process.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(demo.dir, "cache"), "TMPDIR="+demo.dir)
	demo.process.Stdout, demo.process.Stderr = demo.log, demo.log
	must(t, demo.process.Start())
	t.Cleanup(func() {
		if demo.process.ProcessState == nil { // the test has failed before its end
			_ = demo.process.Process.Kill()
			_ = demo.process.Wait()
		}
		if t.Failed() {
			t.Logf("the demo:\n%s", demo.log)
		}
	})
	line, err := demo.log.wait(ctx, func(line string) bool { return strings.Contains(line, "form that changes") })
	must(t, err)
	if !strings.Contains(line, "open this page") {
		t.Fatalf("no page with Converse.js:\n%s", demo.log)
	}
	return demo, line[strings.LastIndex(line, "http://"):]
}

// interrupt ends the demo as its user does. It leaves nothing but the cache.
func (h *house) interrupt(t *testing.T) {
	t.Helper()
	must(t, h.process.Process.Signal(syscall.SIGINT))
	if err := h.process.Wait(); err != nil {
		t.Errorf("rosterd demo: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(h.dir, "*"))
	must(t, err)
	cached, err := filepath.Glob(filepath.Join(h.dir, "*", "*", "*"))
	must(t, err)
	if len(left) != 1 || len(cached) != 1 || filepath.Base(cached[0]) != "converse.js-14.0.0" {
		t.Errorf("left behind: %v, %v", left, cached)
	}
}
