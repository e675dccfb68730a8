//go:build clients

package vm

import (
	"os/exec"
	"strings"
	"testing"
)

// lua54 is what Debian's Lua 5.4 prints, "error" if it fails before that.
func lua54(t *testing.T, file, src string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "lua5.4", file)
	cmd.Dir, cmd.Stdin = "testdata", strings.NewReader(src)
	out, err := cmd.Output()
	got := strings.TrimSuffix(string(out), "\n")
	if err == nil {
		return got
	}
	if _, failed := err.(*exec.ExitError); !failed {
		t.Fatal(err)
	}
	return "error"
}

// TestRecorded asks Lua 5.4 again for what other tests have of it.
func TestRecorded(t *testing.T) {
	for _, d := range differences {
		t.Run(d.name, func(t *testing.T) {
			if got := lua54(t, "-", d.src); got != d.lua54 {
				t.Errorf("Lua 5.4 prints %q\n  recorded %q", got, d.lua54)
			}
		})
	}
	for _, name := range []string{"language", "library", "patterns"} {
		t.Run(name, func(t *testing.T) {
			compareLines(t, lua54(t, name+".lua", ""), strings.TrimSuffix(readTestdata(t, name+".out"), "\n"), func(_, _ string) bool { return false })
		})
	}
}
