package plugins_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/plugins"
)

var (
	update = flag.Bool("update", false, "write the tables of docs/PLUGINS.md anew")
	guide  = filepath.Join("..", "..", "docs", "PLUGINS.md")
)

// TestGuideTables keeps the tables of docs/PLUGINS.md what the code says; -update writes them anew. A table stands between
// "<!-- table: NAME -->" and "<!-- end -->".
func TestGuideTables(t *testing.T) {
	was := read(t, guide)
	text := was
	for name, table := range map[string]func(*testing.T) string{"limits": limits, "module": moduleCalls, "libraries": libraryCalls} {
		place := regexp.MustCompile(`(?s)(<!-- table: ` + name + ` -->\n).*?(<!-- end -->)`)
		if !place.MatchString(text) {
			t.Errorf("%s has no table %s", guide, name)
		}
		text = place.ReplaceAllStringFunc(text, func(old string) string {
			m := place.FindStringSubmatch(old)
			return m[1] + "\n" + table(t) + "\n" + m[2]
		})
	}
	switch {
	case text == was:
	case !*update:
		t.Errorf("%s is not what the code says; go test ./examples/plugins -run TestGuideTables -update writes it", guide)
	default:
		if err := os.WriteFile(guide, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// limits are what the packages declare, in the order in which a call meets them.
func limits(t *testing.T) string {
	cfg := load(t, "VirtualHost \"example.com\"\n").Host("example.com")
	vm := packageOf(t, "plugins", "lua", "vm")
	engine := packageOf(t, "plugins", "lua")
	services := packageOf(t, "plugins")
	rows := []struct{ what, limit, option string }{
		{"time of a fetch or of a question about a password, all in", seconds(config.BackendTimeout.Get(cfg)), "`rosterd_backend_timeout`"},
		{"time of a request from outside and of a timer", services.duration("handleTime"), ""},
		{"calls of a script at a time, in a process of its own; further ones wait", services.fallback("Calls"), ""},
		{"memory of a call; in the server's process, by how much this one may grow meanwhile", size(int64(config.PluginMemory.Get(cfg))), "`rosterd_plugin_memory`"},
		{"instructions of a call", vm.fallback("Instructions"), ""},
		{"nested function calls", vm.fallback("CallDepth"), ""},
		{"a string that a library function makes", size(vm.number(vm.fallback("StringBytes"))), ""},
		{"steps of one `find`, `match`, `gmatch` or `gsub`", vm.fallback("PatternSteps"), ""},
		{"HTTP requests of a call", engine.constant("maxRequests"), ""},
		{"body of a request", size(services.number(services.constant("maxRequest"))), ""},
		{"body of an answer, decompressed", size(int64(config.BackendMaxAnswer.Get(cfg))), "`rosterd_backend_max_answer`"},
		{"connections to one server", fmt.Sprint(config.BackendParallel.Get(cfg)), "`rosterd_backend_parallel`"},
		{"redirects that are followed, of GET and HEAD", fmt.Sprint(plugins.MaxRedirects), ""},
		{"contacts of a roster", fmt.Sprint(config.RosterItems.Get(cfg)), "`rosterd_roster_items`"},
		{"JSON: depth", engine.constant("maxJSONDepth"), ""},
		{"JSON: values in a call", engine.constant("maxJSONValues"), ""},
		{"JSON: text that is encoded", size(engine.number(engine.constant("maxJSONText"))), ""},
		{"lines in the log of a call", engine.constant("maxLines"), ""},
		{"such a line", size(engine.number(engine.constant("maxLine"))), ""},
		{"timers of a script, and of a call", engine.constant("maxTimers"), ""},
		{"what a script keeps for a host, in all", size(services.number(services.constant("maxKept"))), ""},
		{"a value in a store", size(services.number(services.constant("maxValue"))), ""},
		{"a key, with the name of its store", services.constant("maxKey") + " bytes", ""},
		{"body of a request from outside", size(services.number(services.constant("maxCallBody"))), ""},
		{"requests from outside at a time; further ones wait", services.constant("maxCallers"), ""},
		{"a script's file", size(services.number(services.constant("maxCode"))), ""},
	}
	var b strings.Builder
	b.WriteString("| | limit | option |\n| --- | --- | --- |\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.what, grouped(r.limit), r.option)
	}
	return b.String()
}

var thousands = regexp.MustCompile(`^\d{4,}$`)

// grouped writes 50000000 as 50,000,000 and leaves everything else alone.
func grouped(s string) string {
	if !thousands.MatchString(s) {
		return s
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// source is a package that is looked into for its limits.
type source struct {
	t      *testing.T
	consts map[string]ast.Expr
	text   string
}

func packageOf(t *testing.T, dir ...string) source {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(append([]string{"..", ".."}, append(dir, "*.go")...)...))
	if err != nil || len(files) == 0 {
		t.Fatalf("no package in %v: %v", dir, err)
	}
	s := source{t, map[string]ast.Expr{}, ""}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text := read(t, file)
		s.text += text
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Names) == 1 && len(v.Values) == 1 {
				s.consts[v.Names[0].Name] = v.Values[0]
			}
			return true
		})
	}
	return s
}

// constant is the value of a constant without a type.
func (s source) constant(name string) string {
	s.t.Helper()
	e, ok := s.consts[name]
	if !ok {
		s.t.Fatalf("no constant %s", name)
	}
	return s.eval(types.ExprString(e))
}

var unit = map[string]string{"time.Second": "1", "time.Minute": "60"}

// duration is a constant in units of time, as text.
func (s source) duration(name string) string {
	s.t.Helper()
	e, ok := s.consts[name]
	if !ok {
		s.t.Fatalf("no constant %s", name)
	}
	text := types.ExprString(e)
	for word, seconds := range unit {
		text = strings.ReplaceAll(text, word, seconds)
	}
	return seconds(time.Duration(s.number(s.eval(text))) * time.Second)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%v s", d.Seconds()) }

// fallback is what a zero field of Limits means.
func (s source) fallback(field string) string {
	s.t.Helper()
	m := regexp.MustCompile(`cmp\.Or\((?:max\()?l\.` + field + `(?:, 0\))?, ([^)]+)\)`).FindStringSubmatch(s.text)
	if m == nil {
		s.t.Fatalf("no default of %s", field)
	}
	return s.eval(m[1])
}

func (s source) eval(expr string) string {
	s.t.Helper()
	v, err := types.Eval(token.NewFileSet(), nil, token.NoPos, expr)
	if err != nil {
		s.t.Fatal(err)
	}
	return v.Value.ExactString()
}

func (s source) number(text string) int64 {
	s.t.Helper()
	n, exact := constant.Int64Val(constant.MakeFromLiteral(text, token.INT, 0))
	if !exact {
		s.t.Fatalf("%s is no integer", text)
	}
	return n
}

// load is a configuration.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "prosody.cfg.lua")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

var named = regexp.MustCompile(`^-- mod_(\w+)\.lua\n`)

// TestGuideScripts: every script that the guide shows whole can be opened, and gives the roster that it should against a
// backend that knows what its URL is asked for.
func TestGuideScripts(t *testing.T) {
	want := map[string]string{
		"intranet": `{"marie@example.com":{"subscription":"both","name":"Marie"}}`,
		"example":  `{"marie@example.com":{"subscription":"both","name":"Marie","groups":["Friends"]}}`,
		"team":     `{"marie@example.com":{"subscription":"both","name":"Marie","groups":["Team"]}}`,
		"company":  `{"marie@example.com":{"subscription":"both","name":"Marie"}}`,
	}
	b := &backend{t: t, exchanges: []*exchange{
		readExchange(t, "GET /intranet/john HTTP/1.1\nHost: guide\n\nHTTP/1.1 200 OK\n\n{\"people\": [{\"login\": \"marie\", \"name\": \"Marie\"}]}"),
		readExchange(t, "GET /company/john HTTP/1.1\nHost: guide\n\nHTTP/1.1 200 OK\n\n{\"marie@example.com\": {\"name\": \"Marie\"}}"),
	}}
	base := b.serve("guide")
	shown := 0
	for _, bl := range blocks(read(t, guide)) {
		m := named.FindStringSubmatch(bl.text)
		if m == nil {
			continue
		}
		shown++
		name := m[1]
		t.Run(name, func(t *testing.T) {
			m := &plugins.Manager{
				Version: "test", Engines: engines(), Log: slog.New(slog.DiscardHandler),
				Shipped: fstest.MapFS{"mod_" + name + ".lua": {Data: []byte(bl.text)}},
			}
			p, err := m.Open(t.Context(), name, "example.com", plugins.ConfigFunc(func(option string) (any, string, bool) {
				return base + "/" + strings.TrimSuffix(option, "_url") + "/%s", "prosody.cfg.lua:7", strings.HasSuffix(option, "_url")
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if !p.Info().Roster {
				return
			}
			a, err := p.Fetch(t.Context(), engine.Request{User: john, Reason: engine.ReasonLogin})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "the roster", string(a.Roster.EncodeJSON()), want[name])
			delete(want, name)
		})
	}
	if shown < 5 || len(want) > 0 {
		t.Errorf("the guide shows %d scripts, and none of %v", shown, want)
	}
}
