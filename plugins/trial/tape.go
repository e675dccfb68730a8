package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"

	"rosterd/plugins"
)

// tape answers requests from what a case has recorded. Each exchange answers once.
type tape struct {
	exchanges []Exchange
	improvise func(plugins.HTTPRequest) *Exchange // answers what is not recorded; nil: nothing does

	mu         sync.Mutex // guards the fields below
	played     []bool
	unrecorded []string // problems: requests that no exchange answers
}

func newTape(exchanges []Exchange) *tape {
	return &tape{exchanges: exchanges, played: make([]bool, len(exchanges))}
}

// play answers a request with the first exchange left that has it.
func (t *tape) play(r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	asked := r.Method + " " + shown(r.URL)
	again := false
	for i := range t.exchanges {
		x := &t.exchanges[i]
		if x.Request.differs(r) != "" {
			continue
		}
		if t.played[i] {
			again = true
			continue
		}
		t.played[i] = true
		return x.answer(r)
	}
	if t.improvise != nil {
		return t.improvise(r).answer(r)
	}
	t.unrecorded = append(t.unrecorded, t.missing(asked, r, again))
	return nil, errors.New(asked + ": not recorded in this case")
}

func (x *Exchange) answer(r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	asked := r.Method + " " + shown(r.URL)
	switch {
	case x.Response != nil:
		return x.Response.answer(r), nil
	case x.Error == "timeout":
		return nil, fmt.Errorf("%s: no answer in time: %w", asked, context.DeadlineExceeded)
	}
	return nil, fmt.Errorf("%s: %s", asked, x.Error)
}

func (x *Response) answer(r plugins.HTTPRequest) *plugins.HTTPResponse {
	res := &plugins.HTTPResponse{Method: r.Method, URL: shown(r.URL), Status: x.Status, Header: http.Header{}, Body: x.bytes()}
	if res.Status == 0 {
		res.Status = http.StatusOK
	}
	for name, values := range x.Headers {
		res.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	if x.JSON != nil && res.Header.Get("Content-Type") == "" {
		res.Header.Set("Content-Type", "application/json")
	}
	return res
}

// missing says what was asked for and what is recorded.
func (t *tape) missing(asked string, r plugins.HTTPRequest, again bool) string {
	var b strings.Builder
	if again {
		fmt.Fprintf(&b, "asked more often than recorded: %s", asked)
	} else {
		fmt.Fprintf(&b, "asked, but not recorded: %s", asked)
	}
	if len(t.exchanges) == 0 {
		b.WriteString("\n  nothing is recorded")
	}
	for i := range t.exchanges {
		x := &t.exchanges[i]
		fmt.Fprintf(&b, "\n  recorded: %s", x)
		switch why := x.Request.differs(r); {
		case why != "" && why != "url" && why != "method":
			fmt.Fprintf(&b, " (its %s)", why)
		case t.played[i]:
			b.WriteString(" (has answered)")
		}
	}
	return b.String()
}

// problems are what is wrong when the call has ended.
func (t *tape) problems() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := slices.Clone(t.unrecorded)
	for i := range t.exchanges {
		if x := &t.exchanges[i]; !t.played[i] && !x.Optional {
			list = append(list, fmt.Sprintf("recorded, but never asked for: %s", x))
		}
	}
	return list
}

// String is the request as a line shows it.
func (x *Exchange) String() string {
	method := x.Request.Method
	if method == "" {
		method = http.MethodGet
	}
	return method + " " + shown(x.Request.URL)
}

// differs says what of a request is not as recorded; "" if all is.
func (o *Outgoing) differs(r plugins.HTTPRequest) string {
	method := o.Method
	if method == "" {
		method = http.MethodGet
	}
	switch {
	case !strings.EqualFold(method, r.Method):
		return "method"
	case !like(shown(o.URL), shown(r.URL)):
		return "url"
	}
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		want, got := o.Headers[name], r.Header[http.CanonicalHeaderKey(name)]
		if len(want) == 1 && len(got) == 1 && like(want[0], got[0]) {
			continue
		}
		if !slices.Equal(want, got) {
			return fmt.Sprintf("header field %s is %q, not %q", name, strings.Join(want, ", "), strings.Join(got, ", "))
		}
	}
	switch {
	case o.JSON != nil && !sameJSON(o.JSON, r.Body):
		return fmt.Sprintf("body is %s, not %s", short(o.JSON), short(r.Body))
	case o.JSON == nil && o.given() && !like(string(o.bytes()), string(r.Body)):
		return fmt.Sprintf("body is %q, not %q", short(o.bytes()), short(r.Body))
	}
	return ""
}

// Placeholder stands where a recorded case had a secret. In a recorded request it is whatever is there.
const Placeholder = "REDACTED"

// like compares a text with a recorded one.
func like(recorded, s string) bool {
	parts := strings.Split(recorded, Placeholder)
	if len(parts) == 1 {
		return recorded == s
	}
	s, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}

// shown is a URL without its userinfo, which becomes a header field, and without its fragment, which is not sent.
func shown(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	if u.User == nil && u.Fragment == "" {
		return raw
	}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	return u.String()
}

// sameJSON tells whether two documents say the same, however they are written.
func sameJSON(a, b []byte) bool {
	x, errX := exact(a)
	y, errY := exact(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

// exact decodes a document with its numbers as they are written.
func exact(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("something follows the document")
	}
	return v, nil
}

func short(b []byte) string {
	const most = 200
	if len(b) <= most {
		return string(b)
	}
	return strings.ToValidUTF8(string(b[:most]), "") + "…"
}
