package main

import (
	"net/http"
	"strings"
	"testing"

	"rosterd/engine/enginetest"
)

// TestFigures: what happened can be read at /metrics, by operators alone.
func TestFigures(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": rosterOfJohn})
	s := newPlace(t, open(backend.Template())).serve(t)
	s.quiet = true
	john := s.login(t, "john@example.com/desk")
	john.wantRoster("jane@example.com|Jane|both|Friends")
	backend.Set("john", `{"jane@example.com": {"name": "Jane D."}, "@": {}}`)
	s.refresh(t, "john")
	john.wantPushes("jane@example.com|Jane D.|both|")
	backend.SetFault("john", enginetest.Status(500))
	s.post(t, `["john", "john"]`)

	res, body := s.request(t, "GET", "/metrics", "")
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, body)
	}
	for _, want := range []string{
		`rosterd_sessions{host="example.com",transport="tcp"} 1`,
		`rosterd_logins_total{outcome="ok"} 1`,
		`rosterd_resumptions_total{outcome="resumed"} 0`,
		`rosterd_component_stanzas_refused_total{reason="not-connected"} 0`,
		`rosterd_roster_pushes_total 1`,
		`rosterd_backend_request_duration_seconds_count{host="example.com",outcome="ok"} 2`,
		`rosterd_backend_failures_total{host="example.com",kind="temporary"} 1`,
		`rosterd_contacts_dropped_total{host="example.com"} 1`,
		`rosterd_refresh_names_total{host="example.com"} 3`,
		`rosterd_refresh_errors_total{host="example.com"} 2`,
		`rosterd_http_requests_total{route="roster_admin",status="200"} 2`,
		`go_goroutines `,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(body) {
			if strings.HasPrefix(line, "rosterd_") {
				t.Log(line)
			}
		}
	}
	if res, body := s.request(t, "GET", "/metrics", "", "X-Forwarded-For", "192.0.2.1"); res.StatusCode != http.StatusForbidden {
		t.Errorf("somebody elsewhere got %s %.100s", res.Status, body)
	}
	if res, body := s.request(t, "GET", "/readyz", ""); res.StatusCode != http.StatusOK || !strings.Contains(body, `"ready"`) || !strings.Contains(body, "backend of example.com") {
		t.Errorf("/readyz: %s %s", res.Status, body)
	}
}
