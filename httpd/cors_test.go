package httpd

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

var (
	anyOrigin = CORS{Enabled: true, Origins: []string{"*"}}
	twoPages  = CORS{Enabled: true, Origins: []string{"https://chat.example.net", "http://LOCALHOST:8000/"}, Methods: []string{"PUT", "get"}, Headers: []string{"X-A"}, Credentials: true}
)

func TestCORS(t *testing.T) {
	hosts := []Host{{Name: "example.com", Refresh: &Refresh{Refresher: refresherFunc(outcomes)}, Mounts: []Mount{
		{Path: "/closed", Handler: says("closed")},
		{Path: "/any", Handler: says("any"), CORS: anyOrigin},
		{Path: "/two", Handler: says("two"), CORS: twoPages},
		{Path: "/all", Handler: says("all"), CORS: CORS{Enabled: true, Origins: []string{"*"}, Credentials: true}},
		{Path: "/off", Handler: says("off"), CORS: CORS{Origins: []string{"*"}}},
	}}}
	addr := start(t, &Server{}, hosts, "")
	const preflight = "Access-Control-Request-Method: POST"
	type want struct {
		status                               int
		origin, vary, credentials            string
		methods, headers, maxAge, bodyPrefix string
	}
	granted := want{status: 204, methods: "GET, HEAD, POST, OPTIONS", headers: "Content-Type", maxAge: "7200"}
	tests := []struct {
		name, method, path string
		header             []string
		want               want
	}{
		{"no page", "GET", "/any", nil, want{status: 200, bodyPrefix: "any"}},
		{"any page", "GET", "/any", []string{"Origin: https://a.example"}, want{status: 200, origin: "*", bodyPrefix: "any"}},
		{"a page without an origin", "GET", "/any", []string{"Origin: null"}, want{status: 200, origin: "*", bodyPrefix: "any"}},
		{"any page asks before", "OPTIONS", "/any", []string{"Origin: https://a.example", preflight}, want{status: 204, origin: "*", methods: granted.methods, headers: granted.headers, maxAge: granted.maxAge}},
		{"OPTIONS that is no question of a browser's", "OPTIONS", "/any", []string{"Origin: https://a.example"}, want{status: 200, origin: "*", bodyPrefix: "any"}},
		{"OPTIONS of no page", "OPTIONS", "/any", []string{preflight}, want{status: 200, bodyPrefix: "any"}},
		{"a page of the list", "POST", "/two", []string{"Origin: https://chat.example.net"}, want{status: 200, origin: "https://chat.example.net", vary: "Origin", credentials: "true", bodyPrefix: "two"}},
		{"another of it", "GET", "/two", []string{"Origin: http://localhost:8000"}, want{status: 200, origin: "http://localhost:8000", vary: "Origin", credentials: "true", bodyPrefix: "two"}},
		{"asks before", "OPTIONS", "/two", []string{"Origin: https://chat.example.net", preflight}, want{status: 204, origin: "https://chat.example.net", vary: "Origin", credentials: "true", methods: "GET, HEAD, POST, OPTIONS, PUT", headers: "Content-Type, X-A", maxAge: "7200"}},
		{"another port", "GET", "/two", []string{"Origin: http://localhost"}, want{status: 200, vary: "Origin", bodyPrefix: "two"}},
		{"another scheme", "GET", "/two", []string{"Origin: http://chat.example.net"}, want{status: 200, vary: "Origin", bodyPrefix: "two"}},
		{"longer name", "OPTIONS", "/two", []string{"Origin: https://chat.example.net.evil.example", preflight}, want{status: 403, vary: "Origin"}},
		{"null is not in the list", "OPTIONS", "/two", []string{"Origin: null", preflight}, want{status: 403, vary: "Origin"}},
		{"no page, though pages differ", "GET", "/two", nil, want{status: 200, vary: "Origin", bodyPrefix: "two"}},
		{"the same origin asks before", "OPTIONS", "/two", []string{"Origin: http://example.com", preflight}, want{status: 204, vary: "Origin", methods: "GET, HEAD, POST, OPTIONS, PUT", headers: "Content-Type, X-A", maxAge: "7200"}},
		{"any page with its cookies", "GET", "/all", []string{"Origin: https://a.example"}, want{status: 200, origin: "https://a.example", vary: "Origin", credentials: "true", bodyPrefix: "all"}},
		{"not enabled", "GET", "/off", []string{"Origin: https://a.example"}, want{status: 200, bodyPrefix: "off"}},
		{"not enabled, asks before", "OPTIONS", "/off", []string{"Origin: https://a.example", preflight}, want{status: 200, bodyPrefix: "off"}},
		{"nothing said", "GET", "/closed", []string{"Origin: https://a.example"}, want{status: 200, bodyPrefix: "closed"}},
		{"the refresh API", "GET", "/roster_admin/refresh/offline", []string{"Origin: https://a.example"}, want{status: 403}},
		{"the refresh API, asks before", "OPTIONS", "/roster_admin/refresh", []string{"Origin: https://a.example", preflight}, want{status: 200}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := ask(t, addr, tt.method, tt.path, "example.com", "", tt.header...)
			h := r.header
			got := want{
				r.status, h.Get("Access-Control-Allow-Origin"), h.Get("Vary"), h.Get("Access-Control-Allow-Credentials"),
				h.Get("Access-Control-Allow-Methods"), h.Get("Access-Control-Allow-Headers"), h.Get("Access-Control-Max-Age"), "",
			}
			if tt.want.bodyPrefix != "" && len(r.body) >= len(tt.want.bodyPrefix) {
				got.bodyPrefix = r.body[:len(tt.want.bodyPrefix)]
			}
			if got != tt.want {
				t.Errorf("answered %+v\nwant     %+v", got, tt.want)
			}
		})
	}
}

func TestCORSAllows(t *testing.T) {
	tests := []struct {
		name         string
		cors         CORS
		host, origin string
		want         bool
	}{
		{"no page", CORS{}, "example.com", "", true},
		{"same origin", CORS{}, "example.com", "https://example.com", true},
		{"same origin in capitals", CORS{}, "Example.com", "https://example.COM", true},
		{"same port", CORS{}, "example.com:5281", "https://example.com:5281", true},
		{"another port", CORS{}, "example.com:5281", "https://example.com", false},
		{"below it", CORS{}, "example.com", "https://chat.example.com", false},
		{"above it", CORS{}, "chat.example.com", "https://example.com", false},
		{"null", CORS{}, "example.com", "null", false},
		{"no Host", CORS{}, "", "null", false},
		{"no Host and no host", CORS{}, "", "file://", false},
		{"garbage", CORS{}, "example.com", "://example.com", false},
		{"not enabled", CORS{Origins: []string{"*"}}, "example.com", "https://a.example", false},
		{"any", anyOrigin, "example.com", "https://a.example", true},
		{"any, null", anyOrigin, "example.com", "null", true},
		{"listed", twoPages, "example.com", "https://chat.example.net", true},
		{"listed with a slash", twoPages, "example.com", "http://localhost:8000", true},
		{"not listed", twoPages, "example.com", "https://a.example", false},
		{"listed with the usual port", CORS{Enabled: true, Origins: []string{"https://a.example:443"}}, "example.com", "https://a.example", true},
		{"listed with another port", CORS{Enabled: true, Origins: []string{"https://a.example:80"}}, "example.com", "https://a.example", false},
		{"listed as people write it", CORS{Enabled: true, Origins: []string{"https://Bücher.example/"}}, "example.com", "https://xn--bcher-kva.example", true},
		{"listed with another scheme", CORS{Enabled: true, Origins: []string{"http://a.example"}}, "example.com", "https://a.example", false},
		{"an application's", CORS{Enabled: true, Origins: []string{"capacitor://localhost"}}, "example.com", "capacitor://localhost", true},
		{"null, and a list", twoPages, "example.com", "null", false},
		{"an empty list", CORS{Enabled: true}, "example.com", "https://a.example", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host = tt.host
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			if got := tt.cors.Allows(r); got != tt.want {
				t.Errorf("Allows = %v", got)
			}
		})
	}
}
