package httpd

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// answers is a handler that says its name and the path below it.
func answers(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, name+" "+r.URL.Path) })
}

// What finds the VirtualHost by itself is reached by any name that is nobody's; nothing else of a VirtualHost is.
func TestAnyName(t *testing.T) {
	api := Mount{Name: "api", Path: "/api", Handler: answers("api"), Shared: true, AnyName: true}
	own := func(name string) Mount {
		return Mount{Name: "own", Path: "/own", Handler: answers(name), AnyName: true}
	}
	files := Mount{Name: "files", Path: "/", Handler: answers("files")}
	for _, test := range []struct {
		name        string
		hosts       []Host
		defaultHost string
		want        map[string]string // "HOST PATH" → answer
	}{
		{"of one", []Host{{Name: "a.example", Mounts: []Mount{api, own("a")}}, {Name: "b.example", Mounts: []Mount{files}}}, "", map[string]string{
			"127.0.0.1 /api/x": "api /x", "127.0.0.1 /own": "a /", "a.example /api/x": "api /x", "127.0.0.1 /": "404", "b.example /api/x": "files /api/x",
		}},
		{"of several", []Host{{Name: "a.example", Mounts: []Mount{api, own("a")}}, {Name: "b.example", Mounts: []Mount{api, own("b")}}, {Name: "c.example", Mounts: []Mount{own("c")}}}, "", map[string]string{
			"127.0.0.1 /api/x": "api /x", "127.0.0.1 /own": "404", "b.example /own": "b /", "c.example /api": "404",
		}},
		{"beside a default host", []Host{{Name: "a.example", Mounts: []Mount{api}}, {Name: "b.example", Mounts: []Mount{files, own("b")}}}, "b.example", map[string]string{
			"127.0.0.1 /api/x": "api /x", "127.0.0.1 /x": "files /x", "127.0.0.1 /own": "b /",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(Server)
			if err := s.SetHosts(test.hosts, test.defaultHost); err != nil {
				t.Fatal(err)
			}
			for what, want := range test.want {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://"+strings.ReplaceAll(what, " ", ""), nil))
				got := w.Body.String()
				if w.Code != http.StatusOK {
					got = strconv.Itoa(w.Code)
				}
				if got != want {
					t.Errorf("%s: %s, want %s", what, got, want)
				}
			}
		})
	}
}
