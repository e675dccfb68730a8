package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// files is a directory: names and contents. The configuration is prosody.cfg.lua.
type files map[string]string

// write puts the files into a directory and returns it.
func (fs files) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range fs {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// environment is a LookupEnv.
func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

// mustLoad loads a source that has to load.
func mustLoad(t testing.TB, src string) *Config {
	t.Helper()
	dir := files{"prosody.cfg.lua": src}.write(t)
	c, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(nil)})
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

// settings flattens a configuration: "host/option" → JSON of the value.
func settings(t testing.TB, c *Config) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, s := range append([]*section{c.global.section}, c.sections...) {
		if s.kind == KindComponent {
			out[s.host] = s.module
		}
		for _, name := range s.order {
			b, err := json.Marshal(s.set[name].value.Plain())
			if err != nil {
				t.Fatal(err)
			}
			if _, isFunction := s.set[name].value.v.(Function); isFunction {
				b = []byte("function")
			}
			out[s.host+"/"+name] = string(b)
		}
	}
	return out
}

type loadCase struct {
	name  string
	src   string
	files files
	env   map[string]string
	want  map[string]string // exactly the settings
	err   string            // part of the error; then nothing else counts
	diags []string          // parts of what was noticed, in order; exactly these
}

func (c loadCase) run(t *testing.T) {
	fs := files{"prosody.cfg.lua": c.src}
	for name, text := range c.files {
		fs[name] = text
	}
	dir := fs.write(t)
	cfg, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(c.env)})
	if c.err != "" {
		if err == nil {
			t.Fatalf("loaded, want an error with %q", c.err)
		}
		if got := strings.ReplaceAll(err.Error(), dir+"/", ""); !strings.Contains(got, c.err) {
			t.Fatalf("error is %q, want %q in it", got, c.err)
		}
		return
	}
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	got := settings(t, cfg)
	for k, v := range c.want {
		if got[k] != v {
			t.Errorf("%s = %s, want %s", k, got[k], v)
		}
	}
	for k, v := range got {
		if _, ok := c.want[k]; !ok {
			t.Errorf("%s = %s, want it unset", k, v)
		}
	}
	if len(cfg.diags) != len(c.diags) {
		t.Errorf("noticed %q, want %q", cfg.diags, c.diags)
		return
	}
	for i, d := range cfg.diags {
		if s := strings.ReplaceAll(d.String(), dir+"/", ""); !strings.Contains(s, c.diags[i]) {
			t.Errorf("noticed %q, want %q in it", s, c.diags[i])
		}
	}
}

func runLoadCases(t *testing.T, cases []loadCase) {
	for _, c := range cases {
		t.Run(c.name, c.run)
	}
}

func TestSections(t *testing.T) {
	runLoadCases(t, []loadCase{
		{name: "options before any host are global", src: `a = 1`, want: map[string]string{"*/a": "1"}},
		{name: "VirtualHost moves the cursor and leaves it", src: "VirtualHost 'h.example'\na = 1\nb = 2",
			want: map[string]string{"h.example/a": "1", "h.example/b": "2"}},
		{name: "a name is prepared", src: `VirtualHost "EXAMPLE.Com"
			a = 1`, want: map[string]string{"example.com/a": "1"}},
		{name: "an internationalised name keeps its letters", src: `VirtualHost "BÜCHER.example"
			a = 1`, want: map[string]string{"bücher.example/a": "1"}},
		{name: "table form sets options and returns to the global section", src: `VirtualHost "h.example" { a = 1 }
			b = 2`, want: map[string]string{"h.example/a": "1", "*/b": "2"}},
		{name: "a host takes no module", src: "\nVirtualHost 'h.example' 'muc'", err: `prosody.cfg.lua:2: VirtualHost "h.example" takes no module, but "muc" is given`},
		{name: "options have to be a table", src: `VirtualHost "h.example" (5)`, err: "takes a table of options, not a number"},
		{name: "a host needs a name", src: "a = 1\nVirtualHost(nil)", err: "prosody.cfg.lua:2: VirtualHost must have a name"},
		{name: "an empty name is refused", src: "VirtualHost ''\na = 1", want: map[string]string{"/a": "1"}, diags: []string{`REFUSED  prosody.cfg.lua:1  VirtualHost "" is no name of a host`}},
		{name: "a name with spaces is refused, once", src: "VirtualHost 'a b C'\na = 1\nVirtualHost 'a b c'", want: map[string]string{"a b c/a": "1"}, diags: []string{`VirtualHost "a b C" is no name of a host`}},
		{name: "a component without a proper name is not served", src: "Component 'my rooms.example' 'muc'", want: map[string]string{"my rooms.example": "muc"}, diags: []string{`WARN     prosody.cfg.lua:1  Component "my rooms.example" is no name of a host`}},
		{name: "a name in which nothing was filled in", src: "VirtualHost '${DOMAIN}'", want: map[string]string{}, diags: []string{`"${DOMAIN}" looks like a template that has not been rendered`}},
		{name: "a star is the global section", src: "VirtualHost 'h.example'\na = 1\nHost '*'\nb = 2", want: map[string]string{"h.example/a": "1", "*/b": "2"}},
		{name: "an encoded name", src: "VirtualHost 'XN--Bcher-Kva.example'", want: map[string]string{}, diags: []string{`WARN     prosody.cfg.lua:1  VirtualHost "xn--bcher-kva.example" is served as bücher.example`}},
		{name: "a name that may be a place for one", src: "VirtualHost '__DOMAIN__'", want: map[string]string{}, diags: []string{`WARN     prosody.cfg.lua:1  VirtualHost "__DOMAIN__" looks like a template`}},
		{name: "a star is no component", src: "Component '*'", want: map[string]string{"*": "component"}, diags: []string{`Component "*" is no name of a host`}},
		{name: "a number is a name too", src: `VirtualHost (5)`, want: map[string]string{}},
		{name: "a table is none", src: `VirtualHost {}`, err: "takes a name in quotes, not a table"},
		{name: "a module as a second argument", src: "Component('c.example', 'muc')\na = 1", want: map[string]string{"c.example": "component", "c.example/a": "1"},
			diags: []string{`prosody.cfg.lua:1  "muc" is not read here: this is an external component, in Prosody too`}},
		{name: "the aliases Host and host", src: "Host 'a.example'\nx = 1\nhost 'b.example'\nx = 2",
			want: map[string]string{"a.example/x": "1", "b.example/x": "2"}},
		{name: "an external component", src: "Component 'c.example'\ncomponent_secret = 's'",
			want: map[string]string{"c.example": "component", "c.example/component_secret": `"s"`}},
		{name: "a component with a module", src: "Component 'c.example' 'muc'\nname = 'n'",
			want: map[string]string{"c.example": "muc", "c.example/name": `"n"`}},
		{name: "a component with a module and a table", src: "Component 'c.example' 'muc' { name = 'n' }\na = 1",
			want: map[string]string{"c.example": "muc", "c.example/name": `"n"`, "*/a": "1"}},
		{name: "a component with a table", src: "component 'c.example' { name = 'n' }\na = 1",
			want: map[string]string{"c.example": "component", "c.example/name": `"n"`, "*/a": "1"}},
		{name: "the module of a component by assignment", src: "Component 'c.example'\ncomponent_module = 'muc'",
			want: map[string]string{"c.example": "muc"}},
		{name: "the same component twice", src: "Component 'c.example' 'muc'\na = 1\nComponent 'c.example' 'http_upload'\nb = 2", want: map[string]string{"c.example": "http_upload", "c.example/a": "1", "c.example/b": "2"},
			diags: []string{`prosody.cfg.lua:3  Component "c.example" is declared again: it has the module of the last declaration`}},
		{name: "the same host twice merges", src: "VirtualHost 'h.example'\na = 1\nVirtualHost 'i.example'\nVirtualHost 'H.example'\nb = 2",
			want: map[string]string{"h.example/a": "1", "h.example/b": "2"}},
		{name: "a repeated option of a repeated host is a duplicate", src: "VirtualHost 'h.example'\na = 1\nVirtualHost 'h.example'\na = 2",
			want: map[string]string{"h.example/a": "2"}, diags: []string{"prosody.cfg.lua:4  duplicate option a: the last one counts (first set at prosody.cfg.lua:2)"}},
		{name: "host, then component of the same name", src: "VirtualHost 'h.example'\nComponent 'h.example' 'muc'",
			err: `prosody.cfg.lua:2: Component "h.example": there is a VirtualHost of that name already (prosody.cfg.lua:1)`},
		{name: "component, then host of the same name", src: "Component 'h.example' 'muc'\nVirtualHost 'h.example'",
			err: `prosody.cfg.lua:2: VirtualHost "h.example": there is a Component of that name already`},
		{name: "hosts in a loop", src: `for _, h in ipairs { "a.example", "b.example" } do VirtualHost (h) { x = h } end`,
			want: map[string]string{"a.example/x": `"a.example"`, "b.example/x": `"b.example"`}},
		{name: "assigning a word of the language", src: "host = 'h.example'\nVirtualHost 'v.example'\na = 1", want: map[string]string{"v.example/a": "1"},
			diags: []string{"prosody.cfg.lua:1  host belongs to the configuration language, the assignment has no effect"}},
		{name: "assigning Include does not break the next Include", src: "Include = 'x.cfg.lua'\nInclude 'x.cfg.lua'", files: files{"x.cfg.lua": "a = 1"},
			want: map[string]string{"*/a": "1"}, diags: []string{"Include belongs to the configuration language"}},
		{name: "assigning Lua and ENV_X", src: "Lua = 1\nENV_X = 2", want: map[string]string{},
			diags: []string{"prosody.cfg.lua:1  Lua belongs", "prosody.cfg.lua:2  ENV_X belongs"}},
		{name: "reserved keys", src: "VirtualHost 'h.example'\ndefined = false\ncomponent_module = 'muc'", want: map[string]string{},
			diags: []string{"prosody.cfg.lua:2  defined is Prosody's own", "prosody.cfg.lua:3  component_module is Prosody's own"}},
		{name: "the cursor is readable", src: "a = __currenthost\nVirtualHost 'h.example'\na = __currenthost",
			want: map[string]string{"*/a": `"*"`, "h.example/a": `"h.example"`}},
		{name: "an entry without a name in a table form", src: `VirtualHost "h.example" { "x", a = 1 }`, want: map[string]string{"h.example/a": "1"},
			diags: []string{`an entry of the options of "h.example" has no name`}},
	})
}

func TestEnabledHosts(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"all", "VirtualHost 'a.example'\nVirtualHost 'b.example'", "a.example b.example"},
		{"one switched off", "VirtualHost 'a.example'\nenabled = false\nVirtualHost 'b.example'", "b.example"},
		{"off for all, on for one", "enabled = false\nVirtualHost 'a.example'\nVirtualHost 'b.example'\nenabled = true", "b.example"},
		{"components are no VirtualHosts", "Component 'c.example' 'muc'\nVirtualHost 'a.example'", "a.example"},
		{"the name of the value counts as the value", "VirtualHost 'a.example'\nenabled = 'false'", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var names []string
			for _, h := range mustLoad(t, c.src).Hosts() {
				names = append(names, h.Name)
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("hosts are %q, want %q", got, c.want)
			}
		})
	}
}

// What Prosody does not take for false, a host that it serves and rosterd does not, is said.
func TestSwitchedOff(t *testing.T) {
	for src, want := range map[string]string{
		"enabled = 'false'": `enabled: "false" is taken for false, and the host is not served; Prosody serves it`,
		"enabled = 0":       `enabled: 0 is taken for false, and the host is not served; Prosody serves it`,
		"enabled = false":   "", "enabled = true": "", "enabled = 'true'": "",
	} {
		got := ""
		for _, d := range Check(mustLoad(t, "VirtualHost 'a.example'\nVirtualHost 'b.example'\n"+src)) {
			if d.Name == "enabled" && d.Severity == Warn && d.Host == "b.example" && d.Pos.Line == 3 {
				got += d.Message
			}
		}
		if got != want {
			t.Errorf("%s: said %q, want %q", src, got, want)
		}
	}
}

func TestInclude(t *testing.T) {
	runLoadCases(t, []loadCase{
		{name: "a file", src: "Include 'conf.d/x.cfg.lua'", files: files{"conf.d/x.cfg.lua": "a = 1"}, want: map[string]string{"*/a": "1"}},
		{name: "a leading ./", src: "include './x.cfg.lua'", files: files{"x.cfg.lua": "a = 1"}, want: map[string]string{"*/a": "1"}},
		{name: "relative to the file that includes", src: "Include 'd/x.cfg.lua'", files: files{"d/x.cfg.lua": "Include 'y.cfg.lua'", "d/y.cfg.lua": "a = 1", "y.cfg.lua": "a = 2"},
			want: map[string]string{"*/a": "1"}},
		{name: "a pattern takes files in bytewise order", src: "a = ''\nInclude 'd/*.cfg.lua'",
			files: files{"d/zz.cfg.lua": "a = (a or '') .. 'z'", "d/aa.cfg.lua": "a = (a or '') .. 'a'", "d/Z.cfg.lua": "a = (a or '') .. 'Z'"}, want: map[string]string{"*/a": `"Zaz"`}},
		{name: "a pattern leaves out hidden files and backups", src: "Include 'd/*.cfg.lua'",
			files: files{"d/a.cfg.lua": "a = 1", "d/.b.cfg.lua": "b = 1", "d/c.cfg.lua~": "c = 1", "d/d.cfg.lua.dpkg-old": "d = 1", "d/exampleXcfg.lua": "e = 1"}, want: map[string]string{"*/a": "1"}},
		{name: "a question mark is one character", src: "Include 'd/?.cfg.lua'", files: files{"d/a.cfg.lua": "a = 1", "d/ab.cfg.lua": "b = 1"}, want: map[string]string{"*/a": "1"}},
		{name: "brackets in a pattern are literal", src: "Include 'd/*[1].lua'", files: files{"d/x[1].lua": "a = 1", "d/x1.lua": "b = 1"}, want: map[string]string{"*/a": "1"}},
		{name: "patterns only in the last element", src: "\nInclude 'conf.*/x.cfg.lua'", files: files{"conf.d/x.cfg.lua": "a = 1"}, err: `prosody.cfg.lua:2: Include "conf.*/x.cfg.lua": cannot open conf.*`},
		{name: "an empty directory", src: "Include 'd/*.cfg.lua'\na = 1", files: files{"d/readme": ""}, want: map[string]string{"*/a": "1"}},
		{name: "a missing directory", src: "a = 1\nInclude 'd/*.cfg.lua'", err: `prosody.cfg.lua:2: Include "d/*.cfg.lua": cannot open d: no such file`},
		{name: "a missing file", src: "a = 1\nInclude 'x.cfg.lua'", err: "prosody.cfg.lua:2: Error loading included x.cfg.lua: no such file"},
		{name: "an error in an included file keeps its place", src: "Include 'd/x.cfg.lua'", files: files{"d/x.cfg.lua": "\n\nlocal x = nil .. 'a'"}, err: "d/x.cfg.lua:3: "},
		{name: "a syntax error in an included file keeps its place", src: "Include 'd/x.cfg.lua'", files: files{"d/x.cfg.lua": "\n\na = = 1"}, err: "d/x.cfg.lua:3: "},
		{name: "a directory is not a file", src: "Include 'd'", files: files{"d/x": ""}, err: "d: cannot be read: it is not a regular file"},
		{name: "an included file starts in the global section and the cursor of the includer stays", src: "VirtualHost 'h.example'\nInclude 'x.cfg.lua'\nb = 2", files: files{"x.cfg.lua": "a = 1\nVirtualHost 'i.example'\na = 3"},
			want: map[string]string{"*/a": "1", "i.example/a": "3", "h.example/b": "2"}},
		{name: "duplicates in different files are silent", src: "a = 1\nInclude 'x.cfg.lua'", files: files{"x.cfg.lua": "a = 2"}, want: map[string]string{"*/a": "2"}},
		{name: "the same file twice is silent", src: "Include 'x.cfg.lua'\nInclude 'x.cfg.lua'", files: files{"x.cfg.lua": "a = 2"}, want: map[string]string{"*/a": "2"}},
		{name: "locals are not shared", src: "local a = 1\nInclude 'x.cfg.lua'", files: files{"x.cfg.lua": "b = a"}, want: map[string]string{}, diags: []string{"x.cfg.lua:1  a is nothing that is known here"}},
		{name: "a file that includes itself", src: "Include 'prosody.cfg.lua'", err: `more than 16 files deep, does a file include itself?`},
		{name: "an expression", src: "Include (\"x\" .. \".cfg.lua\")", files: files{"x.cfg.lua": "a = 1"}, want: map[string]string{"*/a": "1"}},
		{name: "under a condition, protected", src: "if not pcall(Include, 'none.cfg.lua') then a = 1 end", want: map[string]string{"*/a": "1"}},
		{name: "no name", src: "Include (nil)", err: "prosody.cfg.lua:1: Include takes the name of a file, not a nil"},
		{name: "RunScript", src: "RunScript 'x.lua'", err: "prosody.cfg.lua:1: RunScript has no effect on the configuration"},
		{name: "dofile", src: "dofile('x.lua')", err: "prosody.cfg.lua:1: dofile has no effect on the configuration"},
	})
}

func TestReadingGlobals(t *testing.T) {
	runLoadCases(t, []loadCase{
		{name: "an environment variable", src: "a = ENV_X\nb = ENV_EMPTY", env: map[string]string{"X": "x", "EMPTY": ""}, want: map[string]string{"*/a": `"x"`, "*/b": `""`}},
		{name: "an unset environment variable leaves the option unset and is named", src: "a = ENV_X\nb = 1", want: map[string]string{"*/b": "1"},
			diags: []string{"prosody.cfg.lua:1  a is not set, since the environment variable X is not"}},
		{name: "an unset environment variable of a security option is a warning", src: "\nc2s_require_encryption = ENV_X\nmotd_text = ENV_X", want: map[string]string{},
			diags: []string{"WARN     prosody.cfg.lua:2  c2s_require_encryption is not set, since the environment variable X is not", "NOTE     prosody.cfg.lua:3  motd_text is not set"}},
		{name: "an unset variable with a fallback is nothing", src: "a = ENV_X or 'y'", want: map[string]string{"*/a": `"y"`}},
		{name: "os.getenv", src: "a = os.getenv('X')\nb = Lua.os.getenv('X')", env: map[string]string{"X": "x"}, want: map[string]string{"*/a": `"x"`, "*/b": `"x"`}},
		{name: "an error far away names the variable", src: "local domain = os.getenv('DOMAIN')\n\nVirtualHost ('chat.' .. domain)", err: "the environment variable DOMAIN, read at line 1, is not set"},
		{name: "a nil host names the variable", src: "VirtualHost (ENV_DOMAIN)", err: "VirtualHost must have a name (the environment variable DOMAIN, read at line 1, is not set)"},
		{name: "Lua is the library", src: "a = Lua.tonumber('7')\nb = Lua.type(Lua.ipairs)\nc = Lua._G == Lua", want: map[string]string{"*/a": "7", "*/b": `"function"`, "*/c": "true"}},
		{name: "an option of the current section", src: "a = 1\nb = a + 1", want: map[string]string{"*/a": "1", "*/b": "2"}},
		{name: "reads do not inherit", src: "a = 1\nVirtualHost 'h.example'\nb = a", want: map[string]string{"*/a": "1"},
			diags: []string{"prosody.cfg.lua:3  a is nothing that is known here, so it is nil: quotes may be missing around it"}},
		{name: "an unknown name", src: "authentication = internal_plain", want: map[string]string{}, diags: []string{"prosody.cfg.lua:1  internal_plain is nothing that is known here"}},
		{name: "a standard name without Lua", src: "a = tonumber('7')", want: map[string]string{"*/a": "7"}},
		{name: "an option hides a standard name of its section", src: "log = { 'x' }\ntable = 'mine'\na = table", want: map[string]string{"*/log": `["x"]`, "*/table": `"mine"`, "*/a": `"mine"`}},
		{name: "_G is shared between reads", src: "_G.foo = 1\na = foo", want: map[string]string{"*/a": "1"}},
		{name: "Lua._G too", src: "Lua._G.foo = 1\na = foo", want: map[string]string{"*/a": "1"}},
		{name: "a function is an option, and callable", src: "function f(x) return x .. '!' end\na = f('x')", want: map[string]string{"*/f": "function", "*/a": `"x!"`}},
		{name: "a function of the global section is not visible below a host", src: "function f() end\nVirtualHost 'h.example'\na = f()", err: "prosody.cfg.lua:3: "},
		{name: "a function is visible in an included file", src: "function f() return 1 end\nInclude 'x.cfg.lua'", files: files{"x.cfg.lua": "a = f()"}, want: map[string]string{"*/f": "function", "*/a": "1"}},
		{name: "append", src: "a = { 'x' }\na:append { 'y', 'z' }", want: map[string]string{"*/a": `["x","y","z"]`}},
		{name: "append of pairs", src: "a = { x = 1 }\na:append { y = 2 }", want: map[string]string{"*/a": `{"x":1,"y":2}`}},
		{name: "append returns the option", src: "a = { 'x' }\na:append { 'y' }:append { 'z' }", want: map[string]string{"*/a": `["x","y","z"]`}},
		{name: "append by call", src: "modules_enabled = { 'x' }\nmodules_enabled { 'y' }", want: map[string]string{"*/modules_enabled": `["x","y"]`}},
		{name: "append of an option", src: "a = { 'x' }\nb = { 'y' }\na:append(b)", want: map[string]string{"*/a": `["x","y"]`, "*/b": `["y"]`}},
		{name: "append of an option to itself ends", src: "a = { 'x', 'y' }\na:append(a)", want: map[string]string{"*/a": `["x","y","x","y"]`}},
		{name: "append of something else", src: "a = { 'x' }\na:append('y')", err: "prosody.cfg.lua:2: a:append takes a table, not a string"},
		{name: "value", src: "a = { 'x' }\nb = #a:value()", want: map[string]string{"*/a": `["x"]`, "*/b": "1"}},
		{name: "values", src: "a = { 'x', 'y' }\nlocal s = ''\nfor v in a:values() do s = s .. v end\nb = s", want: map[string]string{"*/a": `["x","y"]`, "*/b": `"xy"`}},
		{name: "another operation", src: "a = { driver = 'x' }\nb = a.driver", err: `prosody.cfg.lua:2: unknown config option operation: "driver" of a`},
		{name: "the length of an option", src: "a = { 'x' }\nb = #a", want: map[string]string{"*/a": `["x"]`, "*/b": "0"}},
		{name: "assigning to an entry is lost", src: "a = { 'x' }\na[2] = 'y'", want: map[string]string{"*/a": `["x"]`},
			diags: []string{"prosody.cfg.lua:2  this change of a has no effect"}},
		{name: "table.insert is lost", src: "a = { 'x' }\ntable.insert(a, 'y')", want: map[string]string{"*/a": `["x"]`}, diags: []string{"prosody.cfg.lua:2  this change of a has no effect"}},
		{name: "an option assigned to another", src: "a = { 'x' }\nb = a", want: map[string]string{"*/a": `["x"]`, "*/b": `["x"]`},
			diags: []string{"prosody.cfg.lua:2  b is set to the option a; Prosody stores something unusable"}},
		{name: "append below a host that has not set it", src: "modules_enabled = { 'x' }\nVirtualHost 'h.example'\nmodules_enabled:append { 'y' }", err: "prosody.cfg.lua:3: "},
		{name: "append below a host that has", src: "VirtualHost 'h.example'\nmodules_enabled = {}\nmodules_enabled:append { 'y' }", want: map[string]string{"h.example/modules_enabled": `["y"]`}},
		{name: "the forgotten equals sign", src: "\nmodules_enabled { 'x' }", err: "(is an = missing after modules_enabled?)"},
		{name: "a shared table changes in both", src: "local t = { 'x' }\na = t\nb = t\na:append { 'y' }", want: map[string]string{"*/a": `["x","y"]`, "*/b": `["x","y"]`}},
		{name: "a table that changes after the assignment", src: "local t = { 'x' }\na = t\nt[2] = 'y'", want: map[string]string{"*/a": `["x","y"]`}},
	})
}

func TestWriting(t *testing.T) {
	runLoadCases(t, []loadCase{
		{name: "a duplicate", src: "a = 1\nb = 2\na = 3", want: map[string]string{"*/a": "3", "*/b": "2"}, diags: []string{"prosody.cfg.lua:3  duplicate option a: the last one counts (first set at prosody.cfg.lua:1)"}},
		{name: "the same name in two sections", src: "a = 1\nVirtualHost 'h.example'\na = 2", want: map[string]string{"*/a": "1", "h.example/a": "2"}},
		{name: "nil deletes, and still counts", src: "a = 1\na = nil\na = 2", want: map[string]string{"*/a": "2"}, diags: []string{"prosody.cfg.lua:2  duplicate option a", "prosody.cfg.lua:3  duplicate option a"}},
		{name: "values of all kinds", src: "a = true\nb = 1.5\nc = 10*1024*1024\nd = [[long\nstring]]\ne = { 1, { x = 'y' } }\nf = {}\ng = { [3] = 'z', k = 'v' }",
			want: map[string]string{"*/a": "true", "*/b": "1.5", "*/c": "10485760", "*/d": `"long\nstring"`, "*/e": `[1,{"x":"y"}]`, "*/f": "[]", "*/g": `{"3":"z","k":"v"}`}},
		{name: "a hole ends the list", src: "a = { 'x', nil, 'z' }", want: map[string]string{"*/a": `{"1":"x","3":"z"}`}},
		{name: "several at once", src: "a, b = 1, 2", want: map[string]string{"*/a": "1", "*/b": "2"}},
		{name: "escapes of Lua 5.4", src: `a = "\x41\u{48}\z
			b"`, want: map[string]string{"*/a": `"AHb"`}},
		{name: "semicolons and calls over lines", src: ";a = 1;;\nVirtualHost\n'h.example'\nb = 2;", want: map[string]string{"*/a": "1", "h.example/b": "2"}},
	})
}

func TestSecretReaders(t *testing.T) {
	runLoadCases(t, []loadCase{
		{name: "FileContents", src: "a = FileContents 'd/secret'", files: files{"d/secret": "one\ntwo\n"}, want: map[string]string{"*/a": `"one\ntwo\n"`}},
		{name: "FileLine", src: "a = FileLine 'secret'\nb = FileLine 'empty'", files: files{"secret": "one\ntwo\n", "empty": ""}, want: map[string]string{"*/a": `"one"`}},
		{name: "FileLines", src: "a = FileLines 'secret'", files: files{"secret": "one\ntwo"}, want: map[string]string{"*/a": `["one","two"]`}},
		{name: "relative to the file that reads", src: "Include 'd/x.cfg.lua'", files: files{"d/x.cfg.lua": "a = FileLine 'secret'", "d/secret": "right", "secret": "wrong"}, want: map[string]string{"*/a": `"right"`}},
		{name: "a missing file", src: "\na = FileLine 'secret'", err: `prosody.cfg.lua:2: FileLine "secret": no such file`},
		{name: "no name", src: "a = FileContents()", err: "prosody.cfg.lua:1: FileContents takes the name of a file, not a nil"},
		{name: "a credential without a service manager", src: "\na = Credential 'token'", err: `prosody.cfg.lua:2: Credential "token": the environment variable CREDENTIALS_DIRECTORY is not set`},
		{name: "a credential by a path", src: "a = Credential '../token'", err: "is no name of a credential"},
	})
}

func TestCredential(t *testing.T) {
	dir := files{"prosody.cfg.lua": "rosterd_refresh_token = Credential 'token'\nVirtualHost 'h.example'", "creds/token": "sesame\n"}.write(t)
	path := filepath.Join(dir, "prosody.cfg.lua")
	c, err := Load(path, LoadOptions{LookupEnv: environment(map[string]string{"CREDENTIALS_DIRECTORY": filepath.Join(dir, "creds")})})
	if err != nil {
		t.Fatal(err)
	}
	if got := RefreshToken.Get(c.Hosts()[0]); got != "sesame" {
		t.Errorf("token is %q", got)
	}
	if !c.global.section.set["rosterd_refresh_token"].secret {
		t.Error("the setting is not marked as secret")
	}
	c, err = Load(path, LoadOptions{LookupEnv: environment(nil), Inspect: true})
	if err != nil {
		t.Fatalf("to look at the file, a credential may be missing: %v", err)
	}
	if len(c.diags) != 1 || c.diags[0].Code != CodeUnset {
		t.Errorf("noticed %v, want the missing credential", c.diags)
	}
}

func TestLibrary(t *testing.T) {
	runLoadCases(t, []loadCase{
		{name: "what configurations use", src: `
			a = tonumber("1e2")
			b = ("x=1,y=2"):gsub("%w=", "")
			c = ("%s-%d"):format("a", 7)
			d = table.unpack({ 1, 2 })
			e = select("#", 1, 2, 3)
			f = type(os.time())
			g = os.date("!%Y-%m-%d", 0)
			h = assert(pcall(error, "x") == false)
			i = math.floor(1.5)
			j = ("a,b"):gmatch("[^,]+")()
			k = os.time { year = 2020, month = 1, day = 2, hour = 12 } > 1577000000`,
			want: map[string]string{"*/a": "100", "*/b": `"1,2"`, "*/c": `"a-7"`, "*/d": "1", "*/e": "3", "*/f": `"number"`, "*/g": `"1970-01-01"`, "*/h": "true", "*/i": "1", "*/j": `"a"`, "*/k": "true"}},
		{name: "io.open reads", src: "local f = io.open('x')\na = f:read('*l')\nb = f:read('a')\nc = f:read('*a')\nf:close()\nd = io.open('none') == nil", files: files{"x": "one\ntwo\n"},
			want: map[string]string{"*/a": `"one"`, "*/b": `"two\n"`, "*/c": `""`, "*/d": "true"}},
		{name: "a format of read by its whole name", src: "a = io.open('x'):read('*all')\nb = io.open('x'):read('*line')", files: files{"x": "one\ntwo\n"},
			want: map[string]string{"*/a": `"one\ntwo\n"`, "*/b": `"one"`}},
		{name: "several formats of read", src: "local f = io.open('x')\nlocal x, y, z, w = f:read('l', 2, 'a', 'l')\na = {x, y, z, w == nil}", files: files{"x": "one\ntwo\n"},
			want: map[string]string{"*/a": `["one","tw","o\n",true]`}},
		{name: "io.lines", src: "local t = {}\nfor l in io.lines('x') do t[#t + 1] = l end\na = t", files: files{"x": "one\ntwo\n"}, want: map[string]string{"*/a": `["one","two"]`}},
		{name: "io.open does not write", src: "local f = io.open('x', 'w')", err: `prosody.cfg.lua:1: io.open: configuration files may only read (mode "w")`},
		{name: "a closed file", src: "local f = io.open('x')\nf:close()\na = f:read()", files: files{"x": ""}, err: "prosody.cfg.lua:3: attempt to use a closed file"},
		{name: "print", src: "print('hello', 1)", want: map[string]string{}, diags: []string{"prosody.cfg.lua:1  the configuration prints: hello\t1"}},
		{name: "what is printed is the same in each run", src: "print({}, print)", want: map[string]string{}, diags: []string{"prosody.cfg.lua:1  the configuration prints: table\tfunction [LUA006]"}},
		{name: "os.execute", src: "\nos.execute('true')", err: "prosody.cfg.lua:2: os.execute is not available"},
		{name: "os.exit", src: "os.exit(1)", err: "prosody.cfg.lua:1: os.exit is not available"},
		{name: "os.remove", src: "os.remove('x')", err: "os.remove is not available"},
		{name: "io.popen", src: "io.popen('true')", err: "io.popen is not available"},
		{name: "loadfile", src: "loadfile('x')", err: "not available"},
		{name: "require of a known module", src: "local p = require 'prosody.util.pposix'\na = type(p.uname().nodename)\nlocal s = require 'stringy'\nb = s.split('a;b', ';')\nc = s.strip(' x ')",
			want: map[string]string{"*/a": `"string"`, "*/b": `["a","b"]`, "*/c": `"x"`}},
		{name: "require of json", src: "local json = require 'util.json'\na = json.decode('{\"x\":[1,true,null]}')\nb = json.encode({ 1, 2 })\nc = select('#', json.decode('{'))",
			want: map[string]string{"*/a": `{"x":[1,true]}`, "*/b": `"[1,2]"`, "*/c": "2"}},
		{name: "require of socket and lfs", src: "local socket, lfs = require 'socket', require 'lfs'\na = type(socket.dns.gethostname())\nb = lfs.attributes('prosody.cfg.lua', 'mode')\nc = lfs.attributes('none') == nil",
			want: map[string]string{"*/a": `"string"`, "*/b": `"file"`, "*/c": "true"}},
		{name: "require of another module", src: "\nrequire 'luasql'", err: "prosody.cfg.lua:2: module 'luasql' is not available to configuration files"},
		{name: "require of the standard libraries", src: "local os, s = require 'os', require 'string'\na = s.upper(type(os.time()))\nb = require('_G') == _G", want: map[string]string{"*/a": `"NUMBER"`, "*/b": "true"}},
		{name: "a path of modules", src: "package.path = package.path .. ';x'\na = package.path", want: map[string]string{"*/a": `";x"`}},
		{name: "what plugins have is not there", src: "a = ENV_X\nmodule:log('info', 'x')", err: "prosody.cfg.lua:2: attempt to index a nil value (for its field 'log') (module is nothing that is known here, so it is nil)"},
		{name: "an error far away names the last variables", src: "for i = 1, 20 do local x = os.getenv('X' .. i) end\nlocal y = nil .. 'a'", err: "are not set: X16, read at line 1; X17, read at line 1; X18, read at line 1; X19, read at line 1; X20, read at line 1; and 15 more before)"},
		{name: "a call of nothing", src: "local t = {}\nt.foo()", err: "prosody.cfg.lua:2: attempt to call 'foo', which is no function"},
		{name: "arithmetic on nothing", src: "a = nil + 1", err: "prosody.cfg.lua:1: attempt to perform arithmetic on a nil value"},
		{name: "protected require", src: "a = pcall(require, 'luasql')", want: map[string]string{"*/a": "false"}},
		{name: "the process looks like prosodyctl", src: "a = prosody.process_type\nb = Lua.prosody.process_type", want: map[string]string{"*/a": `"prosodyctl"`, "*/b": `"prosodyctl"`}},
		{name: "error with a table", src: "error({})", err: "prosody.cfg.lua"},
		{name: "error with a message", src: "\nerror('no domain')", err: "prosody.cfg.lua:2: no domain"},
		{name: "assert with a message", src: "assert(os.getenv('DOMAIN'), 'DOMAIN is missing')", err: "DOMAIN is missing"},
	})
}

func TestSources(t *testing.T) {
	runLoadCases(t, []loadCase{
		{name: "a byte order mark", src: "\xef\xbb\xbfa = 1", want: map[string]string{"*/a": "1"}, diags: []string{"byte order mark is ignored"}},
		{name: "a first line for a shell keeps the numbers of lines", src: "#!/usr/bin/lua\na = 1\na = 2", want: map[string]string{"*/a": "2"}, diags: []string{"prosody.cfg.lua:3  duplicate", "the first line is ignored"}},
		{name: "CRLF", src: "a = 1\r\nb = { 'x',\r\n'y' }\r\n", want: map[string]string{"*/a": "1", "*/b": `["x","y"]`}},
		{name: "compiled Lua", src: "\x1bLua", err: "prosody.cfg.lua: is not a text"},
		{name: "NUL", src: "a = '\x00'", err: "prosody.cfg.lua: is not a text"},
		{name: "a list of tables is no template", src: "log = {{to = 'console'}}\nadmins = { 'a' 'b' }", err: "is a comma or semicolon missing before"},
		{name: "an expression of a template", src: "port = {{ c2s_port | int }}\na = = 1", err: `"{{" in line 1: this looks like a template`},
		{name: "a host without quotes", src: "VirtualHost example.com", err: "are quotes missing around the text with example"},
		{name: "an address without quotes", src: "admins = { admin@example.com }", err: "are quotes missing around an address?"},
		{name: "a comment of C", src: "// mine\na = 1", err: "a comment begins with --"},
		{name: "a comparison", src: "authentication == 'x'", err: "an option is set by one ="},
		{name: "a space that does not break", src: "a = 1\n\u00a0b = 2", err: "prosody.cfg.lua:2: unexpected symbol near '\u00a0' (there is a space that is none to Lua"},
		{name: "a Jinja template", src: "-- {{ fine }}\n{% if x %}\na = 1", err: "this looks like a template that has not been rendered"},
		{name: "a template of the shell", src: "VirtualHost ${DOMAIN}", err: `"${D" in line 1: this looks like a template`},
		{name: "a template in a string loads", src: "a = {\n'x',\n{ y = '{{ x }}' } }\nwelcome_message = '$host {token} $$ 5%'", want: map[string]string{"*/a": `["x",{"y":"{{ x }}"}]`, "*/welcome_message": `"$host {token} $$ 5%"`},
			diags: []string{`prosody.cfg.lua:3  the value of a looks like a template that has not been rendered: "{{ x }}"`}},
		{name: "a template in many strings", src: "a = '{{ x }}'\nb = 1\nc = { '${NAME}' }\nd = 'admin@<THE_DOMAIN>'", want: map[string]string{"*/a": `"{{ x }}"`, "*/b": "1", "*/c": `["${NAME}"]`, "*/d": `"admin@\u003cTHE_DOMAIN\u003e"`},
			diags: []string{`rendered: "{{ x }}"; so do c:3 d:4`}},
		{name: "a template of Ruby", src: "a = <%= @x %>", err: `"<%= " in line 1: this looks like a template`},
		{name: "an open table", src: "a = 1\nb = {\n'x',\n", err: "prosody.cfg.lua:4: '}' expected (to close '{' at line 2) near <eof> (} missing: { was opened at line 2; or a comma"},
		{name: "an open table before a host", src: "b = {\n'x'\nVirtualHost 'y'", err: "prosody.cfg.lua:3: '}' expected (to close '{' at line 1) near 'VirtualHost' (} missing: { was opened at line 1; or a comma or semicolon is missing before 'VirtualHost')"},
		{name: "a missing comma", src: "b = { 'x' 'y' }", err: "(is a comma or semicolon missing before ''y''?)"},
		{name: "a block that does not end", src: "if true then\na = 1", err: "(end missing: if was opened at line 1)"},
		{name: "quotes of a word processor", src: "a = “x”", err: "(“ is no quote of Lua: write \" or ')"},
		{name: "a dash in a name", src: "my-option = 1", err: "(the names of options have _ and no -"},
		{name: "a colon", src: "a: 1", err: "(an option is set by =, not by a colon)"},
		{name: "JSON", src: "{ \"a\": 1 }", err: "this may be JSON"},
		{name: "a syntax error", src: "a = 1\nb = }", err: "prosody.cfg.lua:2: "},
		{name: "too large", src: "a = 1 --" + strings.Repeat("x", maxFileSize), err: "prosody.cfg.lua: cannot be read: it is larger than 1048576 bytes"},
	})
}

func TestMissingFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "prosody.cfg.lua"), LoadOptions{})
	if err == nil || !strings.Contains(err.Error(), "prosody.cfg.lua: cannot be read: no such file") {
		t.Errorf("error is %v", err)
	}
}

// Paths in messages start the way the main file was named, wherever the process stands.
func TestRelativeName(t *testing.T) {
	dir := files{"etc/prosody.cfg.lua": "Include 'conf.d/*.cfg.lua'\nVirtualHost 'h.example'", "etc/conf.d/a.cfg.lua": "b = x"}.write(t)
	t.Chdir(dir)
	c, err := Load("etc/prosody.cfg.lua", LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.Files); got != "[etc/prosody.cfg.lua etc/conf.d/a.cfg.lua]" {
		t.Errorf("files are %s", got)
	}
	if got := c.diags[0].Pos.String(); got != "etc/conf.d/a.cfg.lua:1" {
		t.Errorf("place is %s", got)
	}
	t.Chdir(filepath.Join(dir, "etc"))
	if _, err := Load("prosody.cfg.lua", LoadOptions{}); err != nil {
		t.Errorf("a bare name: %v", err)
	}
}

// Every entry of a list is reported at the line it stands on.
func TestLinesOfEntries(t *testing.T) {
	for _, c := range []struct {
		name, src string
		option    string
		want      string // entry:line …
	}{
		{"one per line", "a = {\n'x';\n'y';\n\n'z',\n}", "a", "x:2 y:3 z:5"},
		{"several per line", "a = { 'x', 'y',\n'z' }", "a", "x:1 y:1 z:2"},
		{"appended", "a = {\n'x'\n}\na:append {\n'y',\n'z'\n}", "a", "x:2 y:5 z:6"},
		{"appended by call", "a = {\n'x'\n}\na {\n'y'\n}", "a", "x:2 y:5"},
		{"of a local", "local l = {\n'x',\n'y'\n}\na = l", "a", "x:2 y:3"},
		{"with code", "local n = 'y'\na = {\n'x',\nn,\n'z'\n}", "a", "x:3 y:4 z:5"},
		{"made by code", "local function f() return { 'x' } end\n\na = f()", "a", "x:3"},
		{"moved by code", "local l = {\n'x',\n'y'\n}\ntable.remove(l, 1)\na = l", "a", "y:3"},
		{"table form", "VirtualHost 'h.example' {\nb = 1,\na = {\n'x',\n'y'\n}\n}", "a", "x:4 y:5"},
		{"numbers", "a = {\n5222,\n5223\n}", "a", "5222:2 5223:3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := mustLoad(t, c.src)
			h := cfg.global
			if len(cfg.hosts) > 0 {
				h = cfg.hosts[0]
			}
			var got []string
			for _, v := range h.section.set[c.option].value.Table().List {
				s, _ := v.text()
				got = append(got, fmt.Sprintf("%s:%d", s, v.pos.Line))
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("lines are %s, want %s", s, c.want)
			}
		})
	}
}

func TestLinesOfFields(t *testing.T) {
	c := mustLoad(t, "limits = {\n  c2s = {\n    rate = 'x';\n  };\n  [1+1] = 'computed';\n}\nVirtualHost 'h.example' {\n\n  name = 'x'\n}")
	tab := c.global.section.set["limits"].value.Table()
	if got := tab.Field("c2s").pos.Line; got != 2 {
		t.Errorf("c2s is at line %d", got)
	}
	if got := tab.Field("c2s").Table().Field("rate").pos.Line; got != 3 {
		t.Errorf("rate is at line %d", got)
	}
	if got := c.hosts[0].section.set["name"].pos.Line; got != 9 {
		t.Errorf("name of the table form is at line %d", got)
	}
}

func TestEnvironmentRead(t *testing.T) {
	dir := files{"prosody.cfg.lua": "a = ENV_A\nb = os.getenv('B')\nc = ENV_A"}.write(t)
	c, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(map[string]string{"A": "1"})})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range c.Env {
		got = append(got, fmt.Sprintf("%s=%v:%d", e.Name, e.Set, e.Pos.Line))
	}
	if s := strings.Join(got, " "); s != "A=true:1 B=false:2" {
		t.Errorf("environment read: %s", s)
	}
}

// Whatever a file does, the load comes to an end with an error that names the file.
func TestHostile(t *testing.T) {
	for _, c := range []struct{ name, src string }{
		{"endless loop", "while true do end"},
		{"endless loop in pcall", "while true do pcall(function() while true do end end) end"},
		{"pattern that backtracks", `local s = ("a"):rep(30); return s:find(("a-"):rep(28) .. "b")`},
		{"gsub of a long subject", `local s = ("a"):rep(65000); s:gsub(".-.-.-b", "")`},
		{"doubling of a string", `local s = "x"; while true do s = s .. s end`},
		{"rep", `local s = ("x"):rep(1e10)`},
		{"recursion", "local function f() return 1 + f() end\nf()"},
		{"tables within tables", "local t = {}\nt.t = t\na = t"},
		{"a table of tables that is huge written out", "local t = { 1, 2 }\nfor i = 1, 40 do t = { t, t } end\na = t"},
		{"a large table", "local t = {}\nfor i = 1, 1e9 do t[i] = i end\na = t"},
		{"includes without end", "while true do Include 'prosody.cfg.lua' end"},
		{"a file that includes itself, protected, twice", "while true do pcall(Include, 'prosody.cfg.lua') end"},
		{"a pipe", "Include 'pipe.cfg.lua'"},
		{"a pipe by a pattern", "Include 'pip*.lua'"},
		{"a device", "Include '/dev/zero'"},
		{"the contents of a device", "a = FileContents '/dev/zero'"},
		{"the contents of a pipe", "a = FileContents 'pipe.cfg.lua'"},
		{"a device that is opened", "a = assert(io.open '/dev/zero'):read('a')"},
		{"the lines of a pipe", "for l in io.lines 'pipe.cfg.lua' do a = l end"},
		{"a link to itself", "Include 'loop.cfg.lua'"},
		{"links by a pattern", "Include 'loo*.lua'"},
		{"a directory that is a loop of links", "Include 'loop.d/*.cfg.lua'"},
		{"deep nesting", "a = " + strings.Repeat("{", 5000) + strings.Repeat("}", 5000)},
		{"deep brackets", "a = " + strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000)},
		{"deep blocks", strings.Repeat("do ", 5000) + strings.Repeat("end ", 5000)},
		{"complaints without end", "local i = 0 while true do i = i + 1 print(i) a = undefined end"},
		{"hosts without end", "local i = 0 while true do i = i + 1 VirtualHost('h' .. i) end"},
		{"variables without end", "local i = 0 while true do i = i + 1 a = os.getenv('X' .. i) end"},
		{"assignments without end", "while true do a = {} a:append { 1 } a = nil end"},
		{"appends without end", "a = {} while true do a:append { 'x' } end"},
		{"an option appended to itself without end", "a = { 1 } while true do a:append(a) end"},
		{"coroutines without end", "while true do coroutine.wrap(function() while true do end end)() end"},
		{"a metatable without end", "local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) a = t[1]"},
		{"an order that is none", "local t = {} for i = 1, 1e4 do t[i] = i end while true do table.sort(t, function() return true end) end"},
		{"a large format", "a = ('%99999999d'):format(1)"},
		{"joining without end", "local t = {} for i = 1, 1e4 do t[i] = ('x'):rep(1e4) end while true do a = table.concat(t) end"},
		{"a message without end", "error(('x'):rep(1e6):rep(1000))"},
		{"exit", "os.exit()"},
		{"exit in pcall", "pcall(os.exit, 1) while true do pcall(os.exit) end"},
		{"thrown rubbish", "error(setmetatable({}, { __tostring = function() while true do end end }))"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := files{"prosody.cfg.lua": c.src}.write(t)
			for name, make := range map[string]func(string) error{
				"pipe.cfg.lua": func(path string) error { return syscall.Mkfifo(path, 0o600) },
				"loop.cfg.lua": func(path string) error { return os.Symlink("loop.cfg.lua", path) },
				"loop.d":       func(path string) error { return os.Symlink("loop.d", path) },
			} {
				if err := make(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{Time: 50 * time.Millisecond})
			if err == nil {
				t.Fatal("loaded")
			}
			if !strings.Contains(err.Error(), "prosody.cfg.lua") {
				t.Errorf("error names no file: %v", err)
			}
		})
	}
}

// A list longer than gopher-lua's table constructors hold is not cut short, and each entry has its line.
func TestLongList(t *testing.T) {
	cfg := mustLoad(t, "a = {\n"+strings.Repeat("'x',\n", 26_000)+"}")
	list := cfg.global.section.set["a"].value.Table().List
	if n := len(list); n != 26_000 {
		t.Fatalf("the list has %d entries", n)
	}
	if line := list[25_999].pos.Line; line != 26_001 {
		t.Errorf("the last entry is at line %d", line)
	}
}
