package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"rosterd/config"
)

// quiet is the log of commands that report what goes wrong themselves.
var quiet = slog.New(slog.DiscardHandler)

// logs are the sinks of the log option.
type logs struct {
	sinks    []*sink
	noSyslog error // why what is for syslog goes to the console
}

// sink takes the lines of some levels.
type sink struct {
	slog.Handler
	levels [4]bool
	file   *logFile // nil unless it writes to a file
}

// openLogs opens the sinks that the configuration names.
func openLogs(c console, list []config.LogSink) (*logs, error) {
	var l logs
	for _, s := range list {
		to, file, err := openSink(c, s)
		if s.To == "syslog" && err != nil {
			// A machine without syslog, such as a container, is no reason not to start: Prosody does, too.
			l.noSyslog, s.To = err, "console"
			to, file, err = openSink(c, s)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%v: log: %w", s.Pos, err), l.Close())
		}
		if to != nil {
			l.sinks = append(l.sinks, &sink{to, s.Levels, file})
		}
	}
	return &l, nil
}

func openSink(c console, s config.LogSink) (slog.Handler, *logFile, error) {
	switch s.To {
	case "nowhere":
		return nil, nil, nil
	case "stdout":
		return lines(c.out, s.Timestamps, s.Format), nil, nil
	case "syslog":
		w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, s.SyslogName)
		if err != nil {
			return nil, nil, err
		}
		return lines(w, false, ""), nil, nil
	case "file":
		f := &logFile{path: s.File}
		if err := f.reopen(); err != nil {
			return nil, nil, err
		}
		return lines(f, true, s.Format), f, nil
	default:
		return lines(c.err, s.Timestamps, s.Format), nil, nil
	}
}

// lines writes a line each, with timestamps in a format of strftime, or Go's usual one for "".
func lines(w io.Writer, timestamps bool, format string) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		switch {
		case a.Key != slog.TimeKey || len(groups) > 0:
		case !timestamps:
			return slog.Attr{}
		case format != "":
			return slog.String(a.Key, strings.TrimSpace(strftime(format, a.Value.Time())))
		}
		return a
	}})
}

// Logger writes to all sinks, first of all what is wrong with them.
func (l *logs) Logger() *slog.Logger {
	log := slog.New(fanout(l.sinks))
	if l.noSyslog != nil {
		log.Warn("no syslog: its lines go to the console", "error", l.noSyslog)
		l.noSyslog = nil
	}
	return log
}

// Reopen opens the files anew, after they were moved away.
func (l *logs) Reopen() (err error) {
	for _, s := range l.sinks {
		if s.file != nil {
			err = errors.Join(err, s.file.reopen())
		}
	}
	return err
}

// Close closes the files.
func (l *logs) Close() (err error) {
	for _, s := range l.sinks {
		if s.file != nil {
			err = errors.Join(err, s.file.close())
		}
	}
	return err
}

// fanout hands each line to the sinks that want its level.
type fanout []*sink

func level(l slog.Level) config.Level {
	switch {
	case l < slog.LevelInfo:
		return config.LevelDebug
	case l < slog.LevelWarn:
		return config.LevelInfo
	case l < slog.LevelError:
		return config.LevelWarn
	}
	return config.LevelError
}

func (f fanout) Enabled(_ context.Context, l slog.Level) bool {
	return slices.ContainsFunc(f, func(s *sink) bool { return s.levels[level(l)] })
}

func (f fanout) Handle(ctx context.Context, r slog.Record) (err error) {
	for _, s := range f {
		if s.levels[level(r.Level)] {
			err = errors.Join(err, s.Handler.Handle(ctx, r.Clone()))
		}
	}
	return err
}

func (f fanout) WithAttrs(attrs []slog.Attr) slog.Handler {
	return f.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (f fanout) WithGroup(name string) slog.Handler {
	return f.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (f fanout) with(change func(slog.Handler) slog.Handler) fanout {
	g := make(fanout, len(f))
	for i, s := range f {
		g[i] = &sink{change(s.Handler), s.levels, s.file}
	}
	return g
}

// logFile is a file that can be opened anew while it is written to.
type logFile struct {
	path string
	mu   sync.Mutex // guards the field below
	f    *os.File
}

func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Write(b)
}

func (l *logFile) reopen() error {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
	}
	l.f = f
	return nil
}

func (l *logFile) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}
