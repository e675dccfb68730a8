//go:build clients

package clients

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// browser is Converse.js in Chromium, with a user who types and clicks.
type browser struct{ *script }

// converseJS logs in as romeo in a page that says how to connect. The page is from another origin than the server.
func converseJS(option string, address func(*house) string) start {
	return func(t *testing.T, h *house) client {
		t.Helper()
		site := httptest.NewServer(site())
		t.Cleanup(site.Close)
		return browser{h.node(t, "browser.js", map[string]any{
			"page": site.URL + "/converse.html", "connection": map[string]string{option: address(h)}, "trust": h.fingerprint(t),
			"username": "romeo", "domain": domain, "password": password,
		})}
	}
}

// TestEverything: Converse.js uses what there is: copies, the archive, resumption, blocking, bookmarks, vCards, personal
// events. The browser has nothing to complain of.
func TestEverything(t *testing.T) {
	form := strings.Replace(configuration, `"smacks"`, `"smacks", "carbons", "mam", "blocklist", "csi", "lastactivity", "uptime", "version", "time", "server_contact_info"`, 1)
	for _, tt := range []struct {
		name  string
		start start
	}{
		{"converse-everything-websocket", converseJS("websocket_url", webSocket)},
		{"converse-everything-bosh", converseJS("bosh_service_url", bosh)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := (&house{form: form, lists: cast()}).open(t)
			var b browser
			story{h, romeo}.play(t, tt.name, func(t *testing.T, h *house) client {
				b = tt.start(t, h).(browser)
				return b
			})
			for _, said := range b.stderr.find() {
				away := strings.Contains(said, "ERR_NAME_NOT_RESOLVED") // pictures of others: chromium.js lets no name be found
				if !away && (strings.HasPrefix(said, "error ") || strings.HasPrefix(said, "page: ")) {
					t.Errorf("the console says: %s", said)
				}
			}
		})
	}
}

// site serves the page, and Converse.js.
func site() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /converse.html", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "converse.html") })
	mux.Handle("GET /dist/", http.StripPrefix("/dist/", http.FileServer(http.Dir(dist))))
	return mux
}

// fingerprint is of the key in our certificate, for Chromium: nobody else has signed it.
func (h *house) fingerprint(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(h.certificate())
	must(t, err)
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// picture is a screenshot.
func (b browser) picture(ctx context.Context, name string) error {
	path, err := filepath.Abs(filepath.Join(pictures, name+".png"))
	if err != nil {
		return err
	}
	return b.do(ctx, "picture", map[string]any{"path": path})
}
