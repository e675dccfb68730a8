package trial_test

import (
	"os"
	"path/filepath"
	"testing"

	"rosterd/plugins/trial"
)

// TestRecordingsStayInTheirFolder: a folder from somebody else may hold links where files of a recording will be.
func TestRecordingsStayInTheirFolder(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(outside, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"john.1.body", "john.json"} {
		if err := os.Symlink(outside, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	r := &trial.Recording{Case: &trial.Case{}, Files: map[string][]byte{"john.1.body": []byte("theirs")}}
	for range 2 { // an earlier file of the name gives way
		if _, err := r.Write(dir, "john"); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(outside); string(b) != "mine" || err != nil {
		t.Errorf("outside of the folder is %q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "john.1.body")); string(b) != "theirs" || err != nil {
		t.Errorf("in the folder is %q, %v", b, err)
	}
}
