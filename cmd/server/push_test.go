package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const pushToken = "0123456789abcdef"

// pushed is a configuration whose rosters applications change, and nobody else.
func pushed(more ...string) string {
	return edited(append([]string{`modules_enabled = { "http_ejabberd_api", "http_openfire_api" }`, `rosterd_roster_edit = "refuse"`, `rosterd_push_token = "` + pushToken + `"`}, more...)...)
}

// call makes an application's call, to an address: the application knows no VirtualHost.
func (s *program) call(t testing.TB, method, path, body string, header ...string) string {
	t.Helper()
	if len(header) == 0 {
		header = []string{"Authorization", "Bearer " + pushToken}
	}
	resp, answer := s.request(t, method, path, body, header...)
	return strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", answer))
}

func addItem(user, contact, nick, group, subs string) string {
	return fmt.Sprintf(`{"localuser":%q,"localhost":"example.com","user":%q,"host":"example.com","nick":%q,"group":%q,"subs":%q}`, user, contact, nick, group, subs)
}

// TestPush: what an application pushes is told to who is online, presence included, and cannot be edited.
func TestPush(t *testing.T) {
	t.Parallel()
	p := newPlace(t, pushed())
	s := p.serve(t)
	juliet, romeo := s.login(t, "juliet@example.com/balcony"), s.login(t, "romeo@example.com/orchard")
	juliet.wantRoster()
	romeo.wantRoster()
	juliet.appear()
	romeo.appear()

	equal(t, "one side", s.call(t, http.MethodPost, "/api/add_rosteritem", addItem("romeo", "juliet", "Jule", "Loves;Friends", "both")), "200 0")
	romeo.wantPushes("juliet@example.com|Jule|both|Friends,Loves")
	equal(t, "the other", s.call(t, http.MethodPost, "/api/add_rosteritem", addItem("juliet", "romeo", "", "", "both")), "200 0")
	juliet.wantPushes("romeo@example.com||both|")
	juliet.wantPresence("romeo@example.com/orchard", "")
	romeo.wantPresence("juliet@example.com/balcony", "")

	equal(t, "a client's edit", romeo.set("<item jid='juliet@example.com' subscription='remove'/>"), "cancel/service-unavailable")
	romeo.send("<presence to='juliet@example.com' type='unsubscribed'/>")
	romeo.send("<presence to='nurse@example.com' type='subscribe'/>")
	romeo.wantRoster("juliet@example.com|Jule|both|Friends,Loves")

	equal(t, "Openfire's", s.call(t, http.MethodPut, "/plugins/restapi/v1/users/romeo/roster/juliet@example.com", `{"nickname":"J","subscriptionType":2}`, "Authorization", pushToken, "Content-Type", "application/json"), "200")
	romeo.wantPushes("juliet@example.com|J|from|Friends,Loves")
	romeo.wantPresence("juliet@example.com/balcony", "unavailable")
	equal(t, "for all", s.call(t, http.MethodPost, "/api/push_alltoall", `{"host":"example.com","group":"All"}`), "200 0")
	romeo.wantPushes("juliet@example.com|juliet|both|All")
	juliet.wantPushes("romeo@example.com|romeo|both|All")
	romeo.wantPresence("juliet@example.com/balcony", "")
	equal(t, "removal", s.call(t, http.MethodPost, "/api/delete_rosteritem", `{"localuser":"romeo","localhost":"example.com","user":"juliet","host":"example.com"}`), "200 0")
	romeo.wantPushes("juliet@example.com||remove|")
	juliet.wantPushes("romeo@example.com|romeo|none|All")
	juliet.wantPresence("romeo@example.com/orchard", "unavailable")

	equal(t, "somebody offline", s.call(t, http.MethodPost, "/api/add_rosteritem", addItem("nurse", "romeo", "R", "", "to")), "200 0")
	equal(t, "exit status", s.exit(t), exitOK)
	s = p.serve(t)
	s.login(t, "nurse@example.com").wantRoster("romeo@example.com|R|to|")
	equal(t, "after a restart", s.call(t, http.MethodPost, "/api/process_rosteritems", `{"action":"list","subs":"any","asks":"any","users":"any","contacts":"any"}`),
		`200 [{"user":"juliet@example.com","contact":"romeo@example.com"},{"user":"nurse@example.com","contact":"romeo@example.com"}]`)
	_, out, _ := p.command(t, "", "roster", "get", "nurse@example.com")
	if !strings.Contains(out, "roster, changed by applications alone") {
		t.Error(out)
	}
}

// TestPushCallers: admins may call with their passwords, which are guessed no faster than at a login.
func TestPushCallers(t *testing.T) {
	t.Parallel()
	p := newPlace(t, `rosterd_auth_failures_per_address = 1
`+pushed(`admins = { "admin@example.com" }`))
	p.account(t, "admin@example.com")
	p.account(t, "romeo@example.com")
	s := p.serve(t)
	ask := func(user, password string) string {
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, password)
		return s.call(t, http.MethodPost, "/api/get_roster", `{"user":"romeo","host":"example.com"}`, "Authorization", r.Header.Get("Authorization"))[:3]
	}
	equal(t, "an admin", ask("admin@example.com", password), "200")
	equal(t, "no admin", ask("romeo@example.com", password), "403")
	equal(t, "nobody's host", ask("admin@elsewhere.example", password), "401")
	equal(t, "wrong", ask("admin@example.com", "wrong"), "401")
	equal(t, "a guess", ask("tybalt@example.com", "guess"), "401")
	equal(t, "one too many", ask("tybalt@example.com", "another"), "503")
	equal(t, "an admin who was there", ask("admin@example.com", password), "200")
}

// TestPushElsewhere: rosters of a backend are not for applications to change, and check says so.
func TestPushElsewhere(t *testing.T) {
	t.Parallel()
	p := newPlace(t, open("http://127.0.0.1:1/%s", `modules_enabled = { "http_roster_admin", "http_ejabberd_api" }`, `rosterd_push_allow = { "127.0.0.1" }`))
	s := p.serve(t)
	got := s.call(t, http.MethodPost, "/api/add_rosteritem", addItem("romeo", "juliet", "", "", "both"), "X-Nothing", "")
	equal(t, "answer", got, `400 "the rosters of example.com are not kept here: change them where they come from, and refresh"`)
	if _, out, _ := p.command(t, "", "check"); !strings.Contains(out, `module "http_ejabberd_api": its calls are refused, since the rosters of VirtualHost "example.com" come from module "http_roster_admin"`) {
		t.Errorf("check:\n%s", out)
	}
}
