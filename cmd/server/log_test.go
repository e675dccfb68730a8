package main

import (
	"log/syslog"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
			p.c2s, p.http = unusedPort(t), unusedPort(t)
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
