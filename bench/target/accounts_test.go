package target

import (
	"errors"
	"os"
	"testing"
)

// Kinds that were made ready one after the other, in one folder, have their accounts in common; what could not be made is
// not taken for made.
func TestAccountsReady(t *testing.T) {
	dir, s, made := t.TempDir(), Settings{Users: []string{"a", "b"}}, 0
	mk := func(path string) error {
		made++
		return os.WriteFile(path, []byte("accounts"), 0o600)
	}
	broken := errors.New("the disk is full")
	half := func(path string) error { return errors.Join(mk(path), broken) }
	if _, err := (&accounts{dir: dir}).ready(Rosterd, s, half); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	for range 2 {
		path, err := (&accounts{dir: dir}).ready(Rosterd, s, mk)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "accounts" {
			t.Errorf("%q, %v", b, err)
		}
	}
	if made != 2 {
		t.Errorf("made %d times", made)
	}
}
