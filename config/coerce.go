package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A reader turns the value of an option into a Go value. It returns false where the value is not
// understood; Prosody then goes on as if there were none, which for a security option is dangerous,
// so rosterd does not start (see Check).
type reader[T any] func(r *reading, v Value) (T, bool)

// A reading is one look at one value, and what there was to say about it.
type reading struct {
	cfg      *Config
	secret   bool // values do not belong into messages
	problems []problem
}

type problem struct {
	pos Pos
	msg string
	bad bool // the value, or a part of it, is not understood
}

// fail notes that v is not understood.
func (r *reading) fail(v Value, format string, args ...any) {
	r.problems = append(r.problems, problem{pos: v.pos, msg: fmt.Sprintf(format, args...), bad: true})
}

// warn notes something odd that has a meaning all the same.
func (r *reading) warn(v Value, format string, args ...any) {
	r.problems = append(r.problems, problem{pos: v.pos, msg: fmt.Sprintf(format, args...)})
}

// show is a value as messages may show it.
func (r *reading) show(v Value) string {
	if r.secret {
		return "the value"
	}
	return v.describe()
}

// scalar unpacks a table that stands where a single value is expected: the first item counts.
// An empty table is no value.
func (r *reading) scalar(v Value) (Value, bool) {
	t := v.Table()
	if t == nil {
		return v, true
	}
	if len(t.List) == 0 {
		r.fail(v, "takes a single value, not an empty table")
		return Value{}, false
	}
	if len(t.List) > 1 {
		r.warn(v, "does not take a list, only the first item is used")
	}
	if t.List[0].Table() != nil {
		r.fail(v, "takes a single value, not a table in a table")
		return Value{}, false
	}
	return t.List[0], true
}

// boolean accepts what Prosody accepts: true, false, their names and 1 and 0. "yes" it is not.
func boolean(r *reading, v Value) (bool, bool) {
	v, ok := r.scalar(v)
	if !ok {
		return false, false
	}
	switch v.v {
	case true, "true", int64(1):
		return true, true
	case false, "false", int64(0):
		return false, true
	}
	r.fail(v, "takes true or false, not %s", r.show(v))
	return false, false
}

// text is tostring of anything scalar.
func text(r *reading, v Value) (string, bool) {
	v, ok := r.scalar(v)
	if !ok {
		return "", false
	}
	s, ok := v.text()
	if !ok {
		r.fail(v, "takes a string, not %s", r.show(v))
	}
	return s, ok
}

// nonEmpty is a string with something in it.
func nonEmpty(r *reading, v Value) (string, bool) {
	s, ok := text(r, v)
	if ok && strings.TrimSpace(s) == "" {
		r.fail(v, "is empty")
		return "", false
	}
	return s, ok
}

// number accepts numbers and strings that look like one.
func (r *reading) number(v Value) (float64, bool) {
	f, ok := v.number()
	if !ok {
		r.fail(v, "takes a number, not %s", r.show(v))
	}
	return f, ok
}

func (v Value) number() (float64, bool) {
	switch x := v.v.(type) {
	case int64:
		return float64(x), true
	case float64:
		return x, !math.IsNaN(x)
	case string:
		return parseNumber(x)
	}
	return 0, false
}

var hexFloat = regexp.MustCompile(`^[-+]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*([pP][-+]?[0-9]+)?$`)
var decFloat = regexp.MustCompile(`^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$`)

// parseNumber is Lua's tonumber: decimal or hexadecimal, blanks around it allowed.
func parseNumber(s string) (float64, bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	switch {
	case decFloat.MatchString(s):
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil || math.IsInf(f, 0)
	case hexFloat.MatchString(s) && strings.ContainsAny(s[2:], "0123456789abcdefABCDEF"):
		if !strings.ContainsAny(s, "pP") {
			s += "p0" // Go wants an exponent
		}
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil
	}
	return 0, false
}

// integer reads a whole number; a fraction is cut off and what is out of bounds is moved to the
// bound, both with a warning, as in Prosody.
func integer(low, high int64) reader[int] {
	return func(r *reading, v Value) (int, bool) {
		v, ok := r.scalar(v)
		if !ok {
			return 0, false
		}
		f, ok := r.number(v)
		if !ok {
			return 0, false
		}
		return int(r.whole(v, f, low, high)), true
	}
}

func (r *reading) whole(v Value, f float64, low, high int64) int64 {
	if f != math.Floor(f) {
		r.warn(v, "takes a whole number: %s is read as %.0f", r.show(v), math.Floor(f))
		f = math.Floor(f)
	}
	switch {
	case f < float64(low):
		r.warn(v, "%s is below the least value, %d is used", r.show(v), low)
		return low
	case f > float64(high):
		r.warn(v, "%s is above the greatest value, %d is used", r.show(v), high)
		return high
	}
	return int64(f)
}

var sizeForm = regexp.MustCompile(`^(?i)\s*([0-9]+(?:\.[0-9]+)?)\s*(?:([kmg])(i?b)?|b|bytes)?\s*$`)

// size reads a number of bytes: a number as in Prosody, or a string such as "256 KB" (1024 each).
func size(low, high int64) reader[int] {
	return func(r *reading, v Value) (int, bool) {
		v, ok := r.scalar(v)
		if !ok {
			return 0, false
		}
		if s, isString := v.v.(string); isString {
			if m := sizeForm.FindStringSubmatch(s); m != nil {
				f, _ := strconv.ParseFloat(m[1], 64)
				f *= map[string]float64{"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[strings.ToLower(m[2])]
				return int(r.whole(v, math.Floor(f), low, high)), true
			}
			if _, isNumber := parseNumber(s); !isNumber {
				r.fail(v, "takes a number of bytes, not %s", r.show(v))
				return 0, false
			}
		}
		f, ok := r.number(v)
		if !ok {
			return 0, false
		}
		return int(r.whole(v, f, low, high)), true
	}
}

// Forever is a period without end: Prosody's "never", false or a negative number.
const Forever = time.Duration(math.MaxInt64)

// period reads a span of time: a number of seconds, or a string as in Prosody 13.
func period(low, high time.Duration) reader[time.Duration] {
	return func(r *reading, v Value) (time.Duration, bool) {
		v, ok := r.scalar(v)
		if !ok {
			return 0, false
		}
		d, ok := r.span(v)
		if !ok {
			return 0, false
		}
		switch {
		case d < low:
			r.warn(v, "%s is below the least value, %s is used", r.show(v), low)
			d = low
		case d > high:
			r.warn(v, "%s is above the greatest value, %s is used", r.show(v), high)
			d = high
		}
		return d, true
	}
}

func (r *reading) span(v Value) (time.Duration, bool) {
	switch x := v.v.(type) {
	case bool:
		if !x {
			return Forever, true
		}
	case int64:
		return seconds(float64(x)), true
	case float64:
		if !math.IsNaN(x) {
			return seconds(x), true
		}
	case string:
		if x == "never" {
			return Forever, true
		}
		d, clear, ok := parsePeriod(x)
		if ok && !clear {
			// Prosody reads these with an error in its log; whoever wrote "30m" meant minutes.
			r.fail(v, "%s is an ambiguous period, Prosody reads it as %s: write a number and seconds, min, hours, days, weeks, months or years", r.show(v), inWords(d))
		}
		if ok {
			return d, true
		}
	}
	r.fail(v, "takes a number of seconds or a period such as \"2 days\", not %s", r.show(v))
	return 0, false
}

// inWords is a period as a person would say it.
func inWords(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{day * time.Second, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if d >= u.of && d%u.of == 0 && d != Forever {
			return fmt.Sprintf("%d %s", d/u.of, u.name)
		}
	}
	return d.String()
}

func seconds(f float64) time.Duration {
	if f < 0 || f >= math.MaxInt64/1e9 {
		return Forever
	}
	return time.Duration(f * float64(time.Second))
}

const day = 86400

var (
	clearPeriod = regexp.MustCompile(`([0-9]+)[ \t\n\v\f\r]*([smhdwy]?[io]?n?)`)
	vaguePeriod = regexp.MustCompile(`([0-9]+)[ \t\n\v\f\r]*([smhdwy]?[io]?)`)

	clearUnits = map[string]float64{"s": 1, "min": 60, "h": 3600, "ho": 3600, "d": day, "w": 7 * day, "mon": 31 * day, "y": 365.2425 * day}
	vagueUnits = map[string]float64{"m": 31 * day, "mo": 31 * day, "mi": 60}
)

// parsePeriod reads the first number and the unit after it, wherever they stand; the rest is
// ignored. Not clear are a number without a unit, and "m", which Prosody takes for months.
func parsePeriod(s string) (d time.Duration, clear, ok bool) {
	s = strings.ToLower(s)
	if m := clearPeriod.FindStringSubmatch(s); m != nil {
		if unit, known := clearUnits[m[2]]; known {
			return seconds(atof(m[1]) * unit), true, true
		}
	}
	m := vaguePeriod.FindStringSubmatch(s)
	if m == nil {
		return 0, false, false
	}
	unit, known := vagueUnits[m[2]]
	if !known {
		unit, known = clearUnits[m[2]]
	}
	if !known {
		unit = 1
	}
	return seconds(atof(m[1]) * unit), false, true
}

// atof reads decimal digits.
func atof(digits string) float64 {
	f, _ := strconv.ParseFloat(digits, 64) // too many digits are infinity, which is what they mean
	return f
}

// oneOf reads a string that must be one of those given. Prosody hands out any string with an error
// in its log, and then behaves in ways nobody wrote down.
func oneOf(allowed ...string) reader[string] {
	return func(r *reading, v Value) (string, bool) {
		s, ok := text(r, v)
		if !ok {
			return "", false
		}
		for _, a := range allowed {
			if s == a {
				return s, true
			}
		}
		r.fail(v, "takes %s, not %s", orList(allowed), r.show(v))
		return "", false
	}
}

func orList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}

// items reads a list: a table's list part, or a single value as a list of one.
func (r *reading) items(v Value) []Value {
	t := v.Table()
	if t == nil {
		return []Value{v}
	}
	for _, f := range t.Fields {
		at := f.Value
		if at.pos.IsZero() {
			at = v
		}
		if _, isHole := f.Key.(int64); isHole {
			r.warn(at, "the entry [%s] stands after a hole in the list and is not read", keyText(f.Key))
			continue
		}
		r.warn(at, "takes a list, the entry %s = … is not read", keyText(f.Key))
	}
	return t.List
}

// listOf reads each item of a list; one that is not understood is left out and reported.
func listOf[T any](item func(r *reading, v Value) (T, bool)) reader[[]T] {
	return func(r *reading, v Value) ([]T, bool) {
		list := []T{}
		for _, e := range r.items(v) {
			if x, ok := item(r, e); ok {
				list = append(list, x)
			}
		}
		return list, true
	}
}
