package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestLog(t *testing.T) {
	for _, c := range []struct{ name, src, want, said string }{
		{"default", "", "console iwe", ""},
		{"default with debug", "debug = true", "console diwe", ""},
		{"a file", "log = 'x.log'", "file DIR/x.log iwe t", ""},
		{"a file with debug", "debug = true\nlog = '/var/x.log'", "file /var/x.log diwe t", ""},
		{"a sink", "log = '*syslog'", "syslog diwe", ""},
		{"levels to files and sinks", "log = { info = 'a.log', error = '*syslog' }", "file DIR/a.log iwe t, syslog e", ""},
		{"an array of sinks", "log = { '*console', '*syslog' }", "console diwe, syslog diwe", ""},
		{"a mix", "log = { warn = 'w.log'; '*stdout' }", "file DIR/w.log we t, stdout diwe", ""},
		{"a table with a range", "log = { { levels = { min = 'info', max = 'warn' }, to = 'file', filename = 'x.log' } }", "file DIR/x.log iw t", ""},
		{"a table with min", "log = { { levels = { min = 'warn' }, to = 'console', timestamps = true } }", "console we t", ""},
		{"a table with max alone", "log = { { levels = { max = 'info' }, to = 'console' } }", "console i", ""},
		{"a table with names", "log = { { levels = { 'error', 'debug' }, to = 'syslog', syslog_name = 'x' } }", "syslog de x", ""},
		{"a table with one name", "log = { { levels = 'error', to = 'stdout' } }", "stdout e", ""},
		{"a table without levels", "log = { { to = 'nowhere' } }", "nowhere diwe", ""},
		{"a format of timestamps", "log = { { to = 'file', filename = 'x.log', timestamps = '%H:%M' } }", "file DIR/x.log diwe t %H:%M", ""},
		{"without timestamps", "log = { { to = 'file', filename = 'x.log', timestamps = false } }", "file DIR/x.log diwe", ""},
		{"an empty table", "log = {}", "", ""},
		{"an unknown level", "log = { verbose = 'x.log', info = 'y.log' }", "file DIR/y.log iwe t", `"verbose" is no level`},
		{"an unknown sink", "log = { info = '*sylog', '*console' }", "console diwe", `there is no log sink "sylog"`},
		{"an unknown sink alone", "log = '*sylog'", "console iwe", `there is no log sink "sylog"`},
		{"a table without to", "log = { { levels = { 'info' } } }", "", `there is no log sink ""`},
		{"a file without a name", "log = { { to = 'file' } }", "", "needs a filename"},
		{"an unknown level in a table", "log = { { to = 'console', levels = { min = 'inof' } } }", "", `"inof" is no level`},
		{"a file name in the list", "log = { 'x.log' }", "", "needs a level before it"},
		{"a number", "log = 5", "console iwe", "takes a file name"},
		{"a number as a level's file", "log = { info = 5 }", "", "info takes a file name"},
		{"something more", "log = { { to = 'console', colour = 'red' } }", "console diwe", "colour has no effect"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := mustLoad(t, c.src)
			var got []string
			for _, s := range Log.Get(cfg.Global()) {
				got = append(got, strings.ReplaceAll(sinkText(s), cfg.Dir, "DIR"))
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("sinks are %q, want %q", s, c.want)
			}
			var said []string
			for _, d := range Check(cfg) {
				if d.Name == "log" {
					said = append(said, d.Message)
				}
			}
			if s := fmt.Sprint(said); c.said == "" && len(said) > 0 || !strings.Contains(s, c.said) {
				t.Errorf("said %s, want %q", s, c.said)
			}
		})
	}
}

func sinkText(s LogSink) string {
	words := []string{s.To}
	if s.File != "" {
		words = append(words, s.File)
	}
	levels := ""
	for l := LevelDebug; l <= LevelError; l++ {
		if s.Wants(l) {
			levels += l.String()[:1]
		}
	}
	words = append(words, levels)
	if s.Timestamps {
		words = append(words, "t")
	}
	for _, w := range []string{s.Format, s.SyslogName} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

func TestLogLevels(t *testing.T) {
	for _, c := range []struct{ name, src, want, said string }{
		{"nothing said", "", "map[]", ""},
		{"two parts", "rosterd_log_levels = { engine = 'debug', http = 'warn' }", "map[engine:debug http:warn]", ""},
		{"an unknown part", "rosterd_log_levels = { engines = 'debug', store = 'error' }", "map[store:error]", `refused rosterd_log_levels: there is no part "engines": admin, c2s, engine, http, plugins, server, store are`},
		{"an unknown level", "rosterd_log_levels = { engine = 'verbose' }", "map[]", `refused rosterd_log_levels: "verbose" is no level`},
		{"a list", "rosterd_log_levels = { 'engine' }", "map[]", "refused rosterd_log_levels: takes a table"},
		{"a level", "rosterd_log_levels = 'debug'", "map[]", "refused rosterd_log_levels: takes a table"},
		{"under a host", "VirtualHost 'a.example'\nrosterd_log_levels = { engine = 'debug' }", "map[]", "warn"},
		{"an unknown format", "rosterd_log_format = 'xml'", "map[]", "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := mustLoad(t, c.src)
			if got := fmt.Sprint(LogLevels.Get(cfg.Global())); got != c.want {
				t.Errorf("levels are %s, want %s", got, c.want)
			}
			if got := LogFormat.Get(cfg.Global()); got != "text" {
				t.Errorf("the format is %q", got)
			}
			var said []string
			for _, d := range Check(cfg) {
				if strings.HasPrefix(d.Name, "rosterd_log_") {
					said = append(said, fmt.Sprint(d.Severity, " ", d.Message))
				}
			}
			if s := strings.Join(said, "; "); c.said == "" && s != "" || !strings.Contains(s, c.said) {
				t.Errorf("said %q, want %q", s, c.said)
			}
		})
	}
	if got := LogFormat.Get(mustLoad(t, "rosterd_log_format = 'json'").Global()); got != "json" {
		t.Errorf("the format is %q", got)
	}
}
