package plugins

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Options reads the options of one plugin with the coercions of Prosody's get_option functions, and remembers
// what was read. Where Prosody turns a value that it cannot read into nil, these return an error: a plugin
// never runs on a default that the configuration meant to replace.
type Options struct {
	cfg Config

	mu     sync.Mutex
	read   map[string]any
	more   bool                         // options were read that are not remembered
	seen   func(name string, value any) // told of every value read, once per option
	hidden func(name string) bool       // nil: nothing is
}

// NewOptions reads from cfg for a plugin, which does not get at the secrets of the server; nil is a configuration
// without any option.
func NewOptions(cfg Config) *Options {
	o := serverOptions(cfg)
	o.refuse(nil)
	return o
}

// serverOptions reads from cfg for what serves a plugin.
func serverOptions(cfg Config) *Options {
	return &Options{cfg: cfg, read: map[string]any{}}
}

// serverSecrets are what plugins must not read: a plugin would give them to anybody whom it asks or answers. Of the
// other options of the server they may know.
var serverSecrets = map[string]bool{
	"rosterd_backend_headers": true, "rosterd_plugin_secrets": true, "rosterd_refresh_token": true, "rosterd_refresh_hmac_secret": true,
}

// refuse keeps further options from the plugin.
func (o *Options) refuse(others func(name string) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hidden = func(name string) bool { return serverSecrets[name] || others != nil && others(name) }
}

// Refused says why a plugin may not read an option; nil if it may. To the methods that cannot say so the option is
// not set.
func (o *Options) Refused(name string) error {
	o.mu.Lock()
	hidden := o.hidden
	o.mu.Unlock()
	if hidden == nil || !hidden(name) {
		if c, ok := o.cfg.(refuser); ok {
			return c.Refused(name)
		}
		return nil
	}
	return &OptionError{Name: name, Reason: "it is a secret of the server, which no plugin may read ({{secret:NAME}} in a header or in the query of a URL sends what rosterd_plugin_secrets names)"}
}

// refuser is a Config that knows of options which a plugin may not read.
type refuser interface{ Refused(name string) error }

// OptionError is a value that a plugin cannot use. It does not show the value, which may be a secret.
type OptionError struct {
	Name, Pos string
	Reason    string
}

func (e *OptionError) Error() string {
	if e.Pos == "" {
		return fmt.Sprintf("option %s: %s", e.Name, e.Reason)
	}
	return fmt.Sprintf("%s: option %s: %s", e.Pos, e.Name, e.Reason)
}

// Wrong is the error for a value of the option that cannot be used.
func (o *Options) Wrong(name, format string, args ...any) error {
	_, pos, _ := o.option(name)
	return &OptionError{Name: name, Pos: pos, Reason: fmt.Sprintf(format, args...)}
}

// Pos is where the option stands in the configuration, "" if it does not.
func (o *Options) Pos(name string) string {
	_, pos, _ := o.option(name)
	return pos
}

// Read lists the names of the options asked for so far, set or not.
func (o *Options) Read() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Sorted(maps.Keys(o.read))
}

// same tells whether another configuration has the values that were read from this one.
func (o *Options) same(other Config) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more {
		return false
	}
	for name, value := range o.read {
		var v any
		if other != nil {
			v, _, _ = other.Option(name)
		}
		if !reflect.DeepEqual(v, value) {
			return false
		}
	}
	return true
}

// Bounds of what is remembered: more options than any plugin has, and longer names.
const maxRead, maxReadName = 10_000, 1024

// Get is the value as the configuration has it.
func (o *Options) Get(name string) (value any, ok bool) {
	if o.Refused(name) != nil {
		return nil, false
	}
	value, _, ok = o.option(name)
	ok = ok && value != nil
	o.mu.Lock()
	_, before := o.read[name]
	if before || len(o.read) < maxRead && len(name) <= maxReadName {
		o.read[name] = value
	} else {
		o.more = true
	}
	seen := o.seen
	o.mu.Unlock()
	if !before && ok && seen != nil {
		seen(name, value)
	}
	return value, ok
}

// Trust has a value, such as the default of a module that ships with rosterd, count as one that the operator wrote.
func (o *Options) Trust(value any) {
	o.mu.Lock()
	seen := o.seen
	o.mu.Unlock()
	if seen != nil {
		seen("", value)
	}
}

// notice has f told of every value that is read from now on.
func (o *Options) notice(f func(name string, value any)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = f
}

func (o *Options) option(name string) (any, string, bool) {
	if o.cfg == nil {
		return nil, "", false
	}
	return o.cfg.Option(name)
}

// scalar is the value, or the first element where a list stands for one value, as in Prosody.
func (o *Options) scalar(name string) (any, bool, error) {
	if err := o.Refused(name); err != nil {
		return nil, false, err
	}
	v, ok := o.Get(name)
	switch t := v.(type) {
	case []any:
		if len(t) > 1 {
			return nil, false, o.Wrong(name, "a list of %d where one value is expected", len(t))
		}
		if len(t) == 0 {
			return nil, false, nil
		}
		v = t[0]
	case map[string]any:
		return nil, false, o.Wrong(name, "a table where one value is expected")
	}
	switch v.(type) {
	case nil, string, bool, int64, float64:
		return v, ok && v != nil, nil
	}
	return nil, false, o.Wrong(name, "a %s where one value is expected", kind(v))
}

// String reads text; numbers and booleans are text too.
func (o *Options) String(name string) (s string, ok bool, err error) {
	v, ok, err := o.scalar(name)
	if !ok || err != nil {
		return "", false, err
	}
	return text(v), true, nil
}

// Number reads a number, or text that is one.
func (o *Options) Number(name string) (n float64, ok bool, err error) {
	v, ok, err := o.scalar(name)
	if !ok || err != nil {
		return 0, false, err
	}
	switch t := v.(type) {
	case int64:
		return float64(t), true, nil
	case float64:
		return t, true, nil
	case string:
		if n, err := strconv.ParseFloat(strings.TrimSpace(t), 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
			return n, true, nil
		}
	}
	return 0, false, o.Wrong(name, "a %s where a number is expected", kind(v))
}

// Integer reads a number without a fraction. Prosody rounds down with a warning; a fraction here is an error.
func (o *Options) Integer(name string) (n int64, ok bool, err error) {
	f, ok, err := o.Number(name)
	if !ok || err != nil {
		return 0, false, err
	}
	if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false, o.Wrong(name, "%v is no integer", f)
	}
	return int64(f), true, nil
}

// Boolean reads true, false, their names, 1 and 0.
func (o *Options) Boolean(name string) (b, ok bool, err error) {
	v, ok, err := o.scalar(name)
	if !ok || err != nil {
		return false, false, err
	}
	switch v {
	case true, "true", int64(1), float64(1):
		return true, true, nil
	case false, "false", int64(0), float64(0):
		return false, true, nil
	}
	return false, false, o.Wrong(name, "a %s where true or false is expected", kind(v))
}

// Array reads a list; a single value is a list of one.
func (o *Options) Array(name string) (list []any, ok bool, err error) {
	if err := o.Refused(name); err != nil {
		return nil, false, err
	}
	v, ok := o.Get(name)
	if !ok {
		return nil, false, nil
	}
	switch t := v.(type) {
	case []any:
		return t, true, nil
	case map[string]any:
		return nil, false, o.Wrong(name, "a table with names where a list is expected")
	}
	return []any{v}, true, nil
}

// Set reads a list of which order and repetition do not matter: each value stands where it came first.
func (o *Options) Set(name string) (list []any, ok bool, err error) {
	all, ok, err := o.Array(name)
	if !ok || err != nil {
		return nil, false, err
	}
	for i, v := range all {
		switch v.(type) {
		case []any, map[string]any:
			return nil, false, o.Wrong(name, "item %d is a table where one value is expected", i+1)
		}
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list, true, nil
}

// Enum reads one of the words.
func (o *Options) Enum(name string, words ...string) (s string, ok bool, err error) {
	s, ok, err = o.String(name)
	if ok && !slices.Contains(words, s) {
		return "", false, o.Wrong(name, "%q is none of %s", s, strings.Join(words, ", "))
	}
	return s, ok, err
}

var period = regexp.MustCompile(`^\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*$`)

// periods are Prosody's units in seconds. "m" and "mo" are left out: Prosody takes them for months, people
// mean minutes.
var periods = map[string]float64{
	"": 1, "s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600,
	"d": 86400, "day": 86400, "w": 604800, "week": 604800, "month": 31 * 86400, "y": 365.2425 * 86400, "year": 365.2425 * 86400,
}

// Period reads a length of time in seconds; see ParsePeriod.
func (o *Options) Period(name string) (seconds float64, ok bool, err error) {
	v, ok, err := o.scalar(name)
	if !ok || err != nil {
		return 0, false, err
	}
	if seconds, err = ParsePeriod(v); err != nil {
		return 0, false, o.Wrong(name, "%v", err)
	}
	return seconds, true, nil
}

// ParsePeriod reads a number of seconds, or text such as "90s", "30 min", "1h". False, "never" and a negative
// number mean for ever, which is +Inf.
func ParsePeriod(v any) (seconds float64, err error) {
	switch t := v.(type) {
	case int64:
		return forever(float64(t)), nil
	case float64:
		return forever(t), nil
	case bool:
		if !t {
			return math.Inf(1), nil
		}
	case string:
		if strings.EqualFold(t, "never") {
			return math.Inf(1), nil
		}
		if m := period.FindStringSubmatch(t); m != nil {
			n, err := strconv.ParseFloat(m[1], 64)
			if unit, known := periodUnit(m[2]); known && err == nil {
				return n * unit, nil
			}
		}
		return 0, fmt.Errorf(`%q is no length of time such as "90s", "30 min", "1h", "2 days", "1 month"`, t)
	}
	return 0, fmt.Errorf("a %s where a length of time is expected", kind(v))
}

func periodUnit(word string) (float64, bool) {
	word = strings.ToLower(word)
	if u, ok := periods[word]; ok {
		return u, true
	}
	if len(word) > 3 {
		u, ok := periods[strings.TrimSuffix(word, "s")]
		return u, ok
	}
	return 0, false
}

func forever(n float64) float64 {
	if n < 0 {
		return math.Inf(1)
	}
	return n
}

func text(v any) string {
	switch t := v.(type) {
	case string:
		return t
	case float64:
		return strconv.FormatFloat(t, 'g', 14, 64) // as Lua writes it
	}
	return fmt.Sprint(v)
}

func kind(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case int64, float64:
		return "number"
	case []any:
		return "list"
	case map[string]any:
		return "table"
	case nil:
		return "nil"
	}
	return fmt.Sprintf("value of type %T", v)
}
