//go:build clients

package clients

import (
	"strconv"
	"testing"
)

// TestResume: a user with slixmpp whose connection is cut, time and again, misses nothing.
func TestResume(t *testing.T) {
	t.Parallel()
	h := open(t, cast())
	h.story(t, "resume.py", strconv.Itoa(h.c2s), password)
	if n := len(h.log.find("msg=resumed", "user="+romeo)); n != 3 {
		t.Errorf("%d resumptions", n)
	}
}
