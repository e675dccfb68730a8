package dat

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep tables nest. Prosody writes no more than 127.
const maxDepth = 200

// Parse reads a .dat file: "return", a literal, and a semicolon or none. Accepted are nil, true, false, decimal
// numbers, the three ways in which Prosody writes numbers that have no digits, quoted strings, and tables of
// these, with comments to the end of a line between them. What Lua has besides, Prosody does not write.
func Parse(src []byte) (Value, error) { return (&parser{src: src, first: 1}).file() }

// ParseLines is Parse that also says where everything was found.
func ParseLines(src []byte) (Value, Lines, error) {
	p := &parser{src: src, first: 1, lines: Lines{}}
	v, err := p.file()
	return v, p.lines, err
}

// ParseItem reads one literal, such as one of a .list file, that begins in a line of it.
func ParseItem(src []byte, line int) (Value, error) {
	p := &parser{src: src, first: line}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.pos < len(p.src) {
		return nil, p.errorf("text after the value")
	}
	return v, nil
}

// Lines are those in which the fields of tables begin.
type Lines map[*Table][]int

// Of is the line of the field of a table, 0 if that is not known.
func (l Lines) Of(t *Table, key Value) int {
	for i, f := range t.Fields {
		if f.Key == key && i < len(l[t]) {
			return l[t][i]
		}
	}
	return 0
}

type parser struct {
	src   []byte
	pos   int
	first int   // the line in which src begins
	lines Lines // nil: nobody wants to know

	counted, line int // bytes in which line ends were counted, and how many there were
}

func (p *parser) file() (Value, error) {
	p.space()
	if p.word() != "return" {
		return nil, p.errorf("does not begin with return")
	}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	p.accept(';')
	if p.space(); p.pos < len(p.src) {
		return nil, p.errorf("text after the value")
	}
	return v, nil
}

// at is the line that is being read. It counts each byte once, unless p.pos goes back.
func (p *parser) at() int {
	if p.pos < p.counted {
		p.counted, p.line = 0, 0
	}
	p.line += bytes.Count(p.src[p.counted:p.pos], []byte("\n"))
	p.counted = p.pos
	return p.first + p.line
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %s", p.at(), fmt.Sprintf(format, args...))
}

// peek is the next byte, 0 at the end; a 0 byte in the file fits no rule either.
func (p *parser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *parser) accept(c byte) bool {
	if p.peek() != c || p.pos == len(p.src) {
		return false
	}
	p.pos++
	return true
}

// space skips white space and comments to the end of a line.
func (p *parser) space() {
	for {
		p.pos += len(p.src[p.pos:]) - len(bytes.TrimLeft(p.src[p.pos:], " \t\r\n\f\v"))
		rest := p.src[p.pos:]
		if !bytes.HasPrefix(rest, []byte("--")) || bytes.HasPrefix(rest, []byte("--[")) {
			return
		}
		if end := bytes.IndexAny(rest, "\r\n"); end >= 0 {
			p.pos += end
		} else {
			p.pos = len(p.src)
		}
	}
}

// word takes a run of letters, digits and underscores.
func (p *parser) word() string {
	start := p.pos
	for p.pos < len(p.src) && isWord(p.src[p.pos]) {
		p.pos++
	}
	return string(p.src[start:p.pos])
}

func isWord(c byte) bool { return c == '_' || isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (p *parser) value(depth int) (Value, error) {
	p.space()
	switch c := p.peek(); {
	case c == '{':
		return p.table(depth)
	case c == '"' || c == '\'':
		return p.quoted()
	case c == '(':
		return p.unreal()
	case c == '-' || c == '.' || isDigit(c):
		return p.number()
	}
	start := p.pos
	switch w := p.word(); w {
	case "nil":
		return nil, nil
	case "true", "false":
		return w == "true", nil
	default:
		p.pos = start
		return nil, p.errorf("expected a value")
	}
}

// table follows the grammar of Lua 5.4 §3.4.9 for keys that are words or literals.
func (p *parser) table(depth int) (Value, error) {
	if depth >= maxDepth {
		return nil, p.errorf("tables nested too deep")
	}
	p.pos++
	t, seen, next := &Table{}, map[Value]bool{}, int64(1)
	for {
		if p.space(); p.accept('}') {
			return t, nil
		}
		line := 0
		if p.lines != nil {
			line = p.at()
		}
		key, err := p.key(depth + 1)
		if err != nil {
			return nil, err
		}
		if key == nil {
			key, next = next, next+1
		}
		if seen[key] {
			return nil, p.errorf("a second value for %v", key)
		}
		seen[key] = true
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if v != nil { // a field that is nil is not there
			t.Fields = append(t.Fields, Field{key, v})
			if p.lines != nil {
				p.lines[t] = append(p.lines[t], line)
			}
		}
		if p.space(); !p.accept(';') && !p.accept(',') && p.peek() != '}' {
			return nil, p.errorf("expected a semicolon or the end of the table")
		}
	}
}

// key takes `["key"] =`, `[1] =` or `key =`; it is nil where an entry has none.
func (p *parser) key(depth int) (Value, error) {
	start := p.pos
	if p.accept('[') {
		k, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		switch k := k.(type) {
		case string, int64, bool:
		default:
			return nil, p.errorf("a %T as a key", k)
		}
		if p.space(); !p.accept(']') {
			return nil, p.errorf("expected ] after a key")
		}
		return k, p.equals()
	}
	if w := p.word(); w != "" && !isDigit(w[0]) && !reserved[w] {
		return w, p.equals()
	}
	p.pos = start
	return nil, nil
}

var reserved = map[string]bool{"nil": true, "true": true, "false": true}

func (p *parser) equals() error {
	if p.space(); !p.accept('=') {
		return p.errorf("expected = after a key")
	}
	return nil
}

// unreal reads what Prosody writes for infinity, its negative, and what is no number.
func (p *parser) unreal() (Value, error) {
	for text, v := range map[string]float64{"(1/0)": math.Inf(1), "(-1/0)": math.Inf(-1), "(0/0)": math.NaN()} {
		if bytes.HasPrefix(p.src[p.pos:], []byte(text)) {
			p.pos += len(text)
			return v, nil
		}
	}
	return nil, p.errorf("expected a value")
}

func (p *parser) number() (Value, error) {
	start := p.pos
	p.accept('-')
	for p.pos < len(p.src) {
		c, before := p.src[p.pos], p.src[p.pos-min(1, p.pos)]
		sign := (c == '-' || c == '+') && before|0x20 == 'e'
		if !isWord(c) && c != '.' && !sign {
			break
		}
		p.pos++
	}
	text := string(p.src[start:p.pos])
	if strings.ContainsAny(text, "xXpP_iInN") { // hexadecimal, and names that strconv takes for numbers
		return nil, p.errorf("%q is not a decimal number", text)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, p.errorf("%q is not a decimal number", text)
	}
	return f, nil
}

// quoted reads a string with the escapes of Lua 5.4 §3.1.
func (p *parser) quoted() (Value, error) {
	quote := p.src[p.pos]
	p.pos++
	var b []byte
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		switch c {
		case '\n', '\r':
			return nil, p.errorf("string without an end")
		case quote:
			p.pos++
			return string(b), nil
		case '\\':
			var err error
			if b, err = p.escape(b); err != nil {
				return nil, err
			}
		default:
			b = append(b, c)
			p.pos++
		}
	}
	return nil, p.errorf("string without an end")
}

var escapes = map[byte]byte{
	'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '\\': '\\', '"': '"', '\'': '\'', '\n': '\n',
}

func (p *parser) escape(b []byte) ([]byte, error) {
	p.pos++
	c := p.peek()
	if e, ok := escapes[c]; ok {
		p.pos++
		return append(b, e), nil
	}
	switch {
	case isDigit(c):
		return p.decimal(b)
	case c == 'x':
		return p.hex(b)
	case c == 'u':
		return p.unicode(b)
	case c == 'z':
		p.pos++
		p.pos += len(p.src[p.pos:]) - len(bytes.TrimLeft(p.src[p.pos:], " \t\r\n\f\v"))
		return b, nil
	default:
		return nil, p.errorf("unknown escape in a string")
	}
}

// decimal takes up to three digits: a byte.
func (p *parser) decimal(b []byte) ([]byte, error) {
	n := 0
	for i := 0; i < 3 && isDigit(p.peek()); i++ {
		n = n*10 + int(p.peek()-'0')
		p.pos++
	}
	if n > 255 {
		return nil, p.errorf("decimal escape above 255")
	}
	return append(b, byte(n)), nil
}

// hex takes exactly two digits: a byte.
func (p *parser) hex(b []byte) ([]byte, error) {
	if len(p.src)-p.pos < 3 {
		return nil, p.errorf("string without an end")
	}
	n, err := strconv.ParseUint(string(p.src[p.pos+1:p.pos+3]), 16, 8)
	if err != nil {
		return nil, p.errorf("hexadecimal escape without two digits")
	}
	p.pos += 3
	return append(b, byte(n)), nil
}

// unicode takes hexadecimal digits in braces: a character.
func (p *parser) unicode(b []byte) ([]byte, error) {
	rest := p.src[p.pos+1:]
	end := bytes.IndexByte(rest, '}')
	if end < 2 || rest[0] != '{' {
		return nil, p.errorf("unicode escape without {digits}")
	}
	n, err := strconv.ParseUint(string(rest[1:end]), 16, 32)
	if err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return nil, p.errorf("unicode escape of no character")
	}
	p.pos += 2 + end
	return utf8.AppendRune(b, rune(n)), nil
}
