package lua_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/plugins"
)

// Snippets in testdata/peer are Lua that requires libraries and prints what they do. Beside each is what it prints
// where the libraries are Prosody's own: TestPeerRecordings, with the tag clients, runs it there. A snippet
//   - is a plain chunk that needs nothing but require, print and the standard libraries, and does not return;
//   - prints the same each time: keys in order, no addresses, numbers with string.format or whole ones;
//   - prints of an error only what is not the place where it was raised;
//   - says in a comment what it leaves out, because rosterd differs there on purpose.
const peerDir = "testdata/peer"

// The snippet becomes the function that answers a request, so that it may also wait. What it prints is the answer.
const (
	beforeSnippet = `local print, printed; do
		local lines = {};
		function print(...)
			local line = table.pack(...);
			for i = 1, line.n do line[i] = tostring(line[i]); end
			lines[#lines + 1] = table.concat(line, "\t", 1, line.n);
		end
		function printed() return table.concat(lines, "\n"); end
	end module:provides("http", { route = { GET = function () `
	afterSnippet = "\nreturn printed(); end } });"
)

func snippets(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(peerDir, "*.lua"))
	if err != nil || len(list) == 0 {
		t.Fatalf("snippets: %v, %v", list, err)
	}
	return list
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// recorded is the name of the file with what a snippet prints.
func recorded(snippet string) string { return strings.TrimSuffix(snippet, ".lua") + ".out" }

// TestPeer compares our libraries with what Prosody's did.
func TestPeer(t *testing.T) {
	for _, snippet := range snippets(t) {
		t.Run(filepath.Base(snippet), func(t *testing.T) {
			p := script(t, strings.Join(strings.Fields(beforeSnippet), " ")+" "+readFile(t, snippet)+afterSnippet, nil)
			reply, err := p.Handle(t.Context(), plugins.Call{Method: "GET", Path: "/test"})
			if err != nil {
				t.Fatal(err)
			}
			samePrinted(t, string(reply.Body)+"\n", readFile(t, recorded(snippet)))
		})
	}
}

// samePrinted compares line by line.
func samePrinted(t *testing.T, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var gl, wl string
		if i < len(g) {
			gl = g[i]
		}
		if i < len(w) {
			wl = w[i]
		}
		if gl != wl {
			t.Errorf("line %d printed:\n  %s\nrecorded:\n  %s", i+1, gl, wl)
		}
	}
}
