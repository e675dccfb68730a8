//go:build clients

package clients

import (
	"strconv"
	"strings"
	"testing"
)

// TestMessages: copies between two clients of a user, messages for who is offline, and the archive, by pages and over a
// restart of the server.
func TestMessages(t *testing.T) {
	t.Parallel()
	h := &house{form: strings.Replace(configuration, `"smacks"`, `"smacks", "carbons", "mam"`, 1), lists: cast()}
	h.furnish(t)
	for _, part := range []string{"before", "after"} {
		t.Run(part, func(t *testing.T) {
			h.serve(t)
			h.story(t, "messages.py", strconv.Itoa(h.c2s), password, part)
		})
	}
}
