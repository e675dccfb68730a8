//go:build clients

package clients

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// delegated is a host whose users edit what the backend keeps.
var delegated = strings.NewReplacer(`"http_roster_admin", "block_subscriptions"`, `"http_roster_admin"`,
	"http_roster_url", "rosterd_roster_edit = \"writeback\"\n  http_roster_url").Replace(configuration)

// application keeps contacts, and decides about them.
type application struct {
	mu    sync.Mutex
	books map[string]map[string]map[string]any
	edits []string // method, path, action
	keys  []string
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	user, who, editing := strings.Cut(strings.TrimPrefix(r.URL.Path, "/book/"), "/")
	if !editing {
		_ = json.NewEncoder(w).Encode(a.books[user])
		return
	}
	var wanted struct {
		Action, Name string
		Groups       []string
	}
	if b, err := io.ReadAll(r.Body); err != nil || len(b) > 0 && json.Unmarshal(b, &wanted) != nil {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}
	name, _, _ := strings.Cut(who, "@")
	a.edits = append(a.edits, strings.TrimSpace(r.Method+" "+user+" "+name+" "+wanted.Action))
	a.keys = append(a.keys, r.Header.Get("Idempotency-Key"))
	switch {
	case name == "tybalt":
		http.Error(w, "not a Capulet", http.StatusForbidden)
	case name == "down":
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Method == http.MethodDelete:
		delete(a.books[user], who)
		delete(a.books[name], user+"@"+domain)
	case wanted.Action == "subscribe":
		a.books[user][who]["subscription"] = "both"
		a.books[name][user+"@"+domain] = map[string]any{"subscription": "both"}
	case wanted.Action == "unsubscribe":
		a.books[user][who]["subscription"] = "from"
		a.books[name][user+"@"+domain]["subscription"] = "to"
	default:
		state := cmp.Or(a.books[user][who]["subscription"], any("none"))
		a.books[user][who] = map[string]any{"name": wanted.Name, "groups": append([]string{}, wanted.Groups...), "subscription": state}
	}
}

// TestWriteback: a user of slixmpp adds, renames and removes a contact in a web application, which may say no.
func TestWriteback(t *testing.T) {
	t.Parallel()
	app := &application{books: map[string]map[string]map[string]any{"romeo": {}, "juliet": {}}}
	web := httptest.NewServer(app)
	t.Cleanup(web.Close)
	more := func(*house) (global, sections string) { return "", "  http_roster_url = \"" + web.URL + "/book/%s\"\n" }
	h := (&house{form: delegated, lists: map[string]map[string]contact{"romeo": nil, "juliet": nil}, more: more}).open(t)
	h.python(t, "python/writeback.py")
	app.mu.Lock()
	defer app.mu.Unlock()
	want := []string{"PUT romeo juliet set", "PUT romeo juliet set", "PUT romeo juliet subscribe", "PUT romeo tybalt set", "PUT romeo tybalt subscribe", "PUT romeo down set",
		"PUT romeo juliet unsubscribe", "DELETE romeo juliet"} // slixmpp says goodbye to whom it removes
	if !slices.Equal(app.edits, want) {
		t.Errorf("the application was asked %q, want %q", app.edits, want)
	}
	slices.Sort(app.keys)
	if keys := slices.Compact(app.keys); len(keys) != len(want) || keys[0] == "" {
		t.Errorf("the requests are named %q", keys)
	}
}
