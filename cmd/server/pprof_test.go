package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rosterd/daemontest"
	"rosterd/engine/enginetest"
)

// TestPprof: profiles are there where the configuration says, for nobody's web page, and gone with the option.
func TestPprof(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, nil)
	p := newPlace(t, open(backend.Template()))
	address := p.address(daemontest.Port(t))
	p.head = fmt.Sprintf("rosterd_pprof = %q", address)
	s := p.serve(t)
	if _, err := s.log.wait(testContext(t), func(line string) bool { return strings.Contains(line, "service=pprof ") }); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path, host string
		header           [2]string
		status           int
	}{
		{name: "heap", path: "/debug/pprof/heap", status: http.StatusOK},
		{name: "the list", path: "/debug/pprof/", status: http.StatusOK},
		{name: "by name", path: "/debug/pprof/goroutine", host: "localhost:6060", status: http.StatusOK},
		{name: "IPv6", path: "/debug/pprof/goroutine", host: "[::1]:6060", status: http.StatusOK},
		{name: "a browser's address bar", path: "/debug/pprof/goroutine", header: [2]string{"Sec-Fetch-Site", "none"}, status: http.StatusOK},
		{name: "the command line", path: "/debug/pprof/cmdline", status: http.StatusNotFound},
		{name: "a stranger's name", path: "/debug/pprof/heap", host: "rebound.example", status: http.StatusForbidden},
		{name: "a page", path: "/debug/pprof/heap", header: [2]string{"Origin", "http://elsewhere.example"}, status: http.StatusForbidden},
		{name: "a picture of a page", path: "/debug/pprof/profile", header: [2]string{"Sec-Fetch-Site", "cross-site"}, status: http.StatusForbidden},
		{name: "for too long", path: "/debug/pprof/profile?seconds=100000", status: http.StatusForbidden},
		{name: "for no number", path: "/debug/pprof/trace?seconds=NaN", status: http.StatusForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(testContext(t), http.MethodGet, "http://"+address+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = tt.host
			if tt.header[0] != "" {
				r.Header.Set(tt.header[0], tt.header[1])
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			equal(t, "status", res.StatusCode, tt.status)
		})
	}
	t.Run("until the client has heard enough", func(t *testing.T) {
		c := askProfile(t, address, 300)
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); err != nil || !strings.Contains(string(b), " 200 OK\r\n") || !strings.Contains(string(b), "\r\n\r\n\x1f\x8b") {
			t.Errorf("%.300q, %v", b, err)
		}
	})
	t.Run("without the option", func(t *testing.T) {
		s.head = ""
		s.wantReloaded(t, s.text)
		if _, err := net.Dial("tcp", address); err == nil {
			t.Error("still open")
		}
	})
	t.Run("a stop does not wait for one", func(t *testing.T) {
		s.head = fmt.Sprintf("rosterd_pprof = %q", address)
		s.wantReloaded(t, s.text)
		askProfile(t, address, 300)
		equal(t, "status", s.exit(t), exitOK)
	})
}

// askProfile asks for a profile of so many seconds.
func askProfile(t *testing.T, address string, seconds int) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := fmt.Fprintf(c, "GET /debug/pprof/profile?seconds=%d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", seconds); err != nil {
		t.Fatal(err)
	}
	return c
}

// A body can ask for a profile, too, for as long as it likes: none is read.
func TestPprofBody(t *testing.T) {
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	if err := errors.Join(m.WriteField("seconds", "no number"), m.Close()); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/debug/pprof/heap", &body)
	r.Header.Set("Content-Type", m.FormDataContentType())
	w := httptest.NewRecorder()
	newProfiles().http.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}
