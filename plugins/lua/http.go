package lua

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins"
)

func init() {
	libraries["net.http"] = &library{
		funcs: map[string]native{
			"request": (*machine).httpRequest, "new": (*machine).httpNew,
			"urlencode": utilHTTP("urlencode"), "urldecode": utilHTTP("urldecode"), "formencode": utilHTTP("formencode"), "formdecode": utilHTTP("formdecode"),
			"destroy_request": func(*machine, *glua.LState) int { return 0 }, // it ends with the call
		},
		parts: map[string]map[string]native{"default": {"request": (*machine).clientRequest, "new": (*machine).httpNew}},
	}
}

// utilHTTP is a function of util.http, which net.http has too.
func utilHTTP(name string) native {
	return func(m *machine, l *glua.LState) int { return libraries["util.http"].funcs[name](m, l) }
}

// httpRequest is http.request(url, { method, headers, body, rev, max_redirects, timeout }, callback). With a callback
// it is called with body, code, response and request, from the loop in which the script waits. Without one a script
// that works with promises gets a promise, and any other waits and gets the response, or nil and why there is none.
func (m *machine) httpRequest(l *glua.LState) int {
	m.waiting(l, "net.http.request")
	c := m.call
	if c.asked >= maxRequests {
		l.RaiseError("more than %d HTTP requests in one call", maxRequests)
	}
	r := plugins.HTTPRequest{URL: l.CheckString(1)}
	if ex, ok := l.Get(2).(*glua.LTable); ok {
		readRequest(l, &r, ex)
	} else if l.Get(2) != glua.LNil {
		l.ArgError(2, "a table is expected")
	}
	callback := l.Get(3)
	if _, ok := callback.(*glua.LFunction); !ok && callback != glua.LNil {
		l.ArgError(3, "a function is expected")
	}
	c.asked++
	switch f, ok := callback.(*glua.LFunction); {
	case ok:
		l.Push(m.requestWithCallback(l, r, f))
		return 1
	case m.plugin.static.promises:
		l.Push(m.requestWithPromise(l, r))
		return 1
	}
	return m.requestPlainly(l, r)
}

// requestPlainly waits for the answer. If nothing else is under way, there is no need of a goroutine.
func (m *machine) requestPlainly(l *glua.LState, r plugins.HTTPRequest) int {
	c := m.call
	var res *plugins.HTTPResponse
	var err error
	if c.events.idle() {
		start := m.plugin.svc.Now()
		res, err = m.plugin.svc.HTTP(c.ctx, r)
		c.waited += m.plugin.svc.Now().Sub(start)
	} else {
		done := false
		m.events().begin(m.plugin.svc, r, func(_ *glua.LState, answer *plugins.HTTPResponse, failed error) {
			res, err, done = answer, failed, true
		})
		for !done {
			m.step(l)
		}
	}
	if err != nil {
		c.httpErr = err
		return failed(l, err)
	}
	l.Push(m.newExchange(l, res))
	return 1
}

func (m *machine) requestWithCallback(l *glua.LState, r plugins.HTTPRequest, f *glua.LFunction) *glua.LTable {
	request := object(l, m.request)
	request.RawSetString("url", glua.LString(r.URL))
	request.RawSetString("method", glua.LString(cmp.Or(r.Method, http.MethodGet)))
	if r.Body != nil {
		request.RawSetString("body", glua.LString(r.Body))
	}
	m.events().begin(m.plugin.svc, r, func(l *glua.LState, res *plugins.HTTPResponse, err error) {
		if err != nil {
			m.invokePlain(l, f, glua.LString(err.Error()), glua.LNumber(0), request)
			return
		}
		t := m.newExchange(l, res)
		m.invokePlain(l, f, glua.LString(res.Body), glua.LNumber(res.Status), t, request)
	})
	return request
}

func (m *machine) requestWithPromise(l *glua.LState, r plugins.HTTPRequest) *glua.LTable {
	p, resolve, reject := m.newPromise(l)
	m.events().begin(m.plugin.svc, r, func(l *glua.LState, res *plugins.HTTPResponse, err error) {
		if err != nil {
			m.invokePlain(l, reject, glua.LString(err.Error()))
			return
		}
		m.invokePlain(l, resolve, m.newExchange(l, res))
	})
	return p
}

// newExchange is the table that stands for a response.
func (m *machine) newExchange(l *glua.LState, res *plugins.HTTPResponse) *glua.LTable {
	t := object(l, m.response)
	m.call.sent = append(m.call.sent, exchange{t, res})
	return t
}

// clientOptions are what http.new takes and what here has no effect.
var clientOptions = names("suppress_errors connection_pooling")

// httpNew is http.new(options): a client, which is the one there is.
func (m *machine) httpNew(l *glua.LState) int {
	if t, ok := l.Get(1).(*glua.LTable); ok {
		t.ForEach(func(k, _ glua.LValue) {
			if !clientOptions[k.String()] {
				l.RaiseError("%s", unavailable("option "+k.String()+" of net.http.new"))
			}
		})
	}
	l.Push(object(l, m.parts["net.http.default"]))
	return 1
}

// clientRequest is client:request(url, ex, callback).
func (m *machine) clientRequest(l *glua.LState) int {
	l.CheckTable(1)
	l.Remove(1)
	return m.httpRequest(l)
}

func readRequest(l *glua.LState, r *plugins.HTTPRequest, ex *glua.LTable) {
	ex.ForEach(func(k, v glua.LValue) {
		switch k.String() {
		case "method":
			r.Method = requestText(l, k, v)
		case "body":
			r.Body = []byte(requestText(l, k, v))
		case "rev":
			r.Revision = requestText(l, k, v)
		case "headers":
			t, ok := v.(*glua.LTable)
			if !ok {
				l.RaiseError("net.http.request: headers is a %s, not a table", v.Type())
			}
			r.Header = http.Header{}
			t.ForEach(func(name, v glua.LValue) {
				if _, ok := name.(glua.LString); !ok {
					l.RaiseError("net.http.request: headers has a %s where the name of a header is expected: { [\"Accept\"] = \"text/csv\" }", name.Type())
				}
				r.Header.Set(name.String(), requestText(l, name, v))
			})
		case "max_redirects":
			r.Redirects = int(requestNumber(l, k, v, plugins.MaxRedirects))
		case "timeout": // of this request, in seconds
			r.Timeout = time.Duration(requestNumber(l, k, v, maxTimeout) * float64(time.Second))
		case "suppress_errors": // they end the call
		default:
			l.RaiseError("%s", unavailable("field "+k.String()+" of net.http.request"))
		}
	})
	if r.Body == nil {
		return
	}
	r.Method = cmp.Or(r.Method, http.MethodPost)
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // Prosody's
	}
}

// maxTimeout is more than any call has.
const maxTimeout = 3600

func requestNumber(l *glua.LState, k, v glua.LValue, most int) float64 {
	n, ok := v.(glua.LNumber)
	if !ok || !(n >= 0 && n <= glua.LNumber(most)) {
		l.RaiseError("net.http.request: %s is %s, not a number from 0 to %d", k.String(), v.String(), most)
	}
	return float64(n)
}

func requestText(l *glua.LState, k, v glua.LValue) string {
	switch v.(type) {
	case glua.LString, glua.LNumber:
		return v.String()
	}
	l.RaiseError("net.http.request: %s is a %s, not a string", k.String(), v.Type())
	return ""
}

// responseField makes the parts of a response when they are first asked for: most scripts hand it back unread.
func (m *machine) responseField(l *glua.LState) int {
	t := l.CheckTable(1)
	name := l.Get(2).String()
	res := m.call.response(t)
	if res == nil {
		l.RaiseError("a response of an earlier call")
	}
	var v glua.LValue
	switch name {
	case "code":
		v = glua.LNumber(res.Status)
	case "body":
		v = glua.LString(res.Body)
	case "headers":
		v = headerTable(l, res.Header)
	case "request":
		r := l.CreateTable(0, 2)
		r.RawSetString("method", glua.LString(res.Method))
		r.RawSetString("url", glua.LString(res.URL))
		v = r
	default:
		l.RaiseError("%s", unavailable(fmt.Sprintf("field %s of an HTTP response", name)))
	}
	t.RawSetString(name, v)
	l.Push(v)
	return 1
}

// headerTable has its names in lower case, as in Prosody.
func headerTable(l *glua.LState, h http.Header) *glua.LTable {
	t := l.CreateTable(0, len(h))
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.RawSetString(strings.ToLower(name), glua.LString(strings.Join(h[name], ", ")))
	}
	return t
}

// response is the one that t stands for, or nil.
func (c *call) response(t *glua.LTable) *plugins.HTTPResponse {
	for _, x := range c.sent {
		if x.table == t {
			return x.res
		}
	}
	return nil
}
