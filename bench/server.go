package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/store/credential"
)

const domain = "localhost"

// kind is a program that can be driven.
type kind struct {
	name  string
	start func(ctx context.Context, modules []string, env ...string) (*server, error)
}

// server is a running program.
type server struct {
	addr, http string // where clients connect; where refreshes are posted, "" if nowhere
	backend    *backend
	cmd        *exec.Cmd
	log        *tail
	dir        string
	measured   float64 // what the scenario measured: CPU seconds, or KiB
}

// build compiles what is to be driven.
func build(ctx context.Context, dir string) ([]kind, error) {
	bin := filepath.Join(dir, "rosterd")
	if err := compile(ctx, ".", bin, "./cmd/server"); err != nil {
		return nil, err
	}
	kinds := []kind{{"rosterd", func(ctx context.Context, modules []string, env ...string) (*server, error) {
		return startRosterd(ctx, bin, modules, env)
	}}}
	proto, err := buildPrototype(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("no prototype in %s: rosterd alone\n", *prototype)
		return kinds, nil
	}
	if err != nil {
		return nil, err
	}
	return append(kinds, kind{"prototype", func(ctx context.Context, _ []string, env ...string) (*server, error) {
		return startPrototype(ctx, proto, env)
	}}), nil
}

// buildPrototype compiles the prototype from a copy; nothing of it is ours.
func buildPrototype(ctx context.Context, dir string) (string, error) {
	src := filepath.Join(dir, "prototype")
	for from, to := range map[string]string{"xs.go": "xs/xs.go", "server_main.go.txt": "main.go"} {
		b, err := os.ReadFile(filepath.Join(*prototype, from))
		if err != nil {
			return "", err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(src, to)), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(src, to), b, 0o600); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(src, "go.mod"), []byte("module bench\n\ngo 1.24\n"), 0o600); err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "prototype-server")
	return bin, compile(ctx, src, bin, ".")
}

func compile(ctx context.Context, dir, out, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, pkg)
	cmd.Dir = dir
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, b)
	}
	return nil
}

func startPrototype(ctx context.Context, bin string, env []string) (*server, error) {
	s := &server{addr: freeAddr(), log: &tail{}}
	return s, s.run(ctx, bin, env, "-addr", s.addr, "-pprof", freeAddr())
}

// startRosterd starts it with some modules besides those that every scenario needs.
func startRosterd(ctx context.Context, bin string, modules, env []string) (*server, error) {
	s := &server{addr: freeAddr(), http: freeAddr(), log: &tail{}, backend: newBackend()}
	var err error
	if s.dir, err = os.MkdirTemp("", "rosterd-bench-run-"); err != nil {
		return nil, err
	}
	file := filepath.Join(s.dir, "prosody.cfg.lua")
	if err := os.WriteFile(file, []byte(s.config(modules)), 0o600); err != nil {
		return nil, err
	}
	if err := s.addUsers(ctx); err != nil {
		return nil, err
	}
	return s, s.run(ctx, bin, env, "serve", "--config", file)
}

func (s *server) config(modules []string) string {
	var more strings.Builder
	for _, m := range modules {
		fmt.Fprintf(&more, ", %q", m)
	}
	port := func(a string) string { _, p, _ := net.SplitHostPort(a); return p }
	return fmt.Sprintf(`data_path = %q
interfaces = { "127.0.0.1" }
c2s_ports = { %s }
http_ports = { %s }
https_ports = {}
log = { warn = "*console" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
modules_enabled = { "saslauth", "disco", "ping"%s }
rosterd_connections_per_address = 1000
VirtualHost %q
  modules_enabled = { "http_roster_admin", "block_subscriptions" }
  modules_disabled = { "roster" }
  storage = { roster = "memory", accounts = "rosterd" }
  http_roster_url = %q
`, s.dir, port(s.addr), port(s.http), more.String(), domain, s.backend.url+"/contacts/%s")
}

// users are those that scenarios may log in; the password of u is "pw-u", as the prototype wants it.
func users() []string {
	list := append(names("s", 20), names("r", 20)...)
	list = append(list, names("f", 51)...)
	return append(list, names("idle", idleSessions)...)
}

func (s *server) addUsers(ctx context.Context) error {
	db, err := store.Open(filepath.Join(s.dir, "rosterd.sqlite"), nil)
	if err != nil {
		return err
	}
	for _, u := range users() {
		if err := db.AddUser(ctx, addr.MustBare(u+"@"+domain), credential.Credentials{Password: "pw-" + u, HasPassword: true}); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	return db.Close()
}

func (s *server) run(ctx context.Context, bin string, env []string, args ...string) error {
	s.cmd = exec.CommandContext(ctx, bin, args...)
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			c.Close()
			return nil
		}
		if s.cmd.Process.Signal(syscall.Signal(0)) != nil || time.Now().After(deadline) {
			s.stop()
			return fmt.Errorf("%s does not listen: %w\n%s", filepath.Base(bin), err, s.tail())
		}
	}
}

func (s *server) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	if s.backend != nil {
		s.backend.server.Close()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

func (s *server) tail() string { return s.log.String() }

// cpu is the CPU time that the server has used, in seconds.
func (s *server) cpu() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, err1 := strconv.ParseFloat(f[11], 64)
	system, err2 := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100, errors.Join(err1, err2) // USER_HZ
}

// rss is the resident memory of the server, in KiB.
func (s *server) rss() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	return strconv.ParseFloat(strings.Fields(rest)[0], 64)
}

// during measures the CPU time of the server while f runs.
func (s *server) during(f func() error) error {
	before, err := s.cpu()
	if err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	after, err := s.cpu()
	s.measured = after - before
	return err
}

func freeAddr() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// tail keeps the end of what a server prints.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	t.b = t.b[max(0, len(t.b)-4096):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

// backend serves rosters by username.
type backend struct {
	url    string
	server *http.Server
	mu     sync.Mutex
	docs   map[string][]byte
}

func newBackend() *backend {
	b := &backend{docs: map[string][]byte{}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	b.url, b.server = "http://"+ln.Addr().String(), &http.Server{Handler: b}
	go b.server.Serve(ln)
	return b
}

func (b *backend) set(user string, doc []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.docs[user] = doc
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	doc := b.docs[strings.TrimPrefix(r.URL.Path, "/contacts/")]
	b.mu.Unlock()
	if doc == nil {
		doc = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(doc)
}
