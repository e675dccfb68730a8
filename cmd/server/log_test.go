package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rosterd/config"
	"rosterd/daemontest"
	"rosterd/engine/addr"
	"rosterd/engine/enginetest"
)

// TestLogSinks: which lines go where.
func TestLogSinks(t *testing.T) {
	for _, tt := range []struct {
		name, log string
		files     map[string]string // file → levels that are in it, and only those
		console   string
	}{
		{"nothing said", ``, nil, "INFO WARN"},
		{"debug", `debug = true`, nil, "DEBUG INFO WARN"},
		{"a file", `log = "rosterd.log"`, map[string]string{"rosterd.log": "INFO WARN"}, ""},
		{"a file and debug", `log = "rosterd.log"; debug = true`, map[string]string{"rosterd.log": "DEBUG INFO WARN"}, ""},
		{"the console", `log = "*console"`, nil, "DEBUG INFO WARN"},
		{"files by level", `log = { info = "logs/info.log", warn = "logs/warn.log" }`, map[string]string{"logs/info.log": "INFO WARN", "logs/warn.log": "WARN"}, ""},
		{"a file and the console", `log = { warn = "*console", debug = "all.log" }`, map[string]string{"all.log": "DEBUG INFO WARN"}, "WARN"},
		{"tables", `log = { { to = "file", filename = "warn.log", levels = "warn" }, { to = "console", levels = { min = "info", max = "info" } } }`, map[string]string{"warn.log": "WARN"}, "INFO"},
		{"nowhere", `log = "*nowhere"`, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, nil)
			backend.SetFault("", enginetest.Status(500))
			p := newPlace(t, open(backend.Template()))
			p.head = tt.log
			p.c2s, p.http = daemontest.Port(t), daemontest.Port(t)
			p.write(t)
			s := p.launch(t)
			c := p.patientConnect(t, "john@example.com") // there may be no line that says when
			c.wantNoRoster("wait/internal-server-error")
			c.leave()
			equal(t, "exit status", s.exit(t), exitOK)
			equal(t, "levels on the console", levels(strings.Join(s.log.find("level="), "\n")), tt.console)
			for file, want := range tt.files {
				text, err := os.ReadFile(filepath.Join(p.dir, file))
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "levels in "+file, levels(string(text)), want)
				if !strings.HasPrefix(string(text), "time=") {
					t.Errorf("no timestamps in %s", file)
				}
			}
		})
	}
}

func levels(text string) string {
	var list []string
	for _, level := range []string{"DEBUG", "INFO", "WARN", "ERROR"} {
		if strings.Contains(text, "level="+level) {
			list = append(list, level)
		}
	}
	return strings.Join(list, " ")
}

// patientConnect logs in to a program that may not listen yet.
func (p *place) patientConnect(t *testing.T, jid string) *client {
	t.Helper()
	s := &program{place: p}
	for ctx := testContext(t); ; {
		res, err := web.Get("http://" + p.address(p.http) + "/health")
		if err == nil {
			res.Body.Close()
			return s.login(t, jid)
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// TestNoSyslog: where there is no syslog, its lines go to the console, and a line says why.
func TestNoSyslog(t *testing.T) {
	t.Parallel()
	p := newPlace(t, open("http://127.0.0.1:1/%s"))
	p.head = `log = { info = "*syslog", debug = "*console" }`
	want := 2                                                           // for the console, and for syslog
	if w, err := syslog.New(syslog.LOG_DAEMON, "rosterd"); err == nil { // this machine has one
		w.Close()
		want = 0
	}
	s := p.serve(t)
	equal(t, "lines that say so", len(s.log.find("level=WARN", "no syslog: its lines go to the console")), want)
}

// TestLogParts: lines say which part they are of, and a part may have a least level of its own.
func TestLogParts(t *testing.T) {
	for _, tt := range []struct {
		name, options string
		file          string // levels of lines in it, by part
		console       string
	}{
		{"nothing said", ``, "", "engine:IWE http:IWE"},
		{"more of one, less of the other", `rosterd_log_levels = { engine = "debug", http = "error" }`, "", "engine:DIWE http:E"},
		{"what no sink takes goes where the lowest level goes", `log = { info = "rosterd.log", error = "*console" }; rosterd_log_levels = { engine = "debug" }`, "engine:DIWE http:IWE", "engine:E http:E"},
		{"a sink for that level gets it alone", `log = { debug = "rosterd.log", info = "*console" }; rosterd_log_levels = { engine = "debug" }`, "engine:DIWE http:DIWE", "engine:IWE http:IWE"},
		{"sinks keep their levels", `log = { warn = "rosterd.log", { to = "console", levels = "info" } }; rosterd_log_levels = { http = "warn" }`, "engine:WE http:WE", "engine:I"},
		{"no sink at all", `log = "*nowhere"; rosterd_log_levels = { engine = "debug" }`, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t, open("http://127.0.0.1:1/%s"))
			p.head = tt.options
			log, out, file := p.openLogs(t)
			for _, name := range []string{"engine", "http"} {
				log := part(log, name)
				for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
					log.Log(t.Context(), l, "a line")
				}
			}
			equal(t, "console", levelsByPart(out.String()), tt.console)
			if tt.file != "" {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "file", levelsByPart(string(text)), tt.file)
			}
		})
	}
}

// openLogs opens the logs of a place as the server does. The file is rosterd.log there.
func (p *place) openLogs(t *testing.T) (log *slog.Logger, out *bytes.Buffer, file string) {
	t.Helper()
	out = new(bytes.Buffer)
	l, err := openLogs(console{err: out}, p.load(t).Global())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return part(l.Logger(), "server"), out, filepath.Join(p.dir, "rosterd.log")
}

func (p *place) load(t *testing.T) *config.Config {
	t.Helper()
	p.write(t)
	return loadText(t, p.config())
}

func loadText(t *testing.T, path string) *config.Config {
	t.Helper()
	cfg, err := config.Load(path, config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// levelsByPart is "part:LEVELS part:LEVELS", with the first letters of levels.
func levelsByPart(text string) string {
	var parts []string
	found := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if line == "" {
			break
		}
		name := field(line, "part")
		if found[name] == "" {
			parts = append(parts, name)
		}
		found[name] += field(line, "level")[:1]
	}
	for i, name := range parts {
		parts[i] = name + ":" + found[name]
	}
	return strings.Join(parts, " ")
}

// TestLogJSON: an object a line, with the same keys.
func TestLogJSON(t *testing.T) {
	p := newPlace(t, open("http://127.0.0.1:1/%s"))
	p.head = `log = { info = "rosterd.log"; "*console" }; rosterd_log_format = "json"`
	log, out, file := p.openLogs(t)
	log.Warn("a \"line\"", "user", addr.MustBare("john@example.com"), "changes", 2, "took", time.Second, "error", io.EOF, "files", []string{"a"})
	equal(t, "console", out.String(), `{"level":"WARN","msg":"a \"line\"","part":"server","user":"john@example.com","changes":2,"took":"1s","error":"EOF","files":["a"]}`+"\n")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var line struct {
		Time time.Time
		Msg  string
	}
	if err := json.Unmarshal(text, &line); err != nil || line.Msg != `a "line"` || time.Since(line.Time) > time.Hour {
		t.Errorf("the file has %s: %v", text, err)
	}
}

// TestLogChange: other sinks take over while somebody writes, loggers made before keep what they add, and no line is lost.
// If the other sinks cannot be opened, nothing changes.
func TestLogChange(t *testing.T) {
	p := newPlace(t, open("http://127.0.0.1:1/%s"))
	p.head = `log = { info = "before.log" }`
	l, err := openLogs(console{err: io.Discard}, p.load(t).Global())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	log := part(l.Logger(), "engine").With("user", "john").WithGroup("more")
	var wg sync.WaitGroup
	const lines = 200
	for i := range lines {
		if write := func() { log.Info("a line", "number", i) }; i == 0 || i == lines-1 { // each file has one for sure
			write()
		} else {
			wg.Go(write)
		}
		if i == lines/2 {
			p.head = `log = { info = "after.log" }; rosterd_log_format = "json"; rosterd_log_levels = { engine = "debug" }`
			next, err := l.Open(p.load(t).Global())
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Use(next); err != nil {
				t.Fatal(err)
			}
		}
	}
	wg.Wait()
	p.head = `log = { info = "after.log/impossible.log" }`
	if _, err := l.Open(p.load(t).Global()); err == nil {
		t.Error("a log in a folder that is a file was opened")
	}
	log.Debug("last")
	var all string
	for name, want := range map[string]string{"before.log": `msg="a line" part=engine user=john more.number=`, "after.log": `"part":"engine","user":"john","more":{"number":`} {
		text, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s has no %s: %s", name, want, text)
		}
		all += string(text)
	}
	equal(t, "lines", strings.Count(all, "a line"), lines)
	equal(t, "lines after a change that failed", strings.Count(all, "last"), 1)
}

// TestSyslogSeverity: syslog is told how severe a line is (RFC 5424 §6.2.1).
func TestSyslogSeverity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "syslog")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	w, err := syslog.Dial("unixgram", path, syslog.LOG_DAEMON|syslog.LOG_INFO, "rosterd")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	log := slog.New(toSyslog(w, format{timestamps: true})).With("user", "john").WithGroup("more")
	for l, priority := range map[slog.Level]string{slog.LevelDebug: "<31>", slog.LevelInfo: "<30>", slog.LevelWarn: "<28>", slog.LevelError: "<27>"} {
		log.Log(t.Context(), l, "a line", "n", 1)
		b := make([]byte, 1000)
		n, err := socket.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("level=%v msg=\"a line\" user=john more.n=1\n", l)
		if got := string(b[:n]); !strings.HasPrefix(got, priority) || !strings.HasSuffix(got, ": "+want) {
			t.Errorf("%v arrives as %q", l, got)
		}
	}
}

// hangUp has the program read its configuration anew, and waits for the line that it says of that.
func (s *program) hangUp(t *testing.T, says string) (line string) {
	t.Helper()
	s.hangup <- syscall.SIGHUP
	line, err := s.log.wait(testContext(t), func(line string) bool { return strings.Contains(line, says) })
	if err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
	return line
}

// TestReloadLog: a reload takes other sinks, levels and formats into use, or leaves all as it was.
func TestReloadLog(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": rosterOfJohn})
	s := newPlace(t, open(backend.Template())).serve(t)
	all := filepath.Join(s.dir, "all.log")
	s.head = `log = { info = "*console", debug = "all.log" }; rosterd_log_format = "json"`
	s.write(t)
	s.hangUp(t, `"msg":"configuration reloaded"`)
	john := s.login(t, "john@example.com/desk")
	john.wantRoster("jane@example.com|Jane|both|Friends")
	s.refresh(t, "john") // the answer comes after the line of its fetch
	text, err := os.ReadFile(all)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"level":"DEBUG"`) || !strings.Contains(string(text), `"part":"c2s","user":"john@example.com/desk"`) {
		t.Errorf("the new file has %s", text)
	}
	if len(s.log.find(`"level":"INFO"`, `"msg":"logged in"`)) != 1 {
		t.Errorf("the console has %s", s.log)
	}
	s.head = `log = { info = "all.log/x.log" }`
	s.write(t)
	if line := s.hangUp(t, `"msg":"configuration not reloaded`); !strings.Contains(line, "all.log") {
		t.Error(line)
	}
	s.quiet = true // the refusal is an error in the log
}
