package lua

import (
	"math"
	"regexp"
	"strconv"
	"time"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

func init() {
	whole := func(layout string) native { return formatTime(layout, "", false) }
	libraries["util.datetime"] = &library{funcs: map[string]native{
		"date": whole("2006-01-02"), "datetime": formatTime("2006-01-02T15:04:05", "Z", true), "time": formatTime("15:04:05", "", true),
		"legacy": whole("20060102T15:04:05"), "parse": parseTime,
	}}
	libraries["util.time"] = &library{funcs: map[string]native{"now": timeNow, "monotonic": timeNow}}
}

// formatTime is datetime.NAME([t]): seconds since 1970, now if there are none, in a profile of XEP-0082 and in UTC. As
// in Prosody 13 a fraction is written where the profile has one.
func formatTime(layout, zone string, fraction bool) native {
	return func(m *machine, l *glua.LState) int {
		t := m.plugin.svc.Now().Truncate(time.Second)
		if l.Get(1) != glua.LNil {
			t = timeArg(l)
		}
		text := t.UTC().Format(layout)
		if us := t.Nanosecond() / 1000; fraction && us > 0 {
			text += "." + strconv.Itoa(1_000_000 + us)[1:]
		}
		l.Push(glua.LString(text + zone))
		return 1
	}
}

// Times that have a year of four digits.
var (
	firstTime = float64(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
	endOfTime = float64(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
)

func timeArg(l *glua.LState) time.Time {
	n := vm.CheckNumber(l, 1)
	if !(n >= firstTime && n < endOfTime) {
		l.ArgError(1, "date result cannot be represented")
	}
	seconds := math.Floor(n)
	return time.Unix(int64(seconds), int64((n-seconds)*1e6)*1000)
}

// stamp is a date and time of XEP-0082 §3.2, and the same without dashes as XEP-0091 §2 has it. What follows the seconds
// is the zone.
var stamp = regexp.MustCompile(`(?s)^(\d{4})-?(\d\d)-?(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d*))?(.*)$`)

// zone is an offset from UTC; of the minutes, those of two digits count.
var zone = regexp.MustCompile(`([+-])(\d\d):?(\d*)`)

// maxStamp is more than any date and time needs.
const maxStamp = 256

// parseStamp is the time in seconds since 1970. As in Prosody, what is beyond the end of a month, a day or a minute counts
// on from there, and no zone is UTC.
func parseStamp(s string) (seconds float64, ok bool) {
	if len(s) > maxStamp {
		return 0, false
	}
	m := stamp.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	offset, ok := parseZone(m[8])
	if !ok {
		return 0, false
	}
	t := time.Date(number(m[1]), time.Month(number(m[2])), number(m[3]), number(m[4]), number(m[5]), number(m[6])-offset, 0, time.UTC)
	seconds = float64(t.Unix())
	if fraction, err := strconv.ParseFloat("0."+m[7], 64); m[7] != "" && err == nil {
		seconds += fraction
	}
	return seconds, true
}

// parseZone is the offset from UTC in seconds.
func parseZone(s string) (offset int, ok bool) {
	if s == "" || s == "Z" {
		return 0, true
	}
	m := zone.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	offset = number(m[2]) * 3600
	if len(m[3]) == 2 {
		offset += number(m[3]) * 60
	}
	if m[1] == "-" {
		offset = -offset
	}
	return offset, true
}

// number is that of a few digits.
func number(digits string) (n int) {
	for _, c := range []byte(digits) {
		n = n*10 + int(c-'0')
	}
	return n
}

// stepsPerStamp is what reading a date and time costs.
const stepsPerStamp = 50

// parseTime is datetime.parse(text): seconds since 1970, as in Prosody 13 with their fraction, or nothing.
func parseTime(_ *machine, l *glua.LState) int {
	if absent(l, 1) {
		return 0
	}
	s := vm.CheckString(l, 1)
	vm.Charge(l, stepsPerStamp)
	seconds, ok := parseStamp(s)
	if !ok {
		return 0
	}
	l.Push(glua.LNumber(seconds))
	return 1
}

// timeNow is time.now(), with a fraction. Nothing waits long enough here to need another clock for time.monotonic().
func timeNow(m *machine, l *glua.LState) int {
	l.Push(glua.LNumber(float64(m.plugin.svc.Now().UnixNano()) / 1e9))
	return 1
}
