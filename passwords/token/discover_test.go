package token

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestDiscoverPlaintext: metadata that came by TLS does not have keys fetched without (RFC 8414 §2).
func TestDiscoverPlaintext(t *testing.T) {
	keys := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("keys were asked for in plain text") }))
	defer keys.Close()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"jwks_uri":%q}`, keys.URL) }))
	defer srv.Close()
	c := NewClient("", "", "", 1)
	c.http.Transport = srv.Client().Transport
	p := &Published{Client: c, Discovery: srv.URL}
	if _, err := p.Find(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "https") {
		t.Error(err)
	}
}
