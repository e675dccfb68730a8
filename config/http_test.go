package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestCORS(t *testing.T) {
	all := CORS{Enabled: true, Origins: []string{"*"}}
	for _, c := range []struct {
		name, global, host, module string
		want                       CORS
	}{
		{"WebSocket unless told otherwise", "", "", "websocket", all},
		{"BOSH unless told otherwise", "", "", "bosh", all},
		{"others unless told otherwise", "", "", "files", CORS{Origins: []string{"*"}}},
		{"all", "", "cross_domain_bosh = true", "bosh", all},
		{"what is no origin matches none", "", "cross_domain_bosh = { 'https://a.example', 'meet.jitsi' }", "bosh", CORS{Enabled: true, Origins: []string{"https://a.example"}}},
		{"all, as a star", "", "cross_domain_bosh = '*'", "bosh", all},
		{"none", "", "cross_domain_bosh = false", "bosh", CORS{Origins: []string{"*"}}},
		{"one option is not the other", "", "cross_domain_bosh = false", "websocket", all},
		{"global", "cross_domain_websocket = false", "", "websocket", CORS{Origins: []string{"*"}}},
		{"list", "", "cross_domain_websocket = { 'https://Chat.example.com/', 'http://localhost:8000' }", "websocket",
			CORS{Enabled: true, Origins: []string{"https://chat.example.com", "http://localhost:8000"}}},
		{"one origin", "", "cross_domain_websocket = 'https://chat.example.com'", "websocket",
			CORS{Enabled: true, Origins: []string{"https://chat.example.com"}}},
		{"override", "", "http_cors_override = { files = { enabled = true, origins = { 'https://a.example' }, methods = { 'PUT' }, headers = { 'X-A' }, credentials = true } }", "files",
			CORS{Enabled: true, Origins: []string{"https://a.example"}, Methods: []string{"PUT"}, Headers: []string{"X-A"}, Credentials: true}},
		{"headers as Prosody has them", "", "http_cors_override = { bosh = { headers = { ['X-A'] = true, ['X-B'] = false } } }", "bosh",
			CORS{Enabled: true, Origins: []string{"*"}, Headers: []string{"X-A"}}},
		{"the override wins", "cross_domain_bosh = true", "http_cors_override = { bosh = { enabled = false } }", "bosh", CORS{Origins: []string{"*"}}},
		{"the override says only so much", "", "cross_domain_bosh = { 'https://a.example' }\nhttp_cors_override = { bosh = { credentials = true } }", "bosh",
			CORS{Enabled: true, Origins: []string{"https://a.example"}, Credentials: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := mustLoad(t, c.global+"\nVirtualHost 'h.example'\n"+c.host)
			if got := cfg.Hosts()[0].CORS(c.module); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestCORSRefused(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"word", "cross_domain_bosh = 'yes'", "takes true or false"},
		{"path", "cross_domain_bosh = { 'https://a.example/chat' }", "takes origins such as"},
		{"no scheme", "cross_domain_websocket = { 'a.example' }", "takes origins such as"},
		{"no table", "http_cors_override = true", "takes a table"},
		{"no table inside", "http_cors_override = { bosh = true }", "takes a table"},
		{"misspelt", "http_cors_override = { bosh = { origin = { '*' } } }", "origin is not known"},
		{"unreadable", "http_cors_override = { bosh = { enabled = 'no' } }", "takes true or false"},
		{"URL of something else", "http_external_url = 'ftp://a.example'", "takes a URL"},
		{"no URL", "http_external_url = '::'", "is no URL"},
		{"short secret", "rosterd_refresh_hmac_secret = 'short'", "too short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := mustLoad(t, "modules_enabled = { 'websocket', 'bosh' }\nVirtualHost 'h.example'\n"+c.line)
			for _, d := range Check(cfg) {
				if strings.Contains(d.Message, c.want) && d.Pos.Line == 3 {
					return
				}
			}
			t.Errorf("nothing says %q: %v", c.want, Check(cfg))
		})
	}
}

func TestExternalURL(t *testing.T) {
	cfg := mustLoad(t, "VirtualHost 'h.example'\nhttp_external_url = 'https://chat.example.com/xmpp'")
	if got := HTTPExternalURL.Get(cfg.Hosts()[0]); got != "https://chat.example.com/xmpp/" {
		t.Errorf("got %q", got)
	}
}

func TestSocketPath(t *testing.T) {
	long := "/run/" + strings.Repeat("x", longestSocket)
	for _, c := range []struct {
		name, head string
		line       int // 0: nothing is said
		refused    bool
	}{
		{"named", "rosterd_admin_socket = '" + long + "'", 1, true},
		{"below data_path", "data_path = '" + long + "'", 0, true},
		{"short enough", "rosterd_admin_socket = '/run/rosterd.sock'", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := mustLoad(t, c.head+"\nVirtualHost 'h.example'")
			refused := false
			for _, d := range Check(cfg) {
				if d.Name == AdminSocket.Name {
					refused = d.Severity == Refused && d.Pos.Line == c.line
				}
			}
			if refused != c.refused {
				t.Errorf("refused: %v, in %v", refused, Check(cfg))
			}
		})
	}
}

func TestWebClashes(t *testing.T) {
	const two = "modules_enabled = { 'http_roster_admin', 'websocket', 'bosh', 'http_files' }\nhttp_files_dir = '/srv/www'\nhttp_host = 'web.example'\n"
	for _, c := range []struct{ name, text, want string }{
		{"hosts that share everything", two + "VirtualHost 'a.example'\nVirtualHost 'b.example'", `VirtualHost "a.example" and VirtualHost "b.example" would both be served at /roster_admin on web.example`},
		{"and their files", two + "http_paths = { roster_admin = '/$host' }\nVirtualHost 'a.example'\nVirtualHost 'b.example'", `would both be served at /files on web.example`},
		{"streams may be shared", two + "http_paths = { roster_admin = '/$host', files = '/$host/files' }\nVirtualHost 'a.example'\nVirtualHost 'b.example'", ""},
		{"two modules of one host", two + "http_paths = { bosh = '/x', websocket = '/x' }\nVirtualHost 'a.example'", `websocket of VirtualHost "a.example" and bosh of VirtualHost "a.example" would both be served at /x`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, d := range Check(mustLoad(t, c.text)) {
				if d.Code == CodePlace {
					got = append(got, d.Message)
				}
			}
			if len(got) > 0 != (c.want != "") || c.want != "" && !strings.Contains(strings.Join(got, "\n"), c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
