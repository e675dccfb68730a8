package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rosterd/config"
	"rosterd/metrics"
	"rosterd/plugins/sdk"
)

// TestDocumentedLog: docs/OPERATING.md lists every line that the server logs above level debug, and no other.
func TestDocumentedLog(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "OPERATING.md"))
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| (INFO|WARN|ERROR) \\| `([^`]+)` \\|").FindAllStringSubmatch(string(b), -1) {
		listed = append(listed, m[1]+" "+m[2])
	}
	logged := logLines(t)
	for _, line := range logged {
		if !slices.Contains(listed, line) {
			t.Errorf("docs/OPERATING.md lacks the log line %q", line)
		}
	}
	for _, line := range listed {
		if !slices.Contains(logged, line) {
			t.Errorf("docs/OPERATING.md lists %q, which nobody logs", line)
		}
	}
}

// logLines finds the calls of a logger in the source, as "LEVEL message".
func logLines(t *testing.T) (lines []string) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "bench" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != root):
			return filepath.SkipDir
		case d.IsDir(), filepath.Ext(path) != ".go", strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if level, message, ok := logCall(n); ok {
				lines = append(lines, fmt.Sprintf("%s %s", level, message))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func logCall(n ast.Node) (level, message string, ok bool) {
	call, isCall := n.(*ast.CallExpr)
	if !isCall || len(call.Args) == 0 {
		return "", "", false
	}
	method, isMethod := call.Fun.(*ast.SelectorExpr)
	text, isText := call.Args[0].(*ast.BasicLit)
	if !isMethod || !isText || text.Kind != token.STRING {
		return "", "", false
	}
	level, ok = map[string]string{"Info": "INFO", "Warn": "WARN", "Error": "ERROR"}[method.Sel.Name]
	if !ok {
		return "", "", false
	}
	message, err := strconv.Unquote(text.Value)
	return level, message, err == nil
}

// TestLinks: what the documentation points to is there.
func TestLinks(t *testing.T) {
	root := filepath.Join("..", "..")
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join(root, "README.md")) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)[^):]*\)`).FindAllStringSubmatch(string(b), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s points to %s: %v", file, m[1], err)
			}
		}
	}
}

// TestDocumentedOptions: every name of an option of ours that the documentation mentions exists.
func TestDocumentedOptions(t *testing.T) {
	known := map[string]bool{"rosterd_vcard": true} // of the ABI, which those whom authors copy do without
	for _, s := range config.Specs() {
		known[s.Name] = true
	}
	for _, name := range metrics.Names() {
		known[name] = true // not an option, and meant
	}
	ours := regexp.MustCompile(`rosterd_[a-z_]*[a-z]`)
	for _, lang := range sdk.Languages() {
		_, text, err := sdk.File(lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range ours.FindAllString(string(text), -1) {
			known[name] = true // of the ABI, or of those who speak it
		}
	}
	root := filepath.Join("..", "..")
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join(root, "README.md")) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range ours.FindAllString(string(b), -1) {
			if !known[name] {
				t.Errorf("%s speaks of the option %s, which does not exist", file, name)
			}
		}
	}
}
