package push_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/groups"
	"rosterd/engine/stored"
	"rosterd/httpd/push"
	"rosterd/store"
)

const token = "0123456789abcdef"

// house is an API over an engine with a store. There are example.com, whose rosters are kept here, and web.example,
// whose come from elsewhere.
type house struct {
	*push.API
	base string
}

func newHouse(t testing.TB, change func(*push.API)) *house {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	db, err := store.OpenMemory(log)
	if err != nil {
		t.Fatal(err)
	}
	kept := &stored.Rosters{Values: db.Stores("example.com").Keyed("roster")}
	elsewhere := engine.BackendFunc(func(context.Context, engine.Request) (engine.Answer, error) { return engine.Answer{}, nil })
	eng := engine.New(map[string]engine.Host{
		"example.com": {Backend: kept, Assigner: kept, OneSided: true}, "web.example": {Backend: elsewhere},
	}, func(engine.Event) {}, log)
	people := []addr.Bare{addr.MustBare("admin@example.com"), addr.MustBare("juliet@example.com"), addr.MustBare("nurse@example.com"), addr.MustBare("romeo@example.com")}
	users := func(context.Context) ([]addr.Bare, error) { return people, nil }
	exists := func(_ context.Context, u addr.Bare) (bool, error) {
		for _, p := range people {
			if p == u {
				return true, nil
			}
		}
		return false, nil
	}
	admins := []addr.Bare{addr.MustBare("admin@example.com")}
	api := &push.API{
		Rosters: eng, Log: log, Bytes: 10_000,
		Hosts: map[string]*push.Host{
			"example.com": {Name: "example.com", Token: token, Admins: admins, Exists: exists, Users: users, Stored: users, Items: 100},
			"web.example": {Name: "web.example", Token: token, Exists: exists, Items: 100},
		},
		Password: func(_ context.Context, u addr.Bare, password string, from netip.Addr) error {
			switch {
			case !from.IsLoopback():
				return fmt.Errorf("from %v", from)
			case password == "busy":
				return errors.New("no answer")
			case password != "secret":
				return push.ErrRefused
			}
			return nil
		},
	}
	if change != nil {
		change(api)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", api.Ejabberd()))
	mux.Handle("/plugins/", http.StripPrefix("/plugins", api.Openfire(api.Hosts["example.com"])))
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.Close()
		if err := errors.Join(eng.Close(context.Background()), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return &house{api, srv.URL}
}

// ask makes a request "METHOD PATH [BODY]" with header lines, and returns "STATUS BODY".
func (h *house) ask(t testing.TB, request string, headers ...string) string {
	t.Helper()
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, h.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", string(b)))
}

const bearer = "Authorization: Bearer " + token

// step is a request and its answer.
type step struct{ do, want string }

func (h *house) play(t *testing.T, script string, headers ...string) {
	t.Helper()
	var do string
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		want, isAnswer := strings.CutPrefix(line, "→ ")
		switch {
		case line == "":
		case !isAnswer:
			do = line
		default:
			if got := h.ask(t, do, headers...); got != want {
				t.Errorf("%s\n got %s\nwant %s", do, got, want)
			}
		}
	}
}

// The answers are those of ejabberd 23.01, but for what docs/QUIRKS.md has.
func TestEjabberd(t *testing.T) {
	h := newHouse(t, nil)
	h.play(t, `
		POST /api/add_rosteritem {"localuser":"romeo","localhost":"example.com","user":"juliet","host":"example.com","nick":"Jule","group":"Friends;Loves","subs":"both"}
		→ 200 0
		POST /api/get_roster {"user":"romeo","host":"example.com"}
		→ 200 [{"jid":"juliet@example.com","nick":"Jule","subscription":"both","ask":"undefined","group":"Friends"},{"jid":"juliet@example.com","nick":"Jule","subscription":"both","ask":"undefined","group":"Loves"}]
		POST /api/get_roster {"user":"Romeo","server":"EXAMPLE.com"}
		→ 200 [{"jid":"juliet@example.com","nick":"Jule","subscription":"both","ask":"undefined","group":"Friends"},{"jid":"juliet@example.com","nick":"Jule","subscription":"both","ask":"undefined","group":"Loves"}]
		POST /api/get_roster/v1 {"user":"romeo","host":"example.com"}
		→ 200 [{"jid":"juliet@example.com","nick":"Jule","subscription":"both","pending":"none","groups":["Friends","Loves"]}]
		POST /api/v2/get_roster_count {"user":"romeo","host":"example.com"}
		→ 200 1
		POST /api/get_roster {"user":"juliet","host":"example.com"}
		→ 200 []
		GET /api/get_roster?user=juliet&host=example.com
		→ 200 []
		POST /api/add_rosteritem {"localuser":"juliet","localserver":"example.com","user":"romeo","server":"example.com","nick":"R","groups":["a","b;c"],"subs":"both"}
		→ 200 0
		POST /api/v1/get_roster {"user":"juliet","host":"example.com"}
		→ 200 [{"jid":"romeo@example.com","nick":"R","subscription":"both","pending":"none","groups":["a","b;c"]}]
		POST /api/add_rosteritem {"localuser":"romeo","localhost":"example.com","user":"juliet","host":"example.com","nick":"","group":"","subs":"both"}
		→ 200 0
		POST /api/get_roster {"user":"romeo","host":"example.com"}
		→ 200 [{"jid":"juliet@example.com","nick":"","subscription":"both","ask":"undefined","group":""}]
		POST /api/delete_rosteritem {"localuser":"romeo","localhost":"example.com","user":"juliet","host":"example.com"}
		→ 200 0
		POST /api/get_roster {"user":"romeo","host":"example.com"}
		→ 200 []
		POST /api/get_roster {"user":"juliet","host":"example.com"}
		→ 200 [{"jid":"romeo@example.com","nick":"R","subscription":"none","ask":"undefined","group":"a"},{"jid":"romeo@example.com","nick":"R","subscription":"none","ask":"undefined","group":"b;c"}]
		POST /api/delete_rosteritem {"localuser":"romeo","localhost":"example.com","user":"juliet","host":"example.com"}
		→ 200 0
		POST /api/add_rosteritem {"localuser":"juliet","localhost":"example.com","user":"romeo","host":"example.com","nick":"","group":"","subs":"remove"}
		→ 200 0
		POST /api/get_roster {"user":"juliet","host":"example.com"}
		→ 200 []
		POST /api/add_rosteritem {"localuser":"nobody","localhost":"example.com","user":"","host":"icq.example","nick":"","group":"","subs":"to"}
		→ 200 0
		POST /api/get_roster {"user":"nobody","host":"example.com"}
		→ 200 [{"jid":"icq.example","nick":"","subscription":"to","ask":"undefined","group":""}]
	`, bearer)
}

func TestEjabberdRefusals(t *testing.T) {
	h := newHouse(t, nil)
	const item = `{"localuser":"romeo","localhost":"example.com","user":"juliet","host":"example.com","nick":"Jule","group":"","subs":"both"}`
	with := func(old, new string) string { return "POST /api/add_rosteritem " + strings.Replace(item, old, new, 1) }
	for _, s := range []step{
		{with(`"juliet"`, `"a b"`), `400 "Invalid 'user'/'server'"`},
		{with(`"romeo"`, `"a b"`), `400 "Invalid 'localuser'/'localserver'"`},
		{with(`"romeo"`, `""`), `400 "Invalid 'localuser'/'localserver'"`},
		{with(`"nick":"Jule",`, ``), `400 "Request have missing argument: nick"`},
		{with(`"nick"`, `"extra":"","nick"`), `400 "Request have unknown arguments: [extra]"`},
		{with(`"nick"`, `"localserver":"example.com","nick"`), `400 "Request have duplicate argument: localhost"`},
		{with(`"Jule"`, `5`), `400 "Arg 5 is not in format binary"`},
		{with(`"Jule"`, `null`), `400 "Arg null is not in format binary"`},
		{with(`"Jule"`, `["a"]`), `400 "Arg [\"a\"] is not in format binary"`},
		{with(`"Jule"`, `"a\u0000b"`), `400 "juliet@example.com in the roster of romeo@example.com: name holds U+0000, which XML cannot carry"`},
		{with(`"both"`, `"nonsense"`), `400 "subscription \"nonsense\" is none of none, to, from, both"`},
		{with(`"juliet"`, `"romeo"`), `400 "romeo@example.com in the roster of romeo@example.com: nobody is a contact of his own"`},
		{with(`"example.com"`, `"other.example"`), `403 "other.example is no host here whose rosters you change"`},
		{with(`"example.com"`, `"web.example"`), `400 "the rosters of web.example are not kept here: change them where they come from, and refresh"`},
		{"POST /api/add_rosteritem {", `400 "400 Bad Request"`},
		{"POST /api/add_rosteritem []", `400 "Request have missing argument: localuser"`},
		{"POST /api/add_rosteritem \n", `400 "Request have missing argument: localuser"`},
		{"POST /api/add_rosteritem", `400 "Missing POST data"`},
		{"POST /api/add_rosteritem " + strings.Repeat("x", 20_000), `413 "the body is too large: more than 10000 bytes"`},
		{"GET /api/get_roster?user=a&user=b", `400 "Request have duplicate argument: user"`},
		{"POST /api/register {}", `404 {"code":40,"message":"Endpoint not found.","status":"error"}`},
		{"POST /api/ {}", `400 {"code":40,"message":"Missing command name.","status":"error"}`},
		{"PUT /api/get_roster {}", `400 {"code":40,"message":"Missing command name.","status":"error"}`},
		{`POST /api/push_roster {"user":"romeo","host":"example.com","file":"/etc/passwd"}`, `400 "files are not read here: rosterd_push_files names no folder"`},
		{`POST /api/push_alltoall {"host":"web.example","group":""}`, `400 "the accounts of web.example are kept elsewhere: nobody here knows them all"`},
	} {
		if got := h.ask(t, s.do, bearer); got != s.want {
			t.Errorf("%.300s\n got %s\nwant %s", s.do, got, s.want)
		}
	}
}

// basic is the header of a user with a password.
func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return "Authorization: " + r.Header.Get("Authorization")
}

func TestCallers(t *testing.T) {
	open := newHouse(t, func(a *push.API) {
		a.Hosts["example.com"].Allow, a.Hosts["example.com"].Web = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "Web.example.net"
	})
	h := newHouse(t, nil)
	const (
		unauthorized = `401 {"code":10,"message":"You are not authorized to call this command.","status":"error"}`
		invalid      = `401 {"code":10,"message":"Oauth Token is invalid or expired.","status":"error"}`
		forbidden    = `403 {"code":32,"message":"AccessRules: Account does not have the right to perform the operation.","status":"error"}`
	)
	for _, test := range []struct {
		name, want, openfire string
		house                *house
		headers              []string
	}{
		{"an admin", "200 []", "200", h, []string{basic("admin@example.com", "secret")}},
		{"an admin without a domain", unauthorized, "200", h, []string{basic("admin", "secret")}},
		{"wrong password", unauthorized, "401", h, []string{basic("admin@example.com", "wrong")}},
		{"no password", unauthorized, "401", h, []string{basic("admin@example.com", "")}},
		{"nobody knows", `503 "the password could not be checked"`, "503", h, []string{basic("admin@example.com", "busy")}},
		{"no admin", forbidden, "401", h, []string{basic("romeo@example.com", "secret")}},
		{"no base64", unauthorized, "401", h, []string{"Authorization: Basic !!!"}},
		{"token", "200 []", "200", h, []string{bearer}},
		{"another token", invalid, "401", h, []string{"Authorization: Bearer 0123456789abcdee"}},
		{"the secret alone", unauthorized, "200", h, []string{"Authorization: " + token}},
		{"another secret", unauthorized, "401", h, []string{"Authorization: nonsense"}},
		{"nothing", forbidden, "401", h, nil},
		{"a page with the admin's password", forbidden, "401", h, []string{basic("admin@example.com", "secret"), "Origin: https://evil.example"}},
		{"from a machine that is trusted", "200 []", "200", open, nil},
		{"a page there", forbidden, "401", open, []string{"Origin: https://evil.example"}},
		{"a page of the same origin", forbidden, "401", open, []string{"Origin: http://evil.example", "Host: evil.example"}},
		{"a browser there", forbidden, "401", open, []string{"Sec-Fetch-Site: cross-site"}},
		{"passed on by a proxy there", forbidden, "401", open, []string{"X-Forwarded-For: 192.0.2.1"}},
		{"passed on, with a token", "200 []", "200", open, []string{"X-Forwarded-For: 192.0.2.1", bearer}},
		{"a stranger's name", forbidden, "401", open, []string{"Host: evil.example"}},
		{"our name", "200 []", "200", open, []string{"Host: example.com:5280"}},
		{"our name for the web", "200 []", "200", open, []string{"Host: web.example.net"}},
		{"no name", "200 []", "200", open, []string{"Host: localhost"}},
		{"there, with a wrong token", invalid, "401", open, []string{"Authorization: Bearer x"}},
	} {
		if got := test.house.ask(t, `POST /api/get_roster {"user":"romeo","host":"example.com"}`, test.headers...); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if got := test.house.ask(t, `GET /plugins/restapi/v1/users/romeo/roster`, test.headers...); !strings.HasPrefix(got, test.openfire) {
			t.Errorf("%s at Openfire's: %s, want %s", test.name, got, test.openfire)
		}
	}
	if got := open.ask(t, "GET /api/get_roster?user=romeo&host=example.com"); got != forbidden { // an image in a page
		t.Error(got)
	}
	if got := h.ask(t, `POST /api/process_rosteritems {"action":"list","subs":"any","asks":"any","users":"any","contacts":"any"}`); got != forbidden {
		t.Error(got)
	}
}

func TestEjabberdForMany(t *testing.T) {
	dir := t.TempDir()
	h := newHouse(t, func(a *push.API) { a.Hosts["example.com"].Files = dir })
	for name, text := range map[string]string{
		"f.txt": "% contacts\n[{<<\"bob\">>, <<\"example.org\">>, <<\"workers\">>, <<\"Bö \\\"b\\\"\"/utf8>>},\n {\"mart\", \"example.org\", \"a;b\", \"Mart\"}].\n",
		"g.txt": `[{"romeo", "example.com", "w", "R"}, {"juliet", "example.com", "w", "J"}].`,
		"h.txt": `[{"romeo", "example.com", "w"}].`,
		"i.txt": `[{"romeo", "web.example", "w", "R"}].`,
		"k.txt": `[{"", "example.com", "w", "R"}].`,
		"j.txt": `[{"a b", "web.example", "w", "R"}].`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link.txt")); err != nil {
		t.Fatal(err)
	}
	h.play(t, `
		POST /api/push_alltoall {"host":"example.com","group":"All"}
		→ 200 0
		POST /api/v1/get_roster {"user":"nurse","host":"example.com"}
		→ 200 [{"jid":"admin@example.com","nick":"admin","subscription":"both","pending":"none","groups":["All"]},{"jid":"juliet@example.com","nick":"juliet","subscription":"both","pending":"none","groups":["All"]},{"jid":"romeo@example.com","nick":"romeo","subscription":"both","pending":"none","groups":["All"]}]
		POST /api/process_rosteritems {"action":"list","subs":"any","asks":"any","users":"romeo@example.com","contacts":"any"}
		→ 200 [{"user":"romeo@example.com","contact":"admin@example.com"},{"user":"romeo@example.com","contact":"juliet@example.com"},{"user":"romeo@example.com","contact":"nurse@example.com"}]
		POST /api/process_rosteritems {"action":"list","subs":"both:none","asks":"none","users":"r*@example.com:N?rse@*","contacts":"[!n]*@example.com"}
		→ 200 [{"user":"nurse@example.com","contact":"admin@example.com"},{"user":"nurse@example.com","contact":"juliet@example.com"},{"user":"nurse@example.com","contact":"romeo@example.com"},{"user":"romeo@example.com","contact":"admin@example.com"},{"user":"romeo@example.com","contact":"juliet@example.com"}]
		POST /api/process_rosteritems {"action":"list","subs":"from:to","asks":"any","users":"any","contacts":"any"}
		→ 200 []
		POST /api/process_rosteritems {"action":"list","subs":"any","asks":"in","users":"any","contacts":"any"}
		→ 200 []
		POST /api/process_rosteritems {"action":"list","subs":"any","asks":"any","users":"*","contacts":"any"}
		→ 200 []
		POST /api/process_rosteritems {"action":"list","subs":"wrong","asks":"any","users":"any","contacts":"any"}
		→ 400 "subs: \"wrong\" is none of any, none, from, to, both"
		POST /api/process_rosteritems {"action":"list","subs":"any","asks":"any","users":"[","contacts":"any"}
		→ 400 "users: \"[\" is no pattern"
		POST /api/process_rosteritems {"action":"drop","subs":"any","asks":"any","users":"any","contacts":"any"}
		→ 400 "action: \"drop\" is neither list nor delete"
		POST /api/process_rosteritems {"action":"delete","subs":"any","asks":"any","users":"romeo@*","contacts":"*"}
		→ 200 []
		POST /api/process_rosteritems {"action":"delete","subs":"any","asks":"any","users":"romeo@*","contacts":"any"}
		→ 200 [{"user":"romeo@example.com","contact":"admin@example.com"},{"user":"romeo@example.com","contact":"juliet@example.com"},{"user":"romeo@example.com","contact":"nurse@example.com"}]
		POST /api/get_roster_count {"user":"romeo","host":"example.com"}
		→ 200 0
		POST /api/get_roster_count {"user":"nurse","host":"example.com"}
		→ 200 3
		POST /api/push_roster {"file":"f.txt","user":"romeo","host":"example.com"}
		→ 200 0
		POST /api/v1/get_roster {"user":"romeo","host":"example.com"}
		→ 200 [{"jid":"bob@example.org","nick":"Bö \"b\"","subscription":"both","pending":"none","groups":["workers"]},{"jid":"mart@example.org","nick":"Mart","subscription":"both","pending":"none","groups":["a","b"]}]
		POST /api/push_roster_all {"file":"`+dir+`/g.txt"}
		→ 200 0
		POST /api/get_roster_count {"user":"romeo","host":"example.com"}
		→ 200 3
		POST /api/push_roster {"file":"h.txt","user":"romeo","host":"example.com"}
		→ 400 "h.txt: not a list of {\"user\", \"server\", \"group\", \"nick\"} that ends in a full stop"
		POST /api/push_roster_all {"file":"i.txt"}
		→ 400 "the rosters of web.example are not kept here: change them where they come from, and refresh"
		POST /api/push_roster {"file":"j.txt","user":"romeo","host":"example.com"}
		→ 400 "j.txt: contact 1: not a valid address: \"a b\": localpart: precis: disallowed rune encountered"
		POST /api/push_roster_all {"file":"k.txt"}
		→ 400 "contact 1: example.com is no user"
		POST /api/push_roster {"file":"link.txt","user":"romeo","host":"example.com"}
		→ 400 "there is no file \"link.txt\" of at most 16777216 bytes in rosterd_push_files"
		POST /api/push_roster {"file":"../f.txt","user":"romeo","host":"example.com"}
		→ 400 "there is no file \"../f.txt\" of at most 16777216 bytes in rosterd_push_files"
	`, bearer)
	h.Hosts["example.com"].Items = 15
	h.play(t, `
		POST /api/push_alltoall {"host":"example.com","group":"All"}
		→ 400 "4 contacts in 4 rosters are more than the 15 of rosterd_push_items"
	`, bearer)
	h.Hosts["example.com"].Items = 5
	h.play(t, `
		POST /api/process_rosteritems {"action":"delete","subs":"any","asks":"any","users":"any","contacts":"any"}
		→ 400 "more contacts than the 5 of rosterd_push_items: name fewer users"
	`, bearer)
}

// What an application removes at its host changes no roster of a host that is not its own.
func TestEjabberdHostsApart(t *testing.T) {
	h := newHouse(t, func(a *push.API) {
		db, err := store.OpenMemory(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		hosts := map[string]engine.Host{}
		for _, name := range []string{"example.com", "example.net"} {
			kept := &stored.Rosters{Values: db.Stores(name).Keyed("roster")}
			hosts[name] = engine.Host{Backend: kept, Assigner: kept, OneSided: true}
		}
		eng := engine.New(hosts, func(engine.Event) {}, slog.New(slog.DiscardHandler))
		a.Rosters = eng
		a.Hosts["example.net"] = &push.Host{Name: "example.net", Token: "fedcba9876543210", Items: 100}
		t.Cleanup(func() {
			if err := errors.Join(eng.Close(context.Background()), db.Close()); err != nil {
				t.Error(err)
			}
		})
	})
	const other = "Authorization: Bearer fedcba9876543210"
	const have = `POST /api/v1/get_roster {"user":"juliet","host":"example.net"}
		→ 200 [{"jid":"romeo@example.com","nick":"","subscription":"both","pending":"none","groups":[]}]`
	h.play(t, `
		POST /api/add_rosteritem {"localuser":"juliet","localhost":"example.net","user":"romeo","host":"example.com","nick":"","group":"","subs":"both"}
		→ 200 0
		`+have, other)
	h.play(t, `
		POST /api/add_rosteritem {"localuser":"romeo","localhost":"example.com","user":"juliet","host":"example.net","nick":"","group":"","subs":"both"}
		→ 200 0
		POST /api/delete_rosteritem {"localuser":"romeo","localhost":"example.com","user":"juliet","host":"example.net"}
		→ 200 0
		POST /api/get_roster {"user":"romeo","host":"example.com"}
		→ 200 []
		POST /api/get_roster {"user":"juliet","host":"example.net"}
		→ 403 "example.net is no host here whose rosters you change"
	`, bearer)
	h.play(t, have, other)
}

// Whom groups put into a roster is shown, and is nobody to list for deletion: he would stay.
func TestEjabberdGroups(t *testing.T) {
	h := newHouse(t, func(a *push.API) {
		log := slog.New(slog.DiscardHandler)
		db, err := store.OpenMemory(log)
		if err != nil {
			t.Fatal(err)
		}
		set, _ := groups.New([]groups.Group{{Name: "G", Public: true, Members: []groups.Member{{JID: addr.MustBare("desk@example.com")}}}})
		feed := &groups.Feed{Log: log, Source: groups.SourceFunc(func(context.Context) (*groups.Set, []groups.Problem, error) { return set, nil, nil })}
		kept := &stored.Rosters{Values: db.Stores("example.com").Keyed("roster")}
		eng := engine.New(map[string]engine.Host{"example.com": {Backend: groups.Rosters{Own: kept, Groups: feed}, Assigner: kept, OneSided: true}}, func(engine.Event) {}, log)
		a.Rosters = eng
		t.Cleanup(func() {
			if err := errors.Join(eng.Close(context.Background()), db.Close()); err != nil {
				t.Error(err)
			}
		})
	})
	h.play(t, `
		POST /api/add_rosteritem {"localuser":"romeo","localhost":"example.com","user":"juliet","host":"example.com","nick":"","group":"","subs":"both"}
		→ 200 0
		POST /api/get_roster_count {"user":"romeo","host":"example.com"}
		→ 200 2
		POST /api/process_rosteritems {"action":"list","subs":"any","asks":"any","users":"any","contacts":"any"}
		→ 200 [{"user":"romeo@example.com","contact":"juliet@example.com"}]
		POST /api/process_rosteritems {"action":"delete","subs":"any","asks":"any","users":"any","contacts":"any"}
		→ 200 [{"user":"romeo@example.com","contact":"juliet@example.com"}]
		POST /api/get_roster_count {"user":"romeo","host":"example.com"}
		→ 200 1`, bearer)
}

// A removal that fails half way is whole when it is called again.
func TestEjabberdRemovalAgain(t *testing.T) {
	h := newHouse(t, nil)
	sound := h.Rosters
	h.play(t, `
		POST /api/add_rosteritem {"localuser":"romeo","localhost":"example.com","user":"nurse","host":"example.com","nick":"","group":"","subs":"both"}
		→ 200 0
		POST /api/add_rosteritem {"localuser":"nurse","localhost":"example.com","user":"romeo","host":"example.com","nick":"","group":"","subs":"both"}
		→ 200 0`, bearer)
	const removal = `POST /api/delete_rosteritem {"localuser":"romeo","localhost":"example.com","user":"nurse","host":"example.com"}`
	h.Rosters = hurdle{Rosters: sound, err: errors.New("the disk is full")}
	h.play(t, removal+"\n→ 500 \"internal_error\"", bearer)
	h.Rosters = sound
	h.play(t, removal+`
		→ 200 0
		POST /api/get_roster {"user":"romeo","host":"example.com"}
		→ 200 []
		POST /api/v1/get_roster {"user":"nurse","host":"example.com"}
		→ 200 [{"jid":"romeo@example.com","nick":"","subscription":"none","pending":"none","groups":[]}]`, bearer)
}

// What is nobody's failure is said, where rosters of many are looked through, too.
func TestEjabberdProcessRefused(t *testing.T) {
	h := newHouse(t, func(a *push.API) { a.Rosters = hurdle{Rosters: a.Rosters, err: engine.ErrReadOnly} })
	h.play(t, `
		POST /api/process_rosteritems {"action":"list","subs":"any","asks":"any","users":"any","contacts":"any"}
		→ 400 "the rosters of example.com are not kept here: change them where they come from, and refresh"`, bearer)
}

// hurdle is rosters of which the nurse's are not changed: that fails, or waits until the application has gone.
type hurdle struct {
	push.Rosters
	err  error
	came chan struct{} // closed when her turn has come; nil: it fails
}

func (h hurdle) Assign(ctx context.Context, a engine.Assignment) (int, error) {
	if a.User.Local() != "nurse" {
		return h.Rosters.Assign(ctx, a)
	}
	if h.came != nil {
		close(h.came)
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 0, h.err
}

// lines is what a log was told, by who waits for it.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// A call for many that fails, or whose application hangs up, ends, and the log says how far it has come.
func TestForManyCutShort(t *testing.T) {
	told := make(lines, 10)
	log := slog.New(slog.NewTextHandler(told, nil))
	h := newHouse(t, func(a *push.API) {
		a.Rosters, a.Log = hurdle{Rosters: a.Rosters, err: errors.New("the disk is full")}, log
	})
	const call = `POST /api/push_alltoall {"host":"example.com","group":"All"}`
	if got := h.ask(t, call, bearer); got != `500 "internal_error"` {
		t.Error(got)
	}
	if line := <-told; !strings.Contains(line, "ended early") || !strings.Contains(line, "rosters=4") || !strings.Contains(line, "the disk is full") {
		t.Error(line)
	}
	if line := <-told; !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "nurse@example.com: the disk is full") {
		t.Error(line)
	}
	if got := h.ask(t, strings.Replace(call, "push_alltoall", "get_roster_count", 1), bearer); !strings.HasPrefix(got, "400 ") { // it still serves
		t.Error(got)
	}

	came := make(chan struct{})
	h = newHouse(t, func(a *push.API) { a.Rosters, a.Log = hurdle{Rosters: a.Rosters, came: came}, log })
	ctx, hangUp := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.base+"/api/push_alltoall", strings.NewReader(`{"host":"example.com","group":"All"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	gone := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		gone <- err
	}()
	<-came
	hangUp()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if line := <-told; !strings.Contains(line, "ended early") || !strings.Contains(line, "rosters=4") {
		t.Error(line)
	}
}
