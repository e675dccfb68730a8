//go:build clients

package lua_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var updateRecordings = flag.Bool("update", false, "record again what Prosody's libraries print")

// prosodyLibraries is where Debian's package has them: unpacked by "make test-clients", or installed. Nothing of
// Prosody is started.
const prosodyLibraries = `for _, dir in ipairs { "../../.cache/prosody/usr/lib/prosody/", "/usr/lib/prosody/" } do
	package.path, package.cpath = package.path .. ";" .. dir .. "?.lua", package.cpath .. ";" .. dir .. "?.so"
end`

// TestPeerRecordings runs the snippets with the libraries of Prosody, so that what is recorded of them is true.
func TestPeerRecordings(t *testing.T) {
	for _, snippet := range snippets(t) {
		t.Run(filepath.Base(snippet), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "lua5.4", "-e", prosodyLibraries, snippet)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, &stderr)
			}
			if *updateRecordings {
				if err := os.WriteFile(recorded(snippet), out, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			samePrinted(t, string(out), readFile(t, recorded(snippet)))
		})
	}
}
