package vm

import (
	"fmt"
	"math"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// osLib is what of os concerns time.
var osLib = map[string]lua.LGFunction{
	"clock":    osClock,
	"date":     osDate,
	"difftime": func(L *lua.LState) int { L.Push(lua.LNumber(checkNumber(L, 1) - checkNumber(L, 2))); return 1 },
	"time":     osTime,
}

// osClock is the time since the run began: scripts only take differences.
func osClock(L *lua.LState) int {
	s := meterOf(L).state
	L.Push(lua.LNumber(s.now().Sub(s.started).Seconds()))
	return 1
}

// maxYear keeps times within what can be written and computed with.
const maxYear = 9999

func osDate(L *lua.LState) int {
	format := optString(L, 1, "%c")
	t := meterOf(L).state.now()
	if L.Get(2) != lua.LNil {
		t = time.Unix(checkInt(L, 2), 0)
	}
	if rest, ok := strings.CutPrefix(format, "!"); ok {
		format, t = rest, t.UTC()
	}
	if y := t.Year(); y < -maxYear || y > maxYear {
		L.RaiseError("date result cannot be represented")
	}
	if strings.HasPrefix(format, "*t") {
		result := L.CreateTable(0, 9)
		setDate(result, t)
		L.Push(result)
		return 1
	}
	L.Push(lua.LString(strftime(L, format, t)))
	return 1
}

func setDate(t *lua.LTable, at time.Time) {
	for name, v := range map[string]int{
		"year": at.Year(), "month": int(at.Month()), "day": at.Day(),
		"hour": at.Hour(), "min": at.Minute(), "sec": at.Second(),
		"wday": int(at.Weekday()) + 1, "yday": at.YearDay(),
	} {
		t.RawSetString(name, lua.LNumber(v))
	}
	t.RawSetString("isdst", lua.LBool(at.IsDST()))
}

func osTime(L *lua.LState) int {
	if L.Get(1) == lua.LNil {
		L.Push(lua.LNumber(meterOf(L).state.now().Unix()))
		return 1
	}
	t := L.CheckTable(1)
	field := func(name string, def int64) int {
		v := L.GetField(t, name)
		n, ok := toInteger(v)
		switch {
		case v == lua.LNil && def < 0:
			L.RaiseError("field '%s' missing in date table", name)
		case v == lua.LNil:
			n = def
		case !ok:
			L.RaiseError("field '%s' is not an integer", name)
		case n < -1<<31 || n > 1<<31:
			L.RaiseError("field '%s' is out-of-bound", name)
		}
		return int(n)
	}
	at := time.Date(field("year", -1), time.Month(field("month", -1)), field("day", -1),
		field("hour", 12), field("min", 0), field("sec", 0), 0, time.Local)
	if y := at.Year(); y < -maxYear || y > maxYear {
		L.RaiseError("time result cannot be represented in this installation")
	}
	setDate(t, at)
	L.Push(lua.LNumber(at.Unix()))
	return 1
}

// layouts are the conversions of strftime that Go has a layout for.
var layouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006", 'd': "02", 'D': "01/02/06",
	'e': "_2", 'F': "2006-01-02", 'h': "Jan", 'H': "15", 'I': "03", 'm': "01", 'M': "04", 'p': "PM", 'r': "03:04:05 PM",
	'R': "15:04", 'S': "05", 'T': "15:04:05", 'x': "01/02/06", 'X': "15:04:05", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
}

// strftime writes t as C's function does in the C locale.
func strftime(L *lua.LState, format string, t time.Time) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		if i++; i == len(format) {
			L.ArgError(1, "invalid conversion specifier '%'")
		}
		s, ok := timePart(format[i], t)
		if !ok {
			L.ArgError(1, fmt.Sprintf("invalid conversion specifier '%%%c'", format[i]))
		}
		b.WriteString(s)
		Charge(L, 20)
		checkLength(L, b.Len(), len(s))
	}
	return b.String()
}

func timePart(c byte, t time.Time) (string, bool) {
	if layout, ok := layouts[c]; ok {
		return t.Format(layout), true
	}
	isoYear, isoWeek := t.ISOWeek()
	day, weekday := t.YearDay(), int(t.Weekday())
	switch c {
	case 'C':
		return fmt.Sprintf("%02d", int(math.Floor(float64(t.Year())/100))), true
	case 'g':
		return fmt.Sprintf("%02d", ((isoYear%100)+100)%100), true
	case 'G':
		return fmt.Sprint(isoYear), true
	case 'j':
		return fmt.Sprintf("%03d", day), true
	case 'n':
		return "\n", true
	case 's':
		return fmt.Sprint(t.Unix()), true
	case 't':
		return "\t", true
	case 'u':
		return fmt.Sprint((weekday+6)%7 + 1), true
	case 'U':
		return fmt.Sprintf("%02d", (day+6-weekday)/7), true
	case 'V':
		return fmt.Sprintf("%02d", isoWeek), true
	case 'w':
		return fmt.Sprint(weekday), true
	case 'W':
		return fmt.Sprintf("%02d", (day+6-(weekday+6)%7)/7), true
	case '%':
		return "%", true
	}
	return "", false
}
