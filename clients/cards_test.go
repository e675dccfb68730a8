//go:build clients

package clients

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
)

// TestCards: a user of slixmpp sees the names and pictures that a web application gives its users, and new ones after a refresh.
func TestCards(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	person := func(name, picture string) string {
		return fmt.Sprintf(`{"fn": %q, "photo": {"type": "image/png", "data": %q}}`, name, base64.StdEncoding.EncodeToString([]byte(picture)))
	}
	people := map[string]string{"/romeo": person("Romeo Montague", "\x89PNG one"), "/mercutio": person("Mercutio", "\x89PNG of Mercutio")}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if people[r.URL.Path] == "" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, people[r.URL.Path])
	}))
	t.Cleanup(web.Close)
	lists := cast()
	lists["juliet"][mercutio] = contact{"Mercutio", nil} // who never comes
	h := openWith(t, lists, func(*house) (global, sections string) {
		return "", "  rosterd_vcard_url = \"" + web.URL + "/%s\"\n"
	})
	h.play(t, "cards.py", map[string]func(){"Romeo is portrayed anew": func() {
		mu.Lock()
		people["/romeo"] = person("Romeo M.", "\x89PNG two")
		mu.Unlock()
		h.change(t, "romeo", func(map[string]contact) {})
	}}, strconv.Itoa(h.c2s), password)
}
