package lua_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/plugins"
)

func TestCard(t *testing.T) {
	pages := map[string]string{"/jim": `{"fn":"Jim","photo":{"type":"image/png","data":"YWJj"}}`, "/odd": `{"fn":[]}`}
	for _, tt := range []struct{ name, body, want string }{
		{"a table", `return { fn = "Jim", email = { "a@x", "b@x" }, more = true }`, `{"fn":"Jim","email":["a@x","b@x"]}`},
		{"what it is told", `return { fn = r.username, nickname = r.host, note = r.jid }`, `{"fn":"jim","nickname":"example.com","note":"jim@example.com"}`},
		{"a picture", `return { photo = { type = "image/png", data = "YWJj" } }`, `{"photo":{"type":"image/png","data":"YWJj"}}`},
		{"an empty table", `return {}`, `{}`},
		{"what the backend says", `return http.request("http://backend/jim")`, pages["/jim"]},
		{"no such user", `return http.request("http://backend/status/404")`, `{}`},
		{"not found", `return nil, "not-found"`, `{}`},
		{"a promise", `return require "util.promise".resolve({ fn = "Jim" })`, `{"fn":"Jim"}`},
		{"not now", `return nil, "temporary", "later"`, "temporary: later"},
		{"the backend is down", `return http.request("http://backend/down")`, "temporary: GET http://backend/down: connection refused"},
		{"the backend fails", `return http.request("http://backend/status/503")`, "temporary: GET http://backend/status/503"},
		{"our credentials", `return http.request("http://backend/status/403")`, "temporary: "},
		{"a wrong field", `return { fn = 5 }`, "permanent: vCard of jim@example.com: fn: a number, not a string"},
		{"a wrong field of the backend", `return http.request("http://backend/odd")`, "permanent: vCard of jim@example.com: fn: a list, not a string"},
		{"a function", `return { fn = print }`, "fault protocol"},
		{"text", `return "Jim"`, "fault protocol"},
		{"nothing", `return nil`, "fault protocol"},
		{"a mistake", `error("oh")`, "fault trap"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustIn(t, &world{pages: pages}, `local http = require "net.http"
				module:provides("roster", { fetch = function() return {} end, vcard = function(r) `+tt.body+` end })`)
			if !p.Info().Card {
				t.Error("supplies no vCards")
			}
			c, err := p.Card(soon(t), addr.MustBare("jim@example.com"))
			got := outcome(err)
			if err == nil {
				b, _ := json.Marshal(c)
				got = string(b)
			}
			if got != tt.want && (strings.HasPrefix(tt.want, "{") || !strings.HasPrefix(got, tt.want)) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
	p := mustIn(t, &world{}, `module:provides("roster", { fetch = function() return {} end })`)
	if _, err := p.Card(soon(t), addr.MustBare("jim@example.com")); p.Info().Card || !errors.Is(err, plugins.ErrUnsupported) {
		t.Errorf("without vcard: %v", err)
	}
}
