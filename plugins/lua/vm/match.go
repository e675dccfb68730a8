package vm

import (
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

const (
	cachedPatterns     = 64
	cachedPatternBytes = 256
	stepsPerCharge     = 4 // pattern steps that count as one instruction
)

// newMatcher prepares a match, with the budget of one library function.
func newMatcher(L *lua.LState, subject, src string, mayAnchor bool) *matcher {
	s := meterOf(L).state
	if len(subject) > s.limits.SubjectBytes {
		L.RaiseError("string too long to be searched with a pattern (limit is %d bytes)", s.limits.SubjectBytes)
	}
	left := s.limits.PatternSteps + 8*int64(len(subject))
	return &matcher{
		pattern: s.pattern(L, src, mayAnchor),
		subject: subject,
		steps:   spendUnit,
		spend: func(steps int) {
			if left -= int64(steps); left < 0 {
				L.RaiseError("pattern takes too many steps (limit is %d)", s.limits.PatternSteps)
			}
			Charge(L, steps/stepsPerCharge)
		},
		tooDeep: func() { L.RaiseError("pattern too complex") },
	}
}

// pattern compiles, or takes from the cache.
func (s *State) pattern(L *lua.LState, src string, mayAnchor bool) *pattern {
	key := src
	if !mayAnchor {
		key = "\x00" + src
	}
	if p, ok := s.patterns[key]; ok {
		return p
	}
	Charge(L, len(src))
	p, err := compilePattern(src, mayAnchor)
	if err != nil {
		L.RaiseError("%s", err)
	}
	if len(src) <= cachedPatternBytes {
		if len(s.patterns) >= cachedPatterns {
			clear(s.patterns)
		}
		s.patterns[key] = p
	}
	return p
}

// value is capture n of a match from start to end. Without captures, the first
// is the whole match.
func (m *matcher) value(n, start, end int) lua.LValue {
	if n == 0 && m.captures == 0 {
		return lua.LString(m.subject[start:end])
	}
	c := m.captured[n]
	if c.length == capturePosition {
		return lua.LNumber(c.start + 1)
	}
	return lua.LString(m.subject[c.start : c.start+c.length])
}

// push pushes the captures of a match, or the whole match if there are none.
func (m *matcher) push(L *lua.LState, start, end int) int {
	n := max(m.captures, 1)
	for i := range n {
		L.Push(m.value(i, start, end))
	}
	return n
}

// search finds the first match from s on.
func (m *matcher) search(s int) (start, end int, ok bool) {
	for s = m.next(s); s <= len(m.subject); s = m.next(s + 1) {
		if e := m.at(s); e >= 0 {
			m.finish()
			return s, e, true
		}
		if m.anchored {
			break
		}
	}
	m.finish()
	return 0, 0, false
}

func strFind(L *lua.LState) int {
	s, p := checkString(L, 1), checkString(L, 2)
	init := int(start(optInt(L, 3, 1), len(s)) - 1)
	if init > len(s) {
		L.Push(lua.LNil)
		return 1
	}
	if lua.LVAsBool(L.Get(4)) || !strings.ContainsAny(p, "^$*+?.([%-") {
		i := strings.Index(s[init:], p)
		if i < 0 {
			Charge(L, (len(s)-init)>>4)
			L.Push(lua.LNil)
			return 1
		}
		Charge(L, (i+len(p))>>4) // as far as it looked: going through a long text from one find to the next is not quadratic
		L.Push(lua.LNumber(init + i + 1))
		L.Push(lua.LNumber(init + i + len(p)))
		return 2
	}
	m := newMatcher(L, s, p, true)
	from, to, ok := m.search(init)
	if !ok {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(lua.LNumber(from + 1))
	L.Push(lua.LNumber(to))
	if m.captures == 0 {
		return 2
	}
	return 2 + m.push(L, from, to)
}

func strMatch(L *lua.LState) int {
	s, p := checkString(L, 1), checkString(L, 2)
	init := int(start(optInt(L, 3, 1), len(s)) - 1)
	if init <= len(s) {
		m := newMatcher(L, s, p, true)
		if from, to, ok := m.search(init); ok {
			return m.push(L, from, to)
		}
	}
	L.Push(lua.LNil)
	return 1
}

func strGmatch(L *lua.LState) int {
	s, p := checkString(L, 1), checkString(L, 2)
	pos := int(start(optInt(L, 3, 1), len(s)) - 1)
	newMatcher(L, s, p, false) // a bad pattern is an error here, not in the loop
	last := -1                 // end of the last match, where an empty one does not count again
	L.Push(L.NewFunction(func(L *lua.LState) int {
		m := newMatcher(L, s, p, false)
		for from := m.next(pos); from <= len(s); from = m.next(from + 1) {
			if to := m.at(from); to >= 0 && to != last {
				m.finish()
				pos, last = to, to
				return m.push(L, from, to)
			}
		}
		m.finish()
		pos = len(s) + 1
		L.Push(lua.LNil)
		return 1
	}))
	return 1
}

func strGsub(L *lua.LState) int {
	s, p := checkString(L, 1), checkString(L, 2)
	repl := newReplacement(L, 3)
	most := optInt(L, 4, math.MaxInt64)
	m := newMatcher(L, s, p, true)
	var out []byte
	var count int64
	from, last := 0, -1
	for count < most {
		if to := m.at(from); to >= 0 && to != last {
			count++
			out = repl.append(L, out, m, from, to)
			from, last = to, to
		} else if from < len(s) {
			next := m.next(from + 1)
			out = append(out, s[from:next]...)
			from = next
		} else {
			break
		}
		if m.anchored {
			break
		}
	}
	m.finish()
	result := s
	if count > 0 {
		out = append(out, s[min(from, len(s)):]...)
		checkLength(L, len(out), len(out))
		result = string(out)
	}
	L.Push(lua.LString(result))
	L.Push(lua.LNumber(count))
	return 2
}

// replacement is the third argument of gsub.
type replacement struct {
	value lua.LValue
	parts []replacementPart // of a string
}

// replacementPart is text, followed by a capture if capture is not negative: 0
// is the whole match.
type replacementPart struct {
	text    string
	capture int
}

func newReplacement(L *lua.LState, n int) *replacement {
	r := &replacement{value: L.Get(n)}
	switch r.value.(type) {
	case lua.LString, lua.LNumber:
		r.parse(L, checkString(L, n))
	case *lua.LTable, *lua.LFunction:
	default:
		L.ArgError(n, "string, function or table expected, got "+r.value.Type().String())
	}
	return r
}

func (r *replacement) parse(L *lua.LState, s string) {
	for s != "" {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			r.parts = append(r.parts, replacementPart{s, -1})
			return
		}
		switch {
		case i+1 < len(s) && s[i+1] == '%':
			r.parts = append(r.parts, replacementPart{s[:i+1], -1})
		case i+1 < len(s) && isDigit(s[i+1]):
			r.parts = append(r.parts, replacementPart{s[:i], int(s[i+1] - '0')})
		default:
			L.RaiseError("invalid use of '%s' in replacement string", "%")
		}
		s = s[i+2:]
	}
}

// append adds what replaces a match.
func (r *replacement) append(L *lua.LState, out []byte, m *matcher, from, to int) []byte {
	whole := m.subject[from:to]
	var v lua.LValue
	switch f := r.value.(type) {
	case *lua.LTable:
		v = L.GetTable(f, m.value(0, from, to))
	case *lua.LFunction:
		L.Push(f)
		L.Call(m.push(L, from, to), 1)
		v = L.Get(-1)
		L.Pop(1)
	default:
		return r.appendParts(L, out, m, from, to)
	}
	switch v := v.(type) {
	case lua.LString:
		return r.add(L, out, string(v))
	case lua.LNumber:
		return r.add(L, out, formatNumber(float64(v)))
	}
	if lua.LVAsBool(v) {
		L.RaiseError("invalid replacement value (a %s)", v.Type())
	}
	return r.add(L, out, whole)
}

func (r *replacement) appendParts(L *lua.LState, out []byte, m *matcher, from, to int) []byte {
	for _, p := range r.parts {
		out = r.add(L, out, p.text)
		switch n := p.capture; {
		case n == 0:
			out = r.add(L, out, m.subject[from:to])
		case n > max(m.captures, 1):
			L.RaiseError("invalid capture index %%%d in replacement string", n)
		case n > 0:
			v := m.value(n-1, from, to)
			out = r.add(L, out, toString(L, v))
		}
	}
	return out
}

func (r *replacement) add(L *lua.LState, out []byte, s string) []byte {
	checkLength(L, len(out)+len(s), len(s))
	return append(out, s...)
}
