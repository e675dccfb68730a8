package lua

import (
	"context"
	"fmt"
	"time"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine"
	"rosterd/plugins"
)

// call is one piece of work for a script: what it is asked, what it provides this time, and what it leaves behind.
// A machine has one at a time, and all Lua of it runs on one goroutine.
type call struct {
	work    plugins.Work   // "" while the script is loaded
	request engine.Request // for a roster; of other work about a user, only the user is set
	rev     string         // for the script: the revision that we hold
	index   int            // of the route or the timer, in what the script provided when it was loaded

	ctx     context.Context
	running bool // the script itself has run; its functions are called now
	in      *glua.LFunction
	env     *glua.LTable
	module  *glua.LTable
	loaded  []loaded // by require
	null    *glua.LTable
	supply

	sent    []exchange
	events  *events        // nil until there is something to wait for
	promise *promise       // nil until util.promise is required
	alone   []*glua.LTable // promises that were rejected when nobody looked at them
	reply   *plugins.Reply

	started time.Time
	waited  time.Duration         // for HTTP, and for rosters
	httpErr error                 // of the last request that failed
	mapped  *plugins.HTTPResponse // what map is reading
	asked   int                   // HTTP requests
	values  int                   // of JSON, decoded or encoded
	nodes   int                   // of XML, read
	lines   int                   // logged
}

type loaded struct {
	name  string
	table *glua.LTable
}

// exchange is a response and the table that stands for it.
type exchange struct {
	table *glua.LTable
	res   *plugins.HTTPResponse
}

func (c *call) loading() bool { return c.work == "" }

// end stops what a script has begun and not waited for.
func (c *call) end() {
	if c.events != nil {
		c.events.stop()
	}
}

// subject is what a call is about, for errors and logs.
func (p *Plugin) subject(c *call) string {
	switch c.work {
	case plugins.WorkAuth:
		return "auth of " + c.request.User.String()
	case plugins.WorkEdit:
		return "edit of the roster of " + c.request.User.String()
	case plugins.WorkCard:
		return "vCard of " + c.request.User.String()
	case plugins.WorkHTTP:
		return fmt.Sprintf("http %s for %s", p.routeName(c.index), p.host)
	case plugins.WorkTimer:
		return fmt.Sprintf("timer %d for %s", c.index, p.host)
	}
	return "roster of " + c.request.User.String()
}

// attributes are what a line in the log says of the call.
func (p *Plugin) attributes(c *call) []any {
	switch c.work {
	case plugins.WorkHTTP:
		return []any{"call", string(c.work), "route", p.routeName(c.index)}
	case plugins.WorkTimer:
		return []any{"call", string(c.work), "timer", c.index}
	}
	return []any{"user", c.request.User.String(), "call", string(c.work)}
}

// waiting refuses to wait for anything before the script itself has run: it runs for every call.
func (m *machine) waiting(l *glua.LState, what string) {
	if !m.call.running {
		l.RaiseError("%s is for functions given to module:provides and the like: the script itself must not wait", what)
	}
}
