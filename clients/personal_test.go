//go:build clients

package clients

import (
	"strconv"
	"testing"
)

// TestPersonal: users with slixmpp publish avatars, nicknames, keys and bookmarks, and see those of each other.
func TestPersonal(t *testing.T) {
	t.Parallel()
	h := open(t, cast())
	h.story(t, "personal.py", strconv.Itoa(h.c2s), password)
}
