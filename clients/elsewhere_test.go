//go:build clients

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// TestElsewhere: users of slixmpp log in with passwords that a web application knows, which is asked as mod_auth_http asks.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/auth/check_password" || r.FormValue("server") != domain {
			t.Errorf("asked %s", r.URL)
		}
		fmt.Fprint(w, r.FormValue("user") == "romeo" && r.FormValue("pass") == "wherefore & why?")
	}))
	t.Cleanup(app.Close)
	form := strings.Replace(configuration, `"internal_hashed"`, fmt.Sprintf("\"http\"\nhttp_auth_url = %q", app.URL+"/auth/"), 1)
	h := (&house{form: form}).open(t)
	want := map[string]any{"romeo:wherefore & why?": "online", "romeo:x": "not-authorized", "nobody:x": "not-authorized"}
	args := []string{filepath.Join("python", "elsewhere.py"), strconv.Itoa(h.c2s)}
	for who := range want {
		args = append(args, who)
	}
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", args...)
	var stderr strings.Builder
	cmd.Env, cmd.Stderr = append(os.Environ(), "CERTIFICATE="+h.certificate()), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("elsewhere.py: %v\n%s%s", err, out, &stderr)
	}
	var got map[string]any
	must(t, json.Unmarshal(out, &got))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
