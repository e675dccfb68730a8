//go:build wasip1

// Package rosterd is for plugins of rosterd in Go. This file is all there is to copy, into a folder rosterd of the
// plugin's module; it speaks the ABI rosterd_v1 and needs Go 1.24 or newer.
//
//	package main
//
//	import "example.com/intranet/rosterd"
//
//	var people rosterd.URLTemplate
//
//	//go:wasmexport rosterd_init
//	func initialize() int32 { return rosterd.Init(configure) }
//
//	//go:wasmexport rosterd_fetch
//	func fetch() int32 { return rosterd.Fetch(roster) }
//
//	func configure() (err error) {
//		people, err = rosterd.OptionURL("intranet_url")
//		return err
//	}
//
//	func roster(q *rosterd.Request) (*rosterd.Roster, error) {
//		url, err := people.Fill(q.Local)
//		if err != nil {
//			return nil, err
//		}
//		answer, err := rosterd.Get(url)
//		if err != nil {
//			return nil, err
//		}
//		var list []struct{ Login, Name string }
//		if err := answer.JSON(&list); err != nil {
//			return nil, err
//		}
//		var r rosterd.Roster
//		for _, p := range list {
//			r.Add(rosterd.Contact{JID: p.Login + "@" + q.Host, Name: p.Name})
//		}
//		return &r, nil
//	}
//
//	func main() {} // never called
//
// It is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-s -w' -o mod_intranet.wasm .
//
// A plugin supplies what it exports: rosterd_fetch or rosterd_transform for rosters, rosterd_auth for passwords,
// rosterd_webhook for requests from outside, rosterd_edit for what users want of their rosters, rosterd_vcard for who they
// are. Variables are those of one instance. There may be several, none of them lasts, and one serves many users: what must
// be kept is for Set.
//
// What is printed goes to rosterd's log, time and crypto/rand are as usual, and there are no files and no network but
// Get and Send. A panic ends the call as a fault of the plugin, with its text in the log.
package rosterd

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"
)

// Request is whose roster is asked for.
type Request struct {
	User   string `json:"user"`   // bare JID
	Local  string `json:"local"`  // its localpart
	Host   string `json:"host"`   // its domainpart
	Reason string `json:"reason"` // "login", "refresh", "retry", …
	Rev    string `json:"rev"`    // of the roster that rosterd holds, "" if it holds none
}

// Login is who wants to be let in.
type Login struct {
	User     string `json:"user"`
	Local    string `json:"local"`
	Host     string `json:"host"`
	Password string `json:"password"`
}

// Wish is what a user wants of his roster.
type Wish struct {
	User    string `json:"user"`
	Local   string `json:"local"`
	Host    string `json:"host"`
	ID      string `json:"id"`      // of this request: two with the same are one
	Action  string `json:"action"`  // "set", "remove", "subscribe", "subscribed", "unsubscribe" or "unsubscribed"
	Contact string `json:"contact"` // bare JID

	Name         string   `json:"name"`
	Subscription string   `json:"subscription"`
	Groups       []string `json:"groups"`
	Ask          string   `json:"ask"` // "subscribe", or ""
	Approved     bool     `json:"approved"`
	Rev          string   `json:"rev"`  // of the roster that the user has been told, "" if it has none
	ETag         string   `json:"etag"` // of the same, if it has a strong one
}

// Card is what others see of a user.
type Card struct {
	FN       string   `json:"fn,omitempty"` // the name as it is shown
	Given    string   `json:"given,omitempty"`
	Family   string   `json:"family,omitempty"`
	Nickname string   `json:"nickname,omitempty"`
	Email    []string `json:"email,omitempty"`
	Tel      []string `json:"tel,omitempty"`
	Org      string   `json:"org,omitempty"`
	Title    string   `json:"title,omitempty"`
	Role     string   `json:"role,omitempty"`
	URL      string   `json:"url,omitempty"`
	BDay     string   `json:"bday,omitempty"` // such as 1990-02-28
	Note     string   `json:"note,omitempty"`
	Photo    *Photo   `json:"photo,omitempty"`
}

// Photo is a picture of a user. In JSON its Data are base64.
type Photo struct {
	Type string `json:"type,omitempty"` // such as image/png; rosterd finds it out if it is empty
	Data []byte `json:"data"`
}

// Veto is the no of a backend, in words for the user.
type Veto string

func (v Veto) Error() string { return string(v) }

// Is tells that it is an ErrDenied.
func (Veto) Is(target error) bool { return target == ErrDenied }

// Call is a request from outside.
type Call struct {
	Host    string            `json:"host"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`    // as requested
	Rest    string            `json:"rest"`    // what of it follows the plugin's own path, without the slash between them
	Query   string            `json:"query"`   // as it stands in the URL
	Headers map[string]string `json:"headers"` // names are in small letters
	From    string            `json:"from"`    // the client's address
	Secure  bool              `json:"secure"`  // it came over TLS
}

// Body is the body of the request.
func (*Call) Body() ([]byte, error) { return body(0) }

// Reply is what is answered to a Call. Without Status and Body, as without a Reply, it is what the refresh API answers, or
// 204 if nobody was to be refreshed.
type Reply struct {
	Refresh []string          `json:"refresh,omitempty"` // users whose rosters are fetched anew first, by localpart or bare JID
	Status  int               `json:"status,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
}

// Why there is no answer. Errors that wrap none of these are temporary ones.
var (
	ErrNotFound = errors.New("no such user")
	ErrDenied   = errors.New("denied") // the password is wrong, or the user must not be here
)

// TemporaryError says that it does not work now. The user keeps the roster that he had, and is tried again.
type TemporaryError struct {
	RetryAfter time.Duration // not before; 0 if unknown
	Err        error
}

func (e *TemporaryError) Error() string { return e.Err.Error() }
func (e *TemporaryError) Unwrap() error { return e.Err }

// PermanentError says that it will not work until somebody changes something, such as refused credentials.
type PermanentError struct{ Err error }

func (e *PermanentError) Error() string { return e.Err.Error() }
func (e *PermanentError) Unwrap() error { return e.Err }

// HostError is what a function of rosterd did not do, and why.
type HostError struct {
	Code Code
	Text string
}

func (e *HostError) Error() string { return e.Text }

// Code is a kind of failure.
type Code int32

// The kinds.
const (
	Absent   Code = -1 - iota // no such option, value, header field, response
	Refused                   // policy does not allow it, such as a request to a server that no option names
	Limit                     // beyond a limit
	Network                   // no answer, or none that can be read
	Argument                  // it makes no sense
	Deadline                  // the time of the call or of the request is over
)

// Results of the functions that rosterd calls.
const (
	ok int32 = iota
	notFound
	temporary
	permanent
	denied
	fault int32 = -1
)

// Init reads the options, for rosterd_init. An error refuses the plugin.
func Init(f func() error) int32 { return run(f) }

// Fetch answers with a roster, for rosterd_fetch.
func Fetch(f func(*Request) (*Roster, error)) int32 {
	return run(func() error {
		var q Request
		if err := input(&q); err != nil {
			return err
		}
		r, err := f(&q)
		if err != nil {
			return err
		}
		return r.write()
	})
}

// Transform makes a roster of an answer that rosterd has asked for, for rosterd_transform.
func Transform(f func(*Request, *Response) (*Roster, error)) int32 {
	return run(func() error {
		var q struct {
			Request
			Status  int               `json:"status"`
			Headers map[string]string `json:"headers"`
		}
		if err := input(&q); err != nil {
			return err
		}
		r, err := f(&q.Request, &Response{Status: q.Status, headers: q.Headers, method: "GET", url: "the backend"})
		if err != nil {
			return err
		}
		return r.write()
	})
}

// Auth tells whether a password is right, for rosterd_auth: nil lets the user in, ErrDenied does not.
func Auth(f func(*Login) error) int32 {
	return run(func() error {
		var l Login
		if err := input(&l); err != nil {
			return err
		}
		return f(&l)
	})
}

// Edit takes to the backend what a user wants of his roster, for rosterd_edit: nil says that it is taken, a Veto is its no, ErrNotFound
// that there is no such contact.
func Edit(f func(*Wish) error) int32 {
	return run(func() error {
		var w Wish
		if err := input(&w); err != nil {
			return err
		}
		return f(&w)
	})
}

// VCard says who a user is, for rosterd_vcard: a Request without Reason and Rev asks. Nil and ErrNotFound say that nothing is
// known of him.
func VCard(f func(*Request) (*Card, error)) int32 {
	return run(func() error {
		var q Request
		if err := input(&q); err != nil {
			return err
		}
		c, err := f(&q)
		if err != nil || c == nil {
			return err
		}
		b, err := json.Marshal(c)
		if err != nil {
			return err
		}
		return output(b)
	})
}

// Webhook answers a request from outside, for rosterd_webhook.
func Webhook(f func(*Call) (*Reply, error)) int32 {
	return run(func() error {
		var c Call
		if err := input(&c); err != nil {
			return err
		}
		r, err := f(&c)
		if err != nil || r == nil {
			return err
		}
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		return output(b)
	})
}

// run makes a result of an error, and a line of the log of a panic.
func run(f func() error) (result int32) {
	defer func() {
		if p := recover(); p != nil {
			Log(LevelError, fmt.Sprintf("panic: %v%s", p, culprit()))
			result = fault
		}
	}()
	err := f()
	if err == nil {
		return ok
	}
	result, after := kind(err)
	text := err.Error()
	fail(result, after, text)
	return result
}

// kind is the result that says what an error says, and for how many seconds.
func kind(err error) (result int32, retryAfter uint32) {
	var t *TemporaryError
	var p *PermanentError
	switch {
	case errors.Is(err, ErrNotFound):
		return notFound, 0
	case errors.Is(err, ErrDenied):
		return denied, 0
	case errors.As(err, &p):
		return permanent, 0
	case errors.As(err, &t):
		return temporary, seconds(t.RetryAfter)
	}
	return temporary, 0
}

// culprit is where the plugin panicked.
func culprit() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf(" (%s, %s:%d)", f.Function, f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line)
		}
		if !more {
			return ""
		}
	}
}

// input reads what is asked.
func input(v any) error {
	b, err := copied(inputLen(), func(dst *byte, n uint32) int32 { return inputRead(dst, 0, n) })
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func output(b []byte) error { return check(outputWrite(unsafe.SliceData(b), uint32(len(b)))) }

// check makes an error of a negative result.
func check(n int32) error {
	if n >= 0 {
		return nil
	}
	e := &HostError{Code: Code(n), Text: fmt.Sprintf("rosterd answers %d", n)}
	if b, n := filled(errorText); n >= 0 {
		e.Text = string(b)
	}
	return e
}

// filled reads what an import copies to (dst, cap). Its result is the whole length, or an error.
func filled(ask func(dst *byte, cap uint32) int32) ([]byte, int32) {
	b := make([]byte, 256)
	for {
		n := ask(unsafe.SliceData(b), uint32(len(b)))
		switch {
		case n < 0:
			return nil, n
		case int(n) <= len(b):
			return b[:n], n
		}
		b = make([]byte, n)
	}
}

// copied reads what an import copies to (dst, len).
func copied(size int32, read func(dst *byte, n uint32) int32) ([]byte, error) {
	if err := check(size); err != nil {
		return nil, err
	}
	b := make([]byte, size)
	n := read(unsafe.SliceData(b), uint32(len(b)))
	if err := check(n); err != nil {
		return nil, err
	}
	return b[:n], nil
}

// Roster is the answer of Fetch and Transform. The zero value is one without contacts.
type Roster struct {
	Contacts  []Contact
	Rev       string        // names this state of the roster, and comes back in the next request
	MaxAge    time.Duration // nobody need ask again before that
	Unchanged bool          // the revision asked with still holds; contacts do not count
}

// Contact is an item of a roster (RFC 6121 §2.1.2).
type Contact struct {
	JID, Name    string
	Subscription Subscription // Both if nothing else is said
	Groups       []string
	Approved     bool // it may subscribe without being asked
	Ask          bool // the user has asked to subscribe to it
}

// maxGroups is how many the flat form of the ABI has room for.
const maxGroups = 255

// Subscription is which of the two get to see the other's presence (RFC 6121 §2.1.2.5).
type Subscription uint8

// The states.
const (
	Both Subscription = iota
	From
	To
	None
)

func (s Subscription) String() string { return [...]string{"both", "from", "to", "none"}[s&3] }

// Add adds a contact.
func (r *Roster) Add(c Contact) { r.Contacts = append(r.Contacts, c) }

func (r *Roster) write() error {
	switch {
	case r == nil:
		return errors.New("neither a roster nor an error")
	case r.Unchanged:
		return output([]byte(`{"unchanged": true}`))
	}
	for _, c := range r.Contacts {
		if len(c.Groups) > maxGroups {
			b, err := r.json()
			if err != nil {
				return err
			}
			return output(b)
		}
	}
	return output(r.flat())
}

// seconds are those of a duration, 0 to 68 years.
func seconds(d time.Duration) uint32 { return uint32(min(max(d, 0)/time.Second, 1<<31-1)) }

func (r *Roster) flat() []byte {
	b := append(make([]byte, 0, 64+64*len(r.Contacts)), "RF\x01\x01"...)
	b = binary.LittleEndian.AppendUint32(b, seconds(r.MaxAge))
	b = appendText(b, r.Rev)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.Contacts)))
	for _, c := range r.Contacts {
		flags := byte(None-c.Subscription) & 3
		if c.Approved {
			flags |= 4
		}
		if c.Ask {
			flags |= 8
		}
		b = append(b, flags)
		b = appendText(b, c.JID)
		b = appendText(b, c.Name)
		b = append(b, byte(len(c.Groups)))
		for _, g := range c.Groups {
			b = appendText(b, g)
		}
	}
	return b
}

// appendText writes a text with its length. What is longer than can be written is longer than rosterd takes: it is cut,
// and the contact is left out and reported.
func appendText(b []byte, s string) []byte {
	n := min(len(s), 1<<16-1)
	for n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(n))
	return append(b, s[:n]...)
}

// json is the form without bounds.
func (r *Roster) json() ([]byte, error) {
	type item struct {
		JID          string   `json:"jid"`
		Name         string   `json:"name,omitempty"`
		Subscription string   `json:"subscription"`
		Groups       []string `json:"groups,omitempty"`
		Approved     bool     `json:"approved,omitempty"`
		Ask          string   `json:"ask,omitempty"`
	}
	items := make([]item, len(r.Contacts))
	for i, c := range r.Contacts {
		items[i] = item{JID: c.JID, Name: c.Name, Subscription: c.Subscription.String(), Groups: c.Groups, Approved: c.Approved}
		if c.Ask {
			items[i].Ask = "subscribe"
		}
	}
	return json.Marshal(struct {
		Items  []item `json:"items"`
		Rev    string `json:"rev,omitempty"`
		MaxAge uint32 `json:"max_age,omitempty"`
	}{items, r.Rev, seconds(r.MaxAge)})
}

// Option is an option of the host as text: "true", "false" and numbers as they are written, lists and tables as JSON.
// Options are read in rosterd_init: a change of those is seen at a reload.
func Option(name string) (value string, set bool, err error) {
	b, n := filled(func(dst *byte, cap uint32) int32 { return configGet(name, dst, cap) })
	if n == int32(Absent) {
		return "", false, nil
	}
	if err := check(n); err != nil {
		return "", false, &PermanentError{err}
	}
	return string(b), true, nil
}

// OptionText is an option that must be set.
func OptionText(name string) (string, error) {
	s, set, err := Option(name)
	if err == nil && !set {
		err = &PermanentError{fmt.Errorf("option %s is not set", name)}
	}
	return s, err
}

// OptionInteger is a number without a fraction. What is not within the bounds is taken for the nearest that is, and the
// log says so.
func OptionInteger(name string, otherwise, lo, hi int64) (int64, error) {
	s, set, err := Option(name)
	if err != nil || !set {
		return otherwise, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0, wrong(name, "not an integer")
	}
	within := min(max(n, lo), hi)
	if within != n {
		Log(LevelWarn, fmt.Sprintf("option %s: %d is not between %d and %d, %d is taken", name, n, lo, hi, within))
	}
	return within, nil
}

// OptionBoolean is true or false; 1 and 0 are those as well.
func OptionBoolean(name string, otherwise bool) (bool, error) {
	switch s, set, err := Option(name); {
	case err != nil || !set:
		return otherwise, err
	case s == "true" || s == "1":
		return true, nil
	case s == "false" || s == "0":
		return false, nil
	}
	return false, wrong(name, "neither true nor false")
}

// OptionURL is a URL with %s for a user name.
func OptionURL(name string) (URLTemplate, error) {
	s, err := OptionText(name)
	if err != nil {
		return URLTemplate{}, err
	}
	t, err := ParseURLTemplate(s)
	if err != nil {
		return URLTemplate{}, wrong(name, err.Error())
	}
	return t, nil
}

func wrong(option, why string) error {
	return &PermanentError{fmt.Errorf("option %s: %s", option, why)}
}

// URLTemplate is a URL in which %s stands for a user name; %% is one percent sign, and any other is part of the URL.
type URLTemplate struct{ parts []string }

// ParseURLTemplate reads one.
func ParseURLTemplate(s string) (URLTemplate, error) {
	t := URLTemplate{literals(s)}
	server, secure := strings.CutPrefix(t.parts[0], "https://")
	if !secure {
		var plain bool
		if server, plain = strings.CutPrefix(server, "http://"); !plain {
			return t, errors.New("not an http:// or https:// URL")
		}
	}
	before := t.parts[:len(t.parts)-1]
	if len(before) == 0 {
		return t, errors.New("no %s in it, which stands for the user name")
	}
	switch strings.IndexAny(server, "/?#") {
	case 0:
		return t, errors.New("a URL without a host")
	case -1:
		return t, errors.New("%s may stand in the path and in the query only")
	}
	for _, p := range before {
		if strings.Contains(p, "#") {
			return t, errors.New("%s may stand in the path and in the query only")
		}
		if i := strings.LastIndexByte(p, '%'); i >= 0 && len(p)-i < 3 {
			return t, errors.New("an incomplete escape before %s would swallow a part of the name")
		}
	}
	return t, nil
}

// literals cuts s at every %s and escapes what may not stand in a URL.
func literals(s string) (parts []string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		rest := s[i:]
		end := strings.Index(rest, "}}")
		switch {
		case strings.HasPrefix(rest, "%s"):
			parts = append(parts, b.String())
			b.Reset()
			i++
		case strings.HasPrefix(rest, "%%"):
			b.WriteByte('%')
			i++
		case strings.HasPrefix(rest, "{{secret:") && end > 0:
			b.WriteString(rest[:end+2])
			i += end + 1
		case s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte("\"<>\\^`{|}", s[i]) >= 0:
			fmt.Fprintf(&b, "%%%02X", s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return append(parts, b.String())
}

// Fill puts the name in, so that it is one value and no syntax. The names "." and ".." have no such form where they would
// be a whole path segment (RFC 3986 §5.2.4).
func (t URLTemplate) Fill(name string) (string, error) {
	url := strings.Join(t.parts, EncodeURL(name))
	path, _, _ := strings.Cut(url, "?")
	if strings.Trim(name, ".") == "" {
		for segment := range strings.SplitSeq(path, "/") {
			if segment == "." || segment == ".." {
				return "", &PermanentError{fmt.Errorf("user name %q cannot stand in the path of a URL", name)}
			}
		}
	}
	return url, nil
}

// EncodeURL percent-encodes every byte outside the unreserved characters (RFC 3986 §2.3).
func EncodeURL(s string) string {
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0:
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// HTTPRequest is a request to be sent, to a server that an option names. {{secret:NAME}} in a field of the header or in
// the query of the URL is what rosterd_plugin_secrets has under that name.
type HTTPRequest struct {
	Method    string // "" is GET
	URL       string
	Headers   map[string]string
	Body      []byte
	Timeout   time.Duration // 0: until the call ends
	Redirects int           // how many to follow; with 0 they are answers like any other
	Rev       string        // of the answer that is held; the new one may then be 304
}

// Response is an answer, whatever its status.
type Response struct {
	Status int

	handle      int32
	headers     map[string]string // of the answer that rosterd has asked for
	method, url string
}

// Get sends a GET and waits for the whole answer.
func Get(url string) (*Response, error) { return Send(HTTPRequest{URL: url}) }

// Send sends a request and waits for the whole answer.
func Send(r HTTPRequest) (*Response, error) {
	if r.Method == "" {
		r.Method = "GET"
	}
	head, err := json.Marshal(struct {
		Method    string            `json:"method"`
		URL       string            `json:"url"`
		Headers   map[string]string `json:"headers,omitempty"`
		Timeout   int64             `json:"timeout_ms,omitempty"`
		Redirects int               `json:"redirects,omitempty"`
		Rev       string            `json:"rev,omitempty"`
	}{r.Method, r.URL, r.Headers, r.Timeout.Milliseconds(), r.Redirects, r.Rev})
	if err != nil {
		return nil, err
	}
	h := httpRequest(unsafe.SliceData(head), uint32(len(head)), unsafe.SliceData(r.Body), uint32(len(r.Body)))
	if err := check(h); err != nil {
		return nil, err
	}
	status := httpStatus(h)
	return &Response{Status: int(status), handle: h, method: r.Method, url: r.URL}, check(status)
}

// Header is a field of the header, "" if there is none.
func (r *Response) Header(name string) string {
	if r.handle == 0 {
		return r.headers[strings.ToLower(name)]
	}
	b, _ := filled(func(dst *byte, cap uint32) int32 { return httpHeader(r.handle, name, dst, cap) })
	return string(b)
}

// Rev is the revision that the backend has given the answer, "" if none.
func (r *Response) Rev() string {
	b, _ := filled(func(dst *byte, cap uint32) int32 { return httpRev(r.handle, dst, cap) })
	return string(b)
}

// Body is the body of the answer.
func (r *Response) Body() ([]byte, error) { return body(r.handle) }

func body(h int32) ([]byte, error) {
	return copied(httpBodyLen(h), func(dst *byte, n uint32) int32 { return httpBodyRead(h, dst, 0, n) })
}

// Close lets go of the answer before the call ends.
func (r *Response) Close() error {
	if r.handle == 0 {
		return nil
	}
	return check(httpClose(r.handle))
}

// OK is nil if the status is 200, and else the error that the status means to rosterd: 404 that there is no such user, 401
// and 403 that somebody must change something, any other that it does not work now.
func (r *Response) OK() error {
	switch r.Status {
	case 200:
		return nil
	case 404:
		return fmt.Errorf("%w: %s", ErrNotFound, r)
	case 401, 403:
		return &PermanentError{fmt.Errorf("%s: the backend refuses our credentials", r)}
	}
	return &TemporaryError{RetryAfter: r.RetryAfter(), Err: errors.New(r.String())}
}

// maxDepth is how many values may be in each other.
const maxDepth = 64

// JSON decodes the body of an answer that is OK. What cannot be decoded, or is nested more than 64 deep, is a temporary error:
// there is no roster then, rather than one that lacks something.
func (r *Response) JSON(v any) error {
	if err := r.OK(); err != nil {
		return err
	}
	b, err := r.Body()
	switch {
	case err != nil:
	case deep(b):
		err = errors.New("nested too deep")
	default:
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	return nil
}

// deep tells whether a JSON text is nested too deep. The decoder knows a limit too, but one at which the stack takes megabytes,
// and types that decode what is in them would read the innermost ten thousand times.
func deep(b []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\':
			i++
		case quoted:
		case c == '[', c == '{':
			if depth++; depth > maxDepth {
				return true
			}
		case c == ']', c == '}':
			depth--
		}
	}
	return false
}

// RetryAfter is for how long the server asks to be left alone (RFC 9110 §10.2.3); 0 if it does not say.
func (r *Response) RetryAfter() time.Duration {
	v := strings.TrimSpace(r.Header("retry-after"))
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", v); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}

// String is what was asked and what came, in a few words. A password in the URL is left out.
func (r *Response) String() string {
	scheme, rest, _ := strings.Cut(r.url, "://")
	server := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		server = rest[:i]
	}
	rest = rest[strings.LastIndexByte(server, '@')+1:]
	if rest != "" {
		scheme += "://"
	}
	return fmt.Sprintf("%s %s%s: %d", r.method, scheme, rest, r.Status)
}

// Value is what Set has kept under a key.
func Value(key string) (value []byte, kept bool, err error) {
	b, n := filled(func(dst *byte, cap uint32) int32 { return kvGet(key, dst, cap) })
	if n == int32(Absent) {
		return nil, false, nil
	}
	return b, n >= 0, check(n)
}

// Set keeps a value beyond the call, the instance and the process; a ttl of 0 is for ever.
func Set(key string, value []byte, ttl time.Duration) error {
	if ttl > 0 {
		ttl += time.Second - 1 // less than a second is not for ever
	}
	return check(kvSet(key, unsafe.SliceData(value), uint32(len(value)), seconds(ttl)))
}

// Delete keeps a value no longer.
func Delete(key string) error { return check(kvDelete(key)) }

// Level is how much a line of the log matters.
type Level int32

// The levels.
const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
	LevelError
)

// Log writes a line to rosterd's log.
func Log(level Level, text string) { logLine(level, text) }

// What rosterd offers. A string is a pointer and a length.

//go:wasmexport rosterd_abi_v1
func abi() {}

//go:wasmimport rosterd_v1 input_len
func inputLen() int32

//go:wasmimport rosterd_v1 input_read
func inputRead(dst *byte, off, n uint32) int32

//go:wasmimport rosterd_v1 output_write
func outputWrite(p *byte, n uint32) int32

//go:wasmimport rosterd_v1 fail
func fail(code int32, retryAfter uint32, text string)

//go:wasmimport rosterd_v1 error_text
func errorText(dst *byte, cap uint32) int32

//go:wasmimport rosterd_v1 config_get
func configGet(key string, dst *byte, cap uint32) int32

//go:wasmimport rosterd_v1 http_request
func httpRequest(head *byte, headLen uint32, body *byte, bodyLen uint32) int32

//go:wasmimport rosterd_v1 http_status
func httpStatus(h int32) int32

//go:wasmimport rosterd_v1 http_header
func httpHeader(h int32, name string, dst *byte, cap uint32) int32

//go:wasmimport rosterd_v1 http_rev
func httpRev(h int32, dst *byte, cap uint32) int32

//go:wasmimport rosterd_v1 http_body_len
func httpBodyLen(h int32) int32

//go:wasmimport rosterd_v1 http_body_read
func httpBodyRead(h int32, dst *byte, off, n uint32) int32

//go:wasmimport rosterd_v1 http_close
func httpClose(h int32) int32

//go:wasmimport rosterd_v1 kv_get
func kvGet(key string, dst *byte, cap uint32) int32

//go:wasmimport rosterd_v1 kv_set
func kvSet(key string, value *byte, n, ttl uint32) int32

//go:wasmimport rosterd_v1 kv_delete
func kvDelete(key string) int32

//go:wasmimport rosterd_v1 log
func logLine(level Level, text string)
