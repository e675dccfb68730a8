//go:build clients

package clients

import (
	"strconv"
	"testing"
)

// TestBackground: a user with slixmpp whose client says that nobody looks at it.
func TestBackground(t *testing.T) {
	t.Parallel()
	h := open(t, cast())
	h.story(t, "background.py", strconv.Itoa(h.c2s), password)
}
