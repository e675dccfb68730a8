//go:build clients

package clients

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// TestGuests: users of slixmpp who have no accounts see at rosterd what they see at Debian's Prosody with the same file.
func TestGuests(t *testing.T) {
	t.Parallel()
	form := strings.Replace(moving, `"internal_hashed"`, `"anonymous"`, 1)
	h := prosodyHouse(t, strings.Replace(form, "STORAGE", "", 1))
	stop := h.prosody(t)
	want := h.guests(t)
	stop()
	h.serve(t)
	got := h.guests(t)
	for what := range want {
		if !reflect.DeepEqual(got[what], want[what]) {
			t.Errorf("%s: %v, at Prosody %v", what, got[what], want[what])
		}
	}
	if len(want) != 9 || !reflect.DeepEqual(got["mechanisms"], []any{"ANONYMOUS"}) {
		t.Errorf("seen: %v", want)
	}
}

// guests tells the story, and returns what was seen.
func (h *house) guests(t *testing.T) (seen map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", filepath.Join("python", "guests.py"), strconv.Itoa(h.c2s))
	var stderr strings.Builder
	cmd.Env, cmd.Stderr = append(os.Environ(), "CERTIFICATE="+h.certificate()), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("guests.py: %v\n%s%s", err, out, &stderr)
	}
	must(t, json.Unmarshal(out, &seen))
	return seen
}
