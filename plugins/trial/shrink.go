package trial

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"rosterd/plugins/trial/mutate"
)

// shrink takes from a case what a fault does not need.
type shrink struct {
	call      func(*Case) (Outcome, error)
	signature string
	until     time.Time
	left      int
}

// still tells whether the fault comes of a case.
func (s *shrink) still(c *Case) bool {
	s.left--
	if s.left < 0 || time.Now().After(s.until) {
		return false
	}
	out, err := s.call(c)
	return err == nil && Kind(out.Err) == "fault" && signature(out.Err) == s.signature
}

// smaller undoes changes that do not matter, and takes from the bodies what does not.
func (s *shrink) smaller(from, c *Case) *Case {
	for i := len(c.HTTP) - 1; i >= 0; i-- {
		c = s.try(c, func(n *Case) { // as it was
			if i < len(from.HTTP) {
				n.HTTP[i] = from.HTTP[i]
			} else {
				n.HTTP = n.HTTP[:i:i]
			}
		})
	}
	for i := range c.HTTP {
		if c.HTTP[i].Response == nil || i < len(from.HTTP) && from.HTTP[i].Response == c.HTTP[i].Response {
			continue
		}
		c = s.try(c, func(n *Case) { n.HTTP[i].Response.Status = 0 })
		c = s.try(c, func(n *Case) { n.HTTP[i].Response.Headers = nil })
		c = s.shorter(c, func(n *Case) *Content { return &n.HTTP[i].Response.Content })
	}
	if c.Request != nil {
		c = s.try(c, func(n *Case) { n.Request.Query = from.Request.Query })
		c = s.try(c, func(n *Case) { n.Request.Headers = from.Request.Headers })
		c = s.shorter(c, func(n *Case) *Content { return &n.Request.Content })
	}
	return c
}

// try changes a case, and keeps the change if the fault is still there.
func (s *shrink) try(c *Case, change func(*Case)) *Case {
	n := c.clone()
	if change(n); s.still(n) {
		return n
	}
	return c
}

// shorter makes a body shorter.
func (s *shrink) shorter(c *Case, of func(*Case) *Content) *Case {
	n := c.clone()
	if of(n).BodyFile != asFile {
		return c
	}
	b := mutate.Smaller(of(n).file, s.left, func(b []byte) bool {
		*of(n) = changed(b)
		return s.still(n)
	})
	*of(n) = changed(b)
	return n
}

// brief is an error as a case has it: without the folders of whoever found it, and not too long.
func (z *fuzzing) brief(err error) string {
	const most = 300
	s := strings.ReplaceAll(err.Error(), z.Subject.File, filepath.Base(z.Subject.File))
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\n", "; ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// maxInline is how long a body may be that stands in a case.
const maxInline = 16 << 10

// written makes a recording of a case whose bodies come from anywhere.
func written(c *Case, stem string) (*Recording, error) {
	c = c.clone()
	r := &Recording{Case: c, Files: map[string][]byte{}, stem: stem}
	c.File = stem + ".json"
	for i := range c.HTTP {
		x := &c.HTTP[i]
		r.inline(&x.Request.Content, fmt.Sprintf("%s.%d.request.body", stem, i+1))
		if x.Response != nil {
			r.inline(&x.Response.Content, fmt.Sprintf("%s.%d.body", stem, i+1))
		}
	}
	if c.Request != nil {
		r.inline(&c.Request.Content, stem+".request.body")
	}
	_, err := r.read()
	return r, err
}

// inline writes a body into the case if it can be read there, byte for byte, and into a file if not.
func (r *Recording) inline(c *Content, name string) {
	if c.BodyFile == "" {
		return
	}
	b := c.file
	switch {
	case len(b) > maxInline || !utf8.Valid(b):
		r.Files[name] = b
		*c = Content{BodyFile: name, file: b}
	case compact(b):
		*c = Content{JSON: b}
	default:
		s := string(b)
		*c = Content{Body: &s}
	}
}

// compact tells whether a body is JSON that comes out of a case as it went in, and is not much longer there.
func compact(b []byte) bool {
	var indented, again bytes.Buffer
	return json.Valid(b) && json.Indent(&indented, b, "", "  ") == nil && indented.Len() < 8*len(b)+64 &&
		json.Compact(&again, b) == nil && bytes.Equal(again.Bytes(), b)
}

// read is the recording as Load would have it.
func (r *Recording) read() (*Case, error) {
	b, err := r.Case.Encode()
	if err != nil {
		return nil, err
	}
	c, err := Parse(r.stem+".json", b)
	if err != nil {
		return nil, err
	}
	for where, content := range c.contents() {
		file, ok := r.Files[content.BodyFile]
		if content.BodyFile != "" && !ok {
			return nil, errors.New(where + ": no file " + content.BodyFile)
		}
		content.file = file
	}
	return c, nil
}

// Stem is what the names of the recording's files begin with, unless Renamed or Write say otherwise.
func (r *Recording) Stem() string { return r.stem }

// Renamed is the recording with other names of its files.
func (r *Recording) Renamed(stem string) *Recording {
	n := &Recording{Case: r.Case.clone(), Files: map[string][]byte{}, stem: stem}
	n.Case.File = stem + ".json"
	for name, b := range r.Files {
		n.Files[stem+strings.TrimPrefix(name, r.stem)] = b
	}
	for _, c := range n.Case.contents() {
		if _, ok := r.Files[c.BodyFile]; ok {
			c.BodyFile = stem + strings.TrimPrefix(c.BodyFile, r.stem)
		}
	}
	return n
}

// Shown says in a few lines what is sent in the recording.
func (r *Recording) Shown() (lines []string) {
	for i := range r.Case.HTTP {
		x := &r.Case.HTTP[i]
		if x.Response == nil {
			lines = append(lines, fmt.Sprintf("%s  %s", x, x.Error))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s  %d %q", x, cmp.Or(x.Response.Status, http.StatusOK), short(x.Response.bytes())))
	}
	if r.Case.Request != nil {
		lines = append(lines, fmt.Sprintf("%s %s  %q", cmp.Or(r.Case.Request.Method, http.MethodPost), r.Case.Request.Path, short(r.Case.Request.bytes())))
	}
	return lines
}
