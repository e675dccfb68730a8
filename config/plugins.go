package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/gopher-lua/ast"

	"rosterd/plugins/lua/vm"
	"rosterd/plugins/wasm/module"
)

// A plugin is the file in plugin_paths that a module's name leads to. The configuration does not run it; what it
// says of itself is read off its source, or off what a module in WebAssembly exports.
type plugin struct {
	file    string
	rosters bool     // it says module:provides("roster", …)
	hooked  bool     // it says module:hook("roster-load", …), as modules of Prosody do that change rosters or supply them
	auth    bool     // it says module:provides("auth", …)
	notices bool     // it says module:refresh_rosters(…), or takes requests from outside in WebAssembly
	manages bool     // it changes rosters by Prosody's own means
	app     string   // what http_paths calls its routes; "" if it has none
	options []string // that it asks for by name
	problem string   // why it cannot be read
	beside  []string // other files of that name in the same directory
}

// maxPlugin bounds what is read of one.
const maxPlugin = 8 << 20

// builtIn tells whether a module is rosterd's own, so that a file of its name is not used.
func builtIn(name string) bool {
	_, provider := ownProvider(name)
	return provider || moduleTable[name].kind != Missing
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
		if name := authModule(h); c.plugins[name] == nil && (!builtIn(name) || c.overridden(name)) {
			if p := c.findPlugin(name); p != nil {
				c.plugins[name] = p
			}
		}
		for _, m := range h.Plugins() {
			if m.File != "" {
				c.markRead(c.plugins[m.Name].options...)
			}
		}
	}
}

// authModule is the module that Prosody looks for where authentication names a provider.
func authModule(h *Host) string { return "auth_" + h.AuthProvider() }

// Authenticator is the script that knows the passwords of the host's users: the module of the provider's name, as in
// Prosody, or an enabled one of that name that says so. There is none where accounts are rosterd's own.
func (h *Host) Authenticator() (Module, bool) {
	if internalAccounts(h) {
		return Module{}, false
	}
	if p := h.cfg.plugins[authModule(h)]; p != nil {
		return Module{Name: authModule(h), Pos: h.authPos(), File: p.file}, true
	}
	if _, own := ownProvider(authModule(h)); own {
		return Module{}, false
	}
	m, enabled := h.Module(Authentication.Get(h))
	if p := h.cfg.plugins[m.Name]; enabled && p != nil && p.auth {
		m.File = p.file
		return m, true
	}
	return Module{}, false
}

// internalAccounts tells whether rosterd keeps the accounts of the host itself.
func internalAccounts(h *Host) bool { return strings.HasPrefix(h.AuthProvider(), "internal_") }

// Plugins are the modules that are opened for the host: those that supply its rosters, scripts that tell of changes,
// and the one that knows the passwords.
func (h *Host) Plugins() []Module {
	list := h.Providers()
	for _, m := range h.Modules() {
		if p := h.cfg.plugins[m.Name]; p != nil && p.notices && !hasModule(list, m.Name) {
			m.File = p.file
			list = append(list, m)
		}
	}
	if m, ok := h.Authenticator(); ok && !hasModule(list, m.Name) {
		list = append(list, m)
	}
	return list
}

func hasModule(list []Module, name string) bool {
	return slices.ContainsFunc(list, func(m Module) bool { return m.Name == name })
}

// overridden tells whether rosterd_plugin_override puts a file in the place of a module of rosterd's own.
func (c *Config) overridden(name string) bool {
	return overridable(name) && slices.Contains(PluginOverride.Get(c.global), name)
}

// overridable tells whether a module of rosterd's own may give way to a file.
func overridable(name string) bool {
	_, provider := ownProvider(name)
	return provider || moduleTable[name].kind == Provider
}

func (c *Config) findPlugin(name string) *plugin {
	for _, dir := range PluginPaths.Get(c.global) {
		if files := pluginsIn(dir, name); len(files) > 0 {
			p := readPlugin(files[0])
			for _, other := range files[1:] {
				p.beside = append(p.beside, filepath.Base(other))
			}
			return p
		}
	}
	return nil
}

// pluginIn finds a module in a directory of plugin_paths.
func pluginIn(dir, name string) string {
	files := pluginsIn(dir, name)
	if len(files) == 0 {
		return ""
	}
	return files[0]
}

// pluginsIn are all files of a module's name in a directory of plugin_paths. The first is the module.
func pluginsIn(dir, name string) (files []string) {
	for _, rel := range pluginNames(name) {
		if info, err := os.Stat(filepath.Join(dir, rel)); err == nil && info.Mode().IsRegular() {
			files = append(files, filepath.Join(dir, rel))
		}
	}
	return files
}

// pluginNames are those that the file of a module may have: the forms that Prosody knows, and WebAssembly.
func pluginNames(name string) []string {
	if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return nil
	}
	mod := "mod_" + name
	return []string{mod + ".lua", filepath.Join(mod, mod+".lua"), mod + ".wasm", filepath.Join(mod, mod+".wasm"), name + ".wasm"}
}

// ownModule says where a module that is not known would be looked for, and what may have kept it from being found.
func (c *Config) ownModule(kind, name string) string {
	hint := fmt.Sprintf("%s of your own would be mod_%s.lua or .wasm in plugin_paths", kind, name)
	for _, dir := range PluginPaths.Get(c.global) {
		for _, problem := range outOfReach(dir, name) {
			hint += "; " + problem
		}
	}
	return hint
}

func outOfReach(dir, name string) (problems []string) {
	if _, err := os.ReadDir(dir); err != nil {
		return []string{fmt.Sprintf("%s: %v", dir, cause(err))}
	}
	for _, rel := range pluginNames(name) {
		file := filepath.Join(dir, rel)
		if _, err := os.Lstat(file); err != nil {
			continue
		}
		_, err := os.Stat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			problems = append(problems, file+": a link to what is not there")
		case err != nil:
			problems = append(problems, fmt.Sprintf("%s: %v", file, cause(err)))
		default:
			problems = append(problems, file+": not a file")
		}
	}
	folder := filepath.Join(dir, name) // as "rosterd plugin new" makes it
	for _, file := range pluginsIn(folder, name) {
		problems = append(problems, file+": its folder is not in plugin_paths")
	}
	return problems
}

// said finds what a source says that is no Lua, so that its mistake is reported and not the lack of rosters.
var said = regexp.MustCompile(`\bprovides\s*\(?\s*["']roster["']`)

func readPlugin(file string) *plugin {
	p := &plugin{file: file}
	src, err := readLimited(file, maxPlugin)
	switch {
	case err != nil:
		p.problem = cause(err).Error()
	case p.compiled():
		p.readModule(src)
	default:
		p.readScript(src)
	}
	return p
}

// compiled tells whether it is a module in WebAssembly.
func (p *plugin) compiled() bool { return filepath.Ext(p.file) == ".wasm" }

// readModule reads what a module in WebAssembly exports. One that cannot be read is opened like others, so that its
// mistake is reported and not the lack of rosters, or of whoever knows the passwords. Those made with Extism's kits have names of their own.
func (p *plugin) readModule(code []byte) {
	m, err := module.Read(code)
	if err != nil {
		p.rosters, p.auth = true, true
		return
	}
	for _, e := range m.Exports {
		switch e.Name {
		case "rosterd_fetch", "roster_fetch":
			p.rosters = true
		case "rosterd_transform", "roster_transform":
			p.rosters = true
			name := strings.TrimSuffix(filepath.Base(p.file), ".wasm")
			p.options = append(p.options, strings.TrimPrefix(name, "mod_")+"_url") // rosterd asks there
		case "rosterd_auth", "roster_auth":
			p.auth = true
		case "rosterd_webhook", "roster_webhook":
			p.notices, p.app = true, moduleName(p.file)
		}
	}
}

func (p *plugin) readScript(src []byte) {
	chunk, err := vm.Parse(p.file, src)
	if err != nil {
		p.rosters = said.Match(src)
		return
	}
	calls(reflect.ValueOf(chunk), func(method string, args []ast.Expr) {
		p.notices = p.notices || method == "refresh_rosters"
		if len(args) == 0 {
			return
		}
		name, constant := args[0].(*ast.StringExpr)
		p.manages = p.manages || constant && strings.TrimPrefix(name.Value, "prosody.") == "core.rostermanager"
		switch {
		case !constant:
		case method == "provides":
			p.rosters = p.rosters || name.Value == "roster"
			p.auth = p.auth || name.Value == "auth"
			if name.Value == "http" {
				p.app = appName(p.file, args)
			}
		case method == "hook":
			p.hooked = p.hooked || name.Value == "roster-load"
		case strings.HasPrefix(method, "get_option"):
			p.options = append(p.options, name.Value)
		}
	})
}

// appName is what a script with module:provides("http", { name = "x", … }) calls its routes: else by its own name, as in
// Prosody.
func appName(file string, args []ast.Expr) string {
	if len(args) > 1 {
		if t, ok := args[1].(*ast.TableExpr); ok {
			for _, f := range t.Fields {
				if key, _ := constant(f.Key); key == "name" {
					if s, ok := f.Value.(*ast.StringExpr); ok {
						return s.Value
					}
				}
			}
		}
	}
	return moduleName(file)
}

// moduleName is what http_paths calls a file's routes.
func moduleName(file string) string {
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	return strings.TrimPrefix(strings.TrimPrefix(name, "mod_"), "http_")
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
