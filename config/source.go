package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"

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

var template = regexp.MustCompile(`\{\{|\{%|\$\{[A-Za-z_]`)

// syntaxError places what the parser says, and recognises the files that were never meant to be
// loaded as they are.
func syntaxError(name string, src []byte, err error) error {
	e := &Error{Pos: Pos{File: name}, Msg: err.Error(), Err: err}
	var se *vm.SyntaxError
	if errors.As(err, &se) {
		e.Pos, e.Msg = Pos{se.File, se.Line}, se.Msg
	}
	for i, line := range bytes.Split(src, []byte("\n")) {
		code, _, _ := bytes.Cut(line, []byte("--"))
		if mark := template.Find(code); mark != nil {
			e.Hint = fmt.Sprintf("%q in line %d: this looks like a template that has not been rendered", mark, i+1)
			break
		}
	}
	return e
}
