package target

import (
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"rosterd/config"
	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/store/dat"
)

func TestBackend(t *testing.T) {
	b, err := NewBackend()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ask := func(user string) (int, string) {
		res, err := http.Get(b.URL + "/contacts/" + user)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		return res.StatusCode, string(body)
	}
	const doc = `{"juliet@localhost":{}}`
	b.Set("romeo", []byte(doc))
	b.Set("a/b", []byte(doc))
	for user, want := range map[string]string{"romeo": doc, "a%2Fb": doc, "nobody": "{}"} {
		if status, body := ask(user); status != http.StatusOK || body != want {
			t.Errorf("%s: %d %s, want %s", user, status, body, want)
		}
	}
	b.Fail(http.StatusServiceUnavailable)
	if status, _ := ask("romeo"); status != http.StatusServiceUnavailable {
		t.Errorf("status %d while it fails", status)
	}
	b.Fail(0)
	if n := b.Requests(); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
	if n := b.Peak(); n != 1 {
		t.Errorf("%d at a time, want 1", n)
	}
	const latency = 50 * time.Millisecond
	b.Latency(latency)
	start := time.Now()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { ask("romeo") })
	}
	wg.Wait()
	if took := time.Since(start); took < latency {
		t.Errorf("answered after %v, want %v at least", took, latency)
	}
	if n := b.Peak(); n < 1 || n > 3 {
		t.Errorf("%d at a time, want up to 3", n)
	}
}

// TestAccounts: both servers are given the same accounts, each in its own form.
func TestAccounts(t *testing.T) {
	c, err := credentials()
	if err != nil {
		t.Fatal(err)
	}
	a := &accounts{dir: t.TempDir()}
	s := Settings{Users: []string{"romeo", "juliet"}}
	for range 2 { // made, and taken again
		ours, theirs := t.TempDir(), t.TempDir()
		if err := a.rosterd(t.Context(), s, ours); err != nil {
			t.Fatal(err)
		}
		if err := a.prosody(s, theirs); err != nil {
			t.Fatal(err)
		}
		db, err := store.Open(filepath.Join(ours, "rosterd.sqlite"), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range s.Users {
			kept, err := db.Credentials(t.Context(), addr.MustBare(u+"@"+Domain))
			if err != nil || !kept.Verify(Password) {
				t.Errorf("rosterd's %s: %v", u, err)
			}
			text, err := os.ReadFile(filepath.Join(theirs, Domain, "accounts", u+".dat"))
			if err != nil {
				t.Fatal(err)
			}
			v, err := dat.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := v.(*dat.Table).Get("stored_key"), hex.EncodeToString(c.SCRAM.StoredKey); got != want {
				t.Errorf("Prosody's %s has the key %v, want %s", u, got, want)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestConfiguration: nothing in it is refused or doubtful, whatever doors are asked for.
func TestConfiguration(t *testing.T) {
	for _, s := range []Settings{{}, {TLS: true, WebSocket: true, Modules: []string{"mam"}, Authentication: "internal_plain"}} {
		v, err := begin(Rosterd, s)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Stop()
		file, err := v.configure(s, "rosterd_backend_parallel = 7")
		if err != nil {
			t.Fatal(err)
		}
		read, err := config.Load(file, config.LoadOptions{})
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		for _, d := range config.Check(read) {
			if d.Severity > config.Note {
				t.Error(d)
			}
		}
	}
}

func TestCost(t *testing.T) {
	tests := []struct {
		name  string
		cost  Cost
		bound bool
	}{
		{"the server is busy", Cost{Wall: time.Second, CPU: time.Second, LoadCPU: 950 * time.Millisecond, ServerProcessors: 1, LoadProcessors: 1}, false},
		{"both wait", Cost{Wall: time.Second, CPU: time.Second / 2, LoadCPU: time.Second / 2, ServerProcessors: 1, LoadProcessors: 1}, false},
		{"the load program is busy", Cost{Wall: time.Second, CPU: time.Second / 2, LoadCPU: 950 * time.Millisecond, ServerProcessors: 1, LoadProcessors: 1}, true},
		{"on three processors", Cost{Wall: time.Second, CPU: time.Second / 2, LoadCPU: 950 * time.Millisecond, ServerProcessors: 1, LoadProcessors: 3}, false},
	}
	for _, tt := range tests {
		if got := tt.cost.Bound(); (got != "") != tt.bound {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}
