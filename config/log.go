package config

import (
	"slices"
	"strings"
)

// A Level is a level of log lines, as Prosody counts them.
type Level uint8

const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
	LevelError
)

var levelNames = [...]string{"debug", "info", "warn", "error"}

func (l Level) String() string { return levelNames[l] }

func parseLevel(s string) (Level, bool) {
	for i, name := range levelNames {
		if s == name {
			return Level(i), true
		}
	}
	return 0, false
}

// LogParts are the parts of the server whose lines can have a level of their own.
var LogParts = []string{"admin", "c2s", "engine", "http", "plugins", "server", "store"}

// logLevels reads part → least level.
func logLevels(r *reading, v Value) (map[string]Level, bool) {
	t := v.Table()
	if t == nil || len(t.List) > 0 {
		r.fail(v, "takes a table such as { engine = \"debug\" }")
		return nil, false
	}
	levels := map[string]Level{}
	for _, f := range t.Fields {
		part := keyText(f.Key)
		if !slices.Contains(LogParts, part) {
			r.fail(f.Value, "there is no part %q: %s are", part, strings.Join(LogParts, ", "))
			continue
		}
		if l, ok := r.level(f.Value); ok {
			levels[part] = l
		}
	}
	return levels, true
}

// A LogSink is a place that log lines go to. A line goes to every sink that wants its level.
type LogSink struct {
	To         string // "console", "stdout", "syslog", "file" or "nowhere"
	File       string // absolute, for "file"
	Levels     [4]bool
	Timestamps bool
	Format     string // of timestamps, as strftime; "" is the usual one
	SyslogName string
	Pos        Pos
}

// Wants reports whether lines of that level go to the sink.
func (s LogSink) Wants(l Level) bool { return s.Levels[l] }

// from is every level from low up.
func from(low Level) (set [4]bool) {
	for l := low; l <= LevelError; l++ {
		set[l] = true
	}
	return set
}

func (c *Config) usualLevel() Level {
	if Debug.Get(c.global) {
		return LevelDebug
	}
	return LevelInfo
}

func defaultLog(h *Host) []LogSink {
	return []LogSink{{To: "console", Levels: from(h.cfg.usualLevel())}}
}

// logSinks reads the option log: a string; or a table that mixes level = "file or *sink", strings
// "*sink" and tables { levels = …, to = …, filename = … }.
func logSinks(r *reading, v Value) ([]LogSink, bool) {
	if s, isString := v.v.(string); isString {
		low := LevelDebug // Prosody logs everything to a sink named like this
		if !strings.HasPrefix(s, "*") {
			low = r.cfg.usualLevel()
		}
		sink, ok := r.sink(v, s, from(low))
		return []LogSink{sink}, ok
	}
	t := v.Table()
	if t == nil {
		r.fail(v, "takes a file name, \"*syslog\", \"*console\" or a table, not %s", v.describe())
		return nil, false
	}
	sinks := []LogSink{}
	for _, f := range t.Fields {
		low, isLevel := parseLevel(keyText(f.Key))
		if !isLevel {
			r.fail(f.Value, "%q is no level: debug, info, warn and error are", keyText(f.Key))
			continue
		}
		s, isString := f.Value.v.(string)
		if !isString {
			r.fail(f.Value, "%s takes a file name or \"*sink\", not %s", low, f.Value.describe())
			continue
		}
		if sink, ok := r.sink(f.Value, s, from(low)); ok {
			sinks = append(sinks, sink)
		}
	}
	for _, e := range t.List {
		if sink, ok := r.logEntry(e); ok {
			sinks = append(sinks, sink)
		}
	}
	return sinks, true
}

// sink reads a file name, or "*" and the name of a sink.
func (r *reading) sink(v Value, s string, levels [4]bool) (LogSink, bool) {
	name, special := strings.CutPrefix(s, "*")
	switch {
	case special:
		return r.named(v, name, levels)
	case strings.TrimSpace(s) == "":
		r.fail(v, "the name of a log file is empty")
		return LogSink{}, false
	}
	return LogSink{To: "file", File: resolvePath(r.cfg.Dir, s), Levels: levels, Timestamps: true, Pos: v.pos}, true
}

func (r *reading) named(v Value, name string, levels [4]bool) (LogSink, bool) {
	switch name {
	case "console", "stdout", "syslog", "nowhere":
		return LogSink{To: name, Levels: levels, Pos: v.pos}, true
	}
	r.fail(v, "there is no log sink %q: console, stdout, syslog and nowhere are", name)
	return LogSink{}, false
}

// logEntry reads an entry of the list part.
func (r *reading) logEntry(v Value) (LogSink, bool) {
	if s, isString := v.v.(string); isString {
		if !strings.HasPrefix(s, "*") {
			r.fail(v, "%s in the list needs a level before it, such as info = %s", v.describe(), v.describe())
			return LogSink{}, false
		}
		return r.sink(v, s, from(LevelDebug))
	}
	t := v.Table()
	if t == nil {
		r.fail(v, "takes \"*sink\" or a table in the list, not %s", v.describe())
		return LogSink{}, false
	}
	levels, ok := r.levels(t.Field("levels"))
	if !ok {
		return LogSink{}, false
	}
	to, _ := t.Field("to").v.(string)
	var sink LogSink
	if to == "file" {
		name, isString := t.Field("filename").v.(string)
		if !isString || strings.HasPrefix(name, "*") {
			r.fail(v, "to = \"file\" needs a filename")
			return LogSink{}, false
		}
		sink, ok = r.sink(v, name, levels)
	} else {
		sink, ok = r.named(v, to, levels)
	}
	if !ok {
		return LogSink{}, false
	}
	r.sinkDetails(&sink, t)
	return sink, true
}

func (r *reading) sinkDetails(sink *LogSink, t *Table) {
	for _, f := range t.Fields {
		switch keyText(f.Key) {
		case "to", "levels", "filename":
		case "timestamps":
			switch x := f.Value.v.(type) {
			case bool:
				sink.Timestamps = x
			case string:
				sink.Timestamps, sink.Format = true, x
			default:
				r.fail(f.Value, "timestamps takes true, false or a format, not %s", f.Value.describe())
			}
		case "syslog_name":
			sink.SyslogName, _ = text(r, f.Value)
		default:
			r.warn(f.Value, "%s has no effect on a log sink", keyText(f.Key))
		}
	}
}

// levels reads which levels a sink wants: one by name, { min = …, max = … } or a list. Nothing is
// all of them.
func (r *reading) levels(v Value) (set [4]bool, ok bool) {
	if v.IsNil() {
		return from(LevelDebug), true
	}
	t := v.Table()
	if t == nil {
		l, ok := r.level(v)
		if ok {
			set[l] = true
		}
		return set, ok
	}
	bounds := map[string]Level{}
	for _, f := range t.Fields {
		l, ok := r.level(f.Value)
		key := keyText(f.Key)
		if ok && key != "min" && key != "max" {
			r.fail(f.Value, "levels takes min, max and names of levels, not %q", key)
			ok = false
		}
		if !ok {
			return set, false
		}
		bounds[key] = l
	}
	if len(bounds) > 0 {
		low, isLow := bounds["min"]
		high, isHigh := bounds["max"]
		if !isHigh {
			high = LevelError
		}
		if !isLow || low > high {
			low = high // without a min, or below it, Prosody takes max alone
		}
		for l := low; l <= high; l++ {
			set[l] = true
		}
	}
	for _, e := range t.List {
		l, ok := r.level(e)
		if !ok {
			return set, false
		}
		set[l] = true
	}
	return set, true
}

func (r *reading) level(v Value) (Level, bool) {
	s, _ := v.v.(string)
	l, ok := parseLevel(s)
	if !ok {
		r.fail(v, "%s is no level: debug, info, warn and error are", v.describe())
	}
	return l, ok
}
