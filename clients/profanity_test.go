//go:build clients

package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The roster panel of profanity: the right 40 percent of the screen, contacts under their groups, status behind the name.
const (
	profanitySettings = `[ui]
roster=true
roster.by=group
roster.count=off
roster.contacts=true
roster.rooms=false
roster.presence=true
roster.presence.indent=-1
roster.resource=false
roster.size=40
occupants.size=40
`
	profanityColumns = 150
	profanityRows    = 40 // a title first, status and input last
	profanityPanel   = 90
)

// terminal is profanity in a terminal that tmux plays.
type terminal struct {
	socket string
}

// profanity logs in as romeo by typing what a user types: STARTTLS, the question whether the certificate is to be
// trusted, SASL.
func profanity(t *testing.T, h *house) client {
	t.Helper()
	home := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(home, ".config", "profanity"), 0o700))
	must(t, os.WriteFile(filepath.Join(home, ".config", "profanity", "profrc"), []byte(profanitySettings), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	p := &terminal{socket: filepath.Join(home, "tmux")}
	must(t, p.begin(ctx, home))
	t.Cleanup(func() { p.tmux(context.Background(), "kill-server") })
	for _, step := range []struct{ type_, until string }{
		{"", "Type '/help' to show complete help."},
		{"/connect " + romeo + " server 127.0.0.1 port " + strconv.Itoa(h.c2s), "Enter password:"},
		{password, "Use '/tls allow' to accept this certificate."},
		{"/tls allow", "logged in successfully"},
	} {
		if step.type_ != "" {
			must(t, p.enter(ctx, step.type_))
		}
		if screen, err := p.until(ctx, func(screen string) bool { return strings.Contains(screen, step.until) }); err != nil {
			t.Fatalf("after %q no %q: %v\n%s", step.type_, step.until, err, screen)
		}
	}
	return p
}

func (p *terminal) begin(ctx context.Context, home string) error {
	return p.tmux(ctx, "-f", os.DevNull, "new-session", "-d", "-x", strconv.Itoa(profanityColumns), "-y", strconv.Itoa(profanityRows),
		"env", "HOME="+home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "LANG=C.UTF-8", "profanity")
}

func (p *terminal) tmux(ctx context.Context, args ...string) error {
	_, err := p.ask(ctx, args...)
	return err
}

func (p *terminal) ask(ctx context.Context, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "tmux", append([]string{"-S", p.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LANG=C.UTF-8", "TERM=xterm-256color")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("tmux %s: %w: %s", args[0], err, &stderr)
	}
	return string(out), nil
}

// enter types a line.
func (p *terminal) enter(ctx context.Context, text string) error {
	return errors.Join(p.tmux(ctx, "send-keys", "-l", text), p.tmux(ctx, "send-keys", "Enter"))
}

// until looks at the screen until it is as wanted.
func (p *terminal) until(ctx context.Context, ok func(screen string) bool) (screen string, err error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := p.ask(ctx, "capture-pane", "-p")
		if err != nil {
			return screen, errors.Join(ctx.Err(), err)
		}
		if screen = now; ok(screen) {
			return screen, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return screen, ctx.Err()
		}
	}
}

// sees reads the roster panel, which is beside the first window.
func (p *terminal) sees(ctx context.Context, want []string) (instead []string, err error) {
	if err := p.enter(ctx, "/win 1"); err != nil {
		return nil, err
	}
	_, err = p.until(ctx, func(screen string) bool {
		instead = panel(screen)
		return slices.Equal(instead, want)
	})
	return instead, err
}

// panel is what the roster panel shows: groups, and a little to the right of them their contacts.
func panel(screen string) (contacts []string) {
	group := ""
	for _, row := range strings.Split(screen, "\n")[1 : profanityRows-2] {
		if len(row) < profanityPanel || strings.TrimSpace(row[profanityPanel:]) == "" {
			continue
		}
		text := strings.TrimSpace(row[profanityPanel:])
		if indent := len(row) - len(strings.TrimLeft(row[profanityPanel:], " ")) - profanityPanel; indent < 3 {
			group = text
			continue
		}
		name, status, ok := strings.Cut(text, ": ")
		if !ok {
			status = "offline"
		}
		contacts = append(contacts, line(group, name, status))
	}
	return sorted(contacts)
}

// hears looks at the window of the conversation, which has been the second one since it began.
func (p *terminal) hears(ctx context.Context, name, text string) (string, error) {
	if err := p.enter(ctx, "/win 2"); err != nil {
		return "", err
	}
	said := regexp.MustCompile(regexp.QuoteMeta(" - "+name) + "(/\\S+)?" + regexp.QuoteMeta(": "+text)) // it may name the resource
	return p.until(ctx, said.MatchString)
}

func (p *terminal) says(ctx context.Context, to, text string) error {
	return p.enter(ctx, "/msg "+to+" "+text)
}

func (p *terminal) picture(ctx context.Context, name string) error {
	screen, err := p.ask(ctx, "capture-pane", "-p")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(pictures, name+".txt"), []byte(screen), 0o644)
}

func (p *terminal) leave(ctx context.Context) error { return p.enter(ctx, "/quit") }
