//go:build clients

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"rosterd/bench/load"
	"rosterd/bench/target"
)

// serve starts a server of a kind, as make bench does, until the test ends.
func serve(t *testing.T, kind string, s target.Settings) *target.Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "rosterd-bench-") // a test's own is closed to others, and Prosody is somebody else
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	kinds, err := target.Kinds(t.Context(), dir, "", kind)
	must(t, err)
	v, err := kinds[0].Start(t.Context(), s)
	must(t, err)
	t.Cleanup(func() {
		v.Stop()
		if t.Failed() {
			t.Logf("%s: %s", kind, v.Log())
		}
		must(t, target.UseAll())
		must(t, os.RemoveAll(dir))
	})
	return v
}

// TestServers: what is measured is the same work. Both let in everybody over everything, and tell both sides of a change of
// who is there.
func TestServers(t *testing.T) {
	t.Chdir("..") // as make bench is run
	for _, kind := range everyone {
		t.Run(kind, func(t *testing.T) {
			v := serve(t, kind, target.Settings{Users: []string{"romeo", "juliet"}, TLS: true, WebSocket: true, Processors: target.All})
			for _, transport := range []load.Transport{load.TCP, load.StartTLS, load.DirectTLS, load.WebSocket, load.SecureWeb} {
				for _, mechanism := range []string{load.Plain, load.SCRAM} {
					c, err := load.Login(t.Context(), v, "romeo", load.How{Transport: transport, Mechanism: mechanism})
					must(t, err)
					for name, step := range map[string]func() error{"roster": c.Roster, "presence": c.Presence, "ping": c.Ping} {
						if err := step(); err != nil {
							t.Errorf("%s by %s over %s: %v", name, mechanism, transport, err)
						}
					}
					must(t, c.Leave())
				}
			}
			friends(t, v)
		})
	}
}

// friends has two users be made contacts of each other while they are there, and then strangers again.
func friends(t *testing.T, v *target.Server) {
	t.Helper()
	users := []string{"romeo", "juliet"}
	list, err := load.LoginAll(t.Context(), v, users, load.How{}, (*load.Client).Roster, (*load.Client).Presence)
	must(t, err)
	t.Cleanup(func() { load.CloseAll(list) })
	for _, change := range []struct {
		doc           func(user string) []byte
		pushed, shown string
	}{
		{doc: func(u string) []byte { return load.Friends(u, users) }, pushed: "subscription='both'", shown: "<presence "},
		{doc: func(string) []byte { return []byte("{}") }, pushed: "subscription='remove'", shown: "type='unavailable'"},
	} {
		for _, u := range users {
			v.Backend.Set(u, change.doc(u))
		}
		for _, c := range list {
			must(t, c.Deadline(time.Now().Add(10*time.Second)))
		}
		_, err := load.Post(t.Context(), v, users)
		must(t, err)
		must(t, load.Each(len(list), func(i int) error {
			// Presence may come before the push, and attributes in any order.
			text, err := list[i].Until(func(text string) bool {
				return strings.Contains(text, change.pushed) && strings.Contains(text, change.shown) && strings.HasSuffix(text, ">")
			})
			if err != nil {
				return fmt.Errorf("%s and %s: %w; there came %q", change.pushed, change.shown, err, text)
			}
			return nil
		}))
	}
}

// TestProsodyModule: the stand-in answers, whatever the application says and whatever is posted.
func TestProsodyModule(t *testing.T) {
	t.Chdir("..")
	rosters := []struct {
		name, doc string
		status    int
		want      []string // in the answer to a roster get
		failed    bool
	}{
		{name: "empty", doc: `{}`, want: []string{"type='result'"}},
		{name: "empty array", doc: `[]`, want: []string{"type='result'"}},
		{name: "groups as an object", doc: `{"a@localhost": {"name": "A", "groups": {"Friends": true}}}`, want: []string{"a@localhost", "name='A'", "<group>Friends</group>", "subscription='both'"}},
		{name: "groups as an array", doc: `{"a@localhost": {"groups": ["Friends", "Family"]}}`, want: []string{"<group>Friends</group>", "<group>Family</group>"}},
		{name: "groups as nonsense", doc: `{"a@localhost": {"groups": 5}}`, want: []string{"a@localhost"}},
		{name: "no name", doc: `{"a@localhost": {"name": null}}`, want: []string{"a@localhost"}},
		{name: "one that cannot be used", doc: `{"a@localhost": {}, "b@localhost": 5, "not a jid@@": {}, "c@localhost": null}`, want: []string{"a@localhost"}},
		{name: "control characters", doc: `{"a@localhost": {"name": "\u0001", "groups": ["\u0002", "Good"]}}`, want: []string{"a@localhost", "<group>Good</group>"}},
		{name: "mixed case", doc: `{"A@Localhost": {}}`, want: []string{"a@localhost"}},
		{name: "what ends attributes", doc: `{"a@localhost": {"name": "<&'\">"}}`, want: []string{"&lt;&amp;&apos;&quot;&gt;"}},
		{name: "no JSON", doc: `<html>`, failed: true},
		{name: "nothing", doc: ``, failed: true},
		{name: "null", doc: `null`, failed: true},
		{name: "status 500", doc: `{}`, status: 500, failed: true},
		{name: "status 404", doc: `{}`, status: 404, failed: true},
	}
	users := append(load.Names("u", len(rosters)), "self", "posts")
	v := serve(t, target.Prosody, target.Settings{Users: users, Processors: target.All})
	login := func(user string) *load.Client {
		c, err := load.Login(t.Context(), v, user, load.How{})
		must(t, err)
		t.Cleanup(c.Close)
		must(t, c.Deadline(time.Now().Add(10*time.Second)))
		return c
	}
	for i, tt := range rosters {
		t.Run(tt.name, func(t *testing.T) {
			v.Backend.Set(users[i], []byte(tt.doc))
			v.Backend.Fail(tt.status)
			defer v.Backend.Fail(0)
			c := login(users[i])
			answer := get(t, c)
			if tt.failed != strings.Contains(answer, "type='error'") {
				t.Errorf("answer is %s", answer)
			}
			for _, want := range tt.want {
				if !strings.Contains(answer, want) {
					t.Errorf("answer is %s, want %q in it", answer, want)
				}
			}
			status, answer := post(t, v, `["`+users[i]+`", "nobody"]`)
			want := `"errors":0`
			if tt.failed {
				want = `"errors":1`
			}
			if status != http.StatusOK || !strings.Contains(answer, want) {
				t.Errorf("refresh is answered with %d %s, want %s", status, answer, want)
			}
		})
	}
	v.Backend.Set("self", []byte(`{"self@localhost": {}, "a@localhost": {}}`))
	if answer := get(t, login("self")); strings.Contains(answer, "<item") && strings.Contains(answer, "'self@localhost'") {
		t.Errorf("who is in the own list is shown it: %s", answer)
	}
	for body, want := range map[string]int{`[]`: 200, `["nobody", 5, null, ""]`: 200, ``: 400, `null`: 400, `{"users": []}`: 400, `"posts"`: 400, `[`: 400} {
		if status, answer := post(t, v, body); status != want {
			t.Errorf("%q is answered with %d %s, want %d", body, status, answer, want)
		}
	}
}

// get is the answer to a roster get.
func get(t *testing.T, c *load.Client) string {
	t.Helper()
	_, err := c.Write([]byte("<iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>"))
	must(t, err)
	text, err := c.Until(func(text string) bool { return strings.HasSuffix(text, "</iq>") })
	must(t, err)
	return text
}

// post is the answer to a refresh.
func post(t *testing.T, v *target.Server, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+v.HTTP+"/roster_admin/refresh", bytes.NewReader([]byte(body)))
	must(t, err)
	req.Host = target.Domain
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(answer)
}
