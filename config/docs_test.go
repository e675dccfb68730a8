package config

import (
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDocs keeps the tables of the documentation what the code says; -update writes them anew. A table stands
// between "<!-- table: NAME -->" and "<!-- end -->".
func TestDocs(t *testing.T) {
	for _, doc := range []struct {
		file   string
		tables map[string]func(*testing.T) string
	}{
		{"OPERATING.md", map[string]func(*testing.T) string{"options": ownOptions, "codes": codes}},
		{"MIGRATING.md", map[string]func(*testing.T) string{"options": prosodyOptions, "modules": honouredModules}},
	} {
		path := filepath.Join("..", "docs", doc.file)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		for name, table := range doc.tables {
			block := regexp.MustCompile(`(?s)(<!-- table: ` + name + ` -->\n).*?(<!-- end -->)`)
			if !block.MatchString(text) {
				t.Errorf("%s has no table %s", doc.file, name)
			}
			text = block.ReplaceAllStringFunc(text, func(was string) string {
				m := block.FindStringSubmatch(was)
				return m[1] + "\n" + table(t) + "\n" + m[2]
			})
		}
		if text == string(b) {
			continue
		}
		if !*update {
			t.Errorf("%s is not what the code says; go test ./config -run TestDocs -update writes it", doc.file)
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func ownOptions(t *testing.T) string {
	h := mustLoad(t, "VirtualHost 'example.com'").Hosts()[0]
	var b strings.Builder
	b.WriteString("| option | where | type | default | meaning |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range Specs() {
		if !strings.HasPrefix(s.Name, "rosterd_") {
			continue
		}
		kind, value := shown(t, h, s.Name)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Name, s.Scope, kind, value, withAliases(s))
	}
	return b.String()
}

func prosodyOptions(*testing.T) string {
	var b strings.Builder
	b.WriteString("| option | meaning |\n| --- | --- |\n")
	for _, s := range Specs() {
		if !strings.HasPrefix(s.Name, "rosterd_") {
			fmt.Fprintf(&b, "| `%s` | %s |\n", s.Name, withAliases(s))
		}
	}
	return b.String()
}

// withAliases is what an option means, and its other names.
func withAliases(s Spec) string {
	if len(s.Aliases) == 0 {
		return s.Doc
	}
	return fmt.Sprintf("%s. Also read as `%s`", s.Doc, strings.Join(s.Aliases, "`, `"))
}

// shown is the type and the default of an option, in the words of the documentation.
func shown(t *testing.T, h *Host, name string) (kind, value string) {
	switch o := registry[name].(type) {
	case *Option[bool]:
		return "true or false", fmt.Sprintf("`%v`", o.fallback(h))
	case *Option[time.Duration]:
		return "time", fmt.Sprintf("%v s", o.fallback(h).Seconds())
	case *Option[int]:
		switch n := o.fallback(h); {
		case n >= mib && n%mib == 0:
			return "bytes", fmt.Sprintf("%d MiB", n/mib)
		case n >= kib && n%kib == 0:
			return "bytes", fmt.Sprintf("%d KiB", n/kib)
		default:
			return "number", strconv.Itoa(n)
		}
	case *Option[string]:
		if o.fallback(h) == "" {
			return "text", "none"
		}
		return "text", fmt.Sprintf("`%q`", o.fallback(h))
	case *Option[[]string], *Option[[]netip.Prefix]:
		return "list", "empty"
	case *Option[[]Header], *Option[map[string]Level], *Option[map[string]string]:
		return "table", "empty"
	default:
		t.Fatalf("%s is a %T, for which the documentation has no word", name, o)
		return "", ""
	}
}

func honouredModules(*testing.T) string {
	var b strings.Builder
	b.WriteString("| module | what it does |\n| --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(moduleTable)) {
		if s := moduleTable[name]; s.kind == Honoured || s.kind == Provider {
			fmt.Fprintf(&b, "| `%s` | %s |\n", name, s.doc)
		}
	}
	return b.String()
}

// codes reads the codes and their meaning where they are declared.
func codes(t *testing.T) string {
	file, err := parser.ParseFile(gotoken.NewFileSet(), "diag.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "Code") {
			return true
		}
		code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		meaning := strings.TrimSpace(v.Comment.Text())
		if meaning == "" {
			t.Errorf("%s is not explained", code)
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s |\n", code, meaning))
		return true
	})
	slices.Sort(rows)
	return "| code | meaning |\n| --- | --- |\n" + strings.Join(rows, "")
}
