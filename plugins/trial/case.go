// Package trial runs a plugin outside a server. A case says what the plugin is asked, what the world answers it and what
// must come of that; it is a JSON file, and needs no network. The same call can be made with the real world, and recorded.
package trial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Case is one call of a plugin, with the world around it.
type Case struct {
	File  string `json:"-"` // it was read from there; "" if it was made otherwise
	About string `json:"about,omitempty"`

	Call     string    `json:"call,omitempty"` // "fetch" if empty, or another of Calls
	Options  Options   `json:"options,omitempty"`
	Host     string    `json:"host,omitempty"` // "example.com" if the user names none
	User     string    `json:"user,omitempty"` // "john" or "john@example.com"
	Password *string   `json:"password,omitempty"`
	Reason   string    `json:"reason,omitempty"` // "login" if empty
	Request  *Incoming `json:"request,omitempty"`
	Timer    int       `json:"timer,omitempty"` // which one, from 0
	Edit     *Wish     `json:"edit,omitempty"`

	Now   time.Time  `json:"now,omitzero"` // clock stands still; 2026-01-01 if empty
	Seed  uint64     `json:"seed,omitempty"`
	Store Store      `json:"store,omitempty"` // what was kept before
	HTTP  []Exchange `json:"http,omitempty"`

	Expect *Expect `json:"expect,omitempty"`
}

// The calls.
const (
	CallFetch = "fetch"
	CallAuth  = "auth"
	CallHTTP  = "http"
	CallTimer = "timer"
	CallEdit  = "edit"
	CallCard  = "vcard"
)

// Calls lists them.
var Calls = []string{CallFetch, CallAuth, CallHTTP, CallTimer, CallEdit, CallCard}

// defaultNow is the time where a case names none.
var defaultNow = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// defaultHost is where users live whose case does not say.
const defaultHost = "example.com"

// Incoming is a request to a route of the plugin.
type Incoming struct {
	Method  string `json:"method,omitempty"` // "POST" if empty
	Path    string `json:"path"`             // with or without the plugin's own path before it
	Query   string `json:"query,omitempty"`
	Headers Header `json:"headers,omitempty"`
	Content
}

// Exchange is an HTTP request of the plugin, and the answer or the error that it got.
type Exchange struct {
	Request  Outgoing  `json:"request"`
	Response *Response `json:"response,omitempty"`
	Error    string    `json:"error,omitempty"`    // "timeout", or a text such as "connection refused"
	Optional bool      `json:"optional,omitempty"` // the plugin need not ask
}

// Outgoing is what is compared of a request: method and URL, and of the rest what is given.
type Outgoing struct {
	Method  string `json:"method,omitempty"` // "GET" if empty
	URL     string `json:"url"`
	Headers Header `json:"headers,omitempty"`
	Content
}

// Response is an answer. A status of 0 is 200.
type Response struct {
	Status  int    `json:"status,omitempty"`
	Headers Header `json:"headers,omitempty"`
	Content
}

// Content is a body, in one of three forms.
type Content struct {
	Body     *string         `json:"body,omitempty"`
	BodyFile string          `json:"body_file,omitempty"` // beside the case, or elsewhere in the plugin's folder
	JSON     json.RawMessage `json:"json,omitempty"`

	file []byte // what BodyFile holds
}

// Expect is what must come of a call.
type Expect struct {
	Roster  json.RawMessage `json:"roster,omitempty"`  // in the standard form
	Dropped []string        `json:"dropped,omitempty"` // contacts that are left out of it

	Fault    *bool  `json:"fault,omitempty"`    // only false: whatever comes of the call, but no fault
	Error    string `json:"error,omitempty"`    // one of Errors
	Contains string `json:"contains,omitempty"` // stands in the error's text

	In *bool `json:"in,omitempty"` // the password is right

	VCard json.RawMessage `json:"vcard,omitempty"` // {} if nothing is known of the user

	Taken bool `json:"taken,omitempty"` // the backend does what the user wants; its no is an error, denied

	Status  int             `json:"status,omitempty"`
	Headers Header          `json:"headers,omitempty"`
	Body    *string         `json:"body,omitempty"`
	JSON    json.RawMessage `json:"json,omitempty"`

	Again     *float64 `json:"again,omitempty"`    // seconds until a timer is due again, 0 is never
	Refreshed []string `json:"refreshed,omitzero"` // users whose rosters were refreshed
	Store     Store    `json:"store,omitempty"`    // what is kept afterwards, as far as it is named here
	Log       []string `json:"log,omitempty"`      // texts that stand in lines of the log
}

// Errors are the names of what a call can fail with.
var Errors = []string{"not-found", "denied", "temporary", "permanent", "fault"}

// Kind is one of Errors, or "" for no error.
func Kind(err error) string {
	var fault *engine.FaultError
	var permanent *engine.PermanentError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &fault):
		return "fault"
	case errors.Is(err, engine.ErrUnknownUser), errors.Is(err, engine.ErrNoItem):
		return "not-found"
	case errors.Is(err, engine.ErrDenied):
		return "denied"
	case errors.As(err, &permanent):
		return "permanent"
	}
	return "temporary"
}

// Header is a header whose fields are written as text, or as a list of texts.
type Header http.Header

// UnmarshalJSON reads either form.
func (h *Header) UnmarshalJSON(b []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	*h = Header{}
	for name, raw := range fields {
		var one string
		var list []string
		if json.Unmarshal(raw, &one) == nil {
			list = []string{one}
		} else if err := json.Unmarshal(raw, &list); err != nil {
			return fmt.Errorf("header field %s: neither a text nor a list of texts", name)
		}
		(*h)[http.CanonicalHeaderKey(name)] = list
	}
	return nil
}

// MarshalJSON writes fields with one value as text.
func (h Header) MarshalJSON() ([]byte, error) {
	fields := map[string]any{}
	for name, list := range h {
		if fields[name] = list; len(list) == 1 {
			fields[name] = list[0]
		}
	}
	return marshal(fields)
}

// Options are what the configuration sets, as JSON.
type Options map[string]any

// UnmarshalJSON gives values the types that a configuration has: numbers without a fraction are integers.
func (o *Options) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return err
	}
	for name, v := range m {
		var err error
		if m[name], err = configured(v); err != nil {
			return fmt.Errorf("option %s: %w", name, err)
		}
	}
	*o = m
	return nil
}

func configured(v any) (_ any, err error) {
	switch t := v.(type) {
	case nil:
		return nil, errors.New("null, which no option can be")
	case json.Number:
		if n, err := t.Int64(); err == nil {
			return n, nil
		}
		return t.Float64()
	case []any:
		for i := range t {
			if t[i], err = configured(t[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range t {
			if t[k], err = configured(t[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// Option finds one. It makes Options a plugins.Config.
func (o Options) Option(name string) (any, string, bool) {
	v, ok := o[name]
	return v, "", ok
}

// Store is what a plugin keeps: JSON values, by the names of the stores and their keys. In a store of type "map" a key is
// the user's and the value's with U+0000 between them.
type Store map[string]map[string]json.RawMessage

// maxCase bounds a case file, and a body_file.
const maxCase = 32 << 20

// Load reads a case file of the plugin in dir, and the files that it names.
func Load(dir, file string) (*Case, error) {
	b, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	c, err := Parse(file, b)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for where, content := range c.contents() {
		if content.BodyFile == "" {
			continue
		}
		rel, err := filepath.Rel(dir, filepath.Join(filepath.Dir(file), filepath.FromSlash(content.BodyFile)))
		if err != nil || filepath.IsAbs(filepath.FromSlash(content.BodyFile)) || !filepath.IsLocal(rel) {
			return nil, fmt.Errorf("%s: %s.body_file: %q is not in the plugin's folder", file, where, content.BodyFile)
		}
		f, err := root.Open(rel)
		if err == nil {
			content.file, err = readAll(f)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s.body_file: %w", file, where, err)
		}
	}
	return c, nil
}

func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	return readAll(f)
}

func readAll(f *os.File) ([]byte, error) {
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCase+1))
	if err == nil && len(b) > maxCase {
		err = fmt.Errorf("%s: larger than %d MiB", f.Name(), maxCase>>20)
	}
	return b, err
}

// Parse reads a case. It does not open the files that the case names: that is for Load. Errors name the file.
func Parse(file string, b []byte) (*Case, error) {
	c := &Case{File: file}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("%s:%d: %s", file, line(b, d, err), strings.TrimPrefix(reason(err), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:%d: something follows the case", file, line(b, d, nil))
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// line is where decoding stopped, as well as that can be known: an unknown field is found at its name.
func line(b []byte, d *json.Decoder, err error) int {
	at := d.InputOffset()
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &kind):
		at = kind.Offset
	case err != nil:
		if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
			at = int64(max(bytes.Index(b, []byte(name)), 0))
		}
	}
	return 1 + bytes.Count(b[:min(max(at, 0), int64(len(b)))], []byte("\n"))
}

func reason(err error) string {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		return fmt.Sprintf("%s is a JSON %s, which it cannot be", kind.Field, kind.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON ends too early"
	}
	return err.Error()
}

// contents are all bodies of the case, by where they stand.
func (c *Case) contents() map[string]*Content {
	all := map[string]*Content{}
	if c.Request != nil {
		all["request"] = &c.Request.Content
	}
	for i := range c.HTTP {
		x := &c.HTTP[i]
		all[fmt.Sprintf("http[%d].request", i)] = &x.Request.Content
		if x.Response != nil {
			all[fmt.Sprintf("http[%d].response", i)] = &x.Response.Content
		}
	}
	return all
}

func (c *Case) check() error {
	if c.Call == "" {
		c.Call = CallFetch
	}
	if !slices.Contains(Calls, c.Call) {
		return fmt.Errorf("call: %q is none of %s", c.Call, strings.Join(Calls, ", "))
	}
	if c.Host == "" {
		c.Host = defaultHost
		if _, domain, ok := strings.Cut(c.User, "@"); ok {
			c.Host = domain
		}
	}
	host, err := addr.NewBare("", c.Host)
	if err != nil {
		return fmt.Errorf("host: %w", err)
	}
	c.Host = host.Domain()
	if err := c.checkAsked(); err != nil {
		return err
	}
	for where, content := range c.contents() {
		if err := content.check(); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	for i, x := range c.HTTP {
		if err := x.check(); err != nil {
			return fmt.Errorf("http[%d]: %w", i, err)
		}
	}
	if c.Expect == nil {
		return nil
	}
	if err := c.Expect.check(c); err != nil {
		return fmt.Errorf("expect: %w", err)
	}
	return nil
}

// checkAsked looks at who and what is asked.
func (c *Case) checkAsked() error {
	switch {
	case c.Call == CallFetch || c.Call == CallAuth || c.Call == CallEdit || c.Call == CallCard:
		if _, err := c.user(); err != nil {
			return fmt.Errorf("user: %w", err)
		}
	case c.User != "":
		return fmt.Errorf("user: not for a call of %s", c.Call)
	}
	switch {
	case c.Call == CallAuth && c.Password == nil:
		return errors.New("password: none, which a call of auth needs")
	case c.Call != CallAuth && c.Password != nil:
		return fmt.Errorf("password: not for a call of %s", c.Call)
	case c.Call == CallHTTP && (c.Request == nil || !strings.HasPrefix(c.Request.Path, "/")):
		return errors.New(`request: a call of http needs one, with a path such as "/changed"`)
	case c.Call != CallHTTP && c.Request != nil:
		return fmt.Errorf("request: not for a call of %s", c.Call)
	case c.Call != CallTimer && c.Timer != 0 || c.Timer < 0:
		return fmt.Errorf("timer: %d is no timer of a call of %s", c.Timer, c.Call)
	case c.Call != CallFetch && c.Reason != "":
		return fmt.Errorf("reason: not for a call of %s", c.Call)
	}
	return c.checkEdit()
}

// user is whom the call is about.
func (c *Case) user() (addr.Bare, error) {
	local, domain, full := strings.Cut(c.User, "@")
	switch {
	case c.User == "":
		return addr.Bare{}, fmt.Errorf("none, which a call of %s needs", c.Call)
	case !full:
		domain = c.Host
	}
	u, err := addr.NewBare(local, domain)
	switch {
	case err != nil:
		return u, err
	case u.Local() == "":
		return u, fmt.Errorf("%q has no user before the @", c.User)
	case u.Domain() != c.Host:
		return u, fmt.Errorf("%s does not live on %s", u, c.Host)
	}
	return u, nil
}

func (c *Content) check() error {
	n := 0
	for _, given := range []bool{c.Body != nil, c.BodyFile != "", c.JSON != nil} {
		if given {
			n++
		}
	}
	if n > 1 {
		return errors.New("more than one of body, body_file and json")
	}
	return nil
}

func (c *Content) given() bool { return c.Body != nil || c.BodyFile != "" || c.JSON != nil }

func (c *Content) bytes() []byte {
	switch {
	case c.Body != nil:
		return []byte(*c.Body)
	case c.BodyFile != "":
		return c.file
	case c.JSON != nil:
		var b bytes.Buffer
		if json.Compact(&b, c.JSON) == nil {
			return b.Bytes()
		}
	}
	return nil
}

func (x *Exchange) check() error {
	u, err := url.Parse(x.Request.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("request.url: %q is no URL with http:// or https://", x.Request.URL)
	case (x.Response == nil) == (x.Error == ""):
		return errors.New("one of response and error is needed, and not both")
	case x.Response != nil && x.Response.Status != 0 && (x.Response.Status < 200 || x.Response.Status > 999):
		return fmt.Errorf("response.status: %d is no status of an answer", x.Response.Status)
	}
	return nil
}

// allowed are the fields of Expect that make sense for each call. An error may come of any.
func (e *Expect) check(c *Case) error {
	if e.Fault != nil {
		return e.checkFault()
	}
	for _, f := range []struct {
		name  string
		given bool
		calls []string
	}{
		{"roster", e.Roster != nil, []string{CallFetch}},
		{"dropped", e.Dropped != nil, []string{CallFetch}},
		{"in", e.In != nil, []string{CallAuth}},
		{"taken", e.Taken, []string{CallEdit}},
		{"vcard", e.VCard != nil, []string{CallCard}},
		{"status", e.Status != 0, []string{CallHTTP}},
		{"headers", e.Headers != nil, []string{CallHTTP}},
		{"body", e.Body != nil, []string{CallHTTP}},
		{"json", e.JSON != nil, []string{CallHTTP}},
		{"again", e.Again != nil, []string{CallTimer}},
		{"refreshed", e.Refreshed != nil, []string{CallHTTP, CallTimer}},
	} {
		if f.given && !slices.Contains(f.calls, c.Call) {
			return fmt.Errorf("%s: not for a call of %s", f.name, c.Call)
		}
		if f.given && e.Error != "" && f.name != "refreshed" {
			return fmt.Errorf("%s beside an error: only one of them can come of a call", f.name)
		}
	}
	switch {
	case e.Error == "" && e.Contains != "":
		return errors.New("contains: that is for errors")
	case e.Error != "" && !slices.Contains(Errors, e.Error):
		return fmt.Errorf("error: %q is none of %s", e.Error, strings.Join(Errors, ", "))
	case e.Body != nil && e.JSON != nil:
		return errors.New("both body and json")
	case e.Error == "" && c.Call == CallFetch && e.Roster == nil:
		return errors.New("neither roster nor error")
	case e.Error == "" && c.Call == CallAuth && e.In == nil:
		return errors.New("neither in nor error")
	case e.Error == "" && c.Call == CallEdit && !e.Taken:
		return errors.New("neither taken nor error")
	case e.Error == "" && c.Call == CallCard && e.VCard == nil:
		return errors.New("neither vcard nor error")
	case e.Again != nil && (*e.Again < 0 || math.IsInf(*e.Again, 0)):
		return errors.New("again: not a number of seconds")
	}
	if e.Roster == nil && e.VCard == nil {
		return nil
	}
	owner, err := c.user()
	if err != nil {
		return fmt.Errorf("user: %w", err)
	}
	if e.VCard != nil {
		if _, err := engine.ParseCard(owner, e.VCard); err != nil {
			return fmt.Errorf("vcard: %w", err)
		}
		return nil
	}
	_, bad, err := roster.DecodeJSON(owner, e.Roster, roster.Limits{})
	switch {
	case err != nil:
		return fmt.Errorf("roster: %w", err)
	case len(bad) > 0:
		return fmt.Errorf("roster: %v", bad[0])
	}
	return nil
}

func (e *Expect) checkFault() error {
	rest := *e
	switch rest.Fault = nil; {
	case *e.Fault:
		return errors.New(`fault: true is written "error": "fault"`)
	case !reflect.DeepEqual(rest, Expect{}):
		return errors.New("fault: false says that anything else may come of the call, and so stands alone")
	}
	return nil
}

// Name is the case's, as its file is called.
func (c *Case) Name() string { return strings.TrimSuffix(filepath.Base(c.File), ".json") }

// Encode writes the case as a file has it.
func (c *Case) Encode() ([]byte, error) {
	out := *c
	if out.Call == CallFetch {
		out.Call = ""
	}
	if _, domain, ok := strings.Cut(c.User, "@"); out.Host == defaultHost || ok && out.Host == domain {
		out.Host = ""
	}
	b, err := marshal(&out)
	if err != nil {
		return nil, err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, bytes.TrimSpace(b), "", "  "); err != nil {
		return nil, err
	}
	indented.WriteByte('\n')
	return indented.Bytes(), nil
}

// marshal writes JSON for people: "<" is "<".
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}
