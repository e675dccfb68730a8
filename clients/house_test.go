//go:build clients

package clients

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"rosterd/daemontest"
	"rosterd/engine/enginetest"
)

const (
	domain   = "example.com"
	password = "secret"
)

// configuration is that of a site which comes from Prosody and whose users have browsers, too.
const configuration = `
data_path = %q
certificates = "certs"
interfaces = { "127.0.0.1" }
c2s_ports = { %d }
c2s_direct_tls_ports = { %d }
http_ports = { %d }
https_ports = { %d }
consider_websocket_secure = true
consider_bosh_secure = true
authentication = "internal_hashed"
modules_enabled = { "saslauth", "tls", "disco", "ping", "websocket", "bosh", "smacks", "csi_simple", "pep", "vcard_legacy", "vcard4", "bookmarks", "private" }
VirtualHost "example.com"
  modules_enabled = { "http_roster_admin", "block_subscriptions" }
  modules_disabled = { "roster" }
  storage = { roster = "memory", accounts = "rosterd" }
  http_roster_url = %q
`

// house is a rosterd that runs, and its backend.
type house struct {
	dir                    string
	form                   string // of the configuration, with verbs as that
	c2s, direct, http, tls int
	component              int                                    // of those that are opened with one
	more                   func(*house) (global, sections string) // in the configuration; nil: nothing
	backend                *enginetest.Server
	process                *exec.Cmd
	log                    *journal
	lists                  map[string]map[string]contact
}

// contact is one as the backend knows it.
type contact struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups"`
}

// open starts a rosterd, with accounts for those who have contacts.
func open(t *testing.T, lists map[string]map[string]contact) *house {
	t.Helper()
	return openWith(t, lists, nil)
}

// openWith is open with more in the configuration.
func openWith(t *testing.T, lists map[string]map[string]contact, more func(*house) (global, sections string)) *house {
	t.Helper()
	return (&house{form: configuration, lists: lists, more: more}).open(t)
}

func (h *house) open(t *testing.T) *house {
	t.Helper()
	h.furnish(t)
	return h.serve(t)
}

// furnish makes all that a rosterd needs, until the test ends.
func (h *house) furnish(t *testing.T) {
	t.Helper()
	h.dir, h.backend = t.TempDir(), enginetest.Serve(t, nil)
	h.certify(t)
	h.configure(t)
	for user := range h.lists {
		h.tell(t, user)
		h.account(t, user)
	}
}

// serve starts a rosterd that serves until the test ends; another one may serve after it.
func (h *house) serve(t *testing.T) *house {
	t.Helper()
	for range 5 {
		if h.try(t) {
			return h
		}
	}
	t.Fatal("every port was taken by somebody else")
	return nil
}

func (h *house) config() string      { return filepath.Join(h.dir, "prosody.cfg.lua") }
func (h *house) certificate() string { return filepath.Join(h.dir, "certs", domain+".crt") }

// certify puts a self-signed certificate for example.com and 127.0.0.1 where Prosody would look for it.
func (h *house) certify(t *testing.T) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	pair := s.TLS.Certificates[0]
	s.Close()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(h.dir, "certs"), 0o700))
	for file, block := range map[string]*pem.Block{
		h.certificate(): {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		strings.TrimSuffix(h.certificate(), "crt") + "key": {Type: "PRIVATE KEY", Bytes: key},
	} {
		must(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
}

// configure writes the configuration, with ports that seem free.
func (h *house) configure(t *testing.T) {
	t.Helper()
	for _, port := range []*int{&h.c2s, &h.direct, &h.http, &h.tls} {
		*port = daemontest.Port(t)
	}
	text := fmt.Sprintf(h.form, filepath.Join(h.dir, "data"), h.c2s, h.direct, h.http, h.tls, h.backend.Template())
	if h.more != nil {
		global, sections := h.more(h)
		text = global + text + sections
	}
	must(t, os.WriteFile(h.config(), []byte(text), 0o600))
}

// try starts the program on ports that seem free; false: somebody else was faster.
func (h *house) try(t *testing.T) bool {
	t.Helper()
	h.configure(t)
	h.log = newJournal()
	h.process = exec.Command(rosterd, "serve", "--config", h.config())
	h.process.Stdout, h.process.Stderr = h.log, h.log
	must(t, h.process.Start())
	ended := make(chan error, 1)
	log := h.log
	go func() {
		ended <- h.process.Wait()
		log.close()
	}()
	for _, service := range []string{"c2s", "c2s_direct_tls", "http", "https"} {
		if !h.listens(t, service) {
			<-ended
			return false
		}
	}
	t.Cleanup(func() { h.close(t, ended) })
	return true
}

func (h *house) listens(t *testing.T, service string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	_, err := h.log.wait(ctx, func(line string) bool {
		return strings.Contains(line, "msg=listening ") && strings.Contains(line, "service="+service+" ")
	})
	if errors.Is(err, io.EOF) && strings.Contains(h.log.String(), "address already in use") {
		return false
	}
	if err != nil {
		t.Fatalf("rosterd does not listen for %s: %v\n%s", service, err, h.log)
	}
	return true
}

// close stops the program as an administrator does. It must have had no errors to report, no data races among them.
func (h *house) close(t *testing.T, ended chan error) {
	if err := h.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("stop rosterd: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("rosterd serve: %v", err)
	}
	for _, line := range h.log.find("level=ERROR") {
		t.Error(line)
	}
	if t.Failed() {
		t.Logf("the log of rosterd:\n%s", h.log)
	}
}

// account makes an account, as an administrator does.
func (h *house) account(t *testing.T, user string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), rosterd, "user", "add", user+"@"+domain, "--config", h.config())
	cmd.Stdin = strings.NewReader(password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("rosterd user add %s: %v\n%s", user, err, out)
	}
}

// change edits the contacts of a user in the backend, and refreshes the user.
func (h *house) change(t *testing.T, user string, edit func(map[string]contact)) {
	t.Helper()
	edit(h.lists[user])
	h.tell(t, user)
	body, err := json.Marshal([]string{user})
	must(t, err)
	res, err := http.Post("http://"+h.address(h.http)+"/roster_admin/refresh", "application/json", bytes.NewReader(body))
	must(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	must(t, err)
	if !bytes.Contains(answer, []byte(`"updated":1,"errors":0`)) {
		t.Fatalf("refresh of %s: %d %s", user, res.StatusCode, answer)
	}
}

// tell gives the backend the contacts of a user.
func (h *house) tell(t *testing.T, user string) {
	t.Helper()
	list, err := json.Marshal(h.lists[user])
	must(t, err)
	h.backend.Set(user, string(list))
}

func (h *house) address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// journal keeps the lines that a program prints, for somebody who waits for them.
type journal struct {
	mu    sync.Mutex // guards the fields below
	lines []string
	part  []byte
	ended bool
	news  chan struct{} // closed and replaced when lines grows or has ended
}

func newJournal() *journal { return &journal{news: make(chan struct{})} }

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.part = append(j.part, b...)
	for {
		line, rest, whole := bytes.Cut(j.part, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		j.lines = append(j.lines, string(line))
		j.part = slices.Clone(rest)
		j.wake()
	}
}

// close says that no more lines will come.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	j.wake()
}

// wake needs j.mu.
func (j *journal) wake() {
	close(j.news)
	j.news = make(chan struct{})
}

func (j *journal) String() string { return strings.Join(j.find(), "\n") }

// find returns the lines that have all those texts.
func (j *journal) find(texts ...string) (found []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines {
		if !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(line, s) }) {
			found = append(found, line)
		}
	}
	return found
}

// wait returns the first line that matches, which may have been printed before; io.EOF if there will be none.
func (j *journal) wait(ctx context.Context, match func(line string) bool) (string, error) {
	for seen := 0; ; {
		j.mu.Lock()
		lines, news, ended := j.lines[seen:], j.news, j.ended
		j.mu.Unlock()
		if i := slices.IndexFunc(lines, match); i >= 0 {
			return lines[i], nil
		}
		if ended {
			return "", io.EOF
		}
		seen += len(lines)
		select {
		case <-news:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}
