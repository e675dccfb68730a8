package plugins

import "testing"

// A fingerprint is kept with rosters: it holds no password.
func TestWithoutUserinfo(t *testing.T) {
	for in, want := range map[string]string{
		"http://jim:secret@localhost/%s":    "http://localhost/%s",
		"http://jim:s@cret@localhost/a@b/c": "http://localhost/a@b/c",
		"http://localhost/a@b":              "http://localhost/a@b",
		"jim@example.com":                   "jim@example.com",
	} {
		if got := withoutUserinfo(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if withoutUserinfo(int64(5)) != int64(5) {
		t.Error("a number is changed")
	}
}
