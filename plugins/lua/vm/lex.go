package vm

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is what a token is: the byte itself for one-character tokens, else one
// of the constants below.
type kind int

const (
	tEOF kind = iota + 256
	tName
	tString
	tNumber
	tEq     // ==
	tNe     // ~=
	tLe     // <=
	tGe     // >=
	tConcat // ..
	tDots   // ...
	tLabel  // ::
	tIdiv   // //
	tShl    // <<
	tShr    // >>
	tAnd
	tBreak
	tDo
	tElse
	tElseif
	tEnd
	tFalse
	tFor
	tFunction
	tGoto
	tIf
	tIn
	tLocal
	tNil
	tNot
	tOr
	tRepeat
	tReturn
	tThen
	tTrue
	tUntil
	tWhile
)

var keywords = map[string]kind{
	"and": tAnd, "break": tBreak, "do": tDo, "else": tElse, "elseif": tElseif, "end": tEnd,
	"false": tFalse, "for": tFor, "function": tFunction, "goto": tGoto, "if": tIf, "in": tIn,
	"local": tLocal, "nil": tNil, "not": tNot, "or": tOr, "repeat": tRepeat, "return": tReturn,
	"then": tThen, "true": tTrue, "until": tUntil, "while": tWhile,
}

// spelling is how a kind is written in messages.
var spelling = map[kind]string{
	tEOF: "<eof>", tName: "<name>", tString: "<string>", tNumber: "<number>",
	tEq: "==", tNe: "~=", tLe: "<=", tGe: ">=", tConcat: "..", tDots: "...", tLabel: "::",
	tIdiv: "//", tShl: "<<", tShr: ">>",
}

func init() {
	for word, k := range keywords {
		spelling[k] = word
	}
}

func (k kind) String() string {
	if s, ok := spelling[k]; ok {
		return s
	}
	return string(rune(k))
}

// token is one lexical element. val is the name, the bytes of the string or the
// number as gopher-lua's compiler reads it.
type token struct {
	kind     kind
	val      string
	line     int
	off, end int // in the source
}

// lexer cuts a source into tokens. It panics with a *SyntaxError, which Parse
// recovers.
type lexer struct {
	file string
	src  []byte
	pos  int
	line int
}

// newLexer skips what may stand before a chunk: a byte order mark and a "#!" line.
func newLexer(file string, src []byte) *lexer {
	lx := &lexer{file: file, src: src, line: 1}
	if i := bytes.IndexByte(src, 0); i >= 0 || bytes.HasPrefix(src, []byte("\x1bLua")) {
		line := 1 + bytes.Count(src[:max(i, 0)], []byte("\n"))
		lx.fail(line, "binary data: only Lua source text is accepted")
	}
	if bytes.HasPrefix(src, []byte("\xef\xbb\xbf")) {
		lx.pos = 3
	}
	if lx.peek(0) == '#' {
		lx.skipLine()
	}
	return lx
}

func (lx *lexer) fail(line int, format string, args ...any) {
	panic(&SyntaxError{File: lx.file, Line: line, Msg: fmt.Sprintf(format, args...)})
}

// peek is the byte at n from here, 0 at the end (the source holds no NUL).
func (lx *lexer) peek(n int) byte {
	if lx.pos+n < len(lx.src) {
		return lx.src[lx.pos+n]
	}
	return 0
}

// near quotes a piece of source for a message, one line and not too long.
func (lx *lexer) near(off, end int) string {
	s := string(lx.src[off:end])
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		s = s[:i]
	}
	if len(s) > 40 {
		n := 40
		for n > 30 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + "..."
	}
	return "'" + s + "'"
}

func (lx *lexer) nearToken(t token) string {
	if t.kind == tEOF {
		return "<eof>"
	}
	return lx.near(t.off, t.end)
}

func isNewline(c byte) bool { return c == '\n' || c == '\r' }
func isDigit(c byte) bool   { return '0' <= c && c <= '9' }
func isLetter(c byte) bool  { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }
func isAlnum(c byte) bool   { return isLetter(c) || isDigit(c) }

// hexDigit is the value of a hexadecimal digit, or -1.
func hexDigit(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// newline steps over one line end: \n, \r, \r\n or \n\r.
func (lx *lexer) newline() {
	first := lx.peek(0)
	lx.pos++
	if c := lx.peek(0); isNewline(c) && c != first {
		lx.pos++
	}
	lx.line++
}

func (lx *lexer) skipLine() {
	for lx.pos < len(lx.src) && !isNewline(lx.peek(0)) {
		lx.pos++
	}
}

// skip steps over white space and comments.
func (lx *lexer) skip() {
	for lx.pos < len(lx.src) {
		switch c := lx.peek(0); {
		case isNewline(c):
			lx.newline()
		case c == ' ' || c == '\t' || c == '\f' || c == '\v':
			lx.pos++
		case c == '-' && lx.peek(1) == '-':
			lx.pos += 2
			if level, ok := lx.longOpen(); ok {
				lx.long(level, "comment")
			} else {
				lx.skipLine()
			}
		default:
			return
		}
	}
}

// next reads a token.
func (lx *lexer) next() token {
	lx.skip()
	t := token{line: lx.line, off: lx.pos}
	lx.scan(&t)
	t.end = lx.pos
	return t
}

func (lx *lexer) scan(t *token) {
	if lx.pos >= len(lx.src) {
		t.kind = tEOF
		return
	}
	switch c := lx.peek(0); {
	case isLetter(c):
		lx.scanName(t)
	case isDigit(c) || c == '.' && isDigit(lx.peek(1)):
		lx.scanNumber(t)
	case c == '"' || c == '\'':
		t.kind, t.val = tString, lx.short(c)
	default:
		lx.scanSymbol(t, c)
	}
}

func (lx *lexer) scanName(t *token) {
	for isAlnum(lx.peek(0)) {
		lx.pos++
	}
	t.kind, t.val = tName, string(lx.src[t.off:lx.pos])
	if k, ok := keywords[t.val]; ok {
		t.kind = k
	}
}

// symbols longer than one byte, longest first.
var symbols = []struct {
	text string
	kind kind
}{
	{"...", tDots}, {"..", tConcat}, {"==", tEq}, {"~=", tNe}, {"<=", tLe}, {">=", tGe}, {"::", tLabel},
	{"//", tIdiv}, {"<<", tShl}, {">>", tShr},
}

func (lx *lexer) scanSymbol(t *token, c byte) {
	if level, ok := lx.longOpen(); ok {
		t.kind, t.val = tString, lx.long(level, "string")
		return
	}
	rest := lx.src[lx.pos:]
	for _, s := range symbols {
		if !bytes.HasPrefix(rest, []byte(s.text)) {
			continue
		}
		t.kind = s.kind
		lx.pos += len(s.text)
		return
	}
	if strings.IndexByte("+-*/%^#&|~(){}[];:,.<>=", c) < 0 {
		_, n := utf8.DecodeRune(rest)
		lx.fail(lx.line, "unexpected symbol near %s", lx.near(lx.pos, lx.pos+n))
	}
	t.kind = kind(c)
	lx.pos++
}

// scanNumber reads a numeral as Lua 5.4 does and writes it so that gopher-lua
// reads the same value: it would take "010" for octal and "0x1p4" for nothing.
func (lx *lexer) scanNumber(t *token) {
	exp := byte('e')
	if lx.peek(0) == '0' && lx.peek(1)|0x20 == 'x' {
		exp = 'p'
		lx.pos += 2
	}
	for {
		switch c := lx.peek(0); {
		case c|0x20 == exp && (lx.peek(1) == '+' || lx.peek(1) == '-'):
			lx.pos += 2
		case isAlnum(c) || c == '.':
			lx.pos++
		default:
			text := string(lx.src[t.off:lx.pos])
			v, ok := parseNumber(text)
			if !ok {
				lx.fail(t.line, "malformed number near %s", lx.near(t.off, lx.pos))
			}
			t.kind, t.val = tNumber, lx.numeral(text, v, t.line)
			return
		}
	}
}

// numeral is v in a form that gopher-lua's compiler reads back exactly.
// Integers that a float64 cannot hold are refused: they would change silently.
func (lx *lexer) numeral(text string, v float64, line int) string {
	if n, ok := parseInteger(text); ok {
		if int64(v) != n || math.Abs(v) >= 1<<63 {
			lx.fail(line, "integer %s cannot be held exactly (above 2^53)", text)
		}
		return strconv.FormatInt(n, 10)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// short reads a quoted string.
func (lx *lexer) short(quote byte) string {
	start := lx.pos
	lx.pos++
	var b []byte
	for {
		c := lx.peek(0)
		switch {
		case lx.pos >= len(lx.src):
			lx.fail(lx.line, "unfinished string near <eof>")
		case isNewline(c):
			lx.fail(lx.line, "unfinished string near %s", lx.near(start, lx.pos))
		case c == quote:
			lx.pos++
			return string(b)
		case c == '\\':
			b = lx.escape(b, start)
		default:
			b = append(b, c)
			lx.pos++
		}
	}
}

var simpleEscapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

// escape reads what a backslash begins and appends its meaning. Escaped
// punctuation stands for itself, as in Lua 5.1; unknown letters are refused.
func (lx *lexer) escape(b []byte, start int) []byte {
	lx.pos++
	c := lx.peek(0)
	if m, ok := simpleEscapes[c]; ok {
		lx.pos++
		return append(b, m)
	}
	switch {
	case lx.pos >= len(lx.src):
		lx.fail(lx.line, "unfinished string near <eof>")
	case isNewline(c):
		lx.newline()
		return append(b, '\n')
	case c == 'x':
		hi, lo := hexDigit(lx.peek(1)), hexDigit(lx.peek(2))
		if hi < 0 || lo < 0 {
			lx.fail(lx.line, `hexadecimal digits expected after '\x' near %s`, lx.near(start, lx.pos+1))
		}
		lx.pos += 3
		return append(b, byte(hi<<4|lo))
	case c == 'u':
		return lx.escapeUTF8(b, start)
	case c == 'z':
		for lx.pos++; lx.pos < len(lx.src); {
			switch c := lx.peek(0); {
			case isNewline(c):
				lx.newline()
			case c == ' ' || c == '\t' || c == '\f' || c == '\v':
				lx.pos++
			default:
				return b
			}
		}
		return b
	case isDigit(c):
		return lx.escapeDecimal(b, start)
	case isLetter(c) && c != '_':
		lx.fail(lx.line, `invalid escape sequence '\%c' near %s`, c, lx.near(start, lx.pos+1))
	}
	lx.pos++
	return append(b, c)
}

func (lx *lexer) escapeDecimal(b []byte, start int) []byte {
	v := 0
	for i := 0; i < 3 && isDigit(lx.peek(0)); i++ {
		v = v*10 + int(lx.peek(0)-'0')
		lx.pos++
	}
	if v > 255 {
		lx.fail(lx.line, "decimal escape too large near %s", lx.near(start, lx.pos))
	}
	return append(b, byte(v))
}

// escapeUTF8 reads \u{XXX}, up to 2^31 as Lua 5.4 allows.
func (lx *lexer) escapeUTF8(b []byte, start int) []byte {
	lx.pos++
	if lx.peek(0) != '{' {
		lx.fail(lx.line, `'{' expected after '\u' near %s`, lx.near(start, lx.pos))
	}
	lx.pos++
	v, n := uint64(0), 0
	for ; hexDigit(lx.peek(0)) >= 0; n++ {
		v = v<<4 | uint64(hexDigit(lx.peek(0)))
		lx.pos++
		if v >= 1<<31 {
			lx.fail(lx.line, "UTF-8 value too large near %s", lx.near(start, lx.pos))
		}
	}
	if n == 0 || lx.peek(0) != '}' {
		lx.fail(lx.line, `hexadecimal digits and '}' expected after '\u{' near %s`, lx.near(start, lx.pos))
	}
	lx.pos++
	return appendUTF8(b, uint32(v))
}

// longOpen says whether a long bracket opens here, and its level.
func (lx *lexer) longOpen() (level int, ok bool) {
	if lx.peek(0) != '[' {
		return 0, false
	}
	for lx.peek(1+level) == '=' {
		level++
	}
	return level, lx.peek(1+level) == '['
}

// long reads a long string or comment of the level found by longOpen. Line
// ends become \n, the first one is dropped.
func (lx *lexer) long(level int, what string) string {
	line := lx.line
	closing := []byte("]" + strings.Repeat("=", level) + "]")
	lx.pos += level + 2
	if isNewline(lx.peek(0)) {
		lx.newline()
	}
	var b []byte
	for lx.pos < len(lx.src) {
		switch c := lx.peek(0); {
		case isNewline(c):
			lx.newline()
			b = append(b, '\n')
		case c == ']' && bytes.HasPrefix(lx.src[lx.pos:], closing):
			lx.pos += len(closing)
			return string(b)
		default:
			b = append(b, c)
			lx.pos++
		}
	}
	lx.fail(lx.line, "unfinished long %s (starting at line %d) near <eof>", what, line)
	return ""
}
