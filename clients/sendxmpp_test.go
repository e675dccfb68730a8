//go:build clients

package clients

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"rosterd/xmppcore/xmpptest"
)

// TestSendXMPP sends from scripts, and prints what comes; it knows nothing of contacts.
func TestSendXMPP(t *testing.T) {
	for _, tt := range []struct {
		name string
		port func(*house) int
		args []string
	}{
		{"STARTTLS", func(h *house) int { return h.c2s }, nil},
		{"direct TLS", func(h *house) int { return h.direct }, []string{"-t"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := open(t, cast())
			ctx, cancel := context.WithTimeout(t.Context(), atMost)
			defer cancel()
			run := func(args ...string) *exec.Cmd {
				cmd := exec.CommandContext(ctx, "go-sendxmpp", append(append(tt.args, "-u", romeo, "-p", password, "-j", h.address(tt.port(h))), args...)...)
				cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "SSL_CERT_FILE="+h.certificate())
				return cmd
			}
			j := h.enter(t, ctx, "juliet")
			j.send("<presence/>")

			out := newJournal()
			listen := run("-l")
			listen.Stdout, listen.Stderr = out, out
			must(t, listen.Start())
			t.Cleanup(func() {
				_ = listen.Process.Kill() // it listens until it is ended
				_ = listen.Wait()
			})
			j.presence(romeo, "")
			j.send("<message to='%s' type='chat'><body>It is the lark.</body></message>", romeo)
			if _, err := out.wait(ctx, func(line string) bool { return strings.HasSuffix(line, juliet+": It is the lark.") }); err != nil {
				t.Fatalf("no message: %v\n%s", err, out)
			}

			send := run(juliet)
			send.Stdin = strings.NewReader("Night's candles are burnt out.\n")
			if out, err := send.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			j.expect("the message", func(e xmpptest.Element) bool {
				body, ok := e.Find("jabber:client", "body")
				return ok && bare(e.Attr("from")) == romeo && strings.TrimSpace(body.Text) == "Night's candles are burnt out."
			})
		})
	}
}
