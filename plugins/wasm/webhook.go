package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"golang.org/x/net/http/httpguts"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
)

// webhookRoutes are all ways in, of which the module makes what it likes.
func webhookRoutes() (list []plugins.Route) {
	for _, path := range []string{"", "/*"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			list = append(list, plugins.Route{Method: method, Path: path})
		}
	}
	return list
}

// Handle has the module's rosterd_webhook answer a request, and refreshes the rosters that it names.
func (p *Plugin) Handle(ctx context.Context, in plugins.Call) (plugins.Reply, error) {
	if in.Route < 0 || in.Route >= len(p.info.Routes) {
		return p.Nothing.Handle(ctx, in)
	}
	c := &call{
		Context: ctx, plugin: p, op: opWebhook, webhook: &in, started: p.svc.Now(),
		response: &plugins.HTTPResponse{Method: in.Method, URL: in.Path, Header: in.Header, Body: in.Body},
	}
	var out reply
	err := p.run(c, func() (err error) {
		out, err = readReply(c.output)
		return err
	})
	switch {
	case errors.Is(err, engine.ErrUnknownUser):
		return c.refused(http.StatusNotFound, engine.ErrUnknownUser, err), nil
	case errors.Is(err, engine.ErrDenied):
		return c.refused(http.StatusForbidden, engine.ErrDenied, err), nil
	case err != nil:
		return plugins.Reply{}, err
	}
	return p.reply(c, out)
}

// refused is the answer for what the module has returned. Why, if it has said so, is for the log.
func (c *call) refused(status int, is, err error) plugins.Reply {
	if why, found := strings.CutPrefix(err.Error(), is.Error()+": "); found {
		c.log(slog.LevelInfo, fmt.Sprintf("%d %s: %s", status, http.StatusText(status), why))
	}
	return plugins.Reply{Status: status}
}

// reply is what rosterd_webhook writes.
type reply struct {
	plugins.Reply
	refresh  []string
	answered bool // with a status or a body of the module's own
}

func readReply(out []byte) (r reply, err error) {
	if len(out) == 0 {
		return r, nil
	}
	err = object("the output", out, func(name string, v gjson.Result) (err error) {
		switch name {
		case "refresh":
			r.refresh, err = namesOf(v)
		case "status":
			var n int64
			n, err = integerOf(name, v, 599)
			if err == nil && n < 200 {
				err = fmt.Errorf("status %d is none from 200 to 599", n)
			}
			r.Status, r.answered = int(n), true
		case "headers":
			r.Header, err = headerOf(v)
			for field, values := range r.Header {
				if !httpguts.ValidHeaderFieldName(field) || !httpguts.ValidHeaderFieldValue(values[0]) {
					err = fmt.Errorf("header field %q cannot be sent", brief(field))
				}
			}
		case "body":
			var s string
			s, err = stringOf(name, v)
			r.Body, r.answered = []byte(s), true
		default:
			err = fmt.Errorf("a field %q is not known", brief(name))
		}
		return err
	})
	if err != nil {
		return r, wrong("%v", err)
	}
	return r, nil
}

func namesOf(v gjson.Result) (names []string, err error) {
	if !v.IsArray() {
		return nil, errors.New("refresh is no array")
	}
	v.ForEach(func(_, v gjson.Result) bool {
		var s string
		s, err = stringOf("a name in refresh", v)
		names = append(names, s)
		return err == nil
	})
	return names, err
}

// reply refreshes, and answers as the refresh API does where the module does not.
func (p *Plugin) reply(c *call, r reply) (plugins.Reply, error) {
	var did plugins.Refreshed
	if len(r.refresh) > 0 {
		var err error
		did, err = p.svc.Refresh(c.Context, p.localparts(r.refresh))
		switch {
		case errors.Is(err, plugins.ErrLimit):
			return plugins.Reply{}, p.failure(c, wrong("%s: %v", c.op.export(), err))
		case err != nil:
			return plugins.Reply{}, &engine.TemporaryError{Err: err}
		}
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	switch {
	case r.answered:
	case len(r.refresh) == 0:
		r.Status = http.StatusNoContent
	default:
		r.Header.Set("Content-Type", "application/json")
		r.Body = refreshed(did)
	}
	return r.Reply, nil
}

// localparts are users' names as a refresh takes them. One of another host is none, and is counted as such.
func (p *Plugin) localparts(names []string) []string {
	for i, name := range names {
		if j, err := addr.Parse(name); err == nil && j.IsBare() && j.Domain() == p.host && j.Local() != "" {
			names[i] = j.Local()
		}
	}
	return names
}

// refreshed is the answer of the refresh API.
func refreshed(did plugins.Refreshed) []byte {
	a := struct {
		Status  string `json:"status"`
		Message string `json:"message"`
		Updated int    `json:"updated"`
		Errors  int    `json:"errors"`
	}{"ok", "roster update complete", did.Updated, did.Errors}
	if did.Updated == 0 && did.Errors > 0 {
		a.Status, a.Message = "error", "roster update failed"
	}
	b, err := json.Marshal(a)
	if err != nil { // it has nothing that JSON cannot have
		panic(err)
	}
	return b
}

// appendWebhook writes the request that the module is to answer.
func (c *call) appendWebhook(b []byte) []byte {
	in := c.webhook
	field := func(name, value string) {
		b = append(append(append(b, `,"`...), name...), `":`...)
		b = gjson.AppendJSONString(b, value)
	}
	field("host", c.plugin.host)
	field("method", in.Method)
	field("path", in.Path)
	field("rest", strings.TrimPrefix(in.Rest, "/"))
	field("query", in.Query)
	if in.From.IsValid() {
		field("from", in.From.String())
	} else {
		field("from", "")
	}
	b = strconv.AppendBool(append(b, `,"secure":`...), in.Secure)
	h := in.Header
	if in.Host != "" { // which Go takes out of them
		h = h.Clone()
		if h == nil {
			h = http.Header{}
		}
		h.Set("Host", in.Host)
	}
	return appendHeader(append(b, `,"headers":`...), h)
}
