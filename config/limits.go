package config

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A RateLimit bounds what a session may send: Rate bytes a second on average, and at once what
// Burst's worth of that is.
type RateLimit struct {
	Rate  float64 // bytes a second
	Burst time.Duration
}

// limited are the kinds of sessions, as mod_limits looks for them.
var limited = []string{"c2s", "component", "s2sin", "s2sout"}

func defaultLimits() map[string]RateLimit {
	return map[string]RateLimit{
		"c2s":   {Rate: 10 * 1024, Burst: 2 * time.Second},
		"s2sin": {Rate: 30 * 1024, Burst: 2 * time.Second},
	}
}

// rateLimits reads { c2s = { rate = "10kb/s", burst = "2s" } }; kinds that it does not name keep
// their defaults.
func rateLimits(r *reading, v Value) (map[string]RateLimit, bool) {
	t := v.Table()
	if t == nil || len(t.List) > 0 {
		r.fail(v, "takes a table such as { c2s = { rate = \"10kb/s\", burst = \"2s\" } }")
		return nil, false
	}
	limits := defaultLimits()
	for _, f := range t.Fields {
		kind := keyText(f.Key)
		if !slices.Contains(limited, kind) {
			r.warn(f.Value, "%q is no kind of session, in Prosody neither: %s are", kind, strings.Join(limited, ", "))
		}
		entry := f.Value.Table()
		if entry == nil {
			r.fail(f.Value, "%s takes a table such as { rate = \"10kb/s\" }", kind)
			continue
		}
		l := RateLimit{Burst: 2 * time.Second}
		var ok bool
		if l.Rate, ok = r.rate(kind, f.Value, entry.Field("rate")); !ok {
			continue
		}
		if b := entry.Field("burst"); !b.IsNil() {
			if l.Burst, ok = r.burst(kind, b); !ok {
				continue
			}
		}
		limits[kind] = l
	}
	return limits, true
}

var (
	rateForm  = regexp.MustCompile(`^([0-9]+) ?([^/]+)/s$`)
	burstForm = regexp.MustCompile(`^([0-9]+) ?s$`)
)

// rate reads "10kb/s". The units are thousands, and bytes whatever the case of the b.
func (r *reading) rate(kind string, entry, v Value) (float64, bool) {
	if v.IsNil() {
		r.fail(entry, "%s has no rate", kind)
		return 0, false
	}
	s, _ := v.text()
	m := rateForm.FindStringSubmatch(s)
	if m == nil {
		r.fail(v, "%s: takes a rate such as \"10kb/s\", not %s", kind, v.describe())
		return 0, false
	}
	exp := map[byte]float64{'b': 0, 'k': 3, 'm': 6, 'g': 9, 't': 12}
	e, known := exp[strings.ToLower(m[2])[0]]
	rate := atof(m[1]) * math.Pow(10, e)
	if !known || rate <= 0 || math.IsInf(rate, 0) {
		r.fail(v, "%s: takes a rate such as \"10kb/s\", not %s", kind, v.describe())
		return 0, false
	}
	return rate, true
}

// burst reads seconds: 2, "2" or "2s".
func (r *reading) burst(kind string, v Value) (time.Duration, bool) {
	if s, isString := v.v.(string); isString {
		if m := burstForm.FindStringSubmatch(s); m != nil {
			return seconds(atof(m[1])), true
		}
	}
	f, ok := v.number()
	if !ok || f < 0 {
		r.fail(v, "%s: takes a burst such as \"2s\", not %s", kind, v.describe())
		return 0, false
	}
	return seconds(f), true
}
