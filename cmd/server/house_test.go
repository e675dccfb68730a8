package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rosterd/config"
)

// root is the repository.
const root = "../.."

// floors are the rooms of docs/ARCHITECTURE.md, by the floor they are on. A room without a line here is a mistake, so
// that nobody builds one without a thought where it belongs.
var floors = map[string]int{
	"cmd/server": 3, "migrate": 3, "bench": 3, "bench/target": 3, "bench/load": 3, "bench/report": 3, "bench/report/plot": 3, "examples/plugins": 3,
	"httpd": 2, "httpd/push": 2, "admin": 2, "metrics": 2, "xmppcore": 2, "plugins": 2, "plugins/lua": 2, "plugins/wasm": 2, "plugins/worker": 2, "plugins/trial": 2,
	"engine": 1, "engine/enginetest": 1, "engine/stored": 1, "engine/groups": 1, "config": 1, "config/known": 1, "store": 1, "store/storetest": 1, "store/prosody": 1, "directory": 1, "directory/slapdtest": 1, "passwords": 1, "passwords/web": 1, "passwords/token": 1, "passwords/dovecot": 1, "passwords/dovecot/dovecottest": 1,
	"cmd/server/converse": 0, "compare": 0, "daemontest": 0, "engine/addr": 0, "engine/roster": 0, "plugins/lua/vm": 0, "plugins/wasm/module": 0, "plugins/wasm/module/asm": 0, "plugins/wasm/fuel": 0, "plugins/sdk": 0, "plugins/trial/scaffold": 0, "plugins/trial/mutate": 0, "store/credential": 0, "store/dat": 0,
}

// sideways are imports on one floor that are meant: from the whole of a room to its parts, and from engines to what
// they are engines of.
var sideways = map[string][]string{
	"cmd/server":        {"migrate"},
	"bench":             {"bench/target", "bench/load", "bench/report"},
	"bench/load":        {"bench/target"},
	"bench/report":      {"bench/report/plot"},
	"engine/enginetest": {"engine"},
	"engine/stored":     {"engine"},
	"engine/groups":     {"engine"},
	"store/storetest":   {"store"},
	"store/prosody":     {"store"},
	"config":            {"config/known"},
	"passwords/web":     {"passwords"},
	"passwords/token":   {"passwords"},
	"passwords/dovecot": {"passwords"},
	"plugins/lua":       {"plugins"},
	"plugins/wasm":      {"plugins"},
	"plugins/wasm/fuel": {"plugins/wasm/module"},
	"plugins/worker":    {"plugins"},
	"plugins/trial":     {"plugins"},
	"xmppcore":          {"xmppcore"},
	"engine/roster":     {"engine/addr"},

	"plugins/trial/scaffold": {"plugins/sdk"},
}

// confined is who may import what, tests apart.
var confined = map[string][]string{
	"github.com/yuin/gopher-lua":          {"plugins/lua", "plugins/lua/vm", "config"},
	"github.com/tetratelabs/wazero":       {"plugins/wasm"},
	"github.com/julienschmidt/httprouter": {"httpd"},
	"database/sql":                        {"store", "store/prosody"},
	"modernc.org/sqlite":                  {"store", "store/prosody"},
	"github.com/jackc/pgx":                {"store"},
	"github.com/go-jose/go-jose":          {"passwords/token"},
	"github.com/go-ldap/ldap":             {"directory"},
	"github.com/go-asn1-ber/asn1-ber":     {"directory"},
	"mellium.im":                          {"engine/addr", "compare"},
	"golang.org/x/term":                   {"cmd/server"},
	"github.com/prometheus":               {"metrics"},
	"github.com/coder/websocket":          {"xmppcore"},
	"testing":                             {"daemontest", "directory/slapdtest", "engine/enginetest", "passwords/dovecot/dovecottest", "store/storetest", "xmppcore"}, // what tests of others use
}

// without is what a room does without.
var without = map[string][]string{
	"engine":           {"net", "encoding/xml", "os"},
	"engine/addr":      {"net", "os", "encoding/xml"},
	"engine/roster":    {"net", "os", "encoding/xml"},
	"engine/stored":    {"net", "os", "encoding/xml"},
	"engine/groups":    {"net", "os", "encoding/xml"},
	"store/dat":        {"net", "os", "io"},
	"store/credential": {"net", "os"},
	"plugins/lua/vm":   {"net", "os"},

	"plugins/wasm/module": {"net", "os"},
	"plugins/wasm/fuel":   {"net", "os"},
	"xmppcore":            {"encoding/xml", "net/http"}, // mellium's and encoding/xml's readers have no limits
	"httpd":               {"encoding/xml"},
}

// overHTTP are the rooms in xmppcore that carry streams over HTTP.
var overHTTP = []string{"xmppcore/websocket", "xmppcore/bosh"}

// goPackage is what go list says.
type goPackage struct {
	ImportPath, Dir string
	Standard        bool
	Module          *struct{ Path string }
	Imports         []string
	GoFiles         []string
}

func goList(t *testing.T, args ...string) (list []goPackage) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,Standard,Module,Imports,GoFiles"}, args...)...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// room is the path of a package of ours below the module; ok is false for those of others.
func room(path string) (string, bool) { return strings.CutPrefix(path, "rosterd/") }

// floorOf finds the room of a package: xmppcore is one with all that is in it.
func floorOf(name string) (house string, floor int, ok bool) {
	if strings.HasPrefix(name, "xmppcore/") {
		name = "xmppcore"
	}
	floor, ok = floors[name]
	return name, floor, ok
}

// TestFloors: imports point down, neighbours do not know each other, and dependencies stay in their rooms.
func TestFloors(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, p := range goList(t, "./...") {
		name, _ := room(p.ImportPath)
		house, floor, ok := floorOf(name)
		if !ok {
			t.Errorf("%s is on no floor", name)
			continue
		}
		used[house] = true
		for _, imported := range p.Imports {
			if ours, ok := room(imported); ok {
				checkFloor(t, name, house, floor, ours)
				continue
			}
			checkConfined(t, house, name, imported)
		}
	}
	for house := range floors {
		if !used[house] {
			t.Errorf("%s has a floor but no package", house)
		}
	}
}

func checkFloor(t *testing.T, name, house string, floor int, imported string) {
	t.Helper()
	other, below, ok := floorOf(imported)
	switch {
	case !ok: // is reported for itself
	case below > floor:
		t.Errorf("%s imports %s, which is above it", name, imported)
	case below == floor && !slices.Contains(sideways[house], other):
		t.Errorf("%s imports its neighbour %s", name, imported)
	}
}

func checkConfined(t *testing.T, house, name, imported string) {
	t.Helper()
	for what, rooms := range confined {
		if within(imported, what) && !slices.Contains(rooms, house) {
			t.Errorf("%s imports %s, which is for %v", name, imported, rooms)
		}
	}
	for _, what := range without[house] {
		// The client for tests is no part of the server, and "net" does not mean net/netip or net/url.
		if imported == what && name != "xmppcore/xmpptest" && !slices.Contains(overHTTP, name) {
			t.Errorf("%s imports %s; %s does without", name, imported, house)
		}
	}
}

func within(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

// TestBinary: what the program is made of. Test clients are no part of it, and of mellium's there is the preparation
// of addresses, and a client for check --compare.
func TestBinary(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{}
	for _, p := range goList(t, "-deps", "./compare") {
		allowed[p.ImportPath] = true
	}
	for _, p := range goList(t, "-deps", "./cmd/server") {
		switch {
		case p.ImportPath == "testing", within(p.ImportPath, "rosterd/engine/enginetest"), within(p.ImportPath, "rosterd/store/storetest"), within(p.ImportPath, "rosterd/xmppcore/xmpptest"):
			t.Errorf("the program has %s in it", p.ImportPath)
		case within(p.ImportPath, "mellium.im") && !allowed[p.ImportPath]:
			t.Errorf("the program has %s in it", p.ImportPath)
		}
	}
}

// tracked are the files of the repository that are text.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// TestNoPathsOfAMachine: nothing in the repository knows where somebody keeps it.
func TestNoPathsOfAMachine(t *testing.T) {
	t.Parallel()
	places := []string{"work", "home", "root", "Users", "tmp"}
	pattern := regexp.MustCompile(`(?:^|[^A-Za-z0-9_.~$*/}%<-])/(?:` + strings.Join(places, "|") + `)(?:/|\b)`)
	for _, name := range tracked(t) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				continue // deleted, and not yet committed
			}
			t.Fatal(err)
		}
		if bytes.IndexByte(text, 0) >= 0 {
			continue
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := pattern.FindString(line); found != "" {
				t.Errorf("%s:%d: %q in %s", name, i+1, strings.TrimSpace(found), line)
			}
		}
	}
}

// TestNobodySleeps: a test that waits does so for something that happens, or by the clock of a bubble (testing/synctest),
// which takes no time and is the same on every machine.
func TestNobodySleeps(t *testing.T) {
	t.Parallel()
	for _, name := range tracked(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("time."+"Sleep(")) && !bytes.Contains(text, []byte("\"testing/synctest\"")) {
			t.Errorf("%s sleeps outside a bubble", name)
		}
	}
}

// unread are options that no code asks for because there is nothing to decide.
var unread = map[string]string{"rosterd_accept": "what it decides about is what Check says"}

// TestOptionsAreRead: what the registry calls honoured is asked for outside it: by its variable, through a method of
// the configuration that reads it, or by name from a script. What is only checked and then ignored is not honoured.
func TestOptionsAreRead(t *testing.T) {
	t.Parallel()
	registry := parseConfig(t)
	asked, quoted := outside(t)
	reached := map[string]bool{}
	for name := range registry.edges {
		if ast.IsExported(name) && (asked["config."+name] || registry.methods[name] && asked[name]) {
			registry.reach(name, reached)
		}
	}
	for _, spec := range config.Specs() {
		variable, ok := registry.variables[spec.Name]
		if !ok {
			t.Errorf("%s is declared in a way that this test does not understand", spec.Name)
			continue
		}
		read := reached[variable] || quoted[spec.Name] || registry.named(spec.Name, reached)
		switch _, excused := unread[spec.Name]; {
		case !read && !excused:
			t.Errorf("%s (config.%s) is declared as honoured, and nobody reads it", spec.Name, variable)
		case read && excused:
			t.Errorf("%s is read after all: take it out of the list of those that are not", spec.Name)
		}
	}
	for name := range unread {
		if registry.variables[name] == "" {
			t.Errorf("there is no option %s", name)
		}
	}
}

// configSource is who mentions whom in package config.
type configSource struct {
	variables map[string]string // option → its variable
	methods   map[string]bool
	edges     map[string]map[string]bool // function, method or variable → names it mentions
	literals  map[string]map[string]bool // function or method → strings in it
}

// parseConfig reads package config without its checks, which look at every option.
func parseConfig(t *testing.T) *configSource {
	t.Helper()
	c := &configSource{map[string]string{}, map[string]bool{}, map[string]map[string]bool{}, map[string]map[string]bool{}}
	for _, file := range goFiles(t, filepath.Join(root, "config")) {
		if strings.HasPrefix(filepath.Base(file), "check") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				c.methods[d.Name.Name] = c.methods[d.Name.Name] || d.Recv != nil
				c.add(d.Name.Name, d)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if v, ok := s.(*ast.ValueSpec); ok {
						c.addVariables(v)
					}
				}
			}
		}
	}
	return c
}

func (c *configSource) addVariables(v *ast.ValueSpec) {
	for i, name := range v.Names {
		if i < len(v.Values) {
			c.add(name.Name, v.Values[i])
			if option := declared(v.Values[i]); option != "" {
				c.variables[option] = name.Name
				delete(c.literals, name.Name)
			}
		}
	}
}

// declared is the name of the option in declare(Spec{Name: "…"}, …).
func declared(e ast.Expr) (option string) {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return ""
	}
	spec, ok := call.Args[0].(*ast.CompositeLit)
	if !ok {
		return ""
	}
	for _, e := range spec.Elts {
		field, ok := e.(*ast.KeyValueExpr)
		if key, isName := field.Key.(*ast.Ident); ok && isName && key.Name == "Name" {
			option, _ = strconv.Unquote(field.Value.(*ast.BasicLit).Value)
		}
	}
	return option
}

func (c *configSource) add(name string, n ast.Node) {
	if c.edges[name] == nil { // methods of several types may share one
		c.edges[name], c.literals[name] = map[string]bool{}, map[string]bool{}
	}
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			c.edges[name][n.Name] = true
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil {
				c.literals[name][text] = true
			}
		}
		return true
	})
}

func (c *configSource) reach(name string, reached map[string]bool) {
	if reached[name] {
		return
	}
	reached[name] = true
	for next := range c.edges[name] {
		if c.edges[next] != nil {
			c.reach(next, reached)
		}
	}
}

// named tells whether something that is reached asks for an option by its name, as Load does for enabled.
func (c *configSource) named(option string, reached map[string]bool) bool {
	for name, literals := range c.literals {
		if reached[name] && literals[option] {
			return true
		}
	}
	return false
}

// outside is what code outside config mentions: names after a dot, also with what stands before a single one; and
// the strings of plugins and scripts, which ask for options by name.
func outside(t *testing.T) (selected, quoted map[string]bool) {
	t.Helper()
	selected, quoted = map[string]bool{}, map[string]bool{}
	for _, p := range goList(t, "./...") {
		name, _ := room(p.ImportPath)
		if within(name, "config") || within(name, "bench") {
			continue
		}
		for _, file := range p.GoFiles {
			parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					selected[n.Sel.Name] = true
					if x, ok := n.X.(*ast.Ident); ok {
						selected[x.Name+"."+n.Sel.Name] = true
					}
				case *ast.BasicLit:
					if text, err := strconv.Unquote(n.Value); err == nil && within(name, "plugins") {
						quoted[text] = true
					}
				}
				return true
			})
		}
	}
	scripts, err := filepath.Glob(filepath.Join(root, "plugins", "lua", "scripts", "*.lua"))
	if err != nil {
		t.Fatal(err)
	}
	option := regexp.MustCompile(`module:get_option\w*\("([^"]+)"`)
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range option.FindAllStringSubmatch(string(text), -1) {
			quoted[m[1]] = true
		}
	}
	return selected, quoted
}

func goFiles(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
}
