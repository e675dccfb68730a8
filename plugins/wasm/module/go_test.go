//go:build clients

package module_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/plugins/wasm/module"
)

// What stock Go makes is the largest that there is a reason for: it is taken,
// and with room to spare.
func TestGo(t *testing.T) {
	out := filepath.Join(t.TempDir(), "plugin.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, "main.go")
	build.Dir = "testdata/gojson"
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	code, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	m, err := module.Read(code)
	if err != nil {
		t.Fatal(err)
	}
	r := rules()
	r.Pages = 512
	for _, p := range module.Verify(m, r) {
		// rules has one of the many names of WASI.
		if !strings.Contains(p.Text, "wasi_snapshot_preview1.") {
			t.Error(p)
		}
	}
	if len(m.Names.Functions) < 1000 || m.Names.Err != nil {
		t.Errorf("%d names of functions, %v", len(m.Names.Functions), m.Names.Err)
	}
	c, err := compile(t, code)
	if err != nil {
		t.Fatal(err)
	}
	agrees(t, m, c)
}
