package main

import (
	"bytes"
	"io"
	"unicode"
	"unicode/utf8"
)

// visible writes what a terminal may show. A script of somebody's, its cases and the answers of a backend could otherwise
// move the cursor, set the clipboard, or have a line read backwards.
type visible struct {
	to   io.Writer
	rest []byte // the beginning of a character whose end is still to come
}

// seen is a console on which everything is visible.
func seen(c console) console {
	c.out, c.err = &visible{to: c.out}, &visible{to: c.err}
	return c
}

func (v *visible) Write(p []byte) (int, error) {
	text := append(v.rest, p...)
	end := len(text)
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				end = len(text) - n
			}
			break
		}
	}
	v.rest = bytes.Clone(text[end:])
	if _, err := v.to.Write(bytes.Map(shown, text[:end])); err != nil {
		return 0, err
	}
	return len(p), nil
}

// shown puts U+FFFD in the place of control characters, and of those that turn the direction of text (Unicode UAX #9 §2).
func shown(r rune) rune {
	if r == '\n' || r == '\t' || !unicode.Is(unicode.Cc, r) && !unicode.Is(unicode.Bidi_Control, r) {
		return r
	}
	return utf8.RuneError
}
