package trial

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"rosterd/plugins"
)

// telltale are names of header fields, options and parameters whose values nobody should find in a file.
var telltale = regexp.MustCompile(`(?i)auth|token|secret|passw|key|cookie|signature|session|credential|^sig$|^sign$|^pw$`)

// passing are header fields of answers that are another thing each time, and say nothing to a plugin.
var passing = []string{"Date", "Content-Length", "Connection", "Keep-Alive", "Transfer-Encoding", "Server", "Via", "Alt-Svc"}

// minSecret is how long a secret must be to be looked for in texts: shorter ones are in every word.
const minSecret = 4

// Recording is a case with the files that it needs beside it.
type Recording struct {
	Case  *Case
	Files map[string][]byte // by name

	stem string // what their names begin with
}

// Record makes a case of a call with the real world: its options, what was asked and answered, and what came of it.
// Secrets are not in it, as far as they can be recognized. stem is what the names of its files begin with.
func (o *Opened) Record(out Outcome, stem string) (*Recording, error) {
	c := *o.trial.Case
	r := &Recording{Case: &c, Files: map[string][]byte{}, stem: stem}
	cl := &cleaner{}
	if c.Password != nil {
		if len(*c.Password) < minSecret {
			return nil, fmt.Errorf("a password of less than %d characters cannot be told from other text: nothing is recorded", minSecret)
		}
		cl.learn(*c.Password)
		secret := Placeholder
		c.Password = &secret
	}
	c.Options = o.options(cl)
	c.HTTP = nil
	for _, a := range out.Asked {
		if o.Allows(a.Request.URL) != nil {
			continue // the trial refuses it again
		}
		c.HTTP = append(c.HTTP, cl.exchange(a))
	}
	c.Expect = nil
	c.Update(out)
	cl.clean(&c)
	for i := range c.HTTP {
		if x := c.HTTP[i].Response; x != nil && x.file != nil {
			x.BodyFile = fmt.Sprintf("%s.%d.body", stem, i+1)
			r.Files[x.BodyFile] = x.file
		}
	}
	return r, nil
}

// options are those that the plugin has read and that are set, without secrets.
func (o *Opened) options(cl *cleaner) Options {
	cfg := cmp.Or(o.trial.Config, plugins.Config(o.trial.Case.Options))
	opts := Options{}
	for _, name := range o.Read {
		v, _, ok := cfg.Option(name)
		if !ok || v == nil {
			continue
		}
		switch name {
		case "rosterd_plugin_secrets", "rosterd_backend_headers": // put in behind the plugin's back
			cl.learnAll(v)
			continue
		}
		opts[name] = cl.option(telltale.MatchString(name), v)
	}
	if len(opts) == 0 {
		return nil
	}
	return opts
}

// Write puts the recording into a folder, under a name that is not taken, and returns the case's file.
func (r *Recording) Write(dir, stem string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for name, b := range r.Files {
		if err := write(filepath.Join(dir, name), b); err != nil {
			return "", err
		}
	}
	file := filepath.Join(dir, stem+".json")
	b, err := r.Case.Encode()
	if err != nil {
		return "", err
	}
	return file, write(file, b)
}

// write puts a file in the place of what is there. A link, which may have come with a folder from somebody else, is not
// followed.
func write(file string, b []byte) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// Stem is a name for a recording that no case in a folder has: "john", "john-2".
func Stem(dir, name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	for n := 1; ; n++ {
		stem := name
		if n > 1 {
			stem = fmt.Sprintf("%s-%d", name, n)
		}
		if _, err := os.Lstat(filepath.Join(dir, stem+".json")); err != nil {
			return stem
		}
	}
}

// cleaner finds secrets, and takes them out of texts.
type cleaner struct{ secrets []string }

func (cl *cleaner) learn(s string) {
	for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), plugins.EncodeURL(s), base64.StdEncoding.EncodeToString([]byte(s)), inJSON(s)} {
		if len(s) >= minSecret && !strings.Contains(s, "{{secret:") && !slices.Contains(cl.secrets, form) {
			cl.secrets = append(cl.secrets, form)
		}
	}
}

func inJSON(s string) string {
	b, err := marshal(s)
	if err != nil {
		return s
	}
	return strings.Trim(strings.TrimSpace(string(b)), `"`)
}

// learnAll takes every text of a value, and what follows a scheme such as Bearer.
func (cl *cleaner) learnAll(v any) {
	switch t := v.(type) {
	case string:
		if _, credentials, ok := strings.Cut(t, " "); ok {
			cl.learn(credentials)
		}
		cl.learn(t)
	case []any:
		for _, e := range t {
			cl.learnAll(e)
		}
	case map[string]any:
		for _, e := range t {
			cl.learnAll(e)
		}
	}
}

// option is the value of an option without secrets.
func (cl *cleaner) option(secret bool, v any) any {
	switch t := v.(type) {
	case string:
		if strings.HasPrefix(t, "http://") || strings.HasPrefix(t, "https://") {
			return cl.url(t)
		}
		if secret {
			cl.learn(t)
			return Placeholder
		}
	case []any:
		list := make([]any, len(t))
		for i := range t {
			list[i] = cl.option(secret, t[i])
		}
		return list
	case map[string]any:
		m := map[string]any{}
		for k := range t {
			m[k] = cl.option(secret || telltale.MatchString(k), t[k])
		}
		return m
	}
	return v
}

// url takes userinfo and telling parameters out of a URL, which may have %s in it and so need not be one.
func (cl *cleaner) url(s string) string {
	before, query, asked := strings.Cut(s, "?")
	if scheme, rest, ok := strings.Cut(before, "://"); ok {
		host, _, _ := strings.Cut(rest, "/")
		if i := strings.LastIndexByte(host, '@'); i >= 0 {
			if _, password, ok := strings.Cut(host[:i], ":"); ok {
				cl.learn(password)
			}
			before = scheme + "://" + rest[i+1:]
		}
	}
	if !asked {
		return before
	}
	pairs := strings.Split(query, "&")
	for i, p := range pairs {
		name, value, ok := strings.Cut(p, "=")
		if ok && telltale.MatchString(name) && value != "" && !strings.Contains(value, "%s") && !strings.Contains(value, "{{secret:") {
			cl.learn(value)
			if plain, err := url.QueryUnescape(value); err == nil {
				cl.learn(plain)
			}
			pairs[i] = name + "=" + Placeholder
		}
	}
	return before + "?" + strings.Join(pairs, "&")
}

// header is a header without secrets: of credentials, the scheme stays.
func (cl *cleaner) header(h http.Header) Header {
	out := Header{}
	for name, values := range h {
		if name == "Set-Cookie" || slices.Contains(passing, name) {
			continue
		}
		values = slices.Clone(values)
		for i, v := range values {
			if !telltale.MatchString(name) || strings.Contains(v, "{{secret:") {
				continue
			}
			scheme, credentials, ok := strings.Cut(v, " ")
			if values[i] = Placeholder; ok {
				cl.learn(credentials)
				values[i] = scheme + " " + Placeholder
			}
			cl.learn(v)
		}
		out[name] = values
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (cl *cleaner) exchange(a Asked) Exchange {
	x := Exchange{Request: Outgoing{URL: cl.url(shown(a.Request.URL)), Headers: cl.header(a.Request.Header), Content: content(a.Request.Body)}}
	x.Request.file = nil // what is no text is not compared
	if a.Request.Method != http.MethodGet {
		x.Request.Method = a.Request.Method
	}
	switch {
	case a.Err == nil:
		x.Response = &Response{Status: a.Response.Status, Headers: cl.header(a.Response.Header), Content: content(a.Response.Body)}
	case errors.Is(a.Err, context.DeadlineExceeded):
		x.Error = "timeout"
	default:
		x.Error = strings.TrimPrefix(a.Err.Error(), a.String()+": ")
	}
	return x
}

// content writes a body in the form that reads best.
func content(b []byte) (c Content) {
	trimmed := bytes.TrimSpace(b)
	switch {
	case len(b) == 0:
	case json.Valid(b) && (trimmed[0] == '{' || trimmed[0] == '['):
		c.JSON = bytes.Clone(trimmed)
	case utf8.Valid(b):
		s := string(b)
		c.Body = &s
	default:
		c.file = b
	}
	return c
}

// clean takes the secrets that were found out of all texts of a case.
func (cl *cleaner) clean(c *Case) {
	slices.SortFunc(cl.secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range cl.secrets {
		pairs = append(pairs, s, Placeholder)
	}
	r := strings.NewReplacer(pairs...)
	for i := range c.HTTP {
		x := &c.HTTP[i]
		x.Request.URL, x.Error = r.Replace(x.Request.URL), r.Replace(x.Error)
		cleanHeader(r, x.Request.Headers)
		cleanContent(r, &x.Request.Content)
		if x.Response != nil {
			cleanHeader(r, x.Response.Headers)
			cleanContent(r, &x.Response.Content)
		}
	}
	for _, raw := range []*json.RawMessage{&c.Expect.Roster, &c.Expect.JSON} {
		if s := []byte(r.Replace(string(*raw))); *raw != nil && json.Valid(s) {
			*raw = s
		}
	}
	if c.Expect.Body != nil {
		s := r.Replace(*c.Expect.Body)
		c.Expect.Body = &s
	}
	if c.Request != nil {
		in := *c.Request
		c.Request = &in
		in.Headers = Header(http.Header(in.Headers).Clone())
		cleanHeader(r, in.Headers)
		cleanContent(r, &in.Content)
	}
	for name, v := range c.Options {
		c.Options[name] = cleanValue(r, v)
	}
}

func cleanHeader(r *strings.Replacer, h Header) {
	for _, values := range h {
		for i := range values {
			values[i] = r.Replace(values[i])
		}
	}
}

func cleanContent(r *strings.Replacer, c *Content) {
	if c.Body != nil {
		s := r.Replace(*c.Body)
		c.Body = &s
	}
	if c.file != nil {
		c.file = []byte(r.Replace(string(c.file)))
	}
	if c.JSON == nil {
		return
	}
	s := r.Replace(string(c.JSON))
	if c.JSON = json.RawMessage(s); !json.Valid(c.JSON) { // a secret was a number
		c.JSON, c.Body = nil, &s
	}
}

func cleanValue(r *strings.Replacer, v any) any {
	switch t := v.(type) {
	case string:
		return r.Replace(t)
	case []any:
		for i := range t {
			t[i] = cleanValue(r, t[i])
		}
	case map[string]any:
		for k := range t {
			t[k] = cleanValue(r, t[k])
		}
	}
	return v
}
