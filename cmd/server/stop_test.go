package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/daemontest"
	"rosterd/engine/enginetest"
	"rosterd/xmppcore/xmpptest"
)

// TestStop: clients are told, what was queued for them arrives first, and what is worth keeping is on disk.
func TestStop(t *testing.T) {
	t.Parallel()
	const messages = 200
	backend := enginetest.Serve(t, map[string]string{"john": rosterOfJohn, "jane": rosterOfJane})
	p := newPlace(t, open(backend.Template()))
	p.head = `pidfile = "rosterd.pid"`
	s := p.serve(t)
	pidfile := filepath.Join(p.data(), "rosterd.pid")
	if b, err := os.ReadFile(pidfile); err != nil || string(b) != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("pidfile: %q, %v", b, err)
	}
	john, jane := s.view(t, "john@example.com"), s.view(t, "jane@example.com")
	negotiating := s.connect(t, "example.com")
	negotiating.must(negotiating.Open(negotiating.ctx))
	backend.Set("john", `{"last@example.com": {"name": "Last"}}`)
	s.refresh(t, "john")
	for i := range messages {
		john.send("<message to='jane@example.com' type='chat' id='m%d'><body>%s</body></message>", i, strings.Repeat("x", 300))
	}
	john.alive() // all of them are queued for jane, who has read nothing
	s.stop()

	for i := range messages {
		m, err := jane.Expect(jane.ctx, "a message", func(e xmpptest.Element) bool { return e.Name.Local == "message" })
		jane.must(err)
		equal(t, "message", m.Attr("id"), fmt.Sprintf("m%d", i))
	}
	jane.wantShutdown()
	john.wantShutdown()
	negotiating.wantShutdown()
	equal(t, "exit status", s.wait(t), exitOK)
	if _, err := os.Stat(pidfile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pidfile is still there: %v", err)
	}
	backend.Close()
	again := p.serve(t)
	again.login(t, "john@example.com").wantRoster("last@example.com|Last|both|")
}

// wantShutdown wants system-shutdown and the closing tag (RFC 6120 §4.9.3.19), answers it and closes the connection.
func (c *client) wantShutdown() {
	c.t.Helper()
	c.wantStreamError("system-shutdown")
	c.must(c.Send(c.ctx, "</stream:stream>"))
	c.must(c.Disconnect())
}

// TestStopNegotiation: also who has not logged in yet is told, at every step.
func TestStopNegotiation(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	p := newPlace(t, open(backend.Template()))
	p.certify(t, "example.com")
	s := p.serve(t)
	p.account(t, "john@example.com")
	var all []*client
	for _, steps := range []int{1, 2, 3, 4} {
		c := s.connect(t, "example.com")
		for i, step := range []func() error{
			func() error { return c.Open(c.ctx) },
			func() error { return errors.Join(c.StartTLS(c.ctx), c.Open(c.ctx)) },
			func() error { return c.Authenticate(c.ctx, "PLAIN", "john", password) },
			func() error { return c.Open(c.ctx) },
		} {
			if i < steps {
				c.must(step())
			}
		}
		all = append(all, c)
	}
	s.stop()
	for i, c := range all {
		if i == 2 { // after SASL a new stream begins, which the client has to open
			c.must(c.Send(c.ctx, "<stream:stream to='example.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"))
			if err := c.ReadHeader(c.ctx); err != nil {
				continue
			}
		}
		c.wantShutdown()
	}
	equal(t, "exit status", s.wait(t), exitOK)
}

// TestStopRefresh: a refresh under way is answered.
func TestStopRefresh(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{}`})
	s := newPlace(t, open(backend.Template(), "rosterd_backend_timeout = 60", "rosterd_refresh_timeout = 60")).serve(t)
	john := s.view(t, "john@example.com")
	backend.SetFault("john", enginetest.Hang)
	replies := make(chan reply, 1)
	go func() { replies <- s.post(t, `["john"]`) }()
	if _, err := backend.WaitRequests(john.ctx, "john", 2); err != nil {
		t.Fatal(err)
	}
	s.stop()
	select {
	case r := <-replies:
		equal(t, "code and errors", fmt.Sprint(r.Code, r.Errors), "200 0") // john is offline by then
	case <-time.After(quickly):
		t.Error("the refresh is not answered")
	}
	john.wantShutdown()
	equal(t, "exit status", s.wait(t), exitOK)
}

// TestStopWithoutClients: who does not answer is not waited for for ever.
func TestStopWithoutClients(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	s := newPlace(t, open(backend.Template())).serve(t)
	s.login(t, "silent@example.com")
	start := time.Now()
	equal(t, "exit status", s.exit(t), exitOK)
	if took := time.Since(start); took > quickly {
		t.Errorf("stopped after %v", took)
	}
}

// TestStopWithDeafClient: who takes nothing of what is queued is cut after a while, which is no failure.
func TestStopWithDeafClient(t *testing.T) {
	t.Parallel()
	var huge strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&huge, `,"contact-%d@example.com":{"name":%q}`, i, strings.Repeat("x", 200))
	}
	backend := enginetest.Serve(t, map[string]string{"deaf": "{" + huge.String()[1:] + "}"})
	s := newPlace(t, open(backend.Template())).serve(t)
	deaf := s.login(t, "deaf@example.com")
	for i := range 2 { // more than sockets hold
		deaf.send("<iq type='get' id='%d'><query xmlns='jabber:iq:roster'/></iq>", i)
	}
	s.refresh(t, "deaf") // once that is answered, so are the gets before it
	equal(t, "exit status", s.exit(t), exitOK)
	if !slices.ContainsFunc(s.log.all(), func(line string) bool { return strings.Contains(line, "good-bye") }) {
		t.Error("the client was not deaf")
	}
}

// TestStartFails: what keeps the program from starting is said with its place in the file, and the status tells a
// wrong configuration (2) from a machine on which it does not work (1).
func TestStartFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, p *place)
		status int
		want   []string // %s is the configuration
	}{
		{"c2s port in use", func(t *testing.T, p *place) { p.c2s = listenElsewhere(t) }, exitFailed, []string{"%s:5: c2s_ports: listen tcp4 127.0.0.1:", "address already in use"}},
		{"HTTP port in use", func(t *testing.T, p *place) { p.http = listenElsewhere(t) }, exitFailed, []string{"%s:6: http_ports: listen tcp4 127.0.0.1:", "address already in use"}},
		{"address of another machine", func(t *testing.T, p *place) { p.head = `c2s_interfaces = { "192.0.2.1" }` }, exitFailed, []string{"c2s_ports: listen tcp4 192.0.2.1:", "cannot assign requested address"}},
		{"nothing to listen on", func(t *testing.T, p *place) { p.head = "c2s_ports = {}; http_ports = {}" }, exitFailed, []string{"nothing to listen on"}},
		{"broken syntax", func(t *testing.T, p *place) { p.text += "\nVirtualHost = = 5\n" }, exitUsage, []string{"%s:17:"}},
		{"an error in the file", func(t *testing.T, p *place) { p.text += "\nlocal x = nil + 1\n" }, exitUsage, []string{"%s:17:"}},
		{"a file that is not there", func(t *testing.T, p *place) { p.text += "\nInclude \"nowhere.cfg.lua\"\n" }, exitUsage, []string{"%s:17", "nowhere.cfg.lua"}},
		{"a certificate that is none", func(t *testing.T, p *place) { p.file(t, "certs/example.com.crt", "-----BEGIN NONSENSE-----") }, exitUsage, []string{"REFUSED  %s:11  VirtualHost \"example.com\": its STARTTLS certificate cannot be used: ", "example.com.crt with ", "example.com.key"}},
		{"the key of another certificate", func(t *testing.T, p *place) {
			p.certify(t, "example.org")
			rename(t, filepath.Join(p.dir, "certs", "example.org.key"), filepath.Join(p.dir, "certs", "example.com.key"))
		}, exitUsage, []string{"REFUSED  %s:11  ", "its STARTTLS certificate cannot be used: ", "private key does not match"}},
		{"no module with rosters", func(t *testing.T, p *place) {
			p.text = strings.Replace(p.text, `"http_roster_admin", `, "", 1)
		}, exitUsage, []string{`REFUSED  %s:11  VirtualHost "example.com": no module supplies its rosters`}},
		{"no URL", func(t *testing.T, p *place) { p.text = seedFor("localhost/%s") }, exitUsage, []string{"REFUSED  %s:15  http_roster_url"}},
		{"%s in the host of the URL", func(t *testing.T, p *place) { p.text = seedFor("http://%s.example.com/") }, -1, []string{"%s:15", "http_roster_url"}},
		{"no VirtualHost", func(t *testing.T, p *place) { p.text = "" }, exitUsage, []string{"REFUSED  %s  there is no VirtualHost to serve"}},
		{"unreadable security option", func(t *testing.T, p *place) { p.head = `c2s_require_encryption = "maybe"` }, exitUsage, []string{"REFUSED  %s:8  c2s_require_encryption"}},
		{"data_path is a file", func(t *testing.T, p *place) { p.file(t, "data", "") }, exitFailed, []string{"folder of the database (data_path, rosterd_database)", "data"}},
		{"the database is none", func(t *testing.T, p *place) {
			if err := os.Mkdir(p.data(), 0o700); err != nil {
				t.Fatal(err)
			}
			p.file(t, "data/rosterd.sqlite", strings.Repeat("not a database ", 1000))
		}, exitFailed, []string{"rosterd.sqlite"}},
		{"pidfile of a running process", func(t *testing.T, p *place) {
			other := newPlace(t, open("http://127.0.0.1:1/%s"))
			other.head = fmt.Sprintf("pidfile = %q", filepath.Join(p.dir, "other.pid"))
			other.spawn(t)
			p.head = other.head
		}, exitFailed, []string{"other.pid names process ", ", which is running"}},
		{"a log file where none can be", func(t *testing.T, p *place) {
			p.file(t, "logs", "")
			p.head = `log = "logs/rosterd.log"`
		}, exitFailed, []string{"%s:8: log: ", "logs"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, seed)
			p.certify(t, "example.com")
			p.c2s, p.http, p.https = daemontest.Port(t), daemontest.Port(t), daemontest.Port(t)
			tt.change(t, p)
			p.write(t)
			s := p.launch(t)
			status := s.wait(t)
			if tt.status >= 0 && status != tt.status || status == exitOK {
				t.Errorf("exit status %d, want %d", status, tt.status)
			}
			for _, want := range tt.want {
				if want = strings.ReplaceAll(want, "%s", p.config()); !strings.Contains(s.log.String(), want) {
					t.Errorf("it does not say %q but\n%s", want, s.log)
				}
			}
			if lines := s.log.find("msg=listening"); len(lines) > 0 {
				t.Errorf("it listened before it failed: %q", lines)
			}
		})
	}
}

// listenElsewhere takes a port for the time of a test.
func listenElsewhere(t *testing.T) int {
	t.Helper()
	backend := enginetest.Serve(t, nil)
	port, err := strconv.Atoi(backend.URL[strings.LastIndexByte(backend.URL, ':')+1:])
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// TestStartsWithoutCertificate: a host whose clients would need one is served all the same, and said to be of no use
// to them; so is one whose key is missing.
func TestStartsWithoutCertificate(t *testing.T) {
	for name, ending := range map[string]string{"no certificate": ".crt", "no key": ".key"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, seed)
			p.certify(t, "example.com")
			remove(t, strings.TrimSuffix(p.certificate("example.com"), ".crt")+ending)
			s := p.serve(t)
			if lines := s.log.find("level=WARN", "nobody can log in", "host=example.com"); len(lines) != 1 {
				t.Errorf("it does not warn: %s", s.log)
			}
		})
	}
}

// TestStartsWithoutTLS: where encryption is not required, no certificate is a warning.
func TestStartsWithoutTLS(t *testing.T) {
	t.Parallel()
	p := newPlace(t, seed)
	p.head = "c2s_require_encryption = false"
	s := p.serve(t)
	if lines := s.log.find("level=WARN", "no certificate: no TLS", "host=example.com"); len(lines) != 1 {
		t.Errorf("it does not warn: %s", s.log)
	}
	c := s.connect(t, "example.com")
	c.must(c.Open(c.ctx))
	if _, offered := c.Features.Find("urn:ietf:params:xml:ns:xmpp-tls", "starttls"); offered {
		t.Error("STARTTLS is offered")
	}
}

// TestRetryAfterFailedStart: a start that failed leaves nothing behind that hinders the next.
func TestRetryAfterFailedStart(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	p := newPlace(t, open(backend.Template()))
	p.head = `pidfile = "rosterd.pid"`
	p.c2s, p.http = daemontest.Port(t), listenElsewhere(t)
	p.write(t)
	equal(t, "exit status", p.launch(t).wait(t), exitFailed)
	if _, err := os.Stat(filepath.Join(p.data(), "rosterd.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pidfile was left: %v", err)
	}
	p.http = daemontest.Port(t)
	if _, again := p.try(t); again {
		t.Error("its ports were left open")
	}
}

// process is a rosterd in a process of its own.
type process struct {
	*exec.Cmd
	*place
	log *journal
}

// child is `rosterd serve`, or another of its commands, to be started in a process of its own.
func (p *place) child(args ...string) *process {
	if len(args) == 0 {
		args = []string{"serve"}
	}
	proc := &process{exec.Command(os.Args[0], append(args, "--config", p.config())...), p, newJournal()}
	proc.Env = append(os.Environ(), "ROSTERD_TEST_PROGRAM=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	proc.Stdout, proc.Stderr = proc.log, proc.log
	return proc
}

// end is for what may still run when a test is over.
func (p *process) end() {
	if p.ProcessState == nil {
		p.Process.Kill()
		p.Wait()
	}
}

// spawn runs `rosterd serve` in a process of its own, with more in its environment, and returns when it listens.
func (p *place) spawn(t *testing.T, environment ...string) *process {
	t.Helper()
	for range 5 {
		p.c2s, p.http, p.https = daemontest.Port(t), daemontest.Port(t), daemontest.Port(t)
		p.write(t)
		proc := p.child()
		proc.Env = append(proc.Env, environment...)
		if err := proc.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := proc.log.wait(testContext(t), func(line string) bool {
			return strings.Contains(line, "msg=listening") && strings.Contains(line, "service=http ") || strings.Contains(line, "address already in use")
		})
		if err != nil {
			t.Fatalf("%v\n%s", err, proc.log)
		}
		if strings.Contains(line, "msg=listening") {
			t.Cleanup(proc.end)
			return proc
		}
		proc.Wait()
	}
	t.Fatal("every port was taken by somebody else")
	return nil
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// TestSignals: the program as a process: SIGTERM and SIGINT stop it with status 0, SIGHUP opens the log anew and reads the configuration.
func TestSignals(t *testing.T) {
	for name, stop := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, map[string]string{"john": rosterOfJohn})
			p := newPlace(t, open(backend.Template()))
			p.head = `log = { debug = "log/rosterd.log", info = "*console" }` + "\npidfile = \"rosterd.pid\""
			proc := p.spawn(t)
			pid, err := os.ReadFile(filepath.Join(p.data(), "rosterd.pid"))
			equal(t, "pidfile", fmt.Sprint(string(pid), err), fmt.Sprint(proc.Process.Pid, "\n<nil>"))

			john := (&program{place: p}).login(t, "john@example.com")
			john.wantRoster("jane@example.com|Jane|both|Friends")
			file := filepath.Join(p.dir, "log", "rosterd.log")
			rename(t, file, file+".1")
			proc.signal(t, syscall.SIGHUP)
			proc.waitFor(t, "configuration reloaded")
			fresh, err := os.ReadFile(file)
			old, err1 := os.ReadFile(file + ".1")
			if err := errors.Join(err, err1); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(old), "msg=listening") || !strings.Contains(string(fresh), "configuration reloaded") {
				t.Errorf("the old log: %s\nthe new log: %s", old, fresh)
			}
			john.alive()

			proc.signal(t, stop)
			john.wantShutdown()
			if err := proc.Wait(); err != nil {
				t.Errorf("%v\n%s", err, proc.log)
			}
			if fresh, err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
			if both := string(old) + string(fresh); !strings.Contains(both, "level=DEBUG") || !strings.HasPrefix(both, "time=") {
				t.Errorf("no debug lines with timestamps in %s", both)
			}
			if len(proc.log.find("level=DEBUG")) > 0 {
				t.Errorf("debug lines on the console: %s", proc.log)
			}
		})
	}
}

// TestHangupAtTheStart: who is told by the pidfile whom to signal does not kill a server that is about to serve.
func TestHangupAtTheStart(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	p := newPlace(t, open(backend.Template()))
	p.head = `pidfile = "rosterd.pid"`
	p.c2s, p.http = daemontest.Port(t), daemontest.Port(t)
	p.write(t)
	proc := p.child()
	if err := proc.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proc.end)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for told := false; !told; {
		select {
		case <-look.C:
			pid, _ := os.ReadFile(filepath.Join(p.data(), "rosterd.pid"))
			told = strings.HasSuffix(string(pid), "\n")
		case <-testContext(t).Done():
			t.Fatalf("no pidfile\n%s", proc.log)
		}
	}
	proc.signal(t, syscall.SIGHUP)
	proc.waitFor(t, "configuration reloaded")
	proc.signal(t, syscall.SIGTERM)
	if err := proc.Wait(); err != nil {
		t.Errorf("%v\n%s", err, proc.log)
	}
}

func (p *process) waitFor(t *testing.T, text string) {
	t.Helper()
	if _, err := p.log.wait(testContext(t), func(line string) bool { return strings.Contains(line, text) }); err != nil {
		t.Fatalf("no line %q: %v\n%s", text, err, p.log)
	}
}

// TestKilled: a process that had no time to stop loses no account, and the next one starts.
func TestKilled(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": rosterOfJohn})
	p := newPlace(t, open(backend.Template()))
	p.head = `pidfile = "rosterd.pid"`
	proc := p.spawn(t)
	john := (&program{place: p}).login(t, "john@example.com")
	john.wantRoster("jane@example.com|Jane|both|Friends")
	status, _, stderr := p.command(t, password+"\n", "user", "add", "mary@example.com")
	equal(t, "user add beside a running server", fmt.Sprint(status, stderr), "0")
	proc.signal(t, syscall.SIGKILL)
	if err := proc.Wait(); err == nil {
		t.Fatal("it ended with status 0")
	}
	if _, err := john.Next(john.ctx); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client saw %v", err)
	}
	p.serve(t).secureLogin(t, "mary@example.com", password) // in spite of the pidfile of a process that is no more
}

// TestDemo: everything embedded works, and leaves nothing behind. Without npm there is a page without Converse.js.
func TestDemo(t *testing.T) {
	ctx, stop := context.WithCancel(testContext(t))
	defer stop()
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // what an earlier demo has fetched does not count
	t.Setenv("PATH", "")
	out := newJournal()
	done := make(chan int, 1)
	go func() { done <- run(ctx, []string{"demo"}, console{in: strings.NewReader(""), out: out, err: out}) }()
	for _, want := range []string{"alice@localhost and bob@localhost", "has her roster", `sees the change: marie@localhost "Marie Curie" in Friends`, "the rest goes on: npm is not installed"} {
		if _, err := out.wait(ctx, func(line string) bool { return strings.Contains(line, want) }); err != nil {
			t.Fatalf("%q: %v\n%s", want, err, out)
		}
	}
	line, err := out.wait(ctx, func(line string) bool { return strings.Contains(line, "a form that changes the contacts: ") })
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if page := wantPage(t, line[strings.LastIndex(line, "http"):]); !strings.Contains(page, "Converse.js is not here") || strings.Contains(page, "<iframe") {
		t.Errorf("the page is\n%s", page)
	}
	stop()
	select {
	case status := <-done:
		if status != exitOK {
			t.Errorf("exit status %d\n%s", status, out)
		}
	case <-time.After(atMost):
		t.Fatalf("the demo does not end\n%s", out)
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestStopIsBounded: parts that do not end in time take no more than patience together, and leave a moment to those
// that stop after them.
func TestStopIsBounded(t *testing.T) {
	deaf := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	quick := func(context.Context) error { return nil }
	for _, tt := range []struct {
		name  string
		stops []func(context.Context) error // the last is stopped first
		took  time.Duration
	}{
		{"nobody", nil, 0},
		{"all are quick", []func(context.Context) error{quick, quick, quick}, 0},
		{"one is not", []func(context.Context) error{quick, quick, deaf}, patience - 2*moment},
		{"none is", []func(context.Context) error{deaf, deaf, deaf, deaf, deaf}, patience},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, begin := &daemon{}, time.Now()
				late := 0
				for _, stop := range tt.stops {
					d.onStop(func(ctx context.Context) error {
						if end, _ := ctx.Deadline(); time.Until(end) < moment {
							late++
						}
						return stop(ctx)
					})
				}
				err := d.stop()
				equal(t, "time", time.Since(begin), tt.took)
				equal(t, "parts without a moment", late, 0)
				equal(t, "an error", errors.Is(err, context.DeadlineExceeded), tt.took > 0)
			})
		})
	}
}

// TestStopAtTheStart: who is told to stop while modules are opened does not say that those are at fault.
func TestStopAtTheStart(t *testing.T) {
	t.Parallel()
	p := newPlace(t, withScript(`rosterd_plugin_isolation = "process"`))
	p.module(t, "crm", `module:provides("roster", { fetch = print })`)
	p.file(t, "prosody.cfg.lua", p.text)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var said strings.Builder
	status := run(ctx, []string{"serve", "--config", p.config()}, console{in: strings.NewReader(""), out: &said, err: &said})
	equal(t, "exit status and output", fmt.Sprint(status, said.String()), "0")
}
