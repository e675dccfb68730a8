package lua

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"
	"golang.org/x/net/http/httpguts"

	"rosterd/plugins"
)

// route is a way in, and what answers there: a function, or what it would return.
type route struct {
	plugins.Route
	handler glua.LValue
}

// httpFields are what Prosody's HTTP providers have. CORS is the server's own business.
var httpFields = names("default_path name title route cors")

var routeKey = regexp.MustCompile(`^([A-Za-z]+)(?:\s+(/\S*))?$`)

func (m *machine) provideRoutes(l *glua.LState, t *glua.LTable) {
	m.known(l, "http", t, httpFields)
	c := m.call
	c.app = m.itemName(l, "http", t)
	c.path = m.mountPath(l, t)
	list, ok := t.RawGetString("route").(*glua.LTable)
	if !ok {
		l.RaiseError(`module:provides("http"): route is a %s, not a table such as { ["POST /changed"] = function(event) … end }`, t.RawGetString("route").Type())
	}
	list.ForEach(func(k, v glua.LValue) {
		parts := routeKey.FindStringSubmatch(k.String())
		if _, named := k.(glua.LString); !named || parts == nil || strings.Contains(strings.TrimSuffix(parts[2], "/*"), "*") {
			l.RaiseError(`module:provides("http"): %q is no route such as "POST /changed" or "GET /below/*"`, k.String())
		}
		c.routes = append(c.routes, route{plugins.Route{Method: strings.ToUpper(parts[1]), Path: parts[2]}, v})
	})
	slices.SortStableFunc(c.routes, func(a, b route) int { // tables have no order
		return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
	})
	for i, r := range c.routes {
		if i > 0 && r.Route == c.routes[i-1].Route {
			l.RaiseError(`module:provides("http"): %s is there twice`, r.Method+" "+r.Path)
		}
	}
	if len(c.routes) == 0 {
		l.RaiseError(`module:provides("http"): no routes`)
	}
}

// mountPath is where the routes want to be: default_path, or "/" and the name without "http_", as in Prosody.
func (m *machine) mountPath(l *glua.LState, t *glua.LTable) string {
	path := "/" + m.call.app
	switch p := t.RawGetString("default_path").(type) {
	case glua.LString:
		path = strings.ReplaceAll(string(p), "$host", m.plugin.host)
	case *glua.LNilType:
	default:
		l.RaiseError(`module:provides("http"): default_path is a %s, not a string`, p.Type())
	}
	if !strings.HasPrefix(path, "/") {
		l.RaiseError(`module:provides("http"): default_path %q does not begin with a slash`, path)
	}
	return path
}

// routeName is "POST /crm/changed".
func (p *Plugin) routeName(i int) string {
	if i >= len(p.info.Routes) {
		return fmt.Sprintf("route %d", i+1)
	}
	return p.info.Routes[i].Method + " " + strings.TrimSuffix(p.info.Path, "/") + p.info.Routes[i].Path
}

// Handle has the script's function for a route answer a request.
func (p *Plugin) Handle(ctx context.Context, in plugins.Call) (plugins.Reply, error) {
	if in.Route < 0 || in.Route >= len(p.info.Routes) {
		return p.Nothing.Handle(ctx, in)
	}
	c := &call{work: plugins.WorkHTTP, index: in.Route}
	var out plugins.Reply
	var refusal error
	err := p.run(ctx, c, func(m *machine, l *glua.LState) (err error) {
		out, refusal, err = m.handle(l, in)
		return err
	})
	if err != nil {
		return plugins.Reply{}, err
	}
	return out, refusal
}

// handle calls the function of a route. An error of the backend's is its second result, one of the script its third.
func (m *machine) handle(l *glua.LState, in plugins.Call) (out plugins.Reply, refusal, err error) {
	c := m.call
	want := m.plugin.info.Routes[in.Route]
	if in.Route >= len(c.routes) || c.routes[in.Route].Route != want {
		return out, nil, m.changed(fmt.Sprintf("the route %q", want.Method+" "+want.Path))
	}
	response := m.newResponse(l)
	r := results{c.routes[in.Route].handler, glua.LNil, glua.LNil}
	if f, ok := r[0].(*glua.LFunction); ok {
		event := l.CreateTable(0, 2)
		event.RawSetString("request", m.requestTable(l, in))
		event.RawSetString("response", response)
		args := []glua.LValue{event}
		if strings.HasSuffix(want.Path, "/*") {
			args = append(args, glua.LString(in.Rest))
		}
		if r, refusal, err = m.ask(l, "the handler of "+m.plugin.routeName(in.Route), f, args...); err != nil || refusal != nil {
			return out, refusal, err
		}
	}
	if err = m.takeReply(l, response, r); err != nil {
		return out, nil, err
	}
	m.finish(l)
	return *c.reply, nil, nil
}

// takeReply makes the answer of what a handler returned, with what these values mean in Prosody.
func (m *machine) takeReply(l *glua.LState, response *glua.LTable, r results) error {
	c := m.call
	if c.reply != nil { // by response:send
		return nil
	}
	var body glua.LValue = glua.LNil
	switch t := r[0].(type) {
	case *glua.LNilType:
		response.RawSetString("status_code", glua.LNumber(http.StatusNotFound))
	case glua.LString:
		body = t
	case glua.LNumber:
		response.RawSetString("status_code", t)
	case *glua.LTable:
		if err := merge(response, t); err != nil {
			return err
		}
	case glua.LBool:
		if !t {
			return wrong("a handler returned false, which is no answer")
		}
		for c.reply == nil {
			if !m.step(l) {
				return wrong("a handler returned true, but response:send was not called, and nothing is under way that could call it")
			}
		}
		return nil
	default:
		return wrong("a handler returned a %s, which is no answer", t.Type())
	}
	return m.send(response, body)
}

// merge puts a table that a handler returned into the response.
func merge(response, t *glua.LTable) (err error) {
	t.ForEach(func(k, v glua.LValue) {
		switch k.String() {
		case "status_code", "body":
			response.RawSet(k, v)
		case "headers":
			headers, isTable := response.RawGetString("headers").(*glua.LTable)
			more, ok := v.(*glua.LTable)
			if !ok || !isTable {
				err = wrong("a handler returned headers: a %s, not a table", v.Type())
				return
			}
			more.ForEach(headers.RawSet)
		default:
			err = wrong("a handler returned a table with %s: an answer has status_code, headers and body", k.String())
		}
	})
	return err
}

// newResponse is event.response.
func (m *machine) newResponse(l *glua.LState) *glua.LTable {
	t := l.CreateTable(0, 4)
	t.RawSetString("status_code", glua.LNumber(http.StatusOK))
	t.RawSetString("headers", l.CreateTable(0, 4))
	t.RawSetString("send", l.NewFunction(func(l *glua.LState) int {
		if m.call.reply == nil { // as in Prosody, the first one counts
			if err := m.send(l.CheckTable(1), l.Get(2)); err != nil {
				l.RaiseError("response:send: %s", err.Error())
			}
		}
		return 0
	}))
	return t
}

// send turns a response into the answer.
func (m *machine) send(response *glua.LTable, body glua.LValue) error {
	out := plugins.Reply{Header: http.Header{}}
	code, ok := response.RawGetString("status_code").(glua.LNumber)
	if !ok || float64(code) != math.Trunc(float64(code)) || code < 200 || code > 599 {
		return wrong("status_code is %s, not a number from 200 to 599", shown(response.RawGetString("status_code")))
	}
	out.Status = int(code)
	if body == glua.LNil {
		body = response.RawGetString("body")
	}
	switch body.(type) {
	case glua.LString, glua.LNumber:
		out.Body = []byte(body.String())
	case *glua.LNilType:
	default:
		return wrong("body is a %s, not a string", body.Type())
	}
	headers, ok := response.RawGetString("headers").(*glua.LTable)
	if !ok {
		return wrong("headers is a %s, not a table", response.RawGetString("headers").Type())
	}
	if err := replyHeader(out.Header, headers); err != nil {
		return err
	}
	m.call.reply = &out
	return nil
}

// replyHeader reads names as Prosody writes them: content_type is Content-Type.
func replyHeader(h http.Header, t *glua.LTable) (err error) {
	t.ForEach(func(k, v glua.LValue) {
		name, isName := k.(glua.LString)
		field := strings.ReplaceAll(string(name), "_", "-")
		switch v.(type) {
		case glua.LString, glua.LNumber:
		default:
			err = wrong("headers.%s is a %s, not a string", k.String(), v.Type())
			return
		}
		if !isName || !httpguts.ValidHeaderFieldName(field) || !httpguts.ValidHeaderFieldValue(v.String()) {
			err = wrong("headers.%s cannot be sent", k.String())
			return
		}
		h.Set(field, v.String())
	})
	return err
}

// shown is a value in an error.
func shown(v glua.LValue) string {
	if n, ok := v.(glua.LNumber); ok {
		return n.String()
	}
	return "a " + v.Type().String()
}

// requestTable is event.request.
func (m *machine) requestTable(l *glua.LState, in plugins.Call) *glua.LTable {
	t := l.CreateTable(0, 9)
	for name, v := range map[string]string{"method": in.Method, "path": in.Path, "body": string(in.Body), "host": in.Host, "httpversion": "1.1"} {
		t.RawSetString(name, glua.LString(v))
	}
	if in.From.IsValid() {
		t.RawSetString("ip", glua.LString(in.From.String()))
	}
	t.RawSetString("secure", glua.LBool(in.Secure))
	u := l.CreateTable(0, 2)
	u.RawSetString("path", glua.LString(in.Path))
	u.RawSetString("query", orNil(in.Query))
	t.RawSetString("url", u)
	headers := m.requestHeaders(l, in.Header)
	if in.Host != "" { // which Go takes out of them
		headers.RawSetString("host", glua.LString(in.Host))
	}
	t.RawSetString("headers", headers)
	return t
}

// requestHeaders has the fields as Prosody names them, content_type; content-type and Content-Type find them too.
func (m *machine) requestHeaders(l *glua.LState, h http.Header) *glua.LTable {
	t := l.CreateTable(0, len(h))
	all := headerTable(l, h)
	all.ForEach(func(k, v glua.LValue) { t.RawSetString(underscored(k.String()), v) })
	t.Metatable = m.meta("__index", l.NewFunction(func(l *glua.LState) int {
		l.Push(l.CheckTable(1).RawGetString(underscored(l.Get(2).String())))
		return 1
	}))
	return t
}

func underscored(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "_") }
