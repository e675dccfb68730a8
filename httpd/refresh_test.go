package httpd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
)

func TestAnswers(t *testing.T) {
	const ok = `{"status":"ok","message":"roster update complete",`
	const failed = `{"status":"error","message":"roster update failed",`
	tests := []struct {
		name, method, target, body string
		want                       string
		asked                      []string
	}{
		{
			name: "updated", method: "POST", target: "/refresh", body: `["updated"]`,
			want:  ok + `"updated":1,"errors":0,"results":[{"name":"updated","outcome":"updated","changes":2}]}`,
			asked: []string{"updated"},
		},
		{
			name: "nothing changed, and nobody there", method: "POST", target: "/refresh", body: `["unchanged","offline"]`,
			want:  ok + `"updated":2,"errors":0,"results":[{"name":"unchanged","outcome":"unchanged"},{"name":"offline","outcome":"offline"}]}`,
			asked: []string{"unchanged", "offline"},
		},
		{
			name: "some failed", method: "POST", target: "/refresh", body: `["failed","offline"]`,
			want:  ok + `"updated":1,"errors":1,"results":[{"name":"failed","outcome":"failed","error":"why it failed on example.com"},{"name":"offline","outcome":"offline"}]}`,
			asked: []string{"failed", "offline"},
		},
		{
			name: "all failed", method: "POST", target: "/refresh", body: `["failed"]`,
			want:  failed + `"updated":0,"errors":1,"results":[{"name":"failed","outcome":"failed","error":"why it failed on example.com"}]}`,
			asked: []string{"failed"},
		},
		{
			name: "not done in time", method: "POST", target: "/refresh", body: `["pending"]`,
			want:  failed + `"updated":0,"errors":1,"results":[{"name":"pending","outcome":"pending","error":"why it pending on example.com"}]}`,
			asked: []string{"pending"},
		},
		{
			name: "no names", method: "POST", target: "/refresh", body: `[]`,
			want:  ok + `"updated":0,"errors":0,"results":[]}`,
			asked: []string{},
		},
		{
			name: "no names, with white space", method: "POST", target: "/refresh", body: " \r\n\t[ \n] \t\r\n",
			want:  ok + `"updated":0,"errors":0,"results":[]}`,
			asked: []string{},
		},
		{
			name: "a byte order mark", method: "POST", target: "/refresh", body: "\uFEFF[\"updated\"]",
			want:  ok + `"updated":1,"errors":0,"results":[{"name":"updated","outcome":"updated","changes":2}]}`,
			asked: []string{"updated"},
		},
		{
			name: "empty name", method: "POST", target: "/refresh", body: `[""]`,
			want:  failed + `"updated":0,"errors":1,"results":[{"name":"","outcome":"invalid","error":"not a valid localpart"}]}`,
			asked: []string{""},
		},
		{
			name: "no strings", method: "POST", target: "/refresh", body: `[1, true, null, ["x"], {"a":"b"}, "offline"]`,
			want: ok + `"updated":1,"errors":5,"results":[` +
				`{"name":"1","outcome":"invalid","error":"element 0 is no string but a JSON number"},` +
				`{"name":"true","outcome":"invalid","error":"element 1 is no string but a JSON boolean"},` +
				`{"name":"null","outcome":"invalid","error":"element 2 is no string but a JSON null"},` +
				`{"name":"[\"x\"]","outcome":"invalid","error":"element 3 is no string but a JSON array"},` +
				`{"name":"{\"a\":\"b\"}","outcome":"invalid","error":"element 4 is no string but a JSON object"},` +
				`{"name":"offline","outcome":"offline"}]}`,
			asked: []string{"offline"},
		},
		{
			name: "only what is no string", method: "POST", target: "/refresh", body: `[-5]`,
			want: failed + `"updated":0,"errors":1,"results":[{"name":"-5","outcome":"invalid","error":"element 0 is no string but a JSON number"}]}`,
		},
		{
			name: "duplicates", method: "POST", target: "/refresh", body: `["offline","failed","offline","\u006fffline"]`,
			want: ok + `"updated":3,"errors":1,"results":[{"name":"offline","outcome":"offline"},` +
				`{"name":"failed","outcome":"failed","error":"why it failed on example.com"},` +
				`{"name":"offline","outcome":"offline"},{"name":"offline","outcome":"offline"}]}`,
			asked: []string{"offline", "failed"},
		},
		{
			name: "names are passed as they are", method: "POST", target: "/refresh", body: `["offline-J\u00d6RG \ud83d\ude00@/"]`,
			want:  ok + `"updated":1,"errors":0,"results":[{"name":"offline-JÖRG 😀@/","outcome":"offline"}]}`,
			asked: []string{"offline-JÖRG 😀@/"},
		},
		{
			name: "trailing slash", method: "POST", target: "/refresh/", body: `["offline"]`,
			want:  ok + `"updated":1,"errors":0,"results":[{"name":"offline","outcome":"offline"}]}`,
			asked: []string{"offline"},
		},
		{
			name: "query", method: "POST", target: "/refresh?dry=1", body: `["offline"]`,
			want:  ok + `"updated":1,"errors":0,"results":[{"name":"offline","outcome":"offline"}]}`,
			asked: []string{"offline"},
		},
		{
			name: "GET", method: "GET", target: "/refresh/updated",
			want:  ok + `"updated":1,"errors":0,"results":[{"name":"updated","outcome":"updated","changes":2}]}`,
			asked: []string{"updated"},
		},
		{
			name: "GET of one that fails", method: "GET", target: "/refresh/failed",
			want:  failed + `"updated":0,"errors":1,"results":[{"name":"failed","outcome":"failed","error":"why it failed on example.com"}]}`,
			asked: []string{"failed"},
		},
		{
			name: "GET percent-decoded", method: "GET", target: "/refresh/offline-j%C3%B6rg%20%2B+%3F%23%25",
			want:  ok + `"updated":1,"errors":0,"results":[{"name":"offline-jörg ++?#%","outcome":"offline"}]}`,
			asked: []string{"offline-jörg ++?#%"},
		},
		{
			name: "GET with an escaped slash", method: "GET", target: "/refresh/offline-a%2Fb%2F",
			want:  ok + `"updated":1,"errors":0,"results":[{"name":"offline-a/b/","outcome":"offline"}]}`,
			asked: []string{"offline-a/b/"},
		},
		{
			name: "GET with a trailing slash", method: "GET", target: "/refresh/offline/",
			want:  ok + `"updated":1,"errors":0,"results":[{"name":"offline","outcome":"offline"}]}`,
			asked: []string{"offline"},
		},
		{
			name: "GET with a query", method: "GET", target: "/refresh/offline?x=y",
			want:  ok + `"updated":1,"errors":0,"results":[{"name":"offline","outcome":"offline"}]}`,
			asked: []string{"offline"},
		},
		{
			name: "GET with a body", method: "GET", target: "/refresh/offline", body: "ignored",
			want:  ok + `"updated":1,"errors":0,"results":[{"name":"offline","outcome":"offline"}]}`,
			asked: []string{"offline"},
		},
		{
			name: "GET of dots", method: "GET", target: "/refresh/..",
			want:  failed + `"updated":0,"errors":1,"results":[{"name":"..","outcome":"invalid","error":"not a valid localpart"}]}`,
			asked: []string{".."},
		},
	}
	refresher := new(calls)
	addr := start(t, &Server{}, oneHost(Refresh{Refresher: refresher}), "")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, addr, tt.method, "/roster_admin"+tt.target, "example.com", tt.body, "Content-Type: text/html")
			if got.status != 200 || got.body != tt.want {
				t.Errorf("answered %d %s\nwant 200 %s", got.status, got.body, tt.want)
			}
			if ct := got.header.Get("Content-Type"); ct != "application/json" {
				t.Errorf("Content-Type %q", ct)
			}
			asked := refresher.take()
			if tt.asked == nil && len(asked) == 0 {
				return
			}
			if want := []call{{"example.com", tt.asked}}; !reflect.DeepEqual(asked, want) {
				t.Errorf("asked for %q, want %q", asked, want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name, method, target, body string
		status                     int
		message                    string // part of it
		allow                      string
	}{
		{name: "no body", method: "POST", target: "/refresh", status: 400, message: "body is empty"},
		{name: "blank body", method: "POST", target: "/refresh", body: " \r\n", status: 400, message: "body is empty"},
		{name: "only a byte order mark", method: "POST", target: "/refresh", body: "\uFEFF", status: 400, message: "body is empty"},
		{name: "object", method: "POST", target: "/refresh", body: `{"users":["a"]}`, status: 400, message: "a JSON object; a JSON array"},
		{name: "string", method: "POST", target: "/refresh", body: `"alice"`, status: 400, message: "a JSON string"},
		{name: "number", method: "POST", target: "/refresh", body: `5`, status: 400, message: "a JSON number"},
		{name: "true", method: "POST", target: "/refresh", body: `true`, status: 400, message: "a JSON boolean"},
		{name: "null", method: "POST", target: "/refresh", body: `null`, status: 400, message: "a JSON null"},
		{name: "form", method: "POST", target: "/refresh", body: `users=alice`, status: 400, message: "not JSON: invalid character 'u'"},
		{name: "object that ends early", method: "POST", target: "/refresh", body: `{"users":`, status: 400, message: "not JSON"},
		{name: "array that ends early", method: "POST", target: "/refresh", body: `["alice"`, status: 400, message: "not JSON: unexpected end"},
		{name: "string that ends early", method: "POST", target: "/refresh", body: `["alice`, status: 400, message: "not JSON: unexpected end"},
		{name: "trailing comma", method: "POST", target: "/refresh", body: `["alice",]`, status: 400, message: "not JSON"},
		{name: "missing comma", method: "POST", target: "/refresh", body: `["alice" "bob"]`, status: 400, message: "not JSON"},
		{name: "wrong bracket", method: "POST", target: "/refresh", body: `["alice"}`, status: 400, message: "not JSON"},
		{name: "single quotes", method: "POST", target: "/refresh", body: `['alice']`, status: 400, message: `not JSON: invalid character '\''`},
		{name: "control character", method: "POST", target: "/refresh", body: "[\"al\nice\"]", status: 400, message: "not JSON"},
		{name: "trailing garbage", method: "POST", target: "/refresh", body: `["alice"] x`, status: 400, message: "not JSON: invalid character 'x' after top-level value, at byte 11"},
		{name: "two arrays", method: "POST", target: "/refresh", body: `["alice"]["bob"]`, status: 400, message: "not JSON: invalid character '[' after top-level value"},
		{name: "not UTF-8", method: "POST", target: "/refresh", body: "[\"j\xf6rg\"]", status: 400, message: "not UTF-8"},
		{name: "deep nesting", method: "POST", target: "/refresh", body: "[" + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "]", status: 400, message: "not JSON"},
		{name: "too many names", method: "POST", target: "/refresh", body: `["a","b","c","d"]`, status: 413, message: "at most 3"},
		{name: "too large", method: "POST", target: "/refresh", body: `["` + strings.Repeat("a", 70000) + `"]`, status: 413, message: "larger than 65536 bytes"},
		{name: "GET without a name", method: "GET", target: "/refresh", status: 400, message: "no username"},
		{name: "GET with an empty name", method: "GET", target: "/refresh/", status: 400, message: "GET /roster_admin/refresh/USERNAME"},
		{name: "HEAD", method: "HEAD", target: "/refresh/alice", status: 405, allow: "GET, OPTIONS"},
		{name: "PUT", method: "PUT", target: "/refresh", body: `["alice"]`, status: 405, message: "PUT is not possible", allow: "GET, OPTIONS, POST"},
		{name: "DELETE", method: "DELETE", target: "/refresh", status: 405, message: "DELETE is not possible", allow: "GET, OPTIONS, POST"},
		{name: "PATCH one", method: "PATCH", target: "/refresh/alice", body: `x`, status: 405, allow: "GET, OPTIONS"},
		{name: "POST one", method: "POST", target: "/refresh/alice", body: `x`, status: 405, allow: "GET, OPTIONS"},
		{name: "unknown method", method: "BREW", target: "/refresh", status: 405, allow: "GET, OPTIONS, POST"},
		{name: "root of the module", method: "GET", target: "", status: 404, message: "POST a JSON array of usernames to /roster_admin/refresh"},
		{name: "other path", method: "POST", target: "/refreshed", body: `["alice"]`, status: 404, message: "no such path"},
		{name: "doubled slash", method: "POST", target: "//refresh", body: `["alice"]`, status: 404, message: "no such path"},
		{name: "case", method: "POST", target: "/Refresh", body: `["alice"]`, status: 404, message: "no such path"},
	}
	refresher := new(calls)
	addr := start(t, &Server{}, oneHost(Refresh{Refresher: refresher, MaxBytes: 65536, MaxNames: 3}), "")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, addr, tt.method, "/roster_admin"+tt.target, "example.com", tt.body)
			if got.status != tt.status || got.header.Get("Allow") != tt.allow {
				t.Errorf("answered %d, Allow %q; want %d, %q\n%s", got.status, got.header.Get("Allow"), tt.status, tt.allow, got.body)
			}
			if asked := refresher.take(); len(asked) > 0 {
				t.Errorf("asked for %q", asked)
			}
			if tt.method != "HEAD" {
				checkRefusal(t, got, tt.message)
			}
		})
	}
}

func checkRefusal(t *testing.T, got reply, message string) {
	t.Helper()
	var a answer
	if err := json.Unmarshal([]byte(got.body), &a); err != nil {
		t.Fatalf("not JSON: %v: %q", err, got.body)
	}
	if a.Status != "error" || a.Updated != 0 || a.Errors != 1 || !strings.Contains(a.Message, message) {
		t.Errorf("answered %s\nwant the message to hold %q", got.body, message)
	}
	if ct := got.header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type %q", ct)
	}
}

func TestDefaultLimits(t *testing.T) {
	addr := start(t, &Server{}, oneHost(Refresh{}), "")
	names := func(n int) string { return "[" + strings.Repeat(`"offline",`, n-1) + `"offline"]` }
	tests := []struct {
		name, body string
		status     int
	}{
		{"100,000 names", names(100_000), 200},
		{"one more", names(100_001), 413},
		{"4 MiB", `["offline"` + strings.Repeat(" ", 4<<20-len(`["offline"]`)) + "]", 200},
		{"one byte more", `["offline"` + strings.Repeat(" ", 4<<20-len(`["offline"]`)+1) + "]", 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ask(t, addr, "POST", "/roster_admin/refresh", "example.com", tt.body); got.status != tt.status {
				t.Errorf("answered %d %.100s", got.status, got.body)
			}
		})
	}
}

// Whoever writes all of a body before reading anything must still see the answer.
func TestLargeBodySentBlindly(t *testing.T) {
	addr := start(t, &Server{}, oneHost(Refresh{Token: "sesame"}), "")
	tests := []struct {
		name   string
		header []string
		status int
	}{
		{"too large", []string{"Authorization: Bearer sesame"}, 413},
		{"no token", nil, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, addr)
			c.send(request("POST", "/roster_admin/refresh", "example.com", "["+strings.Repeat(" ", 12<<20)+"]", tt.header...))
			if got := c.receive("POST"); got.status != tt.status {
				t.Errorf("answered %+v, want %d", got, tt.status)
			}
			c.closed()
		})
	}
}

func TestChunkedBody(t *testing.T) {
	addr := start(t, &Server{}, oneHost(Refresh{MaxBytes: 64}), "")
	head := "POST /roster_admin/refresh HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n"
	tests := []struct {
		name, body string
		status     int
	}{
		{"whole", "3\r\n[\"o\r\n8\r\nffline\"]\r\n0\r\n\r\n", 200},
		{"too large", fmt.Sprintf("80\r\n%128s\r\n0\r\n\r\n", "[]"), 413},
		{"malformed", "zz\r\n[]\r\n0\r\n\r\n", 400},
		{"malformed, hiding a request", "zz\r\n\r\nGET /health HTTP/1.1\r\nHost: example.com\r\n\r\n", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, addr)
			c.send(head + tt.body)
			if got := c.receive("POST"); got.status != tt.status {
				t.Errorf("answered %+v, want %d", got, tt.status)
			}
			if tt.status != 200 {
				c.closed()
			}
		})
	}
}

func TestHalfSentBody(t *testing.T) {
	half := "Host: example.com\r\nContent-Length: 100\r\n\r\n[\"al"
	t.Run("is waited for", func(t *testing.T) {
		addr := start(t, &Server{ReadTimeout: time.Second}, oneHost(Refresh{}), "")
		c := dial(t, addr)
		c.send("POST /roster_admin/refresh HTTP/1.1\r\n" + half)
		got := c.receive("POST")
		if got.status != 408 {
			t.Errorf("answered %d, want 408", got.status)
		}
		checkRefusal(t, got, "4 bytes of it came")
		c.closed()
	})
	t.Run("ends early", func(t *testing.T) {
		addr := start(t, &Server{}, oneHost(Refresh{}), "")
		c := dial(t, addr)
		c.send("POST /roster_admin/refresh HTTP/1.1\r\n" + half)
		if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got := c.receive("POST")
		if got.status != 400 {
			t.Errorf("answered %d, want 400", got.status)
		}
		checkRefusal(t, got, "ended after 4 bytes")
	})
	// None of these waits for the rest: ReadTimeout is longer than the client's patience.
	t.Run("does not hold up a refusal", func(t *testing.T) {
		addr := start(t, &Server{ReadTimeout: 2 * patience}, oneHost(Refresh{Token: "sesame"}), "")
		for line, status := range map[string]int{
			"POST /roster_admin/refresh HTTP/1.1\r\n":                                        401,
			"PUT /roster_admin/refresh HTTP/1.1\r\n":                                         405,
			"POST /elsewhere HTTP/1.1\r\n":                                                   404,
			"GET /health HTTP/1.1\r\n":                                                       200,
			"GET /roster_admin/refresh/offline HTTP/1.1\r\nAuthorization: Bearer sesame\r\n": 200,
		} {
			c := dial(t, addr)
			c.send(line + half)
			if got := c.receive("POST"); got.status != status {
				t.Errorf("%q answered %+v, want %d", line, got, status)
			}
			c.conn.Close()
		}
	})
}

func TestExpectContinue(t *testing.T) {
	addr := start(t, &Server{}, oneHost(Refresh{Token: "sesame"}), "")
	head := "POST /roster_admin/refresh HTTP/1.1\r\nHost: example.com\r\nExpect: 100-continue\r\n"
	t.Run("continues", func(t *testing.T) {
		c := dial(t, addr)
		c.send(head + "Authorization: Bearer sesame\r\nContent-Length: 11\r\n\r\n")
		if got := c.receive("POST"); got.status != 100 {
			t.Fatalf("answered %+v, want 100", got)
		}
		c.send(`["offline"]`)
		if got := c.receive("POST"); got.status != 200 {
			t.Errorf("answered %+v, want 200", got)
		}
	})
	t.Run("refused before the body", func(t *testing.T) {
		for header, status := range map[string]int{
			"Content-Length: 11\r\n": 401,
			"Authorization: Bearer sesame\r\nContent-Length: 5000000\r\n": 413,
		} {
			c := dial(t, addr)
			c.send(head + header + "\r\n")
			if got := c.receive("POST"); got.status != status {
				t.Errorf("answered %+v, want %d", got, status)
			}
			c.closed()
		}
	})
}

func TestToken(t *testing.T) {
	refresher := new(calls)
	addr := start(t, &Server{}, oneHost(Refresh{Token: "sesame", Refresher: refresher}), "")
	const missing, invalid = `Bearer realm="example.com"`, `Bearer realm="example.com", error="invalid_token"`
	tests := []struct {
		name      string
		header    []string
		status    int
		challenge string
	}{
		{"right", []string{"Authorization: Bearer sesame"}, 200, ""},
		{"scheme in lower case", []string{"Authorization: bearer sesame"}, 200, ""},
		{"from a web page that knows it", []string{"Authorization: Bearer sesame", "Origin: https://example.net"}, 200, ""},
		{"none", nil, 401, missing},
		{"other scheme", []string{"Authorization: Basic c2VzYW1l"}, 401, missing},
		{"wrong", []string{"Authorization: Bearer open"}, 401, invalid},
		{"longer", []string{"Authorization: Bearer sesame2"}, 401, invalid},
		{"shorter", []string{"Authorization: Bearer sesam"}, 401, invalid},
		{"other case", []string{"Authorization: Bearer Sesame"}, 401, invalid},
		{"empty", []string{"Authorization: Bearer "}, 401, invalid},
		{"without a token", []string{"Authorization: Bearer"}, 401, invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, got := range []reply{
				ask(t, addr, "GET", "/roster_admin/refresh/offline", "example.com", "", tt.header...),
				ask(t, addr, "POST", "/roster_admin/refresh", "example.com", `["offline"]`, tt.header...),
			} {
				if got.status != tt.status || got.header.Get("WWW-Authenticate") != tt.challenge {
					t.Errorf("answered %+v, want %d with %q", got, tt.status, tt.challenge)
				}
				if tt.status == 401 {
					checkRefusal(t, got, "bearer token")
				}
			}
			if asked := refresher.take(); (len(asked) > 0) != (tt.status == 200) {
				t.Errorf("asked for %q", asked)
			}
		})
	}
	t.Run("not in the query", func(t *testing.T) {
		if got := ask(t, addr, "GET", "/roster_admin/refresh/offline?access_token=sesame", "example.com", ""); got.status != 401 {
			t.Errorf("answered %+v", got)
		}
	})
}

// A name that leads here without anybody having given it to us may be a stranger's, whose page is then of the same
// origin as we are and need not say that it is a page.
func TestNamesOfStrangers(t *testing.T) {
	refresher := new(calls)
	one := oneHost(Refresh{Refresher: refresher})
	page := []string{"Origin: http://evil.example:5280"}
	tests := []struct {
		name        string
		hosts       []Host
		defaultHost string
		host        string
		header      []string
		status      int
	}{
		{"our own", one, "", "example.com:5280", nil, 200},
		{"our own, by a page", one, "", "example.com:5280", []string{"Origin: http://example.com:5280"}, 200},
		{"an address", one, "", "127.0.0.1:5280", nil, 200},
		{"an address of IPv6", one, "", "[::1]:5280", nil, 200},
		{"localhost", one, "", "localhost:5280", nil, 200},
		{"below localhost", one, "", "chat.localhost", nil, 200},
		{"localhost, by a page", one, "", "localhost:5280", []string{"Origin: http://localhost:5280"}, 200},
		{"a machine nearby", one, "", "rosterd:5280", nil, 200},
		{"a stranger's", one, "", "evil.example:5280", nil, 403},
		{"a stranger's, by a page", one, "", "evil.example:5280", page, 403},
		{"like an address", one, "", "127.0.0.1.evil.example", nil, 403},
		{"any, as the configuration has it", one, "example.com", "rosterd.internal.example", nil, 200},
		{"any, by a page", one, "example.com", "evil.example:5280", page, 403},
		{"any, by a page that says so otherwise", one, "example.com", "evil.example:5280", []string{"Sec-Fetch-Site: same-origin"}, 403},
		{"default that is not here", one, "example.net", "evil.example", nil, 403},
		{"with a token", oneHost(Refresh{Refresher: refresher, Token: "sesame"}), "", "evil.example", []string{"Authorization: Bearer sesame"}, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := start(t, &Server{Log: slog.New(slog.DiscardHandler)}, tt.hosts, tt.defaultHost)
			for _, got := range []reply{
				ask(t, addr, "GET", "/roster_admin/refresh/offline", tt.host, "", tt.header...),
				ask(t, addr, "POST", "/roster_admin/refresh", tt.host, `["offline"]`, tt.header...),
			} {
				if got.status != tt.status {
					t.Errorf("answered %+v, want %d", got, tt.status)
				}
				if tt.status == 403 {
					checkRefusal(t, got, "http_default_host")
				}
			}
			if asked := refresher.take(); (len(asked) > 0) != (tt.status == 200) {
				t.Errorf("asked for %q", asked)
			}
		})
	}
}

func TestWebPagesOfOtherOrigins(t *testing.T) {
	refresher := new(calls)
	addr := start(t, &Server{}, oneHost(Refresh{Refresher: refresher}), "")
	tests := []struct {
		name   string
		header []string
		status int
	}{
		{"no browser", nil, 200},
		{"same origin", []string{"Origin: http://example.com", "Sec-Fetch-Site: same-origin"}, 200},
		{"typed into the address bar", []string{"Sec-Fetch-Site: none"}, 200},
		{"other origin", []string{"Origin: https://evil.example"}, 403},
		{"other site", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"other origin of the site", []string{"Origin: http://www.example.com", "Sec-Fetch-Site: same-site"}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, got := range []reply{
				ask(t, addr, "GET", "/roster_admin/refresh/offline", "example.com", "", tt.header...),
				ask(t, addr, "POST", "/roster_admin/refresh", "example.com", `["offline"]`, tt.header...),
				ask(t, addr, "OPTIONS", "/roster_admin/refresh", "example.com", "", append(tt.header, "Access-Control-Request-Method: POST")...),
			} {
				if got.header.Get("Allow") == "" && got.status != tt.status {
					t.Errorf("answered %+v, want %d", got, tt.status)
				}
				for name := range got.header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("CORS header %s", name)
					}
				}
			}
			if asked := refresher.take(); (len(asked) > 0) != (tt.status == 200) {
				t.Errorf("asked for %q", asked)
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	t.Run("the refresher's is a little before the answer's", func(t *testing.T) {
		left := make(chan time.Duration, 1)
		addr := start(t, &Server{}, oneHost(Refresh{Refresher: refresherFunc(func(ctx context.Context, host string, names []string) engine.Summary {
			deadline, _ := ctx.Deadline()
			left <- time.Until(deadline)
			return outcomes(ctx, host, names)
		})}), "")
		ask(t, addr, "GET", "/roster_admin/refresh/offline", "example.com", "")
		if d := <-left; d > 29*time.Second || d < 29*time.Second-patience {
			t.Errorf("the refresher has %v, want 29 s", d)
		}
	})
	t.Run("a refresher that keeps it", func(t *testing.T) {
		addr := start(t, &Server{}, oneHost(Refresh{Timeout: 50 * time.Millisecond, Refresher: refresherFunc(
			func(ctx context.Context, host string, names []string) engine.Summary {
				<-ctx.Done()
				return outcomes(ctx, host, names)
			})}), "")
		got := ask(t, addr, "POST", "/roster_admin/refresh", "example.com", `["updated","pending"]`)
		const want = `{"status":"ok","message":"roster update complete","updated":1,"errors":1,"results":[{"name":"updated","outcome":"updated","changes":2},` +
			`{"name":"pending","outcome":"pending","error":"why it pending on example.com"}]}`
		// It has only 5 ms to answer; too slow is then also an answer.
		if got.body != want && !strings.Contains(got.body, `"errors":2`) {
			t.Errorf("answered %s", got.body)
		}
	})
	t.Run("a refresher that does not", func(t *testing.T) {
		release := make(chan struct{})
		addr := start(t, &Server{}, oneHost(Refresh{Timeout: 50 * time.Millisecond, Refresher: refresherFunc(
			func(ctx context.Context, host string, names []string) engine.Summary {
				<-release
				return outcomes(ctx, host, names)
			})}), "")
		c := dial(t, addr)
		for range 2 {
			c.send(request("POST", "/roster_admin/refresh", "example.com", `["updated","updated",1]`))
			const want = `{"status":"error","message":"roster update failed","updated":0,"errors":3,"results":[` +
				`{"name":"updated","outcome":"pending","error":"no answer in time; it goes on"},` +
				`{"name":"updated","outcome":"pending","error":"no answer in time; it goes on"},` +
				`{"name":"1","outcome":"invalid","error":"element 2 is no string but a JSON number"}]}`
			if got := c.receive("POST"); got.status != 200 || got.body != want {
				t.Errorf("answered %d %s\nwant %s", got.status, got.body, want)
			}
		}
		close(release)
	})
}

// Web applications post and do not wait.
func TestRefreshOutlivesItsRequest(t *testing.T) {
	called, release := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	addr := start(t, &Server{}, oneHost(Refresh{Refresher: refresherFunc(func(ctx context.Context, host string, names []string) engine.Summary {
		close(called)
		<-release
		ended <- ctx.Err()
		return outcomes(ctx, host, names)
	})}), "")
	c := dial(t, addr)
	c.send(request("GET", "/roster_admin/refresh/offline", "example.com", ""))
	<-called
	c.conn.Close()
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("the refresh ended with the connection: %v", err)
	}
}

func TestConcurrentRequests(t *testing.T) {
	addr := start(t, &Server{}, oneHost(Refresh{}), "")
	answers := make(chan error)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i := range 20 {
		go func() {
			resp, err := client.Get(fmt.Sprintf("http://%s/roster_admin/refresh/offline-%d", addr, i))
			if err != nil {
				answers <- err
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if want := fmt.Sprintf(`"name":"offline-%d"`, i); err == nil && !strings.Contains(string(body), want) {
				err = fmt.Errorf("answer %s lacks %s", body, want)
			}
			answers <- err
		}()
	}
	for range 20 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}

// FuzzRefreshBody: what is taken is exactly what encoding/json reads as an array,
// with the same strings in the same places.
func FuzzRefreshBody(f *testing.F) {
	for _, seed := range []string{
		"", " ", `[]`, ` [ ] `, `["a"]`, `["a","b",1,null,true,false,{"x":[1]},["y"],-1e5,0.5]`, `["a",]`, `[,]`, `["a"}`, `["a"`, `[`, `["`, `["\`,
		`{"users":["a"]}`, `"a"`, `5`, `null`, `[] []`, `[]x`, "\uFEFF[\"a\"]", "[\"\xff\"]", `["\ud800","\u0000","\u00d6"]`, "[\"\n\"]", `[01]`, `[1 2]`,
		strings.Repeat("[", 100), strings.Repeat("[", 50) + strings.Repeat("]", 50), `["a" : "b"]`, `[nul]`, `["a"]` + "\x00", `["ä😀"]`,
	} {
		f.Add([]byte(seed))
	}
	const most = 50
	f.Fuzz(func(t *testing.T, body []byte) {
		elements, err := decodeNames(body, most)
		text := strings.TrimPrefix(string(body), "\uFEFF")
		var want []any
		wrong := json.Unmarshal([]byte(text), &want)
		isArray := wrong == nil && want != nil && strings.ToValidUTF8(text, "") == text
		if err != nil {
			if isArray && len(want) <= most {
				t.Fatalf("%q refused: %v", body, err)
			}
			if elements != nil || err.Error() == "" {
				t.Fatalf("%q refused without a reason, or with %q", body, elements)
			}
			return
		}
		if !isArray || len(want) != len(elements) {
			t.Fatalf("%q read as %q, want %q", body, elements, want)
		}
		for i, v := range want {
			name, isString := v.(string)
			if isString != (elements[i].kind == "") || isString && name != elements[i].name {
				t.Fatalf("element %d of %q read as %q", i, body, elements[i])
			}
		}
	})
}

// BenchmarkRefresh10000 is one POST of 10,000 names over loopback, with a
// Refresher that costs next to nothing.
func BenchmarkRefresh10000(b *testing.B) {
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("offline-user%d", i)
	}
	body, err := json.Marshal(names)
	if err != nil {
		b.Fatal(err)
	}
	addr := start(b, &Server{}, oneHost(Refresh{}), "")
	c := dial(b, addr)
	text := request("POST", "/roster_admin/refresh", "example.com", string(body))
	b.ReportAllocs()
	for b.Loop() {
		if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			b.Fatal(err)
		}
		c.send(text)
		if got := c.receive("POST"); got.status != 200 {
			b.Fatal(got)
		}
	}
}

// BenchmarkDecode10000 is the reading of that body alone.
func BenchmarkDecode10000(b *testing.B) {
	body := []byte("[" + strings.Repeat(`"offline-user1234",`, 9_999) + `"offline"]`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeNames(body, 10_000); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAnswer10000 is the encoding of that answer alone.
func BenchmarkAnswer10000(b *testing.B) {
	elements := make([]element, 10_000)
	for i := range elements {
		elements[i].name = fmt.Sprintf("offline-user%d", i)
	}
	names, at := distinct(elements)
	summary := outcomes(b.Context(), "example.com", names)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(summarize(elements, at, summary)); err != nil {
			b.Fatal(err)
		}
	}
}
