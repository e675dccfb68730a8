package plugins

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestLargeAnswers: of the large answers of a plugin no more are read at a time than may be, small ones wait for none of
// them, and a place comes back when the answer is read, or when who holds it lets go.
func TestLargeAnswers(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 2 * smallAnswer
		if r.URL.Path == "/small" {
			n = smallAnswer / 2
		}
		_, _ = w.Write(make([]byte, n))
	}))
	defer srv.Close()
	g := &guard{own: map[string]bool{}, allowed: map[string]bool{}, hosts: map[string]bool{}}
	g.learn(srv.URL)
	c := newHTTPClient("test", nil, g, Limits{Answer: largeAnswers / 2}.withDefaults())
	defer c.transport.CloseIdleConnections()
	get := func(ctx context.Context, path string) error {
		_, err := c.do(ctx, HTTPRequest{URL: srv.URL + path})
		return err
	}
	for range 5 { // each gives its place back
		if err := get(t.Context(), "/large"); err != nil {
			t.Fatal(err)
		}
	}
	var holds [2]Hold
	for i := range holds {
		if err := get(Holding(t.Context(), &holds[i]), "/large"); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := get(short, "/large"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with all places held: %v", err)
	}
	if err := get(t.Context(), "/small"); err != nil {
		t.Errorf("a small answer: %v", err)
	}
	holds[0].Release()
	holds[0].Release()
	if err := get(t.Context(), "/large"); err != nil {
		t.Errorf("with a place: %v", err)
	}
	holds[1].Release()
	var gone Hold // let go before the answer is there, as when a process ends
	gone.Release()
	if err := get(Holding(t.Context(), &gone), "/large"); err != nil {
		t.Error(err)
	}
	if n := len(c.large); n != 0 {
		t.Errorf("%d places are taken", n)
	}
}
