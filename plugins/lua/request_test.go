package lua_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"rosterd/plugins"
	"rosterd/plugins/lua"
)

// asking are services that keep what they were asked.
type asking struct {
	canned
	asked *[]plugins.HTTPRequest
}

func (a asking) HTTP(_ context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	*a.asked = append(*a.asked, r)
	return &plugins.HTTPResponse{Status: 404}, nil
}

// TestRequestFields: what a script says of redirects and of time is what its services are asked.
func TestRequestFields(t *testing.T) {
	for _, tt := range []struct {
		name, fields string
		redirects    int
		timeout      time.Duration
		err          string
	}{
		{name: "none"},
		{name: "both", fields: "max_redirects = 2, timeout = 1.5", redirects: 2, timeout: 1500 * time.Millisecond},
		{name: "too many redirects", fields: "max_redirects = 4", err: "max_redirects is 4, not a number from 0 to 3"},
		{name: "true", fields: "max_redirects = true", err: "max_redirects is true, not a number from 0 to 3"},
		{name: "less than none", fields: "max_redirects = -1", err: "max_redirects is -1, not a number from 0 to 3"},
		{name: "no number", fields: "timeout = 0/0", err: "timeout is nan, not a number from 0 to 3600"},
		{name: "headers as a list", fields: `headers = { "Accept: text/csv" }`, err: `headers has a number where the name of a header is expected`},
		{name: "for ever", fields: "timeout = 1/0", err: "not a number from 0 to 3600"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code := `local http = require "net.http"
				module:provides("roster", { fetch = function() return http.request("http://localhost/", { ` + tt.fields + ` }) end })`
			var asked []plugins.HTTPRequest
			src := plugins.Source{Name: "test", File: "mod_test.lua", Code: []byte(code)}
			p, err := lua.Open(t.Context(), src, plugins.Host{Name: "example.com"}, plugins.NewOptions(options{}), asking{asked: &asked})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			_, err = p.Fetch(t.Context(), request("jim"))
			if tt.err != "" {
				if err == nil || !strings.Contains(strings.ToLower(err.Error()), tt.err) || len(asked) > 0 {
					t.Errorf("error %v, want %q; asked %d times", err, tt.err, len(asked))
				}
				return
			}
			if len(asked) != 1 || asked[0].Redirects != tt.redirects || asked[0].Timeout != tt.timeout {
				t.Errorf("asked %+v, %v", asked, err)
			}
		})
	}
}

// TestSecretOptions: a script that would read a secret of the server does not load, and is told where.
func TestSecretOptions(t *testing.T) {
	for _, read := range []string{"get_option", "get_option_string", "get_option_array", "get_option_set", "get_option_number", "get_option_boolean", "get_option_period", "get_option_scalar"} {
		code := "local x = 1\nlocal s = module:" + read + "('rosterd_refresh_token', nil)\nmodule:provides('roster', { fetch = function() return {} end })"
		src := plugins.Source{Name: "test", File: "mod_test.lua", Code: []byte(code)}
		_, err := lua.Open(t.Context(), src, plugins.Host{Name: "example.com"}, plugins.NewOptions(options{"rosterd_refresh_token": "geheim"}), canned{})
		if err == nil || !strings.Contains(err.Error(), "mod_test.lua:2: option rosterd_refresh_token: it is a secret of the server") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", read, err)
		}
	}
}
