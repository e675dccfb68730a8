package plugins_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
)

func TestEdited(t *testing.T) {
	const text, page = "text/plain; charset=utf-8", "text/html"
	veto := func(words string) string { return "veto: " + words }
	for _, tt := range []struct {
		name       string
		status     int
		kind, body string
		want       string
	}{
		{"taken", 204, "", "", "ok"},
		{"taken, for later", 202, "", "", "ok"},
		{"no", 403, text, "ask Jane\n", veto("ask Jane")},
		{"no, in capitals", 409, "TEXT/PLAIN", "not twice", veto("not twice")},
		{"no, with a page", 403, page, "<h1>Forbidden</h1>", veto("")},
		{"no, with what cannot be printed", 403, text, "a\x00b\x1b[2J\xff\tc", veto("ab[2J c")},
		{"no, at length", 403, text, strings.Repeat("é", 5000), veto(strings.Repeat("é", 512) + "…")},
		{"no such contact", 404, text, "x", "no item"},
		{"refused", 401, "", "", "permanent"},
		{"not known there", 405, "", "", "permanent"},
		{"led away", 307, "", "", "permanent"},
		{"another roster", 412, "", "", "temporary"},
		{"too often", 429, "", "", "temporary 7s"},
		{"down", 503, "", "", "temporary 7s"},
	} {
		r := &plugins.HTTPResponse{Method: "PUT", URL: "http://x/y", Status: tt.status, Header: http.Header{"Retry-After": {"7"}}, Body: []byte(tt.body)}
		if tt.kind != "" {
			r.Header.Set("Content-Type", tt.kind)
		}
		err := r.Edited(time.Now())
		var got string
		var no *engine.VetoError
		var temporary *engine.TemporaryError
		var permanent *engine.PermanentError
		switch {
		case err == nil:
			got = "ok"
		case errors.As(err, &no):
			got = veto(no.Text)
		case errors.Is(err, engine.ErrNoItem):
			got = "no item"
		case errors.As(err, &temporary) && temporary.RetryAfter > 0:
			got = "temporary " + temporary.RetryAfter.String()
		case errors.As(err, &temporary):
			got = "temporary"
		case errors.As(err, &permanent):
			got = "permanent"
		}
		if got != tt.want {
			t.Errorf("%s: %.200s, want %.200s (%v)", tt.name, got, tt.want, err)
		}
	}
}

func TestStrongETag(t *testing.T) {
	for rev, want := range map[string]string{"etag=%2242%22&of=x": `"42"`, "etag=W%2F%2242%22&of=x": "", "of=x": "", "": "", "%zz": ""} {
		if got := plugins.StrongETag(rev); got != want {
			t.Errorf("%q: %q, want %q", rev, got, want)
		}
	}
}
