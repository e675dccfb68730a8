//go:build clients

package clients

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"rosterd/daemontest"
)

// python is Debian's, which is the one that has Debian's slixmpp.
const python = "/usr/bin/python3"

const componentSecret = "o mistress mine"

// openWithComponent is open with an external component.
func openWithComponent(t *testing.T, name, title string) *house {
	return openWith(t, cast(), func(h *house) (global, sections string) {
		h.component = daemontest.Port(t)
		return fmt.Sprintf("component_ports = { %d }\n", h.component),
			fmt.Sprintf("Component %q\n  name = %q\n  component_secret = %q\n", name+"."+domain, title, componentSecret)
	})
}

// story runs a story in Python to its end.
func (h *house) story(t *testing.T, name string, args ...string) {
	t.Helper()
	h.play(t, name, nil, args...)
}

// play is story with things that the administrator does, by name: the story has them done in between.
func (h *house) play(t *testing.T, name string, directions map[string]func(), args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*atMost)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, append([]string{filepath.Join("python", name)}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "CERTIFICATE="+h.certificate())
	problems := newJournal()
	cmd.Stderr = problems
	answers, err := cmd.StdinPipe()
	must(t, err)
	asked, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(cancel) // it does not go on after a direction that has failed
	for lines := bufio.NewScanner(asked); lines.Scan(); {
		what, asked := strings.CutPrefix(lines.Text(), "do: ")
		if !asked {
			continue // libraries print, too
		}
		do := directions[what]
		if do == nil {
			t.Fatalf("%s asks for %q", name, what)
		}
		do()
		_, err := fmt.Fprintln(answers, "done")
		must(t, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, problems)
	}
}

// TestBot: a bot written with slixmpp serves a domain of its own.
func TestBot(t *testing.T) {
	t.Parallel()
	h := openWithComponent(t, "bot", "A bot")
	h.story(t, "bot.py", strconv.Itoa(h.component), strconv.Itoa(h.c2s), componentSecret, password)
	for _, what := range []string{"wrong secret", "the component is connected already"} {
		if len(h.log.find("a component is not let in", what)) != 1 {
			t.Errorf("no line of the log says %q", what)
		}
	}
}

// rooms is the configuration of Debian's MUC service, mu-conference.
const rooms = `<jcr>
  <name>muc.%[1]s</name><host>muc.%[1]s</host>
  <ip>127.0.0.1</ip><port>%[2]d</port><secret>%[3]s</secret>
  <spool>%[4]s/spool</spool><logdir>%[4]s</logdir><pidfile>%[4]s/pid</pidfile><loglevel>124</loglevel>
  <conference xmlns="jabber:config:conference">
    <public/><history>40</history><logdir>%[4]s/logs/</logdir>
    <vCard><FN>Rooms</FN></vCard>
    <notice><join>has come</join><leave>has left</leave><rename>is now</rename></notice>
  </conference>
</jcr>
`

// TestRooms: users meet in a room of a MUC service that is attached.
func TestRooms(t *testing.T) {
	t.Parallel()
	h := openWithComponent(t, "muc", "Rooms")
	dir := t.TempDir()
	for _, sub := range []string{"spool/muc." + domain, "logs"} {
		must(t, os.MkdirAll(filepath.Join(dir, sub), 0o700))
	}
	config := filepath.Join(dir, "muc.xml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, rooms, domain, h.component, componentSecret, dir), 0o600))
	daemontest.Start(t, exec.Command("mu-conference", "-s", "-c", config), daemontest.Options{End: syscall.SIGKILL})
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	if _, err := h.log.wait(ctx, func(line string) bool {
		return strings.Contains(line, `msg="component connected"`) && strings.Contains(line, "component=muc."+domain)
	}); err != nil {
		t.Fatalf("mu-conference does not connect: %v", err)
	}
	h.story(t, "rooms.py", strconv.Itoa(h.c2s), "muc."+domain, password)
}
