package vm

import (
	"errors"
	"fmt"
)

// Patterns of Lua 5.4, §6.4.1. They are compiled, so that a malformed pattern
// is reported whatever the subject, and matched with at most maxMatchDepth
// levels of Go calls and a budget of steps.

const (
	maxCaptures   = 32  // LUA_MAXCAPTURES
	maxMatchDepth = 200 // MAXCCALLS of Lua's matcher
)

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) add(c byte)      { s[c>>6] |= 1 << (c & 63) }
func (s *byteSet) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }

func (s *byteSet) addIf(in func(c byte) bool) {
	for c := range 256 {
		if in(byte(c)) {
			s.add(byte(c))
		}
	}
}

func (s *byteSet) invert() {
	for i := range s {
		s[i] = ^s[i]
	}
}

func isAlpha(c byte) bool { return isLetter(c) && c != '_' }
func isGraph(c byte) bool { return '!' <= c && c <= '~' }

// classes by their small letter; the capital is the complement.
var classes = map[byte]func(c byte) bool{
	'a': isAlpha,
	'c': func(c byte) bool { return c < ' ' || c == 0x7f },
	'd': isDigit,
	'g': isGraph,
	'l': func(c byte) bool { return 'a' <= c && c <= 'z' },
	'p': func(c byte) bool { return isGraph(c) && !isAlpha(c) && !isDigit(c) },
	's': func(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' },
	'u': func(c byte) bool { return 'A' <= c && c <= 'Z' },
	'w': func(c byte) bool { return isAlpha(c) || isDigit(c) },
	'x': func(c byte) bool { return hexDigit(c) >= 0 },
	'z': func(c byte) bool { return c == 0 }, // Lua 5.1
}

// classSets are the sets of classes, both cases.
var classSets = func() map[byte]byteSet {
	sets := map[byte]byteSet{}
	for letter, in := range classes {
		var s byteSet
		s.addIf(in)
		sets[letter] = s
		s.invert()
		sets[letter^0x20] = s
	}
	return sets
}()

// addClass adds what %c means.
func (s *byteSet) addClass(c byte) {
	class, ok := classSets[c]
	if !ok {
		s.add(c)
		return
	}
	for i := range s {
		s[i] |= class[i]
	}
}

type itemKind uint8

const (
	itemSet      itemKind = iota // one byte of set, repeated as repeat says
	itemOpen                     // (
	itemPosition                 // ()
	itemClose                    // )
	itemBack                     // %1
	itemBalance                  // %bxy
	itemFrontier                 // %f[set]
	itemEnd                      // $
)

type item struct {
	kind   itemKind
	repeat byte // 0 * + - ?
	n      int  // capture
	x, y   byte // of %b
	set    byteSet
}

// pattern is a compiled pattern. first, if set, holds the bytes that every
// match begins with.
type pattern struct {
	items    []item
	anchored bool
	captures int
	first    *byteSet
}

// compilePattern reads a pattern. Where a pattern may be anchored, it begins
// with '^' if it is (in gmatch, '^' is a byte like others).
func compilePattern(src string, mayAnchor bool) (*pattern, error) {
	c := &patternCompiler{src: src}
	p := &pattern{}
	if mayAnchor && len(src) > 0 && src[0] == '^' {
		p.anchored = true
		c.pos = 1
	}
	for c.pos < len(c.src) {
		if err := c.item(); err != nil {
			return nil, err
		}
	}
	if len(c.open) > 0 {
		return nil, errors.New("unfinished capture")
	}
	p.items, p.captures = c.items, c.captures
	if len(p.items) > 0 {
		if it := &p.items[0]; it.kind == itemSet && (it.repeat == 0 || it.repeat == '+') {
			p.first = &it.set
		}
	}
	return p, nil
}

type patternCompiler struct {
	src      string
	pos      int
	items    []item
	captures int
	open     []int // captures not yet closed
}

func (c *patternCompiler) add(it item) { c.items = append(c.items, it) }

func (c *patternCompiler) item() error {
	switch b := c.src[c.pos]; {
	case b == '(':
		return c.openCapture()
	case b == ')':
		c.pos++
		if len(c.open) == 0 {
			return errors.New("invalid pattern capture")
		}
		last := len(c.open) - 1
		c.add(item{kind: itemClose, n: c.open[last]})
		c.open = c.open[:last]
		return nil
	case b == '$' && c.pos+1 == len(c.src):
		c.pos++
		c.add(item{kind: itemEnd})
		return nil
	case b == '%' && c.pos+1 < len(c.src):
		switch next := c.src[c.pos+1]; {
		case next == 'b':
			return c.balance()
		case next == 'f':
			return c.frontier()
		case isDigit(next):
			return c.back(int(next - '0'))
		}
	}
	return c.single()
}

func (c *patternCompiler) openCapture() error {
	c.pos++
	if c.captures >= maxCaptures {
		return errors.New("too many captures")
	}
	n := c.captures
	c.captures++
	if c.pos < len(c.src) && c.src[c.pos] == ')' {
		c.pos++
		c.add(item{kind: itemPosition, n: n})
		return nil
	}
	c.open = append(c.open, n)
	c.add(item{kind: itemOpen, n: n})
	return nil
}

func (c *patternCompiler) balance() error {
	if c.pos+4 > len(c.src) {
		return errors.New("malformed pattern (missing arguments to '%b')")
	}
	c.add(item{kind: itemBalance, x: c.src[c.pos+2], y: c.src[c.pos+3]})
	c.pos += 4
	return nil
}

func (c *patternCompiler) frontier() error {
	c.pos += 2
	if c.pos >= len(c.src) || c.src[c.pos] != '[' {
		return errors.New("missing '[' after '%f' in pattern")
	}
	it := item{kind: itemFrontier}
	if err := c.bracket(&it.set); err != nil {
		return err
	}
	c.add(it)
	return nil
}

func (c *patternCompiler) back(n int) error {
	c.pos += 2
	n--
	for _, o := range c.open {
		if o == n {
			n = -1
		}
	}
	if n < 0 || n >= c.captures {
		return fmt.Errorf("invalid capture index %%%c in pattern", c.src[c.pos-1])
	}
	c.add(item{kind: itemBack, n: n})
	return nil
}

// single reads one byte, class or set with what repeats it.
func (c *patternCompiler) single() error {
	it := item{kind: itemSet}
	switch b := c.src[c.pos]; b {
	case '[':
		if err := c.bracket(&it.set); err != nil {
			return err
		}
	case '%':
		if c.pos+1 >= len(c.src) {
			return errors.New("malformed pattern (ends with '%')")
		}
		it.set.addClass(c.src[c.pos+1])
		c.pos += 2
	case '.':
		it.set.invert() // all
		c.pos++
	default:
		it.set.add(b)
		c.pos++
	}
	if c.pos < len(c.src) {
		switch r := c.src[c.pos]; r {
		case '*', '+', '-', '?':
			it.repeat = r
			c.pos++
		}
	}
	c.add(it)
	return nil
}

// bracket reads a set "[...]". The first byte in it is never its end.
func (c *patternCompiler) bracket(set *byteSet) error {
	i := c.pos + 1
	negated := i < len(c.src) && c.src[i] == '^'
	if negated {
		i++
	}
	end, err := c.bracketEnd(i)
	if err != nil {
		return err
	}
	for i < end {
		switch {
		case c.src[i] == '%' && i+1 < end:
			set.addClass(c.src[i+1])
			i += 2
		case i+2 < end && c.src[i+1] == '-':
			for b := int(c.src[i]); b <= int(c.src[i+2]); b++ {
				set.add(byte(b))
			}
			i += 3
		default:
			set.add(c.src[i])
			i++
		}
	}
	if negated {
		set.invert()
	}
	c.pos = end + 1
	return nil
}

// bracketEnd finds the ']' of the set whose content begins at i.
func (c *patternCompiler) bracketEnd(i int) (int, error) {
	for first := true; i < len(c.src); first = false {
		switch {
		case c.src[i] == ']' && !first:
			return i, nil
		case c.src[i] == '%':
			i += 2
		default:
			i++
		}
	}
	return 0, errors.New("malformed pattern (missing ']')")
}

// capture is where a capture is in the subject; length is one of the constants
// below while it is open or if it is a position.
type capture struct{ start, length int }

const (
	captureOpen     = -1
	capturePosition = -2
)

// matcher matches one pattern against one subject. spend is asked for every
// spendUnit steps, and does not return when there have been too many.
type matcher struct {
	*pattern
	subject  string
	spend    func(steps int)
	tooDeep  func()
	steps    int // until spend is called
	depth    int
	captured [maxCaptures]capture
}

const spendUnit = 4096

func (m *matcher) step() {
	if m.steps--; m.steps < 0 {
		m.finish()
	}
}

// finish spends the steps taken since the last time.
func (m *matcher) finish() {
	m.spend(spendUnit - m.steps)
	m.steps = spendUnit
}

// at matches the whole pattern at s and returns the end of the match, or -1.
func (m *matcher) at(s int) int {
	m.depth = 0
	return m.match(s, 0)
}

// next is the first position from s on where a match can begin.
func (m *matcher) next(s int) int {
	if m.first == nil || m.anchored {
		return s
	}
	for s < len(m.subject) && !m.first.has(m.subject[s]) {
		m.step()
		s++
	}
	return s
}

// deeper matches the items from i on, one level down.
func (m *matcher) deeper(s, i int) int {
	if m.depth++; m.depth > maxMatchDepth {
		m.tooDeep()
	}
	e := m.match(s, i)
	m.depth--
	return e
}

// match matches the items from i on at s. Items that cannot be tried another
// way are done in the loop, the others go deeper for what follows them.
func (m *matcher) match(s, i int) int {
	for ; i < len(m.items); i++ {
		m.step()
		switch it := &m.items[i]; it.kind {
		case itemSet:
			switch it.repeat {
			case 0:
				if !m.single(it, s) {
					return -1
				}
				s++
			case '?':
				if m.single(it, s) {
					if e := m.deeper(s+1, i+1); e >= 0 {
						return e
					}
				}
			case '-':
				return m.fewest(s, i)
			default:
				return m.most(s, i)
			}
		case itemOpen:
			m.captured[it.n] = capture{s, captureOpen}
		case itemPosition:
			m.captured[it.n] = capture{s, capturePosition}
		case itemClose:
			m.captured[it.n].length = s - m.captured[it.n].start
		case itemBack:
			n := m.repeated(m.captured[it.n], s)
			if n < 0 {
				return -1
			}
			s += n
		case itemBalance:
			if s = m.balanced(it, s); s < 0 {
				return -1
			}
		case itemFrontier:
			if it.set.has(m.byteAt(s-1)) || !it.set.has(m.byteAt(s)) {
				return -1
			}
		case itemEnd:
			if s != len(m.subject) {
				return -1
			}
		}
	}
	return s
}

func (m *matcher) single(it *item, s int) bool {
	return s < len(m.subject) && it.set.has(m.subject[s])
}

// byteAt is a byte of the subject, 0 outside of it.
func (m *matcher) byteAt(s int) byte {
	if s < 0 || s >= len(m.subject) {
		return 0
	}
	return m.subject[s]
}

// most repeats item i as often as it can, and less if the rest does not match.
func (m *matcher) most(s, i int) int {
	it := &m.items[i]
	n := 0
	for m.single(it, s+n) {
		m.step()
		n++
	}
	least := 0
	if it.repeat == '+' {
		least = 1
	}
	for ; n >= least; n-- {
		m.step()
		if e := m.deeper(s+n, i+1); e >= 0 {
			return e
		}
	}
	return -1
}

// fewest repeats item i only as long as the rest does not match.
func (m *matcher) fewest(s, i int) int {
	for {
		m.step()
		if e := m.deeper(s, i+1); e >= 0 {
			return e
		}
		if !m.single(&m.items[i], s) {
			return -1
		}
		s++
	}
}

// repeated is the length of a capture if it stands at s again, or -1.
func (m *matcher) repeated(c capture, s int) int {
	if c.length < 0 || len(m.subject)-s < c.length {
		return -1
	}
	m.steps -= c.length >> 6
	if m.subject[c.start:c.start+c.length] != m.subject[s:s+c.length] {
		return -1
	}
	return c.length
}

// balanced is the end of what %bxy matches at s, or -1.
func (m *matcher) balanced(it *item, s int) int {
	if m.byteAt(s) != it.x || s >= len(m.subject) {
		return -1
	}
	open := 1
	for s++; s < len(m.subject); s++ {
		m.step()
		switch m.subject[s] {
		case it.y:
			if open--; open == 0 {
				return s + 1
			}
		case it.x:
			open++
		}
	}
	return -1
}
