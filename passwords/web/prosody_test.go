package web

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"testing"

	"rosterd/engine/addr"
	"rosterd/passwords"
)

// asked is a request that Prosody has sent: see testdata/README.
type asked struct {
	Provider, User, Password string
	Method, Path             string
	Query, Body              map[string]string
	Authorization, Type      string
	Outcome                  string
}

// TestAsProsody: the application is asked what Prosody would ask it, to the letter.
func TestAsProsody(t *testing.T) {
	text, err := os.ReadFile("testdata/prosody-0.12.3.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded []asked
	if err := json.Unmarshal(text, &recorded); err != nil || len(recorded) != 9 {
		t.Fatalf("%d requests, %v", len(recorded), err)
	}
	var got asked
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = asked{Method: r.Method, Path: r.URL.Path, Query: map[string]string{}, Authorization: r.Header.Get("Authorization"), Type: r.Header.Get("Content-Type")}
		for name, values := range r.URL.Query() {
			got.Query[name] = values[0]
		}
		if body, err := io.ReadAll(r.Body); err != nil {
			t.Error(err)
		} else if len(body) > 0 {
			if err := json.Unmarshal(body, &got.Body); err != nil {
				t.Error(err)
			}
		}
	}))
	defer server.Close()
	c := NewClient("test", 1)
	defer c.Close()
	sources := map[string]passwords.Source{
		"http": &Application{Client: c, URL: server.URL + "/api/example.com/"}, "http_async": &Page{Client: c, URL: server.URL + "/of/example.com/$user"},
		"custom_http": &Post{Client: c, URL: server.URL + "/check"},
	}
	for _, want := range recorded {
		got = asked{}
		_ = sources[want.Provider].CheckPassword(t.Context(), addr.MustBare(want.User+"@example.com"), want.Password)
		got.Provider, got.User, got.Password, got.Outcome = want.Provider, want.User, want.Password, want.Outcome
		if !reflect.DeepEqual(got, want) {
			t.Errorf("asked %+v\nProsody %+v", got, want)
		}
	}
}
