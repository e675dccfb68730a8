package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rosterd/xmppcore/xmpptest"
)

// password is that of every account here.
const password = "secret"

// seed is the configuration that people come with, word for word.
const seed = `authentication = "internal_hashed"
modules_enabled = { "saslauth", "tls", "disco", "ping" }
VirtualHost "example.com"
  modules_enabled = { "http_roster_admin", "block_subscriptions", "storage_memory", "http_files" }
  modules_disabled = { "roster" }      -- the rosters come from the backend
  storage = { roster = "memory" }
  http_roster_url = "http://localhost/contacts/%s"
`

// seedFor is seed with the URL of a backend.
func seedFor(template string) string {
	return strings.Replace(seed, "http://localhost/contacts/%s", template, 1)
}

// open is a configuration in which a login costs little: no TLS, and passwords are kept as they are.
func open(template string, more ...string) string {
	return `authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
disable_sasl_mechanisms = { "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512" }
modules_enabled = { "saslauth", "tls", "disco", "ping" }
` + openHost("example.com", template, more...)
}

// openHost is a VirtualHost with the rosters of a backend, and more lines.
func openHost(name, template string, more ...string) string {
	return fmt.Sprintf(`VirtualHost %q
  modules_enabled = { "http_roster_admin", "block_subscriptions" }
  modules_disabled = { "roster" }
  http_roster_url = %q
  %s
`, name, template, strings.Join(more, "\n  "))
}

// client is a raw client that fails its test where something goes wrong.
type client struct {
	*xmpptest.Client
	t   testing.TB
	ctx context.Context
}

// connect opens a connection for a domain.
func (s *program) connect(t testing.TB, domain string) *client {
	t.Helper()
	ctx := testContext(t)
	c, err := xmpptest.Dial(ctx, s.address(s.c2s), domain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Disconnect() })
	return &client{c, t, ctx}
}

// login binds a resource, with the account made if the place keeps passwords as they are: see open. jid may have a
// resourcepart.
func (s *program) login(t testing.TB, jid string) *client {
	t.Helper()
	bare, resource, _ := strings.Cut(jid, "/")
	user, domain, _ := strings.Cut(bare, "@")
	s.account(t, bare)
	c := s.connect(t, domain)
	c.JID = jid // for what goes wrong until it is bound
	c.must(c.Login(c.ctx, user, password, resource))
	return c
}

// secureLogin is how clients usually log in: STARTTLS and the best mechanism there is.
func (s *program) secureLogin(t testing.TB, jid, password string) *client {
	t.Helper()
	bare, resource, _ := strings.Cut(jid, "/")
	user, domain, _ := strings.Cut(bare, "@")
	c := s.connect(t, domain)
	c.must(c.Login(c.ctx, user, password, resource))
	return c
}

func (c *client) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("%s: %v", c.JID, err)
	}
}

func (c *client) send(format string, args ...any) {
	c.t.Helper()
	c.must(c.Send(c.ctx, fmt.Sprintf(format, args...)))
}

// short is a contact in short: "jid|name|subscription|group,group".
func short(i xmpptest.Item) string {
	s := strings.Join([]string{i.JID, i.Name, i.Subscription, strings.Join(i.Groups, ",")}, "|")
	if i.Ask != "" {
		s += "|ask=" + i.Ask
	}
	return s
}

func shorts(items []xmpptest.Item) []string {
	list := []string{}
	for _, i := range items {
		list = append(list, short(i))
	}
	slices.Sort(list)
	return list
}

// roster gets the roster in short, sorted.
func (c *client) roster() []string {
	c.t.Helper()
	items, err := c.Roster(c.ctx)
	c.must(err)
	return shorts(items)
}

// wantRoster gets the roster and compares it.
func (c *client) wantRoster(want ...string) {
	c.t.Helper()
	if got := c.roster(); !slices.Equal(got, want) {
		c.t.Fatalf("%s: the roster is %q, want %q", c.JID, got, want)
	}
}

// wantPushes wants these contacts pushed, one by one, in any order.
func (c *client) wantPushes(want ...string) {
	c.t.Helper()
	var got []string
	for range want {
		items, err := c.ExpectPush(c.ctx)
		c.must(err)
		if len(items) != 1 {
			c.t.Fatalf("%s: a push of %d contacts, want one (RFC 6121 §2.1.6)", c.JID, len(items))
		}
		got = append(got, short(items[0]))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		c.t.Fatalf("%s: pushed were %q, want %q", c.JID, got, want)
	}
}

// refusal is the type and condition of an error stanza.
func refusal(e xmpptest.Element) string {
	err, ok := e.Find("", "error")
	if !ok || e.Attr("type") != "error" {
		return "no error: " + e.String()
	}
	for _, child := range err.Children {
		if child.Name.Space == "urn:ietf:params:xml:ns:xmpp-stanzas" && child.Name.Local != "text" {
			return err.Attr("type") + "/" + child.Name.Local
		}
	}
	return "no condition: " + e.String()
}

// wantNoRoster wants a roster get to be answered with an error.
func (c *client) wantNoRoster(want string) {
	c.t.Helper()
	answer, err := c.IQ(c.ctx, "get", "", "<query xmlns='jabber:iq:roster'/>")
	c.must(err)
	if got := refusal(answer); got != want {
		c.t.Fatalf("%s: the roster get was answered with %s, want %s", c.JID, got, want)
	}
}

// wantPresence waits for presence of that type ("" is available) from a JID, bare or full.
func (c *client) wantPresence(from, typ string) xmpptest.Element {
	c.t.Helper()
	e, err := c.Expect(c.ctx, fmt.Sprintf("presence of type %q from %s", typ, from), func(e xmpptest.Element) bool {
		bare, _, _ := strings.Cut(e.Attr("from"), "/")
		return e.Name.Local == "presence" && e.Attr("type") == typ && (e.Attr("from") == from || bare == from)
	})
	c.must(err)
	return e
}

// appear sends initial presence and waits for the copy of its own.
func (c *client) appear() {
	c.t.Helper()
	c.send("<presence/>")
	c.wantPresence(c.JID, "")
}

// wantNothing wants that nothing else has come when all that was sent before is handled.
func (c *client) wantNothing() {
	c.t.Helper()
	c.must(c.Nothing(c.ctx))
}

// alive shows that the stream still works.
func (c *client) alive() {
	c.t.Helper()
	c.must(c.Ping(c.ctx))
}

// leave ends the stream, and waits for the server to do the same.
func (c *client) leave() {
	c.t.Helper()
	c.must(c.Close(c.ctx))
}

// wantStreamError wants the stream to end with an error, and properly closed.
func (c *client) wantStreamError(condition string) {
	c.t.Helper()
	e, err := c.Expect(c.ctx, "a stream error", func(e xmpptest.Element) bool {
		return e.Is("http://etherx.jabber.org/streams", "error")
	})
	c.must(err)
	if _, ok := e.Find("urn:ietf:params:xml:ns:xmpp-streams", condition); !ok {
		c.t.Fatalf("%s: the stream ended with %s, want %s", c.JID, e, condition)
	}
	c.must(c.End(c.ctx))
}

// reply is an answer of the refresh API.
type reply struct {
	Code    int `json:"-"`
	Status  string
	Message string
	Updated int
	Errors  int
	Results []outcome
}

type outcome struct {
	Name, Outcome, Error string
	Changes              int
}

func (r reply) outcomes() (list []string) {
	for _, o := range r.Results {
		list = append(list, o.Name+" "+o.Outcome)
	}
	return list
}

// request sends an HTTP request to the program and reads the whole answer. header is pairs; Host is one of them.
func (s *program) request(t testing.TB, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(testContext(t), method, "http://"+s.address(s.http)+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if req.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	res, err := web.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	return res, string(text)
}

// web follows no redirects and keeps no connections: a program that stops need not wait for them.
var web = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (s *program) post(t testing.TB, body string, header ...string) reply {
	t.Helper()
	return decodeReply(t, s, "POST", "/roster_admin/refresh", body, header...)
}

func decodeReply(t testing.TB, s *program, method, path, body string, header ...string) reply {
	t.Helper()
	res, text := s.request(t, method, path, body, header...)
	r := reply{Code: res.StatusCode}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%s %s %s: answered %d %q: %v", method, path, body, res.StatusCode, text, err)
	}
	return r
}

// refresh posts names, and wants all of them updated.
func (s *program) refresh(t testing.TB, names ...string) reply {
	t.Helper()
	body, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	r := s.post(t, string(body))
	if r.Code != http.StatusOK || r.Status != "ok" || r.Updated != len(names) || r.Errors != 0 {
		t.Fatalf("refresh of %q: %+v", names, r)
	}
	return r
}

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
