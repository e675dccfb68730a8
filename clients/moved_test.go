//go:build clients

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"rosterd/daemontest"
	"rosterd/engine/enginetest"
	"rosterd/store/storetest"
)

// moving is a host that Prosody serves, and then rosterd, with one and the same file.
const moving = `
data_path = %q
certificates = "certs"
interfaces = { "127.0.0.1" }
c2s_ports = { %d }
c2s_direct_tls_ports = { %d }
http_ports = { %d }
https_ports = { %d }
authentication = "internal_hashed"
modules_enabled = { "saslauth", "tls", "disco", "ping", "roster", "websocket", "bosh", "pep", "vcard_legacy", "private", "blocklist", "offline", "mam" }
modules_disabled = { "s2s" }
STORAGE
VirtualHost "example.com"
  -- there is no backend at %q
`

// TestMoved: two users entrust everything to Debian's Prosody, with each of its storages. After rosterd import they find
// at rosterd what they would find at Prosody, with the same passwords.
func TestMoved(t *testing.T) {
	t.Parallel()
	for name, storage := range map[string]func(*testing.T) string{
		"internal": func(*testing.T) string { return `storage = "internal"` },
		"SQLite3": func(*testing.T) string {
			return `storage = "sql" sql = { driver = "SQLite3", database = "prosody.sqlite" }`
		},
		"PostgreSQL": func(t *testing.T) string {
			server := storetest.StartPostgres(t)
			at := server.Database(t)
			at.Username = "prosody" // nobody of the name of our schema: Prosody would make its tables in that
			server.Exec(t, "CREATE ROLE prosody LOGIN")
			server.Exec(t, "ALTER DATABASE "+at.Database+" OWNER TO prosody")
			must(t, os.Chmod(at.Host, 0o711)) // Prosody runs as somebody else
			return fmt.Sprintf(`storage = "sql" sql = { driver = "PostgreSQL", database = %q, username = %q, password = "", host = %q }`, at.Database, at.Username, at.Host)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := prosodyHouse(t, strings.Replace(moving, "STORAGE", storage(t), 1))
			for _, user := range []string{"juliet", "romeo"} {
				h.prosodyctl(t, "register", user, domain, password)
			}
			stop := h.prosody(t)
			h.moved(t, "fill")
			stop()
			for _, args := range [][]string{{"--dry-run"}, nil} {
				first := h.imports(t, args...)
				if first.total("new") < 25 || first.total("same", "changed", "kept") > 0 {
					t.Errorf("import %v: %+v", args, first)
				}
			}
			if again := h.imports(t); again.total("new", "changed", "removed", "kept") > 0 || again.total("same") < 15 {
				t.Errorf("once more: %+v", again)
			}
			stop = h.prosody(t)
			want := h.moved(t, "see")
			stop()
			h.serve(t)
			got := h.moved(t, "see")
			if name != "internal" { // Prosody reads no false from its tables, and archives what was said with Paris
				if !strings.Contains(indented(got["preferences"]), "paris@example.com") {
					t.Errorf("preferences: %s", indented(got["preferences"]))
				}
				delete(want, "preferences")
			}
			for what := range want {
				if !reflect.DeepEqual(got[what], want[what]) {
					t.Errorf("%s:\nat rosterd %s\nat Prosody %s", what, indented(got[what]), indented(want[what]))
				}
			}
		})
	}
}

func indented(v any) string {
	b, _ := json.MarshalIndent(v, "", "  ")
	return string(b)
}

// moved tells the story, and returns what was seen.
func (h *house) moved(t *testing.T, what string) (seen map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", filepath.Join("python", "moved.py"), what, strconv.Itoa(h.c2s), password)
	var stderr strings.Builder
	cmd.Env, cmd.Stderr = append(os.Environ(), "CERTIFICATE="+h.certificate()), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("moved.py %s: %v\n%s%s", what, err, out, &stderr)
	}
	if len(out) > 0 {
		must(t, json.Unmarshal(out, &seen))
	}
	return seen
}

// importReport is what rosterd import says, as far as it is looked at here.
type importReport struct {
	Stores  []map[string]any `json:"stores"`
	Skipped []map[string]any `json:"skipped"`
}

func (r importReport) total(columns ...string) (n int) {
	for _, row := range r.Stores {
		for _, column := range columns {
			if f, ok := row[column].(float64); ok {
				n += int(f)
			}
		}
	}
	return n
}

func (h *house) imports(t *testing.T, args ...string) (r importReport) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), rosterd, append([]string{"import", "prosody", "--config", h.config(), "--json"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			out = append(out, e.Stderr...)
		}
		t.Fatalf("rosterd import: %v\n%s", err, out)
	}
	must(t, json.Unmarshal(out, &r))
	return r
}

// prosodyHouse is a house that Prosody can live in, too: it does not run as root.
func prosodyHouse(t *testing.T, form string) *house {
	t.Helper()
	dir := daemontest.Folder(t, "moved")
	h := &house{dir: dir, form: form, backend: enginetest.Serve(t, nil)}
	h.certify(t)
	h.configure(t)
	must(t, os.Mkdir(filepath.Join(dir, "data"), 0o750))
	daemontest.Give(t, dir, daemontest.User(t, prosodyUser))
	return h
}

// prosodyUser is the user that Debian's package has made.
const prosodyUser = "prosody"

func (h *house) prosodyCommand(t *testing.T, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, append([]string{"--config", h.config()}, args...)...)
	cmd.Dir, cmd.SysProcAttr = h.dir, &syscall.SysProcAttr{Credential: daemontest.User(t, prosodyUser)}
	return cmd
}

func (h *house) prosodyctl(t *testing.T, args ...string) {
	t.Helper()
	if out, err := h.prosodyCommand(t, "prosodyctl", args...).CombinedOutput(); err != nil {
		t.Fatalf("prosodyctl %v: %v\n%s", args, err, out)
	}
}

// prosody starts Debian's Prosody with the configuration of the house, and returns when it listens.
func (h *house) prosody(t *testing.T) (stop func()) {
	t.Helper()
	d := daemontest.Start(t, h.prosodyCommand(t, "prosody", "-F"), daemontest.Options{Line: "Activated service 'c2s' on"})
	return func() { d.Stop(t) }
}
