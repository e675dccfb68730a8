package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rosterd/engine/enginetest"
)

// A refresh that is answered line by line says what is done before the rest is.
func TestRefreshLineByLine(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"alice": `{"old@example.com":{"name":"Old"}}`, "bob": `{}`})
	s := newPlace(t, open(backend.Template())).serve(t)
	alice := s.view(t, "alice@example.com")
	s.view(t, "bob@example.com")
	backend.Set("alice", `{"new@example.com":{"name":"New"}}`)
	held, release := enginetest.Hold()
	backend.SetFault("bob", held)
	defer release()

	req, err := http.NewRequestWithContext(testContext(t), "POST", fmt.Sprintf("http://127.0.0.1:%d/roster_admin/refresh", s.http), strings.NewReader(`["bob","nobody","alice"]`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/x-ndjson")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	next := func() (line struct {
		Name, Outcome, Status    string
		Changes, Updated, Errors int
	}) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("no more lines: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		return line
	}
	equal(t, "the first line", fmt.Sprint(next()), "{nobody offline  0 0 0}")
	equal(t, "the second line", fmt.Sprint(next()), "{alice updated  2 0 0}")
	equal(t, "what alice holds", alice.holds(), []string{"new@example.com|New|both|"})
	release()
	equal(t, "the third line", fmt.Sprint(next()), "{bob unchanged  0 0 0}")
	equal(t, "the last line", fmt.Sprint(next()), "{  ok 0 3 0}")
	if lines.Scan() {
		t.Errorf("one more line: %s", lines.Text())
	}
}
