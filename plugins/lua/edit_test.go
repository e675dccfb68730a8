package lua_test

import (
	"errors"
	"strings"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/plugins"
)

func TestEdit(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"taken", `return true`, "ok"},
		{"what it is told", `
			assert(user == "jim" and c.action == "subscribe" and c.contact == "joe@example.net" and c.name == "Joe" and c.subscription == "to")
			assert(#c.groups == 2 and c.groups[2] == "b" and c.ask == "subscribe" and c.approved == true and c.id == "17")
			assert(c.host == "example.com" and c.jid == "jim@example.com" and c.rev == nil and c.etag == nil)
			return true`, "ok"},
		{"no", `return nil, "denied", "ask\nJane"`, "veto: ask Jane"},
		{"no, without a word", `return nil, "denied"`, "veto: "},
		{"no such contact", `return nil, "not-found"`, "no item"},
		{"not now", `return nil, "temporary", "later"`, "temporary: later"},
		{"as a request says it", `return http.request("http://backend/down")`, "temporary: GET http://backend/down: connection refused"},
		{"as the backend says it", `return http.request("http://backend/nobody")`, "no item"},
		{"nothing", `return nil`, "fault protocol"},
		{"false", `return false`, "fault protocol"},
		{"contacts", `return { ["a@x"] = {} }`, "fault protocol"},
		{"another word", `return nil, "perhaps"`, "fault protocol"},
		{"a mistake", `error("oh")`, "fault trap"},
		{"a promise", `local promise = require "util.promise" return promise.resolve(true)`, "ok"},
		{"a promise that is rejected", `local promise = require "util.promise" return promise.reject("oh")`, "temporary: oh"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustIn(t, &world{}, `local http = require "net.http"
				module:provides("roster", { fetch = function() return {} end, edit = function(user, c) `+tt.body+` end })`)
			if i := p.Info(); !i.Roster || !i.Edit {
				t.Errorf("supplies %+v", i)
			}
			err := p.Edit(soon(t), engine.Edit{
				ID: "17", User: addr.MustBare("jim@example.com"), Contact: addr.MustBare("joe@example.net"), Action: engine.OutSubscribe, Rev: "another:1",
				Item: roster.Item{Name: "Joe", Groups: []string{"a", "b"}, Subscription: roster.To, Ask: true, Approved: true},
			})
			got := outcome(err)
			var veto *engine.VetoError
			switch {
			case errors.As(err, &veto):
				got = "veto: " + veto.Text
			case errors.Is(err, engine.ErrNoItem):
				got = "no item"
			}
			if tt.want == "ok" && got != "ok" || !strings.HasPrefix(got, tt.want) || tt.want == "veto: " && got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
	p := mustIn(t, &world{}, `module:provides("roster", { fetch = function() return {} end })`)
	if err := p.Edit(soon(t), engine.Edit{User: addr.MustBare("jim@example.com")}); p.Info().Edit || !errors.Is(err, plugins.ErrUnsupported) {
		t.Errorf("without edit: %v", err)
	}
	if _, err := in(t, &world{}, `module:provides("roster", { fetch = function() return {} end, edit = 5 })`); err == nil || !strings.Contains(err.Error(), "edit is a number") {
		t.Errorf("an edit that is no function: %v", err)
	}
}
