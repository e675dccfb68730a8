package lua

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins"
)

// httpRequest is http.request(url, { method, headers, body, rev }): it waits for the answer and returns it,
// or nil and why there is none.
func (m *machine) httpRequest(l *glua.LState) int {
	c := m.call
	if !c.running {
		l.RaiseError("net.http.request is for functions given to module:provides: the script itself must not wait")
	}
	if l.Get(3) != glua.LNil {
		l.RaiseError("%s", unavailable("callback of net.http.request (it returns the response)"))
	}
	if len(c.sent) >= maxRequests {
		l.RaiseError("more than %d HTTP requests in one call", maxRequests)
	}
	r := plugins.HTTPRequest{URL: l.CheckString(1)}
	if ex, ok := l.Get(2).(*glua.LTable); ok {
		readRequest(l, &r, ex)
	} else if l.Get(2) != glua.LNil {
		l.ArgError(2, "a table is expected")
	}
	start := m.plugin.svc.Now()
	res, err := m.plugin.svc.HTTP(c.ctx, r)
	c.waited += m.plugin.svc.Now().Sub(start)
	c.sent = append(c.sent, exchange{})
	if err != nil {
		c.httpErr = err
		l.Push(glua.LNil)
		l.Push(glua.LString(err.Error()))
		return 2
	}
	t := object(l, m.response)
	c.sent[len(c.sent)-1] = exchange{t, res}
	l.Push(t)
	return 1
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
			t.ForEach(func(name, v glua.LValue) { r.Header.Set(name.String(), requestText(l, name, v)) })
		default:
			l.RaiseError("%s", unavailable("field "+k.String()+" of net.http.request"))
		}
	})
	if r.Method == "" && r.Body != nil {
		r.Method = http.MethodPost
	}
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

func httpURLEncode(_ *machine, l *glua.LState) int {
	l.Push(glua.LString(plugins.EncodeURL(l.CheckString(1))))
	return 1
}
