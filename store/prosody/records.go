package prosody

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxRecord bounds an item of a .list file: the stanza in it has come over the network.
const maxRecord = 32 << 20

// records cuts a .list file into its items, which Prosody appends: "item(", a literal, ");" and the end of a line. Of
// the file, no more is in memory than one of them.
type records struct {
	r    *bufio.Reader
	line int
	buf  []byte
	lost bool // after what is no item: the next one begins with a line
}

func newRecords(r io.Reader) *records { return &records{r: bufio.NewReaderSize(r, 64<<10), line: 1} }

// next is the literal of the next item, which is good until the following call, and the line in which it begins. An
// *Error says that something is no item, and in which line; then there may be more of them. io.EOF is the end.
func (r *records) next() (text []byte, line int, err error) {
	if r.lost {
		if err := r.recover(); err != nil {
			return nil, 0, err
		}
	}
	if err := r.space(); err != nil {
		return nil, 0, err
	}
	line = r.line
	if !r.word("item(") {
		r.lost = true
		return nil, line, &Error{Place{Line: line}, "not an item"}
	}
	switch err := r.literal(); {
	case errors.Is(err, io.EOF), errors.Is(err, errCutOff):
		return nil, line, &Error{Place{Line: line}, "an item without its end"}
	case errors.Is(err, errTooLong):
		return nil, line, &Error{Place{Line: line}, fmt.Sprintf("an item of more than %d bytes", maxRecord)}
	case err != nil:
		return nil, line, err
	}
	return r.buf, line, r.semicolon()
}

var (
	errTooLong = errors.New("too long")
	errCutOff  = errors.New("cut off")
)

func (r *records) read() (c byte, err error) {
	if c, err = r.r.ReadByte(); c == '\n' && err == nil {
		r.line++
	}
	return c, err
}

// space skips what may be between items. Prosody overwrites with it what it could not write as a whole.
func (r *records) space() error {
	for {
		b, err := r.r.Peek(1)
		if err != nil {
			return err
		}
		switch b[0] {
		case ' ', '\t', '\r', '\n', '\f', '\v', ';', 0:
			if _, err := r.read(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

func (r *records) word(w string) bool {
	b, _ := r.r.Peek(len(w))
	if string(b) != w {
		return false
	}
	_, err := r.r.Discard(len(w))
	return err == nil
}

// recover goes to the next line that begins like an item.
func (r *records) recover() error {
	for {
		c, err := r.read()
		if err != nil {
			return err
		}
		if c == '\n' && r.begins() {
			r.lost = false
			return nil
		}
	}
}

// begins tells whether an item begins here.
func (r *records) begins() bool {
	b, _ := r.r.Peek(5)
	return string(b) == "item("
}

// literal reads up to the parenthesis that closes the item. Strings are the only place for others. A line that begins
// like an item is one, also in a string, where lines end with a backslash: what was being written when Prosody was killed
// does not take what it has written since with it.
func (r *records) literal() error {
	r.buf = r.buf[:0]
	depth, quote := 1, byte(0)
	long := false
	for {
		c, err := r.read()
		if err != nil {
			return err
		}
		switch {
		case quote != 0 && c == '\\':
			r.add(c, &long)
			if c, err = r.read(); err != nil {
				return err
			}
		case c == '\n' && r.begins():
			return errCutOff
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				if long {
					return errTooLong
				}
				return nil
			}
		}
		r.add(c, &long)
	}
}

func (r *records) add(c byte, long *bool) {
	if len(r.buf) < maxRecord {
		r.buf = append(r.buf, c)
	} else {
		*long = true
	}
}

func (r *records) semicolon() error {
	if b, _ := r.r.Peek(1); len(b) == 1 && b[0] == ';' {
		_, err := r.r.Discard(1)
		return err
	}
	return nil
}
