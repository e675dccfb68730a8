package httpd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedSignatures runs the examples of docs/OPERATING.md that sign a refresh.
func TestDocumentedSignatures(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "OPERATING.md"))
	if err != nil {
		t.Fatal(err)
	}
	refresher := new(calls)
	addr := start(t, &Server{}, oneHost(Refresh{Refresher: refresher, Secret: testSecret}), "")
	for language, program := range map[string][]string{
		"sh":     {"sh", "-euc"},
		"python": {"/usr/bin/python3", "-c"},
	} {
		t.Run(language, func(t *testing.T) {
			example := regexp.MustCompile("(?s)```" + language + "\n([^`]*X-Hub-Signature-256.*?)```").FindSubmatch(b)
			if example == nil {
				t.Fatal("there is no example")
			}
			text := strings.Replace(string(example[1]), "127.0.0.1:5280", addr, 1)
			for secret, fetched := range map[string]int{testSecret: 1, "another": 0} {
				cmd := exec.CommandContext(t.Context(), program[0], program[1], text)
				cmd.Env = append(os.Environ(), "SECRET="+secret)
				out, err := cmd.CombinedOutput()
				if got := refresher.take(); len(got) != fetched || fetched == 1 && (err != nil || len(got[0].names) != 2) {
					t.Errorf("with secret %q: %v: %s\nfetched %v", secret, err, out, got)
				}
			}
		})
	}
}
