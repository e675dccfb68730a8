package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/gopher-lua/ast"

	"rosterd/plugins/lua/vm"
)

// A plugin is the file in plugin_paths that a module's name leads to. The configuration does not run it; what it
// says of itself is read off its source.
type plugin struct {
	file    string
	lua     bool     // there are other languages, which are not available yet
	rosters bool     // it says module:provides("roster", …)
	options []string // that it asks for by name
	problem string   // why it cannot be read
}

// maxPlugin bounds what is read of one.
const maxPlugin = 8 << 20

// builtIn tells whether a module is rosterd's own, so that a file of its name is not used.
func builtIn(name string) bool {
	return moduleTable[name].kind != Missing || name == "roster"
}

// findPlugins looks for the modules of the hosts in plugin_paths.
func (c *Config) findPlugins() {
	c.plugins = map[string]*plugin{}
	for _, h := range c.hosts {
		for name := range h.modules {
			if _, done := c.plugins[name]; !done && (!builtIn(name) || c.overridden(name)) {
				c.plugins[name] = c.findPlugin(name)
			}
		}
		for _, m := range h.Providers() {
			if m.File != "" {
				c.markRead(c.plugins[m.Name].options...)
			}
		}
	}
}

// overridden tells whether rosterd_plugin_override puts a file in the place of a module of rosterd's own. Only
// scripts can give way to scripts.
func (c *Config) overridden(name string) bool {
	return moduleTable[name].kind == Provider && slices.Contains(PluginOverride.Get(c.global), name)
}

func (c *Config) findPlugin(name string) *plugin {
	for _, dir := range PluginPaths.Get(c.global) {
		if file := pluginIn(dir, name); file != "" {
			return readPlugin(file)
		}
	}
	return nil
}

// pluginIn finds a module in a directory of plugin_paths, in the forms that Prosody knows and in WebAssembly.
func pluginIn(dir, name string) string {
	if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return ""
	}
	mod := "mod_" + name
	for _, rel := range []string{mod + ".lua", filepath.Join(mod, mod+".lua"), mod + ".wasm", name + ".wasm"} {
		if info, err := os.Stat(filepath.Join(dir, rel)); err == nil && info.Mode().IsRegular() {
			return filepath.Join(dir, rel)
		}
	}
	return ""
}

// said finds what a source says that is no Lua, so that its mistake is reported and not the lack of rosters.
var said = regexp.MustCompile(`\bprovides\s*\(?\s*["']roster["']`)

func readPlugin(file string) *plugin {
	p := &plugin{file: file, lua: filepath.Ext(file) == ".lua"}
	if !p.lua {
		return p
	}
	src, err := readLimited(file, maxPlugin)
	if err != nil {
		p.problem = cause(err).Error()
		return p
	}
	chunk, err := vm.Parse(file, src)
	if err != nil {
		p.rosters = said.Match(src)
		return p
	}
	calls(reflect.ValueOf(chunk), func(method string, args []ast.Expr) {
		if len(args) == 0 {
			return
		}
		name, constant := args[0].(*ast.StringExpr)
		switch {
		case !constant:
		case method == "provides":
			p.rosters = p.rosters || name.Value == "roster"
		case strings.HasPrefix(method, "get_option"):
			p.options = append(p.options, name.Value)
		}
	})
	return p
}

// calls visits every call of a method in a syntax tree, whatever the nodes on the way are. Both ways to write one
// are the same: x:method(a) and x.method(x, a).
func calls(v reflect.Value, visit func(method string, args []ast.Expr)) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return
		}
		if c, ok := v.Interface().(*ast.FuncCallExpr); ok {
			method, args := called(c)
			visit(method, args)
		}
		calls(v.Elem(), visit)
	case reflect.Slice:
		for i := range v.Len() {
			calls(v.Index(i), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			calls(v.Field(i), visit)
		}
	}
}

func called(c *ast.FuncCallExpr) (method string, args []ast.Expr) {
	if f, ok := c.Func.(*ast.AttrGetExpr); ok && len(c.Args) > 0 {
		key, _ := constant(f.Key)
		return key, c.Args[1:]
	}
	return c.Method, c.Args
}
