//go:build clients

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"rosterd/daemontest"
)

// TestMigrating runs the commands of docs/MIGRATING.md, all of them and in their order, as somebody does who follows it:
// with Debian's Prosody on the way there and back. Paths and ports are others, the one user is not root, and systemd is
// a script; the package's test has the real one.
func TestMigrating(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	blocks := commandsOf(t, "../docs/MIGRATING.md")
	compared := find(t, blocks, "romeo.password")
	moved, back, forgotten := find(t, blocks, "kill %1"), find(t, blocks, "systemctl start prosody"), find(t, blocks, "rm -r ")
	for i, b := range blocks {
		b = m.here(b)
		switch i {
		case 0:
			b = "systemctl start prosody\n" + b
		case compared: // also somebody whose roster is in Prosody's folder
			b += m.here("echo secret >nurse.password\nrosterd check --compare 127.0.0.1:5222 --compare 127.0.0.1:15222 --as nurse@stored.example --password-file nurse.password\n")
		case moved: // what happens while rosterd serves, with an account of its own copy and with one in Prosody's folder
			b += "printf 'changed\\n' | rosterd user passwd romeo@example.com --config " + m.config() + "\nprintf 'new\\n' | rosterd user add tybalt@example.com --config " + m.config() + "\n"
		case back:
			b += m.here("echo new >tybalt.password\nrosterd check --compare 127.0.0.1:5222 --compare 127.0.0.1:5222 --as tybalt@example.com --password-file tybalt.password\n" +
				"rosterd check --compare 127.0.0.1:5222 --compare 127.0.0.1:5222 --as romeo@example.com --password-file romeo.password\n")
		case forgotten:
			b += "systemctl stop prosody\n"
		}
		blocks[i] = b
	}
	out := m.run(t, blocks)
	for i, want := range map[int][]string{
		0:                              {"Effective modules on example.com: "},
		find(t, blocks, "--dry-run\n"): {"example.com accounts 1 1 ", "example.com private 1 1 ", "stored.example roster 1 ", "nothing was written"},
		compared:                       {" private data: notes, ", " blocklist, ", " expected differences; 0 unexpected\n", "As nurse@stored.example:\n"},
		find(t, blocks, "--refresh"):   {"answer to a refresh", "EXPECTED pushes after a refresh: only B: a version, a version\n", "; 0 unexpected\n"},
		moved:                          {"password of romeo@example.com changed (sqlite)", "tybalt@example.com added (prosody)"},
		back:                           {"; 0 unexpected\n"},
	} {
		for _, text := range want {
			if !strings.Contains(columns.ReplaceAllString(out[i], " "), text) {
				t.Errorf("after\n%s\nthere is no %q in\n%s", blocks[i], text, out[i])
			}
		}
	}
	if left, err := filepath.Glob(filepath.Join(m.dir, "var/lib", "*trial*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

var columns = regexp.MustCompile(" +")

// commandsOf are the blocks of commands in a text.
func commandsOf(t *testing.T, file string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	for _, paragraph := range strings.Split(string(text), "\n\n") {
		if !strings.HasPrefix(paragraph, "    ") {
			continue
		}
		var b strings.Builder
		for line := range strings.Lines(paragraph) {
			b.WriteString(strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "    ") + "\n")
		}
		blocks = append(blocks, b.String())
	}
	return blocks
}

// find is the first block that has a text.
func find(t *testing.T, blocks []string, text string) int {
	t.Helper()
	for i, b := range blocks {
		if strings.Contains(b, text) {
			return i
		}
	}
	t.Fatalf("no command has %q", text)
	return 0
}

// machine stands for one that has Prosody on it: folders like /etc, ports, and programs.
type machine struct {
	dir   string
	ports map[string]string // of the document, and those that are used
	owner *syscall.Credential
	env   []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir := daemontest.Folder(t, "migrating")
	m := &machine{dir: dir, ports: map[string]string{}}
	for _, port := range []string{"5222", "5280", "15222", "15280", "15347"} {
		m.ports[port] = strconv.Itoa(daemontest.Port(t))
	}
	for _, d := range []string{"bin", "etc/prosody/certs", "var/lib/prosody", "run"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	m.install(t)
	m.furnish(t, m.application(t))
	m.give(t)
	return m
}

func (m *machine) config() string { return filepath.Join(m.dir, "etc/prosody/prosody.cfg.lua") }

// here is a text of the document with the paths and ports of this machine.
func (m *machine) here(text string) string {
	text = strings.NewReplacer("/etc/prosody", m.dir+"/etc/prosody", "/var/lib/prosody", m.dir+"/var/lib/prosody", "/etc/systemd", m.dir+"/etc/systemd",
		"/usr/share/doc/rosterd/examples", m.dir+"/examples", "/usr/bin/rosterd", "rosterd", "http://localhost/", m.ports["application"]+"/").Replace(text)
	return regexp.MustCompile(`\b(15222|15280|15347|5222|5280)\b`).ReplaceAllStringFunc(text, func(p string) string { return m.ports[p] })
}

// application is the web application: it answers with contacts, and changes them when it is told to.
func (m *machine) application(t *testing.T) string {
	t.Helper()
	var mu sync.Mutex
	contacts := map[string]contact{"nurse@example.com": {Name: "Nurse"}, "mercutio@example.com": {Name: "Mercutio"}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /contacts/{user}", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		list := map[string]any{}
		for jid, c := range contacts {
			list[jid] = map[string]any{"name": c.Name, "groups": map[string]bool{"Verona": true}}
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(list); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("POST /contacts/{user}/{jid}", func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		delete(contacts, "mercutio@example.com")
		contacts[r.PathValue("jid")] = contact{Name: "Juliet"}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	m.ports["application"] = s.URL
	return s.URL
}

// install puts programs where they are found: rosterd, Prosody, and stand-ins for what only root and systemd can do.
func (m *machine) install(t *testing.T) {
	t.Helper()
	bin := filepath.Join(m.dir, "bin")
	program, err := os.ReadFile(rosterd)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(bin, "rosterd"), program, 0o755))
	must(t, os.CopyFS(filepath.Join(m.dir, "modules"), os.DirFS("prosody")))
	unit, err := os.ReadFile("../packaging/prosody.conf")
	must(t, err)
	must(t, os.Mkdir(filepath.Join(m.dir, "examples"), 0o755))
	must(t, os.WriteFile(filepath.Join(m.dir, "examples/prosody.conf"), []byte(m.here(string(unit))), 0o644))
	for name, script := range map[string]string{
		"prosodyctl": `exec /usr/bin/prosodyctl --config ` + m.config() + ` "$@"`,
		"runuser":    `shift 3; exec "$@"`,
		"sleep":      `exec /bin/sleep 0.05`,
		"systemctl": `pid=` + m.dir + `/run/$2.started
case "$1 $2" in
"stop "*)
	kill $(cat $pid)
	while kill -0 $(cat $pid) 2>/dev/null; do sleep 1; done ;;
"start prosody")
	/usr/bin/prosody --config ` + m.config() + ` -F >>` + m.dir + `/prosody.log 2>&1 & echo $! >$pid
	until curl -s -o ` + m.dir + `/run/answer http://127.0.0.1:` + m.ports["5280"] + `/; do kill -0 $(cat $pid) || exit 1; sleep 1; done ;;
"start rosterd")
	$(sed -n 's/^ExecStart=\(.\)/\1/p' ` + m.dir + `/etc/systemd/system/rosterd.service.d/prosody.conf) >>` + m.dir + `/rosterd.log 2>&1 & echo $! >$pid
	until rosterd health --config ` + m.config() + ` >` + m.dir + `/run/answer 2>&1; do kill -0 $(cat $pid) || exit 1; sleep 1; done ;;
esac`,
	} {
		must(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
}

// furnish writes a configuration as it is for mod_http_roster_admin, and what a user has stored.
func (m *machine) furnish(t *testing.T, application string) {
	t.Helper()
	certify := &house{dir: filepath.Join(m.dir, "etc/prosody")}
	certify.certify(t)
	other := filepath.Join(certify.dir, "certs/stored.example")
	openssl := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj", "/CN=stored.example",
		"-addext", "subjectAltName=DNS:stored.example", "-keyout", other+".key", "-out", other+".crt")
	if out, err := openssl.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	data, stored := filepath.Join(m.dir, "var/lib/prosody/example%2ecom"), filepath.Join(m.dir, "var/lib/prosody/stored%2eexample")
	for file, text := range map[string]string{
		m.config(): fmt.Sprintf(`
data_path = %q
plugin_paths = { %q }
pidfile = %q
log = "*console"
interfaces = { "127.0.0.1" }
c2s_ports = { %s }
http_ports = { %s }
http_interfaces = { "127.0.0.1" }
https_ports = {}
component_ports = {}
s2s_ports = {}
modules_enabled = { "saslauth", "tls", "disco", "private", "blocklist", "carbons", "pep", "vcard4", "vcard_legacy", "bookmarks",
	"version", "uptime", "time", "ping", "register", "mam", "csi_simple", "smacks", "posix" }
modules_disabled = { "s2s" }
c2s_require_encryption = true
authentication = "internal_hashed"
certificates = "certs"
VirtualHost "example.com"
	modules_enabled = { "http_roster_admin", "block_subscriptions", "storage_memory" }
	modules_disabled = { "roster" }
	storage = { roster = "memory" }
	http_roster_url = %q
VirtualHost "stored.example"
	modules_enabled = { "roster" }
`, m.dir+"/var/lib/prosody", m.dir+"/modules", m.dir+"/run/prosody.pid", m.ports["5222"], m.ports["5280"], application+"/contacts/%s"),
		stored + "/accounts/nurse.dat": `return { ["password"] = "secret"; };`,
		stored + "/roster/nurse.dat": `return { [false] = { ["version"] = 7; ["pending"] = { ["paris@stored.example"] = true; }; };
	["juliet@stored.example"] = { ["name"] = "Juliet"; ["subscription"] = "both"; ["groups"] = { ["Capulet"] = true; ["Verona"] = true; }; };
	["peter@stored.example"] = { ["subscription"] = "none"; ["ask"] = "subscribe"; ["groups"] = {}; }; };`,
		data + "/private/romeo.dat": `return { ["storage:storage:rosternotes"] = { ["name"] = "storage"; ["attr"] = { ["xmlns"] = "storage:rosternotes"; };
	{ ["name"] = "note"; ["attr"] = { ["jid"] = "nurse@example.com"; ["xmlns"] = "storage:rosternotes"; }; "Knows more than she says"; }; }; };`,
		data + "/blocklist/romeo.dat": `return { ["paris@example.com"] = true; };`,
	} {
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, os.WriteFile(file, []byte(text), 0o644))
	}
}

// give hands the machine to a user without rights: Prosody does not run as root.
func (m *machine) give(t *testing.T) {
	t.Helper()
	path := filepath.Join(m.dir, "bin") + ":" + os.Getenv("PATH")
	m.env = []string{"PATH=" + path, "HOME=" + m.dir, "LANG=C.UTF-8", "GORACE=atexit_sleep_ms=50"}
	m.owner = daemontest.User(t, "nobody") // not Prosody's own, whose folder it must not touch
	daemontest.Give(t, m.dir, m.owner)
}

// run runs blocks of commands in one shell, which stops at the first that fails, and returns what each has said.
func (m *machine) run(t *testing.T, blocks []string) []string {
	t.Helper()
	const mark = "--- block "
	script := "set -eu -o pipefail\ncd " + m.dir + "\n"
	for i, b := range blocks {
		script += fmt.Sprintf("echo '%s%d'\n%s", mark, i, b)
	}
	script += "echo '" + mark + "end'\n"
	ctx, cancel := context.WithTimeout(t.Context(), 2*atMost) // four programs are started, one after the other
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir, cmd.Env = m.dir, m.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: m.owner, Setpgid: true}
	// What the shell has started ends with it, whatever went wrong.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	log, err := os.Create(filepath.Join(m.dir, "output"))
	must(t, err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	failed := cmd.Run()
	text, err := os.ReadFile(log.Name())
	must(t, err)
	parts := strings.Split(string(text), mark)
	if failed != nil || len(parts) != len(blocks)+2 {
		for _, name := range []string{"prosody.log", "rosterd.log"} {
			if b, err := os.ReadFile(filepath.Join(m.dir, name)); err == nil {
				t.Logf("%s:\n%s", name, b)
			}
		}
		t.Fatalf("%v\n%s", failed, text)
	}
	return parts[1 : len(parts)-1]
}
