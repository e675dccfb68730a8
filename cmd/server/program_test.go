package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/daemontest"
)

// atMost bounds every wait of these tests. None that succeeds depends on it.
const atMost = time.Minute

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	t.Cleanup(cancel)
	return ctx
}

// place is where a rosterd runs: a folder, ports of its own, and a configuration.
type place struct {
	args []string // of rosterd serve, beside its configuration

	dir              string
	c2s, http, https int
	head             string // Lua between the ports and text
	text             string // the configuration that is tested
	secure           bool   // HTTPS, too
}

func newPlace(t testing.TB, text string) *place {
	t.Helper()
	return &place{dir: t.TempDir(), text: text}
}

func (p *place) config() string { return filepath.Join(p.dir, "prosody.cfg.lua") }
func (p *place) data() string   { return filepath.Join(p.dir, "data") }

func (p *place) address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// write writes the configuration below a head that keeps it on loopback.
func (p *place) write(t testing.TB) {
	t.Helper()
	https := ""
	if p.secure {
		https = strconv.Itoa(p.https)
	}
	head := fmt.Sprintf("data_path = %q\ninterfaces = { \"127.0.0.1\" }\nhttp_interfaces = { \"127.0.0.1\" }\nhttps_interfaces = { \"127.0.0.1\" }\n"+
		"c2s_ports = { %d }\nhttp_ports = { %d }\nhttps_ports = { %s }\n%s\n", p.data(), p.c2s, p.http, https, p.head)
	if err := os.WriteFile(p.config(), []byte(head+p.text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// certify makes certificates where Prosody would look for them.
func (p *place) certify(t testing.TB, domains ...string) {
	t.Helper()
	for _, d := range domains {
		if err := writeSelfSigned(filepath.Join(p.dir, "certs"), d); err != nil {
			t.Fatal(err)
		}
	}
}

// account writes an account into Prosody's data folder, with the password as it is.
func (p *place) account(t testing.TB, jid string) {
	t.Helper()
	user, host, _ := strings.Cut(jid, "@")
	p.accountFile(t, user, host, fmt.Sprintf("return {\n\t[\"password\"] = %q;\n};\n", password))
}

func (p *place) accountFile(t testing.TB, user, host, content string) string {
	t.Helper()
	dir := filepath.Join(p.data(), prosodyName(host), "accounts")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, prosodyName(user)+".dat")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// prosodyName is how Prosody writes names in paths.
func prosodyName(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

// program is a rosterd that serves.
type program struct {
	*place
	t      testing.TB
	log    *journal
	stop   context.CancelFunc
	ended  chan struct{} // closed when status is set
	status int
	quiet  bool // errors in the log are expected
	hangup chan os.Signal
}

// serve starts the program as a user does and returns when it listens.
func (p *place) serve(t testing.TB) *program {
	t.Helper()
	for range 5 {
		p.c2s, p.http, p.https = daemontest.Port(t), daemontest.Port(t), daemontest.Port(t)
		if s, again := p.try(t); !again {
			return s
		}
	}
	t.Fatal("every port was taken by somebody else")
	return nil
}

// try is serve on the ports as they are. again: somebody else was faster.
func (p *place) try(t testing.TB) (s *program, again bool) {
	t.Helper()
	p.write(t)
	s = p.launch(t)
	services := []string{"service=c2s ", "service=http "}
	if p.secure {
		services = append(services, "service=https ")
	}
	for _, service := range services {
		_, err := s.log.wait(testContext(t), func(line string) bool {
			return strings.Contains(line, "msg=listening") && strings.Contains(line, service)
		})
		if errors.Is(err, io.EOF) {
			if status := s.wait(t); !strings.Contains(s.log.String(), "address already in use") {
				t.Fatalf("rosterd serve exited with %d:\n%s", status, s.log)
			}
			return nil, true
		}
		if err != nil {
			t.Fatalf("rosterd serve does not listen: %v\n%s", err, s.log)
		}
	}
	t.Cleanup(func() { s.end(t) })
	return s, false
}

// launch runs `rosterd serve` and does not wait.
func (p *place) launch(t testing.TB) *program {
	s := &program{place: p, t: t, log: newJournal(), ended: make(chan struct{}), hangup: make(chan os.Signal)}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		defer close(s.ended)
		defer s.log.close()
		s.status = run(ctx, append([]string{"serve", "--config", p.config()}, p.args...), console{in: strings.NewReader(""), out: s.log, err: s.log, hangup: s.hangup})
	}()
	return s
}

// exit stops the program as SIGTERM does, and returns its status.
func (s *program) exit(t testing.TB) int {
	t.Helper()
	s.stop()
	return s.wait(t)
}

func (s *program) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-s.ended:
		return s.status
	case <-time.After(atMost):
		t.Fatalf("rosterd does not stop:\n%s", s.log)
		return -1
	}
}

// end is how every test that started a program ends: it stops with status 0, and had no errors to report.
func (s *program) end(t testing.TB) {
	if status := s.exit(t); status != exitOK {
		t.Errorf("rosterd serve exited with %d", status)
	}
	for _, line := range s.log.all() {
		if !s.quiet && strings.Contains(line, "level=ERROR") {
			t.Error(line)
		}
	}
	if t.Failed() {
		t.Logf("the log of rosterd:\n%s", s.log)
	}
}

// command runs a subcommand with lines of standard input.
func (p *place) command(t testing.TB, stdin string, args ...string) (status int, out, err string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(testContext(t), append(args, "--config", p.config()), console{in: strings.NewReader(stdin), out: &stdout, err: &stderr})
	return status, stdout.String(), stderr.String()
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
		close(j.news)
		j.news = make(chan struct{})
	}
}

// close says that no more lines will come.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	close(j.news)
	j.news = make(chan struct{})
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func (j *journal) String() string { return strings.Join(j.all(), "\n") }

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

// find returns the lines that have all those texts.
func (j *journal) find(texts ...string) (found []string) {
	for _, line := range j.all() {
		if !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(line, s) }) {
			found = append(found, line)
		}
	}
	return found
}

// field is the value of key in a log line.
func field(line, key string) string {
	_, rest, ok := strings.Cut(" "+line, " "+key+"=")
	if !ok {
		return ""
	}
	if quoted, err := strconv.QuotedPrefix(rest); err == nil {
		value, _ := strconv.Unquote(quoted)
		return value
	}
	value, _, _ := strings.Cut(rest, " ")
	return value
}

// TestMain lets tests run the program as a process of its own: see TestSignals. So does the program itself, to run
// other people's code.
func TestMain(m *testing.M) {
	if os.Getenv("ROSTERD_TEST_PROGRAM") != "" || len(os.Args) > 1 && os.Args[1] == "plugin-worker" {
		main()
	}
	// A test that does not say where its data is fails, and does nothing to Prosody's folder on this machine.
	if err := os.Setenv("PROSODY_DATADIR", "/dev/null/data_path"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// file writes a file beside the configuration.
func (p *place) file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// trust believes in the certificate of one domain alone.
func (p *place) trust(t testing.TB, domain string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(p.certificate(domain))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{ServerName: domain, RootCAs: roots}
}

func (p *place) certificate(domain string) string {
	return filepath.Join(p.dir, "certs", domain+".crt")
}

// httpsTransport goes to the program, whatever the URL says.
func (p *place) httpsTransport(t testing.TB, domain string) *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: p.trust(t, domain),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.address(p.https))
		},
	}
}
