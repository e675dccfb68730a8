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
	"sync/atomic"

	"rosterd/config"
)

// quiet is the log of commands that report what goes wrong themselves.
var quiet = slog.New(slog.DiscardHandler)

// logs are where log lines go. That can be changed while lines are written.
type logs struct {
	console console

	mu  sync.RWMutex // guards the field below; held for reading while a line is written
	now *outlets
}

// outlets are the sinks of the log option, and what else there is to say of them.
type outlets struct {
	sinks    []*sink
	levels   map[string]config.Level // least, by part
	noSyslog error                   // why what is for syslog goes to the console
}

// sink takes the lines of some levels.
type sink struct {
	slog.Handler
	levels [4]bool
	file   *logFile // nil unless it writes to a file
}

// openLogs opens the sinks that the configuration names.
func openLogs(c console, g *config.Host) (*logs, error) {
	now, err := openOutlets(c, g)
	if err != nil {
		return nil, err
	}
	return &logs{console: c, now: now}, nil
}

// Open opens the sinks of another configuration, for Use.
func (l *logs) Open(g *config.Host) (*outlets, error) { return openOutlets(l.console, g) }

// Use writes to other sinks from now on, and closes those of before.
func (l *logs) Use(next *outlets) error {
	l.mu.Lock()
	before := l.now
	l.now = next
	l.mu.Unlock()
	return before.close()
}

func openOutlets(c console, g *config.Host) (*outlets, error) {
	o := &outlets{levels: config.LogLevels.Get(g)}
	for _, s := range config.Log.Get(g) {
		form := format{timestamps: s.Timestamps, strftime: s.Format, json: config.LogFormat.Get(g) == "json"}
		to, file, err := openSink(c, s, form)
		if s.To == "syslog" && err != nil {
			// A machine without syslog, such as a container, is no reason not to start: Prosody does, too.
			o.noSyslog, s.To = err, "console"
			to, file, err = openSink(c, s, form)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%v: log: %w", s.Pos, err), o.close())
		}
		if to != nil {
			o.sinks = append(o.sinks, &sink{to, s.Levels, file})
		}
	}
	return o, nil
}

func openSink(c console, s config.LogSink, f format) (slog.Handler, *logFile, error) {
	switch s.To {
	case "nowhere":
		return nil, nil, nil
	case "stdout":
		return f.lines(c.out), nil, nil
	case "syslog":
		w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, s.SyslogName)
		if err != nil {
			return nil, nil, err
		}
		return toSyslog(w, f), nil, nil
	case "file":
		w := &logFile{path: s.File}
		if err := w.reopen(); err != nil {
			return nil, nil, err
		}
		f.timestamps = true
		return f.lines(w), w, nil
	default:
		return f.lines(c.err), nil, nil
	}
}

// format is how lines look.
type format struct {
	json       bool
	timestamps bool
	strftime   string // of timestamps; "" is Go's usual form
}

// lines writes a line each.
func (f format) lines(w io.Writer) slog.Handler {
	options := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: f.attribute}
	if f.json {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

func (f format) attribute(groups []string, a slog.Attr) slog.Attr {
	switch isTime := a.Key == slog.TimeKey && len(groups) == 0; {
	case isTime && !f.timestamps:
		return slog.Attr{}
	case isTime && f.strftime != "":
		return slog.String(a.Key, strings.TrimSpace(strftime(f.strftime, a.Value.Time())))
	case isTime || !f.json:
		return a
	}
	if s, ok := a.Value.Any().(fmt.Stringer); ok { // or an address would be an object, and a duration a number
		return slog.String(a.Key, s.String())
	}
	return a
}

// severities is syslog: each level has a severity of its own (RFC 5424 §6.2.1), and so a handler.
type severities [4]slog.Handler

func toSyslog(w *syslog.Writer, f format) severities {
	f.timestamps = false // syslog has its own
	return severities{
		config.LevelDebug: f.lines(severity(w.Debug)), config.LevelInfo: f.lines(severity(w.Info)),
		config.LevelWarn: f.lines(severity(w.Warning)), config.LevelError: f.lines(severity(w.Err)),
	}
}

// severity lets a method of syslog's be written to.
type severity func(line string) error

func (f severity) Write(b []byte) (int, error) { return len(b), f(string(b)) }

func (s severities) Enabled(context.Context, slog.Level) bool { return true }

func (s severities) Handle(ctx context.Context, r slog.Record) error {
	return s[level(r.Level)].Handle(ctx, r)
}

func (s severities) WithAttrs(attrs []slog.Attr) slog.Handler {
	for i, h := range s {
		s[i] = h.WithAttrs(attrs)
	}
	return s
}

func (s severities) WithGroup(name string) slog.Handler {
	for i, h := range s {
		s[i] = h.WithGroup(name)
	}
	return s
}

// Logger writes to all sinks, first of all what is wrong with them.
func (l *logs) Logger() *slog.Logger {
	log := slog.New(&toLogs{logs: l})
	if err := l.now.noSyslog; err != nil {
		log.Warn("no syslog: its lines go to the console", "error", err)
	}
	return log
}

// Reopen opens the files anew, after they were moved away.
func (l *logs) Reopen() (err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, s := range l.now.sinks {
		if s.file != nil {
			err = errors.Join(err, s.file.reopen())
		}
	}
	return err
}

// Close closes the files.
func (l *logs) Close() error { return l.now.close() }

func (o *outlets) close() (err error) {
	for _, s := range o.sinks {
		if s.file != nil {
			err = errors.Join(err, s.file.close())
		}
	}
	return err
}

// partKey is the attribute that says which part of the server a line is of.
const partKey = "part"

// part is the log of a part of the server, one of config.LogParts.
func part(log *slog.Logger, name string) *slog.Logger { return log.With(partKey, name) }

// wants tells whether a sink takes the lines of a part and level. What rosterd_log_levels lets through, and no sink
// would take, goes where the lowest level goes.
func (o *outlets) wants(s *sink, part string, l config.Level) bool {
	least, set := o.levels[part]
	switch {
	case !set:
		return s.levels[l]
	case l < least:
		return false
	}
	return s.levels[max(l, o.lowest())]
}

// lowest is the lowest level that any sink takes.
func (o *outlets) lowest() config.Level {
	for l := config.LevelDebug; l < config.LevelError; l++ {
		if slices.ContainsFunc(o.sinks, func(s *sink) bool { return s.levels[l] }) {
			return l
		}
	}
	return config.LevelError
}

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

// toLogs hands each line to the sinks that want it.
type toLogs struct {
	logs *logs
	part string
	with []func(slog.Handler) slog.Handler // what With and WithGroup have added

	made atomic.Pointer[handlers]
}

// handlers are those of the sinks, with what was added.
type handlers struct {
	of   *outlets
	list []slog.Handler
}

func (t *toLogs) Enabled(_ context.Context, l slog.Level) bool {
	t.logs.mu.RLock()
	defer t.logs.mu.RUnlock()
	o := t.logs.now
	return slices.ContainsFunc(o.sinks, func(s *sink) bool { return o.wants(s, t.part, level(l)) })
}

func (t *toLogs) Handle(ctx context.Context, r slog.Record) (err error) {
	t.logs.mu.RLock()
	defer t.logs.mu.RUnlock()
	o := t.logs.now
	for i, h := range t.handlers(o) {
		if o.wants(o.sinks[i], t.part, level(r.Level)) {
			err = errors.Join(err, h.Handle(ctx, r.Clone()))
		}
	}
	return err
}

// handlers makes them when they are first needed, and anew after Use.
func (t *toLogs) handlers(o *outlets) []slog.Handler {
	if made := t.made.Load(); made != nil && made.of == o {
		return made.list
	}
	made := &handlers{of: o}
	for _, s := range o.sinks {
		h := s.Handler
		if t.part != "" {
			h = h.WithAttrs([]slog.Attr{slog.String(partKey, t.part)})
		}
		for _, add := range t.with {
			h = add(h)
		}
		made.list = append(made.list, h)
	}
	t.made.Store(made)
	return made.list
}

// WithAttrs takes a part for that of all lines, instead of the one before.
func (t *toLogs) WithAttrs(attrs []slog.Attr) slog.Handler {
	var rest []slog.Attr
	next := t.part
	for _, a := range attrs {
		if a.Key == partKey {
			next = a.Value.String()
		} else {
			rest = append(rest, a)
		}
	}
	h := t.adding(func(h slog.Handler) slog.Handler { return h.WithAttrs(rest) })
	h.part = next
	return h
}

func (t *toLogs) WithGroup(name string) slog.Handler {
	return t.adding(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (t *toLogs) adding(f func(slog.Handler) slog.Handler) *toLogs {
	return &toLogs{logs: t.logs, part: t.part, with: append(slices.Clip(t.with), f)}
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
