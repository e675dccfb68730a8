package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/admin"
	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

var update = flag.Bool("update", false, "write the golden texts anew")

const patience = 30 * time.Second // for what must happen; nothing depends on how soon

// house is an engine with its door for the operator, and what an XMPP server would know.
type house struct {
	t      *testing.T
	eng    *engine.Engine
	client admin.Client
	socket string

	mu       sync.Mutex // guards the fields below
	docs     map[string]string
	broken   map[string]error
	sessions map[addr.Bare]admin.Session
	kept     map[addr.Bare][]byte
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, docs: map[string]string{}, broken: map[string]error{}, sessions: map[addr.Bare]admin.Session{}, kept: map[addr.Bare][]byte{}}
	host := engine.Host{Backend: engine.BackendFunc(h.fetch), Keeper: h, Retry: -1, ShrinkGuard: 50, Steps: 9}
	h.eng = engine.New(map[string]engine.Host{"example.com": host, "example.net": host}, h.watch, slog.New(slog.DiscardHandler))
	h.socket = filepath.Join(shortDir(t), "rosterd.sock")
	ln, err := admin.Listen(h.socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &admin.Server{Rosters: h.eng, Sessions: h.look, Source: source}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(srv.Shutdown(ctx), h.eng.Close(ctx)); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, admin.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		if _, err := os.Lstat(h.socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	h.client = admin.Client{Socket: h.socket}
	return h
}

// shortDir is a directory whose name leaves room for that of a socket.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "door")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func source(host string) (string, bool) {
	return "http_roster_admin, http://backend.example/%s", host == "example.com" || host == "example.net"
}

func (h *house) fetch(_ context.Context, r engine.Request) (engine.Answer, error) {
	h.mu.Lock()
	doc, err := h.docs[r.User.String()], h.broken[r.User.String()]
	h.mu.Unlock()
	if err != nil {
		return engine.Answer{}, err
	}
	if doc == "" {
		return engine.Answer{}, engine.ErrUnknownUser
	}
	list, bad, err := roster.DecodeJSON(r.User, []byte(doc), roster.Limits{})
	return engine.Answer{Roster: list, Rev: "v1", Dropped: bad}, err
}

// watch is what the clients of a user are told.
func (h *house) watch(ev engine.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ok := h.sessions[ev.User]; ok && ev.Err == nil {
		s.Roster, s.Loaded = ev.To, true
		h.sessions[ev.User] = s
	}
}

func (h *house) look(users ...addr.Bare) []admin.Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]admin.Session, len(users))
	for i, u := range users {
		list[i] = h.sessions[u]
	}
	return list
}

func (h *house) LoadRoster(_ context.Context, u addr.Bare) ([]byte, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	doc, ok := h.kept[u]
	return doc, ok, nil
}

func (h *house) SaveRoster(_ context.Context, u addr.Bare, doc []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept[u] = doc
	return nil
}

func (h *house) set(user, doc string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.docs[user] = doc
}

func (h *house) fail(user string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken[user] = err
}

// online has a user with these resources, and returns when the backend was asked for the roster.
func (h *house) online(user string, resources ...admin.Resource) (offline func()) {
	u := addr.MustBare(user)
	h.mu.Lock()
	h.sessions[u] = admin.Session{Resources: resources}
	h.mu.Unlock()
	r, err := h.eng.Attach(u)
	if err != nil {
		h.t.Fatal(err)
	}
	h.refresh(user) // comes after the fetch of the login
	return func() {
		r.Release()
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.sessions, u)
	}
}

func (h *house) refresh(users ...string) []admin.Outcome {
	h.t.Helper()
	list, err := h.client.Refresh(h.t.Context(), users...)
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

func available(resource string, directed ...addr.Bare) admin.Resource {
	return admin.Resource{Resource: resource, Address: "192.0.2.1:5222", Encrypted: true, Available: true, Interested: true, Shown: time.Now(), Directed: directed}
}

func connected(resource string) admin.Resource {
	return admin.Resource{Resource: resource, Address: "192.0.2.1:5223"}
}

var moments = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// golden compares a text with testdata/NAME.golden. Moments are left out of it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = moments.ReplaceAllString(got, "TIME")
	path := filepath.Join("testdata", strings.ReplaceAll(name, " ", "_")+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant (%s)\n%s", got, path, want)
	}
	for line := range strings.Lines(got) {
		if strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
			t.Errorf("space at the end of %q", line)
		}
	}
}

const verona = `{"juliet@example.com": {"name": "Juliet", "groups": ["Friends", "Loves"]}, "nurse@example.com": {"subscription": "to"},
	"tybalt@example.com": {"subscription": "from", "approved": true}, "mercutio@example.net": {"name": "Mercutio \u001b"},
	"paris@elsewhere.example": {"subscription": "none", "ask": "subscribe"}, "romeo@example.com": {}, "rosaline@example.com/x": {}, "not a jid": {}}`

func TestGet(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(h *house)
	}{
		{"fresh", func(h *house) {
			h.set("romeo@example.com", verona)
			h.online("romeo@example.com", available("orchard"), connected("phone"))
		}},
		{"nobody", func(h *house) {
			h.set("romeo@example.com", "{}")
			h.online("romeo@example.com", available("orchard"))
		}},
		{"stale", func(h *house) {
			h.set("romeo@example.com", `{"juliet@example.com": {}}`)
			h.online("romeo@example.com", available("orchard"))
			h.fail("romeo@example.com", errors.New("503 Service Unavailable"))
			h.refresh("romeo@example.com")
		}},
		{"absent", func(h *house) {
			h.fail("romeo@example.com", errors.New("dial tcp: connection refused\x1b[2J"))
			h.online("romeo@example.com", available("orchard"))
		}},
		{"held", func(h *house) {
			h.set("romeo@example.com", `{"a@x": {}, "b@x": {}, "c@x": {}, "d@x": {}}`)
			h.online("romeo@example.com", available("orchard"))
			h.set("romeo@example.com", `{"a@x": {}}`)
			h.refresh("romeo@example.com")
		}},
		{"offline", func(h *house) {
			h.set("romeo@example.com", `{"juliet@example.com": {"name": "Juliet"}}`)
			h.online("romeo@example.com", available("orchard"))()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			c.do(h)
			r, err := h.client.Get(t.Context(), "romeo@example.com")
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := r.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, "get "+c.name, b.String())
		})
	}
}

// The open breaker of a host is shown at each of its users.
func TestGetBreaker(t *testing.T) {
	r := admin.Roster{User: addr.MustBare("romeo@example.com"), Source: "mod_x", State: "stale", Version: "v", Fetching: true,
		FreshUntil: time.Now(), LastError: "503", FailedAt: time.Now(), NextTry: time.Now(), DroppedMore: 3, Dropped: []admin.Dropped{{JID: "x", Reason: "no"}},
		Breaker: &admin.Breaker{Since: time.Now(), Until: time.Now(), LastError: "no route to host"}}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "get breaker", b.String())
}

func TestOutcomes(t *testing.T) {
	h := newHouse(t)
	h.set("romeo@example.com", `{"a@x": {}}`)
	h.set("juliet@example.com", `{"a@x": {}, "b@x": {}, "c@x": {}, "d@x": {}}`)
	h.set("nurse@example.net", `{"a@x": {}}`)
	h.set("tybalt@example.net", `{"a@x": {}}`)
	for _, u := range []string{"romeo@example.com", "juliet@example.com", "nurse@example.net", "tybalt@example.net"} {
		h.online(u, available("x"))
	}
	h.set("romeo@example.com", `{"a@x": {}, "b@x": {}}`)
	h.set("juliet@example.com", `{"a@x": {}}`)
	h.fail("tybalt@example.net", errors.New("503"))
	var b strings.Builder
	list := h.refresh("romeo@example.com", "Nurse@example.net", "juliet@example.com", "tybalt@example.net", "paris@example.com", "paris@elsewhere.example", "a b", "example.com")
	if err := admin.WriteOutcomes(&b, list); err != nil {
		t.Fatal(err)
	}
	ok := ""
	for _, o := range list {
		if o.OK() {
			ok += " " + o.User
		}
	}
	if want := " romeo@example.com nurse@example.net paris@example.com"; ok != want {
		t.Errorf("well went%s, want%s", ok, want)
	}
	b.WriteString("\nrelease\n")
	list, err := h.client.Release(t.Context(), "juliet@example.com", "romeo@example.com", "paris@elsewhere.example")
	if err == nil {
		err = admin.WriteOutcomes(&b, list)
	}
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "outcomes", b.String())
	if r, _ := h.eng.Roster(addr.MustBare("juliet@example.com")); r.Len() != 1 {
		t.Errorf("%d contacts after the release", r.Len())
	}
}

func TestExplain(t *testing.T) {
	romeo, juliet := "romeo@example.com", "juliet@example.com"
	says := func(who, sub string) string { return `{"` + who + `": {"subscription": "` + sub + `"}}` }
	for _, c := range []struct {
		name, contact string
		do            func(h *house)
		known         bool
	}{
		{"both ways", juliet, func(h *house) {
			h.set(romeo, `{"juliet@example.com": {"name": "Juliet", "groups": ["Friends"], "ask": "subscribe", "approved": true}}`)
			h.set(juliet, says(romeo, "both"))
			h.online(romeo, available("orchard"), connected("phone"))
			h.online(juliet, available("balcony"))
		}, true},
		{"half-open", juliet, func(h *house) {
			h.set(romeo, says(juliet, "from"))
			h.set(juliet, says(romeo, "to"))
			h.online(romeo, available("orchard"))
			h.online(juliet, available("balcony"))
		}, true},
		{"not in it", juliet, func(h *house) {
			h.set(romeo, says(juliet, "both"))
			h.set(juliet, `{"romeo@example.com/x": {}}`)
			h.online(romeo, available("orchard", addr.MustBare(juliet)))
			h.online(juliet, available("balcony"))
		}, true},
		{"contact offline", juliet, func(h *house) {
			h.set(romeo, says(juliet, "both"))
			h.set(juliet, says(romeo, "from"))
			h.online(romeo, connected("orchard"))
			h.online(juliet, available("balcony"))()
		}, true},
		{"contact never seen", juliet, func(h *house) {
			h.set(romeo, says(juliet, "both"))
			h.online(romeo, available("orchard"))
		}, true},
		{"backend down", juliet, func(h *house) {
			h.set(romeo, says(juliet, "both"))
			h.fail(juliet, errors.New("503"))
			h.online(romeo, available("orchard"))
			h.online(juliet, available("balcony"))
		}, true},
		{"elsewhere", "paris@elsewhere.example", func(h *house) {
			h.set(romeo, says("paris@elsewhere.example", "both"))
			h.online(romeo, available("orchard"))
		}, true},
		{"strangers", juliet, func(h *house) {
			h.set(romeo, "{}")
			h.set(juliet, "{}")
			h.online(romeo, available("orchard"))
			h.online(juliet, available("balcony"))
		}, false},
		{"left out", "rosaline@example.com", func(h *house) {
			h.set(romeo, verona)
			h.online(romeo, available("orchard"))
		}, true},
		{"no address", "not a jid", func(h *house) {
			h.set(romeo, verona)
			h.online(romeo, available("orchard"))
		}, true},
		{"no address, and unknown", "no jid", func(h *house) {
			h.set(romeo, verona)
			h.online(romeo, available("orchard"))
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			c.do(h)
			e, err := h.client.Explain(t.Context(), romeo, c.contact)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := e.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, "explain "+c.name, b.String())
			if e.Known != c.known {
				t.Errorf("known is %v, want %v", e.Known, c.known)
			}
		})
	}
}

// The example in the documentation is what is written.
func TestDocumented(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "explain_half-open.golden"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join("..", "docs", "OPERATING.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(moments.ReplaceAllString(string(doc), "TIME"), "\n    ", "\n")
	if !strings.Contains(text, "\n"+string(want)) {
		t.Errorf("docs/OPERATING.md does not show\n%s", want)
	}
}

func TestOverview(t *testing.T) {
	h := newHouse(t)
	h.set("romeo@example.com", verona)
	h.set("juliet@example.com", `{"romeo@example.com": {}}`)
	h.set("nurse@example.com", `{"romeo@example.com": {"subscription": "none"}}`)
	h.set("mercutio@example.net", `{}`)
	h.online("romeo@example.com", available("orchard"), connected("phone"))
	h.online("juliet@example.com", available("balcony"))
	h.online("nurse@example.com", available("kitchen"))
	h.online("mercutio@example.net", connected("square"))
	o, err := h.client.Overview(t.Context(), "romeo@example.com")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := o.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "overview", b.String())
}

func TestRefusals(t *testing.T) {
	h := newHouse(t)
	h.set("romeo@example.com", "{}")
	h.online("romeo@example.com", available("orchard"))
	ask := func(f func(admin.Client) error) error { return f(h.client) }
	for _, c := range []struct {
		name   string
		err    error
		status int
		want   string
	}{
		{"get: nobody", ask(func(c admin.Client) error { _, err := c.Get(t.Context(), ""); return err }), 400, "not a valid"},
		{"get: a host", ask(func(c admin.Client) error { _, err := c.Get(t.Context(), "example.com"); return err }), 400, "no user before the @"},
		{"get: another's host", ask(func(c admin.Client) error { _, err := c.Get(t.Context(), "a@elsewhere.example"); return err }), 404, `no VirtualHost "elsewhere.example"`},
		{"get: never seen", ask(func(c admin.Client) error { _, err := c.Get(t.Context(), "paris@example.com"); return err }), 404, "nothing is known of paris@example.com"},
		{"explain: never seen", ask(func(c admin.Client) error { _, err := c.Overview(t.Context(), "paris@example.com"); return err }), 404, "nothing is known of paris@example.com"},
		{"explain: never seen, with a contact", ask(func(c admin.Client) error {
			_, err := c.Explain(t.Context(), "paris@example.com", "romeo@example.com")
			return err
		}), 404, "nothing is known of paris@example.com"},
		{"explain: oneself", ask(func(c admin.Client) error {
			_, err := c.Explain(t.Context(), "romeo@example.com", "romeo@example.com")
			return err
		}), 400, "own resources"},
		{"refresh: nobody", ask(func(c admin.Client) error { _, err := c.Refresh(t.Context()); return err }), 400, "no users are named"},
		{"refresh: too many", ask(func(c admin.Client) error { _, err := c.Refresh(t.Context(), make([]string, 1001)...); return err }), 413, "1001 users"},
		{"refresh: too much", ask(func(c admin.Client) error { _, err := c.Refresh(t.Context(), strings.Repeat("x", 2<<20)); return err }), 413, "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var refused *admin.Error
			if !errors.As(c.err, &refused) || refused.Status != c.status || !strings.Contains(refused.Text, c.want) {
				t.Errorf("got %v, want %d: %s", c.err, c.status, c.want)
			}
		})
	}
	for _, c := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"another path", "GET", "/", "", 404},
		{"another method", "DELETE", "/roster", "", 405},
		{"no JSON", "POST", "/roster/refresh", "romeo", 400},
		{"two documents", "POST", "/roster/refresh", `{"users":["a@example.com"]} {}`, 400},
		{"a field that is not known", "POST", "/roster/release", `{"user":"a@example.com"}`, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := h.raw(c.method, c.path, c.body); got != c.status {
				t.Errorf("status %d, want %d", got, c.status)
			}
		})
	}
}

func (h *house) raw(method, path, body string) int {
	h.t.Helper()
	nc, err := net.Dial("unix", h.socket)
	if err != nil {
		h.t.Fatal(err)
	}
	defer nc.Close()
	req, err := http.NewRequest(method, "http://rosterd"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return nc, nil }}
	resp, err := t.RoundTrip(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// What is written as JSON says when a thing is not there.
func TestJSON(t *testing.T) {
	h := newHouse(t)
	h.set("romeo@example.com", "{}")
	h.online("romeo@example.com", available("orchard"))
	r, err := h.client.Get(t.Context(), "romeo@example.com")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{"held", "breaker", "last_error", "dropped", "next_try", "null"} {
		if strings.Contains(string(b), absent) {
			t.Errorf("%s stands in %s", absent, b)
		}
	}
	if !strings.Contains(string(b), `"contacts":[]`) {
		t.Errorf("no contacts in %s", b)
	}
}
