package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"rosterd/plugins/lua/vm"
)

// clean prepares a source for the parser. A byte order mark and a first line for a shell are errors
// to Prosody; here they are taken out and noted. The lines keep their numbers.
func clean(name string, src []byte) (out []byte, notes []string, err error) {
	if bytes.HasPrefix(src, []byte("\x1bLua")) || bytes.IndexByte(src, 0) >= 0 {
		return nil, nil, &Error{Pos: Pos{File: name}, Msg: "is not a text: compiled Lua and NUL bytes are refused"}
	}
	if rest, ok := bytes.CutPrefix(src, []byte("\xef\xbb\xbf")); ok {
		src = rest
		notes = append(notes, "the byte order mark is ignored; Prosody would not load this file")
	}
	if bytes.HasPrefix(src, []byte("#")) {
		end := bytes.IndexByte(src, '\n')
		if end < 0 {
			end = len(src)
		}
		src = src[end:]
		notes = append(notes, "the first line is ignored; Prosody would not load this file")
	}
	return src, notes, nil
}

// What templates have where a value will be: in a source, and in a text.
var (
	template    = regexp.MustCompile(`\{\{|\{%|\$\{[A-Za-z_]|<%[=-]? `)
	expression  = regexp.MustCompile(`\{\{-?\s*[A-Za-z_.$][^={}]*\}\}`) // no list of tables
	placeholder = regexp.MustCompile(`\{\{[^}]*\}*|\{%.*%\}|\$\{[A-Z_][A-Z0-9_]*\}|^\$[A-Z_][A-Z0-9_]*|<%=.*%>|%%[A-Z][A-Z0-9_]*%%|__[A-Z][A-Z0-9_]*__|@[A-Z][A-Z0-9_]*_[A-Z0-9_]*@|<[A-Z][A-Z0-9]*_[A-Z0-9_]*>`)
)

// placeholders warns of values that look as if a template had not been filled in.
func (ld *loader) placeholders() {
	var first Diag
	var others []string
	for _, d := range append([]*draft{ld.global}, ld.drafts...) {
		for _, name := range d.order {
			v, mark := findPlaceholder(d.set[name].value)
			switch {
			case mark == "":
			case first.Message == "":
				first = Diag{Severity: Warn, Code: CodeSource, Pos: v.pos, Name: name,
					Message: fmt.Sprintf("the value of %s looks like a template that has not been rendered: %q", name, mark)}
				if d != ld.global {
					first.Host = d.host
				}
			default:
				others = append(others, fmt.Sprintf("%s:%d", name, v.pos.Line))
			}
		}
	}
	if len(others) > 0 {
		first.Message += "; so do " + strings.Join(others, " ")
	}
	if first.Message != "" {
		ld.notice(first)
	}
}

// findPlaceholder is the first text in v that has one.
func findPlaceholder(v Value) (at Value, mark string) {
	if s, ok := v.v.(string); ok {
		return v, placeholder.FindString(s)
	}
	t := v.Table()
	if t == nil {
		return v, ""
	}
	for _, e := range t.List {
		if at, mark = findPlaceholder(e); mark != "" {
			return at, mark
		}
	}
	for _, f := range t.Fields {
		if at, mark = findPlaceholder(f.Value); mark != "" {
			return at, mark
		}
	}
	return v, ""
}

// syntaxError places what the parser says, says what is likely to be wrong, and recognises the files that were never
// meant to be loaded as they are.
func syntaxError(name string, src []byte, err error) error {
	e := &Error{Pos: Pos{File: name}, Msg: err.Error(), Err: err}
	var se *vm.SyntaxError
	if errors.As(err, &se) {
		e.Pos, e.Msg = Pos{se.File, se.Line}, se.Msg
	}
	for i, line := range bytes.Split(src, []byte("\n")) {
		code, _, _ := bytes.Cut(line, []byte("--"))
		if mark := template.Find(code); mark != nil && (string(mark) != "{{" || i+1 == e.Pos.Line || expression.Match(code)) {
			e.Hint = fmt.Sprintf("%q in line %d: this looks like a template that has not been rendered", mark, i+1)
			return e
		}
	}
	for _, m := range mistakes {
		if found := m.says.FindStringSubmatch(e.Msg); found != nil {
			e.Hint = fmt.Sprintf(m.hint, anys(found[1:])...)
			break
		}
	}
	return e
}

// mistakes are what people write, by what a parser says of it.
var mistakes = []struct {
	says *regexp.Regexp
	hint string
}{
	{regexp.MustCompile(`^'(.)' expected \(to close '(.)' at line (\d+)\) near ('.*'|<eof>)`), "%s missing: %s was opened at line %s; or a comma or semicolon is missing before %s"},
	{regexp.MustCompile(`^'}' expected near (.*)`), "is a comma or semicolon missing before %s?"},
	{regexp.MustCompile(`^'end' expected \(to close '(\w+)' at line (\d+)\)`), "end missing: %s was opened at line %s"},
	{regexp.MustCompile(`near '([“”‘’„])`), "%s is no quote of Lua: write \" or '"},
	{regexp.MustCompile(`^unfinished string near ["'](.).*`), "is the second quote of the text that begins with %s missing? A text of several lines stands in [[ and ]]"},
	{regexp.MustCompile(`^syntax error near '-'`), "the names of options have _ and no -; a comment begins with --"},
	{regexp.MustCompile(`^syntax error near '#'|^unexpected symbol near '#'`), "a comment begins with --"},
	{regexp.MustCompile(`^<name> expected near`), "an option is set by =, not by a colon"},
	{regexp.MustCompile(`^unexpected symbol near '\{'`), "a configuration begins with NAME = …: this may be JSON"},
	{regexp.MustCompile(`^<eof> expected near 'end'`), "there is one end too many"},
	{regexp.MustCompile(`^syntax error near '=='`), "an option is set by one ="},
	{regexp.MustCompile(`^unexpected symbol near '//'`), "a comment begins with --"},
	{regexp.MustCompile(`near '@'`), "are quotes missing around an address?"},
	{regexp.MustCompile("near '[\u00a0\u200b\u2060\ufeff]"), "there is a space that is none to Lua, or a character that is not to be seen: write the line anew"},
	{regexp.MustCompile(`^syntax error near '([A-Za-z_]\w*)'`), "are quotes missing around the text with %[1]s, or is an = missing before %[1]s?"},
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// wordings are what the Lua machine says, and how Lua 5.4 puts it, which is what people look up.
var wordings = []struct {
	says  *regexp.Regexp
	means string
}{
	{regexp.MustCompile(`^attempt to index a non-table object\((\w+)\) with key '(.*)'$`), "attempt to index a $1 value (for its field '$2')"},
	{regexp.MustCompile(`^attempt to call a non-function object \(near the call of '(.*)'\)$`), "attempt to call '$1', which is no function"},
	{regexp.MustCompile(`^cannot perform \w+ operation between (nil|table|boolean|function) and \w+$`), "attempt to perform arithmetic on a $1 value"},
	{regexp.MustCompile(`^cannot perform \w+ operation between \w+ and (\w+)$`), "attempt to perform arithmetic on a $1 value"},
}

func reword(msg string) string {
	for _, w := range wordings {
		if w.says.MatchString(msg) {
			return w.says.ReplaceAllString(msg, w.means)
		}
	}
	return msg
}
