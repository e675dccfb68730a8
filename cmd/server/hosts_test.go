package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rosterd/engine/enginetest"
)

// TestTwoHosts: nothing of one VirtualHost is visible in the other.
func TestTwoHosts(t *testing.T) {
	t.Parallel()
	blue := enginetest.Serve(t, map[string]string{"john": `{"jane@blue.example": {"name": "Blue Jane"}}`, "ann": `{"ann@red.example": {"name": "The other Ann"}}`})
	red := enginetest.Serve(t, map[string]string{"john": `{"jane@red.example": {"name": "Red Jane"}}`, "ann": `{}`})
	s := newPlace(t, twoHosts(blue, red)).serve(t)
	blueJohn, redJohn := s.view(t, "john@blue.example/tea"), s.view(t, "john@red.example/tea")

	t.Run("users", func(t *testing.T) {
		s.account(t, "mary@blue.example")
		c := s.connect(t, "red.example")
		if err := c.Login(c.ctx, "mary", password, ""); err == nil {
			t.Error("mary of blue.example logs in at red.example")
		}
		c = s.connect(t, "blue.example")
		c.must(c.Open(c.ctx))
		c.must(c.Authenticate(c.ctx, "PLAIN", "mary", password))
		c.Domain = "red.example" // in the middle of a stream
		if err := c.Open(c.ctx); err == nil {
			t.Error("a client that authenticated at blue.example goes on at red.example")
		}
		status, out, _ := s.command(t, "", "user", "list", "red.example")
		equal(t, "users of red.example", fmt.Sprint(status, strings.Contains(out, "@blue.example"), strings.Contains(out, "john@red.example")), "0 false true")
	})
	t.Run("no such host", func(t *testing.T) {
		c := s.connect(t, "green.example")
		c.must(c.Send(c.ctx, "<stream:stream to='green.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"))
		c.must(c.ReadHeader(c.ctx))
		c.wantStreamError("host-unknown")
	})
	t.Run("rosters", func(t *testing.T) {
		blueJohn.wantRoster("jane@blue.example|Blue Jane|both|")
		redJohn.wantRoster("jane@red.example|Red Jane|both|")
		equal(t, "requests at blue", len(blue.Requests("")), 1)
		equal(t, "requests at red", len(red.Requests("")), 1)
	})
	t.Run("disco", func(t *testing.T) {
		for _, tt := range []struct {
			from *viewer
			to   string
			want string
		}{
			{blueJohn, "blue.example", "Blue"}, {redJohn, "red.example", "Red"},
			{blueJohn, "red.example", "Red"}, // what a host says of itself is for everybody
		} {
			equal(t, "name of "+tt.to, discoName(t, tt.from, tt.to), tt.want)
		}
		answer, err := blueJohn.IQ(blueJohn.ctx, "get", "blue.example", "<query xmlns='http://jabber.org/protocol/disco#items'/>")
		blueJohn.must(err)
		if strings.Contains(answer.String(), "red.example") {
			t.Errorf("items of blue.example: %s", answer)
		}
		answer, err = blueJohn.IQ(blueJohn.ctx, "get", "jane@red.example", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
		blueJohn.must(err)
		equal(t, "a stranger's account", refusal(answer), "cancel/service-unavailable")
		answer, err = blueJohn.IQ(blueJohn.ctx, "get", "john@red.example", "<query xmlns='jabber:iq:roster'/>")
		blueJohn.must(err)
		equal(t, "the other one's roster", refusal(answer), "cancel/service-unavailable")
	})
	t.Run("refresh", func(t *testing.T) {
		for _, tt := range []struct {
			host    string
			header  []string
			code    int
			outcome string
		}{
			{"blue.example", nil, 200, "john updated"},
			{"BLUE.example:5280", nil, 200, "john updated"},
			{"blue.example.", nil, 200, "john updated"},
			{"red.example", nil, 401, ""},
			{"red.example", []string{"Authorization", "Bearer red-token"}, 200, "john updated"},
			{"127.0.0.1:5280", nil, 404, ""}, // two hosts, neither is the one
			{"green.example", nil, 404, ""},
		} {
			blue.Set("john", fmt.Sprintf(`{"n%d@blue.example": {}}`, len(blue.Requests(""))))
			red.Set("john", fmt.Sprintf(`{"n%d@red.example": {}}`, len(red.Requests(""))))
			blues, reds := len(blue.Requests("")), len(red.Requests(""))
			r := decodeReply(t, s, "POST", "/roster_admin/refresh", `["john"]`, append([]string{"Host", tt.host}, tt.header...)...)
			equal(t, tt.host+": code", r.Code, tt.code)
			equal(t, tt.host+": outcome", strings.Join(r.outcomes(), ""), tt.outcome)
			isBlue, isRed := 0, 0
			if tt.code == 200 {
				isBlue, isRed = map[bool]int{true: 1}[strings.Contains(strings.ToLower(tt.host), "blue")], map[bool]int{true: 1}[strings.Contains(tt.host, "red")]
			}
			equal(t, tt.host+": requests at blue", len(blue.Requests(""))-blues, isBlue)
			equal(t, tt.host+": requests at red", len(red.Requests(""))-reds, isRed)
			before := [2]int{blueJohn.pushes, redJohn.pushes}
			blueJohn.holds()
			redJohn.holds()
			equal(t, tt.host+": pushes at blue", blueJohn.pushes > before[0], isBlue == 1)
			equal(t, tt.host+": pushes at red", redJohn.pushes > before[1], isRed == 1)
		}
	})
	t.Run("presence between hosts where both rosters say so", func(t *testing.T) {
		blueAnn, redAnn := s.view(t, "ann@blue.example/tea"), s.view(t, "ann@red.example/tea")
		equal(t, "who sees whom while one roster has the other", fmt.Sprint(blueAnn.sees("ann@red.example"), redAnn.sees("ann@blue.example")), "false false")
		red.Set("ann", `{"ann@blue.example": {}}`)
		decodeReply(t, s, "POST", "/roster_admin/refresh", `["ann"]`, "Host", "red.example", "Authorization", "Bearer red-token")
		equal(t, "who sees whom", fmt.Sprint(blueAnn.sees("ann@red.example"), redAnn.sees("ann@blue.example")), "true true")
	})
}

func discoName(t *testing.T, v *viewer, to string) string {
	t.Helper()
	answer, err := v.IQ(v.ctx, "get", to, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
	v.must(err)
	identity, ok := answer.Path("query", "identity")
	if !ok {
		t.Fatalf("disco#info of %s: %s", to, answer)
	}
	return identity.Attr("name")
}

// TestHTTPHosts: which VirtualHost a request is for: the Host header, http_default_host, and else the only one
// there is.
func TestHTTPHosts(t *testing.T) {
	one := func(options ...string) func(blue, red *enginetest.Server) string {
		return func(blue, _ *enginetest.Server) string {
			return strings.Replace(open(blue.Template(), options...), "example.com", "blue.example", 1)
		}
	}
	for _, tt := range []struct {
		name string
		text func(blue, red *enginetest.Server) string
		want map[string]string // Host header and path → blue or red, whichever is meant, or a code
	}{
		{"one host", one(), map[string]string{
			"blue.example": "blue", "blue.example:1234": "blue", "BLUE.example": "blue", "127.0.0.1:5280": "blue", "localhost": "blue", "[::1]:5280": "blue", "other.example": "403", "rosterd": "blue",
		}},
		{"two hosts", pair("", "", ""), map[string]string{
			"blue.example": "blue", "red.example": "red", "127.0.0.1:5280": "404", "other.example": "404",
		}},
		{"http_default_host", pair(`http_default_host = "red.example"`, "", ""), map[string]string{
			"blue.example": "blue", "red.example": "red", "127.0.0.1:5280": "red", "other.example": "red",
		}},
		{"http_host", pair("", `http_host = "api.example.net"`, ""), map[string]string{
			"api.example.net": "blue", "API.example.net:5280": "blue", "blue.example": "blue", "red.example": "red", "127.0.0.1": "404",
		}},
		{"one http_host for both, paths apart", pair(`http_paths = { roster_admin = "/$host" }`, `http_host = "api.example.net"`, `http_host = "api.example.net"`), map[string]string{
			"api.example.net/blue.example/refresh": "blue", "api.example.net/red.example/refresh": "red", "api.example.net": "404",
		}},
		{"http_paths of a host", one(`http_paths = { roster_admin = "/rosters/$host/" }`), map[string]string{
			"blue.example": "404", "blue.example/rosters/blue.example/refresh": "blue",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backends := map[string]*enginetest.Server{}
			for _, color := range []string{"blue", "red"} {
				backends[color] = enginetest.Serve(t, map[string]string{"john": `{}`})
			}
			s := newPlace(t, tt.text(backends["blue"], backends["red"])).serve(t)
			s.view(t, "john@blue.example")
			if strings.Contains(s.text, "red.example") {
				s.view(t, "john@red.example")
			}
			for target, want := range tt.want {
				host, path, given := strings.Cut(target, "/")
				if path = "/" + path; !given {
					path = "/roster_admin/refresh"
				}
				before := map[string]int{}
				for color, b := range backends {
					before[color] = len(b.Requests(""))
				}
				r := decodeReply(t, s, "POST", path, `["john"]`, "Host", host)
				got := fmt.Sprint(r.Code)
				for color, b := range backends {
					if len(b.Requests("")) > before[color] {
						got = color
					}
				}
				equal(t, target, got, want)
			}
		})
	}
}

// twoHosts are named, and one of them wants a token.
var twoHosts = pair("", `name = "Blue"`, `name = "Red"; rosterd_refresh_token = "red-token"`)

// pair is a configuration of two hosts with global lines and lines of each.
func pair(head, blueLine, redLine string) func(blue, red *enginetest.Server) string {
	return func(blue, red *enginetest.Server) string {
		global, _, _ := strings.Cut(open(""), "VirtualHost")
		return head + "\n" + global + openHost("blue.example", blue.Template(), blueLine) + openHost("red.example", red.Template(), redLine)
	}
}

// TestHTTPS: the refresh API under TLS, with the certificate of the host that is asked for.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	blue, red := enginetest.Serve(t, nil), enginetest.Serve(t, nil)
	p := newPlace(t, twoHosts(blue, red))
	p.secure = true
	p.certify(t, "blue.example", "red.example")
	s := p.serve(t)
	for host, code := range map[string]int{"blue.example": 200, "red.example": 401} {
		client := &http.Client{Transport: p.httpsTransport(t, host)}
		res, err := client.Post("https://"+host+"/roster_admin/refresh", "application/json", strings.NewReader(`["john"]`))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		equal(t, host, res.StatusCode, code)
		equal(t, "certificate", res.TLS.PeerCertificates[0].DNSNames[0], host)
		client.CloseIdleConnections()
	}
	if _, figures := s.request(t, "GET", "/metrics", ""); !strings.Contains(figures, "rosterd_logins_admitted_total 2\n") {
		t.Error("handshakes that have not had their turn")
	}
	c := s.connect(t, "red.example")
	c.TLS = p.trust(t, "red.example")
	c.must(c.Open(c.ctx))
	c.must(c.StartTLS(c.ctx)) // with the certificate of its own host
}

// TestHealth: the server's own path says that it runs, whatever the Host.
func TestHealth(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	s := newPlace(t, open(backend.Template())).serve(t)
	res, text := s.request(t, "GET", "/health", "", "Host", "anything")
	equal(t, "code", res.StatusCode, 200)
	if text == "" {
		t.Error("an empty answer")
	}
}
