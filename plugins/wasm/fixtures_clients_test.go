//go:build clients

package wasm_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFixtures makes the modules in testdata of their text once more.
func TestFixtures(t *testing.T) {
	texts, err := filepath.Glob("testdata/*.wat")
	if err != nil || len(texts) == 0 {
		t.Fatal(texts, err)
	}
	for _, text := range texts {
		made := filepath.Join(t.TempDir(), "made.wasm")
		if out, err := exec.Command("wat2wasm", text, "-o", made).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", text, err, out)
		}
		want, err := os.ReadFile(made)
		if err != nil {
			t.Fatal(err)
		}
		file := strings.TrimSuffix(text, ".wat") + ".wasm"
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what %s makes (%v)", file, text, err)
		}
	}
}
