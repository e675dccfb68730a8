package wasm

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"github.com/tidwall/gjson"

	"rosterd/engine"
	"rosterd/engine/roster"
	"rosterd/plugins"
)

// Fetch has the module fetch a roster, or map what the backend says of it.
func (p *Plugin) Fetch(ctx context.Context, r engine.Request) (engine.Answer, error) {
	if !p.info.Roster {
		return p.Nothing.Fetch(ctx, r)
	}
	c := &call{Context: ctx, plugin: p, op: opFetch, user: r, rev: p.tag.held(r.Rev), started: p.svc.Now()}
	if p.transform != nil {
		c.op = opTransform
		if done, a, err := p.ask(c); done {
			return a, err
		}
	}
	res := c.response // which the module may close
	var a engine.Answer
	err := p.run(c, func() (err error) {
		a, err = p.answer(c, res)
		return err
	})
	return a, err
}

// ask asks the backend for rosterd_transform. What is no answer with contacts means what it means to http_roster_admin.
func (p *Plugin) ask(c *call) (done bool, a engine.Answer, err error) {
	url, err := p.transform.Fill(c.user.User.Local())
	if err != nil {
		return true, a, &engine.PermanentError{Err: err}
	}
	res, err := c.exchange(plugins.HTTPRequest{URL: url, Revision: c.rev, Redirects: plugins.MaxRedirects})
	if err != nil {
		return true, a, &engine.TemporaryError{Err: err}
	}
	switch {
	case res.Status >= 200 && res.Status < 300:
		c.response = res
		return false, a, nil
	case res.Status == http.StatusNotModified && c.rev != "":
		p.keep(&a, res)
		a.Unchanged = true
		return true, a, nil
	}
	return true, a, res.NoRoster(p.svc.Now())
}

// keep is what a backend's answer says of being kept.
func (p *Plugin) keep(a *engine.Answer, res *plugins.HTTPResponse) {
	f := res.Freshness()
	a.MaxAge, a.StaleIfError, a.Bounded = f.MaxAge, f.StaleIfError, f.Bounded
	if res.Revision != "" {
		a.Rev = p.tag.String() + ":" + res.Revision
	}
}

// answer reads what a module has written.
func (p *Plugin) answer(c *call, res *plugins.HTTPResponse) (a engine.Answer, err error) {
	b := roster.NewBuilder(c.user.User, p.contacts)
	var d document
	switch out := c.output; {
	case len(out) == 0:
		return a, wrong("%s wrote nothing", c.plugin.export(c.op))
	case out[0] == 'R':
		d, err = decodeFlat(b, out)
	case out[0] == '{' || bytes.IndexByte([]byte(" \t\r\n"), out[0]) >= 0:
		d, err = decodeJSON(b, out)
	default:
		return a, wrong("%s wrote neither JSON nor the flat form: %q", c.plugin.export(c.op), out[:min(len(out), 40)])
	}
	if err == nil {
		err = c.checkKept(d)
	}
	if err != nil {
		return a, err
	}
	if !d.unchanged {
		if a.Roster, a.Dropped, err = b.Roster(); err != nil {
			return a, wrong("%s wrote %v", c.plugin.export(c.op), err)
		}
	}
	a.Unchanged, a.MaxAge = d.unchanged, d.maxAge
	rev := d.rev
	if d.unchanged && rev == "" {
		rev = c.rev
	}
	if rev != "" {
		a.Rev = p.tag.String() + ":" + rev
	}
	if res != nil {
		p.keep(&a, res)
		if d.maxAge > 0 {
			a.MaxAge = d.maxAge
		}
	}
	return a, nil
}

func (c *call) checkKept(d document) error {
	switch {
	case d.unchanged && c.rev == "":
		return wrong("%s wrote unchanged, but was given no rev", c.plugin.export(c.op))
	case len(d.rev) > maxRev:
		return wrong("%s wrote a rev of %d bytes, more than %d", c.plugin.export(c.op), len(d.rev), maxRev)
	case d.maxAge > maxAge:
		return wrong("%s wrote max_age %.0f, more than a year", c.plugin.export(c.op), d.maxAge.Seconds())
	}
	return nil
}

// appendMore writes what only some calls are asked.
func (c *call) appendMore(b []byte) []byte {
	field := func(name, value string) {
		b = append(append(append(b, `,"`...), name...), `":`...)
		b = gjson.AppendJSONString(b, value)
	}
	switch c.op {
	case opTransform, opFetch:
		field("reason", string(c.user.Reason))
		field("rev", c.rev)
		if c.op == opTransform {
			b = strconv.AppendInt(append(b, `,"status":`...), int64(c.response.Status), 10)
			b = appendHeader(append(b, `,"headers":`...), c.response.Header)
		}
	case opAuth:
		field("password", c.password)
	case opEdit:
		b = c.appendEdit(b)
	case opWebhook:
		b = c.appendWebhook(b)
	}
	return b
}
