package httpd

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// says answers with its own word and the path that it sees.
func says(word string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", word, r.URL.EscapedPath())
	})
}

func TestHostHeader(t *testing.T) {
	hosts := []Host{
		{Name: "example.com", Mounts: []Mount{{Path: "/who", Handler: says("com")}}},
		{Name: "bücher.example", Mounts: []Mount{{Path: "/who", Handler: says("idn")}}},
		{Name: "[2001:db8::1]", Mounts: []Mount{{Path: "/who", Handler: says("v6")}}},
		{Name: "192.0.2.1", Mounts: []Mount{{Path: "/who", Handler: says("v4")}}},
		{Name: "example.net", HTTPHost: "chat.example.net", Mounts: []Mount{{Path: "/who", Handler: says("net")}}},
		{Name: "my_host", Mounts: []Mount{{Path: "/who", Handler: says("underscore")}}},
	}
	addr := start(t, &Server{}, hosts, "")
	tests := []struct{ host, want string }{
		{"example.com", "com"},
		{"example.com:5280", "com"},
		{"example.com:", "com"},
		{"EXAMPLE.Com", "com"},
		{"example.com.", "com"},
		{"example.com.:80", "com"},
		{"xn--bcher-kva.example", "idn"},
		{"XN--BCHER-KVA.example:443", "idn"},
		{"[2001:db8::1]", "v6"},
		{"[2001:DB8:0:0::1]:5280", "v6"},
		{"192.0.2.1:80", "v4"},
		{"[::ffff:192.0.2.1]:80", "v4"},
		{"chat.example.net", "net"},
		{"example.net", "net"},
		{"my_host", "underscore"},
		{"www.example.com", ""},
		{"com", ""},
		{"example.com.evil.example", ""},
		{"[example.com]x", ""},
		{"example.com:80:80", ""},
		{"127.0.0.1:5280", ""},
		{"localhost", ""},
		{"", ""},
	}
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			got := ask(t, addr, "GET", "/who", tt.host, "")
			if tt.want == "" {
				if got.status != 404 {
					t.Errorf("answered %+v, want 404", got)
				}
				checkRefusal(t, got, fmt.Sprintf("no VirtualHost is served as %q here", tt.host))
			} else if want := tt.want + " /"; got.body != want {
				t.Errorf("answered %d %q, want %q", got.status, got.body, want)
			}
		})
	}
	t.Run("absolute form decides over Host", func(t *testing.T) { // RFC 9112 §3.2.2
		if got := ask(t, addr, "GET", "http://chat.example.net/who", "example.com", ""); got.body != "net /" {
			t.Errorf("answered %+v", got)
		}
	})
}

func TestFallback(t *testing.T) {
	rosters := func(name string) Host {
		return Host{Name: name, Refresh: &Refresh{Refresher: refresherFunc(outcomes)}}
	}
	plain := func(name string) Host { return Host{Name: name} }
	tests := []struct {
		name        string
		hosts       []Host
		defaultHost string
		host        string // asked for
		want        string // the host that was refreshed, "" for 404
	}{
		{"the only one", []Host{rosters("a.example")}, "", "127.0.0.1:5280", "a.example"},
		{"the only one with rosters", []Host{plain("b.example"), rosters("a.example"), plain("c.example")}, "", "localhost", "a.example"},
		{"one of two", []Host{rosters("a.example"), rosters("b.example")}, "", "localhost", ""},
		{"one of two, by default", []Host{rosters("a.example"), rosters("b.example")}, "b.example", "localhost", "b.example"},
		{"default in another case", []Host{rosters("a.example"), rosters("b.example")}, "B.Example", "localhost", "b.example"},
		{"default without rosters", []Host{rosters("a.example"), plain("b.example")}, "b.example", "localhost", ""},
		{"default that is not here", []Host{rosters("a.example")}, "upload.example", "localhost", "a.example"},
		{"default is an http_host", []Host{rosters("a.example"), {Name: "b.example", HTTPHost: "chat.example", Refresh: rosters("").Refresh}}, "chat.example", "localhost", "b.example"},
		{"the Host header decides first", []Host{rosters("a.example"), rosters("b.example")}, "b.example", "a.example", "a.example"},
		{"a known host never falls back", []Host{rosters("a.example"), plain("b.example")}, "a.example", "b.example", ""},
		{"no host", nil, "", "localhost", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := start(t, &Server{}, tt.hosts, tt.defaultHost)
			got := ask(t, addr, "GET", "/roster_admin/refresh/failed", tt.host, "")
			if tt.want == "" {
				if got.status != 404 {
					t.Errorf("answered %+v, want 404", got)
				}
				return
			}
			if got.status != 200 || !strings.Contains(got.body, "why it failed on "+tt.want+`"`) {
				t.Errorf("answered %+v, want %s", got, tt.want)
			}
		})
	}
}

func TestUnknownDefaultHostIsLogged(t *testing.T) {
	log := new(lockedBuffer)
	s := &Server{Log: slog.New(slog.NewTextHandler(log, nil))}
	if err := s.SetHosts(nil, "upload.example"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "http_default_host=upload.example") {
		t.Errorf("log: %s", log)
	}
}

func TestMounts(t *testing.T) {
	rosters := &Refresh{Refresher: refresherFunc(outcomes), Path: "/$host/rosters/"}
	hosts := []Host{
		{Name: "a.example", HTTPHost: "chat.example", Refresh: rosters, Mounts: []Mount{
			{Path: "/", Handler: says("root")},
			{Path: "files/", Handler: says("files")},
			{Path: "/files/deep", Handler: says("deep")},
			{Path: "/x:y/*z", Handler: says("odd")},
			{Path: "/$hostess/$host/$other", Handler: says("variables")},
			{Path: "/päth", Handler: says("utf8")},
		}},
		{Name: "b.example", HTTPHost: "chat.example", Refresh: rosters},
	}
	addr := start(t, &Server{}, hosts, "")
	tests := []struct {
		name, host, target string
		status             int
		want               string // part of the body
	}{
		{"root", "chat.example", "/", 200, "root /"},
		{"below root", "chat.example", "/filesystem", 200, "root /filesystem"},
		{"mount itself", "chat.example", "/files", 200, "files /"},
		{"mount with slash", "chat.example", "/files/", 200, "files /"},
		{"below", "chat.example", "/files/a/b%2Fc", 200, "files /a/b%2Fc"},
		{"longest wins", "chat.example", "/files/deep/a", 200, "deep /a"},
		{"escaped prefix", "chat.example", "/%66iles/%61", 200, "files /a"},
		{"no pattern", "chat.example", "/x:y/*z/1", 200, "odd /1"},
		{"not taken as a pattern", "chat.example", "/x1/2", 200, "root /x1/2"},
		{"variables", "chat.example", "/$hostess/a.example/$other", 200, "variables /"},
		{"UTF-8", "chat.example", "/p%C3%A4th/%C3%B6", 200, "utf8 /%C3%B6"},
		{"rosters of one", "chat.example", "/a.example/rosters/refresh/failed", 200, "why it failed on a.example"},
		{"rosters of the other", "chat.example", "/b.example/rosters/refresh/failed", 200, "why it failed on b.example"},
		{"by its own name", "b.example", "/b.example/rosters/refresh/failed", 200, "why it failed on b.example"},
		{"not the other's by its own name", "b.example", "/a.example/rosters/refresh/failed", 404, "nothing is served"},
		{"nor the other's files", "b.example", "/files", 404, "nothing is served at /files on b.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ask(t, addr, "GET", tt.target, tt.host, ""); got.status != tt.status || !strings.Contains(got.body, tt.want) {
				t.Errorf("answered %d %q, want %d with %q", got.status, got.body, tt.status, tt.want)
			}
		})
	}
}

// TestSharedMounts: what serves all VirtualHosts alike is there once under an http_host, and at each of their own names.
func TestSharedMounts(t *testing.T) {
	shared := func(name, path, word string) Mount {
		return Mount{Name: name, Path: path, Handler: says(word), Shared: true}
	}
	hosts := []Host{
		{Name: "a.example", HTTPHost: "chat.example", Mounts: []Mount{shared("websocket", "/ws", "a")}},
		{Name: "b.example", HTTPHost: "chat.example", Mounts: []Mount{shared("websocket", "/ws", "b"), shared("bosh", "/bosh", "b")}},
	}
	addr := start(t, &Server{}, hosts, "")
	for target, want := range map[string]string{
		"chat.example/ws": "a /", "a.example/ws": "a /", "b.example/ws": "b /", "chat.example/bosh": "b /", "b.example/bosh": "b /",
	} {
		host, path, _ := strings.Cut(target, "/")
		if got := ask(t, addr, "GET", "/"+path, host, ""); got.body != want {
			t.Errorf("%s: answered %d %q, want %q", target, got.status, got.body, want)
		}
	}
	for name, other := range map[string]Mount{
		"another module":         shared("bosh", "/ws", "b"),
		"one that is not shared": {Name: "websocket", Path: "/ws", Handler: says("b")},
	} {
		hosts[1].Mounts = []Mount{other}
		if err := new(Server).SetHosts(hosts, ""); err == nil || !strings.Contains(err.Error(), "taken by VirtualHost") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMountMayTakeTheConnection(t *testing.T) {
	upgrade := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		buffered.Flush()
		line, err := buffered.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		fmt.Fprint(buffered, line)
		buffered.Flush()
	})
	addr := start(t, &Server{}, []Host{{Name: "example.com", Mounts: []Mount{{Path: "/echo", Handler: upgrade}}}}, "")
	c := dial(t, addr)
	c.send(request("GET", "/echo", "example.com", "", "Connection: Upgrade", "Upgrade: echo"))
	if got := c.receive("GET"); got.status != 101 {
		t.Fatalf("answered %+v", got)
	}
	c.send("wherefore art thou\n")
	if line, err := io.ReadAll(c.in); err != nil || string(line) != "wherefore art thou\n" {
		t.Errorf("echoed %q, %v", line, err)
	}
}

func TestSetHostsRefuses(t *testing.T) {
	refresh := &Refresh{Refresher: refresherFunc(outcomes)}
	tests := []struct {
		name  string
		hosts []Host
		want  string
	}{
		{"a host twice", []Host{{Name: "a.example"}, {Name: "A.example"}}, `VirtualHost "A.example": given twice`},
		{"a path twice", []Host{{Name: "a.example", Mounts: []Mount{{Path: "/x"}, {Path: "x/"}}}}, `path /x of VirtualHost "a.example"`},
		{"the root twice", []Host{{Name: "a.example", Mounts: []Mount{{Path: "/"}, {Path: ""}}}}, `path / of VirtualHost "a.example"`},
		{"the refresh path twice", []Host{{Name: "a.example", Refresh: refresh, Mounts: []Mount{{Path: "/roster_admin"}}}}, "/roster_admin"},
		{
			"two hosts on one path", []Host{{Name: "a.example", HTTPHost: "x.example", Refresh: refresh}, {Name: "b.example", HTTPHost: "X.example", Refresh: refresh}},
			`path /roster_admin of VirtualHost "b.example": taken by VirtualHost "a.example"`,
		},
		{"the health check", []Host{{Name: "a.example", Mounts: []Mount{{Path: "/health"}}}}, "the server itself"},
		{"the metrics", []Host{{Name: "a.example", Mounts: []Mount{{Path: "metrics/"}}}}, "/metrics of VirtualHost \"a.example\": taken by the server itself"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &Server{}
			addr := start(t, s, oneHost(Refresh{}), "")
			if err := s.SetHosts(tt.hosts, ""); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("SetHosts: %v, want %q in it", err, tt.want)
			}
			if got := ask(t, addr, "GET", "/roster_admin/refresh/offline", "example.com", ""); got.status != 200 {
				t.Errorf("what was served before is no longer: %+v", got)
			}
		})
	}
}

func TestSetHostsReplaces(t *testing.T) {
	s := &Server{}
	addr := start(t, s, oneHost(Refresh{}), "")
	c := dial(t, addr)
	for _, status := range []int{200, 404} {
		c.send(request("GET", "/roster_admin/refresh/offline", "example.com", ""))
		if got := c.receive("GET"); got.status != status {
			t.Errorf("answered %+v, want %d", got, status)
		}
		if err := s.SetHosts([]Host{{Name: "example.net"}}, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBasePath(t *testing.T) {
	for path, want := range map[string]string{
		"":                   "",
		"/":                  "",
		"/roster_admin":      "/roster_admin",
		"roster_admin/":      "/roster_admin",
		"/$host":             "/example.com",
		"/$host/$host/r":     "/example.com/example.com/r",
		"/$hosts/$HOST/$/$$": "/$hosts/$HOST/$/$$",
	} {
		if got := basePath(path, "example.com"); got != want {
			t.Errorf("basePath(%q) = %q, want %q", path, got, want)
		}
	}
}

// FuzzHostKey: a Host header is the same host with a port, and in capitals.
func FuzzHostKey(f *testing.F) {
	for _, seed := range []string{"", "example.com", "EXAMPLE.com.", "[::1]", "::1", "[", "[]", ":", "a:b:c", "bücher.example", "xn--bcher-kva.example", "1.2.3.4", "[fe80::1%25eth0]", "ß.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		key := hostKey(host)
		if !strings.ContainsAny(host, ":[]") && hostKey(host+":5280") != key {
			t.Errorf("%q with a port is %q, without %q", host, hostKey(host+":5280"), key)
		}
		if ascii := strings.IndexFunc(host, func(r rune) bool { return r >= 0x80 }) < 0; ascii && hostKey(strings.ToUpper(host)) != hostKey(strings.ToLower(host)) {
			t.Errorf("%q depends on case", host)
		}
	})
}
