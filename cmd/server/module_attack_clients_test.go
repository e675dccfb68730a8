//go:build clients

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestModuleAttackFixtures makes the attacks in text form again, with wabt. With -update it keeps what comes of that.
func TestModuleAttackFixtures(t *testing.T) {
	texts, err := filepath.Glob("testdata/attacks/*.wat")
	if err != nil || len(texts) == 0 {
		t.Fatalf("no attacks in text form: %v", err)
	}
	for _, text := range texts {
		t.Run(filepath.Base(text), func(t *testing.T) {
			made := filepath.Join(t.TempDir(), "made.wasm")
			if out, err := exec.CommandContext(t.Context(), "wat2wasm", "--enable-tail-call", text, "-o", made).CombinedOutput(); err != nil {
				t.Fatalf("wat2wasm, of Debian's wabt: %v\n%s", err, out)
			}
			b, err := os.ReadFile(made)
			if err != nil {
				t.Fatal(err)
			}
			fixture := strings.TrimSuffix(text, ".wat") + ".wasm"
			if *update {
				if err := os.WriteFile(fixture, b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			had, err := os.ReadFile(fixture)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(had, b) {
				t.Errorf("%s is not what %s says; go test -tags clients ./cmd/server -run %s -update makes it", fixture, text, t.Name())
			}
		})
	}
}
