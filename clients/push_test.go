//go:build clients

package clients

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"rosterd/daemontest"
)

// pushed is a host whose rosters applications change, and nobody else.
var pushed = strings.Split(configuration, "VirtualHost")[0] + `
VirtualHost "example.com"
  modules_enabled = { "roster", "http_ejabberd_api", "http_openfire_api" }
  rosterd_roster_edit = "refuse"
  rosterd_push_token = "0123456789abcdef"
  admins = { "admin@example.com" }
  -- there is no backend at %q
`

func pushedHouse() *house {
	return &house{form: pushed, lists: map[string]map[string]contact{"admin": nil, "romeo": nil, "juliet": nil, "nurse": nil}}
}

// TestPushed: users of slixmpp see what applications do to their rosters.
func TestPushed(t *testing.T) {
	t.Parallel()
	h := pushedHouse().open(t)
	h.story(t, "pushed.py", strconv.Itoa(h.c2s), password, "http://"+h.address(h.http), "0123456789abcdef")
}

// startEjabberd serves the HTTP API of Debian's, as the user that the package has made for it, in a folder of its own. It is
// configured as the package does it but for what the test needs.
func startEjabberd(t *testing.T) (url string) {
	t.Helper()
	dir, port := daemontest.Folder(t, "ejabberd"), daemontest.Port(t)
	must(t, os.WriteFile(filepath.Join(dir, "ejabberd.yml"), fmt.Appendf(nil, `
hosts: [example.com]
loglevel: warning
listen:
  - {port: %d, ip: "127.0.0.1", module: ejabberd_http, request_handlers: {/api: mod_http_api}}
auth_method: internal
acl: {admin: {user: admin@example.com}}
api_permissions:
  setup: {who: {ip: 127.0.0.1/8}, what: [register]}
  admin: {who: {access: {allow: [{acl: admin}]}}, what: ["*"]}
modules: {mod_admin_extra: {}, mod_http_api: {}, mod_roster: {}}
`, port), 0o644))
	owner := daemontest.User(t, "ejabberd")
	daemontest.Give(t, dir, owner)
	c := exec.Command("erl", "+S", "1", "-noinput", "-mnesia", "dir", strconv.Quote(filepath.Join(dir, "mnesia")), "-s", "ejabberd")
	c.Dir, c.SysProcAttr = dir, &syscall.SysProcAttr{Credential: owner}
	c.Env = append(os.Environ(), "HOME="+dir, "ERL_LIBS=/usr/lib/"+triplet(t), "ERL_CRASH_DUMP=/dev/null",
		"EJABBERD_CONFIG_PATH="+filepath.Join(dir, "ejabberd.yml"), "EJABBERD_LOG_PATH="+filepath.Join(dir, "ejabberd.log"))
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	daemontest.Start(t, c, daemontest.Options{Address: address})
	return "http://" + address + "/api"
}

// triplet is the folder in which Debian's ejabberd is.
func triplet(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*/ejabberd-*")
	must(t, err)
	if len(found) == 0 {
		t.Fatal("make test-clients installs ejabberd")
	}
	return filepath.Base(filepath.Dir(found[0]))
}

// command is one call and its answer, with lists in an order of their own.
func command(t *testing.T, url, name, args string, as ...string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/"+name, strings.NewReader(args))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	if len(as) == 2 {
		req.SetBasicAuth(as[0], as[1])
	} else if len(as) == 1 {
		req.Header.Set("Authorization", as[0])
	}
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	var value any
	if err := json.Unmarshal(b, &value); err != nil {
		t.Fatalf("%s %s: %d %q: %v", name, args, res.StatusCode, b, err)
	}
	if list, ok := value.([]any); ok {
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	text, err := json.Marshal(value)
	must(t, err)
	return fmt.Sprint(res.StatusCode, " ", string(text))
}

// TestEjabberd: an application that pushes to ejabberd pushes to rosterd unchanged, and gets the same answers.
func TestEjabberd(t *testing.T) {
	t.Parallel()
	theirs := startEjabberd(t)
	h := pushedHouse().open(t)
	for _, name := range []string{"admin", "romeo", "juliet", "nurse"} {
		command(t, theirs, "register", fmt.Sprintf(`{"user":%q,"host":"example.com","password":%q}`, name, password))
	}
	admin := []string{"admin@example.com", password}
	item := func(user, contact, nick, group, subs string) string {
		return fmt.Sprintf(`{"localuser":%q,"localhost":"example.com","user":%q,"host":"example.com","nick":%q,"group":%q,"subs":%q}`, user, contact, nick, group, subs)
	}
	pair := func(user, contact string) string {
		return fmt.Sprintf(`{"localuser":%q,"localhost":"example.com","user":%q,"host":"example.com"}`, user, contact)
	}
	of := func(user string) string { return fmt.Sprintf(`{"user":%q,"host":"example.com"}`, user) }
	for _, call := range []struct {
		name, args string
		as         []string
	}{
		{"get_roster", of("romeo"), admin},
		{"add_rosteritem", item("romeo", "juliet", "Jule", "Friends;Loves", "both"), admin},
		{"get_roster", of("romeo"), admin},
		{"get_roster", of("ROMEO"), admin},
		{"get_roster", of("juliet"), admin},
		{"get_roster", `{"user":"romeo","server":"example.com"}`, admin},
		{"add_rosteritem", item("romeo", "juliet", "Jü", "", "from"), admin},
		{"get_roster", of("romeo"), admin},
		{"add_rosteritem", `{"localuser":"juliet","localserver":"example.com","user":"romeo","server":"example.com","nick":"R","group":"G","subs":"to"}`, admin},
		{"add_rosteritem", item("romeo", "juliet", "", "A", "both"), admin},
		{"add_rosteritem", item("juliet", "romeo", "R", "A", "both"), admin},
		{"delete_rosteritem", pair("romeo", "juliet"), admin},
		{"get_roster", of("romeo"), admin},
		{"get_roster", of("juliet"), admin},
		{"delete_rosteritem", pair("romeo", "juliet"), admin},
		{"add_rosteritem", item("juliet", "romeo", "R", "A", "remove"), admin},
		{"get_roster", of("juliet"), admin},
		{"add_rosteritem", item("nobody", "juliet", "", "", "none"), admin},
		{"get_roster", of("nobody"), admin},
		{"push_alltoall", `{"host":"example.com","group":"All"}`, admin},
		{"get_roster", of("admin"), admin},
		{"get_roster", of("nurse"), admin},
		{"process_rosteritems", `{"action":"list","subs":"any","asks":"any","users":"any","contacts":"any"}`, admin},
		{"process_rosteritems", `{"action":"list","subs":"both","asks":"none","users":"r*@example.com:n?rse@*","contacts":"[!n]*@example.com"}`, admin},
		{"process_rosteritems", `{"action":"list","subs":"from:to","asks":"any","users":"any","contacts":"any"}`, admin},
		{"process_rosteritems", `{"action":"list","subs":"any","asks":"any","users":"*","contacts":"any"}`, admin},
		{"process_rosteritems", `{"action":"list","subs":"any","asks":"in","users":"any","contacts":"any"}`, admin},
		{"process_rosteritems", `{"action":"delete","subs":"any","asks":"any","users":"romeo@*","contacts":"nurse@*"}`, admin},
		{"process_rosteritems", `{"action":"list","subs":"any","asks":"any","users":"romeo@example.com","contacts":"any"}`, admin},

		{"add_rosteritem", item("romeo", "a b", "", "", "both"), admin},
		{"add_rosteritem", item("a b", "romeo", "", "", "both"), admin},
		{"add_rosteritem", pair("romeo", "juliet"), admin},
		{"add_rosteritem", `[]`, admin},
		{"add_rosteritem", "\n", admin},
		{"add_rosteritem", `{`, admin},
		{"get_roster", `{"user":"romeo","host":"example.com","extra":"1"}`, admin},
		{"get_roster", `{"user":5,"host":"example.com"}`, admin},
		{"get_roster", `{"user":null,"host":"example.com"}`, admin},
		{"frobnicate_rosters", `{}`, admin},
		{"", `{}`, admin},
		{"get_roster", of("romeo"), nil},
		{"get_roster", of("romeo"), []string{"admin@example.com", "wrong"}},
		{"get_roster", of("romeo"), []string{"admin", password}},
		{"get_roster", of("romeo"), []string{"romeo@example.com", password}},
		{"get_roster", of("romeo"), []string{"Bearer wrong"}},
		{"get_roster", of("romeo"), []string{"nonsense"}},
	} {
		want := command(t, theirs, call.name, call.args, call.as...)
		got := command(t, "http://"+h.address(h.http)+"/api", call.name, call.args, call.as...)
		if got != want {
			t.Errorf("%s %s as %q\nejabberd %s\nrosterd  %s", call.name, call.args, call.as, want, got)
		}
	}
}
