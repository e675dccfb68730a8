package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rosterd/engine/addr"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// A script is one file while it runs: every file has a section cursor and a memory of what it has
// set of its own, while all write to the same sections.
type script struct {
	*loader
	name    string // in messages
	dir     string // absolute
	section *draft // the cursor
	set     map[optionOf]bool
	words   map[string]lua.LGFunction
}

// optionOf names an option of a section.
type optionOf struct{ host, name string }

// environment makes the table of globals of a file. It stays empty, so that each read and write of
// a global comes through here.
func (s *script) environment(L *lua.LState) *lua.LTable {
	s.words = map[string]lua.LGFunction{
		"VirtualHost": s.virtualHost, "Host": s.virtualHost, "host": s.virtualHost,
		"Component": s.component, "component": s.component,
		"Include": s.include, "include": s.include,
		"RunScript":    runScript,
		"FileContents": s.fileContents, "FileLine": s.fileLine, "FileLines": s.fileLines,
		"Credential": s.credential,
	}
	functions := map[string]lua.LValue{}
	for name, f := range s.words {
		functions[name] = L.NewFunction(f)
	}
	meta := L.NewTable()
	meta.RawSetString("__index", L.NewFunction(func(L *lua.LState) int {
		k := L.CheckString(2)
		if f, ok := functions[k]; ok {
			L.Push(f)
			return 1
		}
		L.Push(s.get(L, k))
		return 1
	}))
	meta.RawSetString("__newindex", L.NewFunction(func(L *lua.LState) int {
		s.assign(L, L.CheckString(2), L.CheckAny(3))
		return 0
	}))
	meta.RawSetString("__metatable", lua.LString("configuration"))
	env := L.NewTable()
	env.Metatable = meta
	return env
}

// diag notes something under the host that the cursor is at.
func (s *script) diag(sev Severity, code Code, pos Pos, option, msg, hint string) {
	d := Diag{Severity: sev, Code: code, Pos: pos, Name: option, Message: msg, Hint: hint}
	if s.section != s.global {
		d.Host = s.section.host
	}
	s.notice(d)
}

// get reads a global, in the order of Prosody 13: environment, Lua, option of the current section,
// Lua's own names, nothing. Reads do not inherit.
func (s *script) get(L *lua.LState, k string) lua.LValue {
	if name, ok := strings.CutPrefix(k, "ENV_"); ok {
		return s.env(L, name)
	}
	if k == "Lua" {
		return s.std
	}
	if k == "__currenthost" {
		return lua.LString(s.section.host)
	}
	if l := s.section.live[k]; l != nil {
		l.used = true
		if t, ok := l.value.(*lua.LTable); ok {
			if l.proxy == nil {
				l.proxy = s.proxy(L, s.section, k, t)
			}
			return l.proxy
		}
		return l.value
	}
	if v := s.std.RawGetString(k); v != lua.LNil {
		return v
	}
	hint := ""
	if s.section != s.global && s.global.live[k] != nil {
		hint = "an option of the global section cannot be read below a host"
	}
	s.diag(Warn, CodeGlobal, s.here(L), k, fmt.Sprintf("%s is nothing that is known here, so it is nil: quotes may be missing around it", k), hint)
	return lua.LNil
}

// env reads an environment variable and remembers that it did.
func (ld *loader) env(L *lua.LState, name string) lua.LValue {
	value, set := ld.opts.LookupEnv(name)
	pos := ld.here(L)
	if len(ld.cfg.Env) < maxVariables && !slices.ContainsFunc(ld.cfg.Env, func(e EnvRead) bool { return e.Name == name }) {
		ld.cfg.Env = append(ld.cfg.Env, EnvRead{Name: name, Set: set, Pos: pos})
	}
	if !set {
		if names := ld.unset[pos]; len(names) < 10 && !slices.Contains(names, name) {
			ld.unset[pos] = append(names, name)
		}
		return lua.LNil
	}
	if secretName(strings.ToLower(name)) {
		ld.secrets[pos] = true
	}
	return lua.LString(value)
}

// assign sets an option of the current section, or removes it.
func (s *script) assign(L *lua.LState, k string, v lua.LValue) {
	pos := s.here(L)
	if s.reserved(k, v, pos) {
		return
	}
	at := optionOf{s.section.host, k}
	if s.set[at] {
		s.diag(Warn, CodeDuplicate, pos, k, fmt.Sprintf("duplicate option %s: the last one counts%s", k, s.previous(k)), "")
	}
	s.set[at] = true
	var from []*ast.TableExpr
	if o := s.outlines[s.name]; o != nil {
		from = []*ast.TableExpr{o.table(o.assigned[place{pos.Line, k}])}
	}
	s.put(s.section, k, v, pos, from)
}

func (s *script) previous(k string) string {
	if l := s.section.live[k]; l != nil {
		return fmt.Sprintf(" (first set at %s)", l.pos)
	}
	return ""
}

// put stores a value under a section.
func (ld *loader) put(d *draft, k string, v lua.LValue, pos Pos, from []*ast.TableExpr) {
	old := d.live[k]
	if v == lua.LNil {
		delete(d.live, k)
		d.order = slices.DeleteFunc(d.order, func(n string) bool { return n == k })
		if names := ld.unset[pos]; len(names) > 0 {
			sev := Note // many a file has a variable for each option, and means the default
			if o := registry[k]; o != nil && o.spec().Risk == Security {
				sev = Warn
			}
			ld.diag(sev, CodeUnset, pos, k, fmt.Sprintf("%s is not set, since the environment variable %s is not", k, strings.Join(names, ", ")), "")
		}
		return
	}
	if p, ok := ld.proxies[asTable(v)]; ok {
		ld.diag(Warn, CodeLost, pos, k, fmt.Sprintf("%s is set to the option %s; Prosody stores something unusable here", k, p.name), "write "+p.name+":value()")
		v, from = p.table, p.section.live[p.name].exprs()
	}
	l := &liveSetting{value: v, pos: pos, from: from}
	if old != nil {
		l.earlier = old.earlier
		if len(l.earlier) < maxEarlier {
			l.earlier = append(l.earlier, old.pos)
		}
	} else {
		d.order = append(d.order, k)
	}
	d.live[k] = l
}

func (l *liveSetting) exprs() []*ast.TableExpr {
	if l == nil {
		return nil
	}
	return l.from
}

func asTable(v lua.LValue) *lua.LTable {
	t, _ := v.(*lua.LTable)
	return t
}

// reserved deals with names that are not options. In Prosody some of these assignments silently
// break the rest of the file.
func (s *script) reserved(k string, v lua.LValue, pos Pos) bool {
	_, word := s.words[k]
	switch {
	case word || k == "Lua" || k == "__currenthost" || strings.HasPrefix(k, "ENV_"):
		hint := ""
		if strings.EqualFold(k, "host") || strings.EqualFold(k, "component") {
			hint = fmt.Sprintf("a host is declared by VirtualHost %q", "example.com")
		}
		s.diag(Warn, CodeReserved, pos, k, fmt.Sprintf("%s belongs to the configuration language, the assignment has no effect", k), hint)
		return true
	case k == "component_module" && s.section.kind == KindComponent:
		if m, ok := v.(lua.LString); ok {
			s.section.module = string(m)
			return true
		}
		fallthrough
	case k == "component_module" || k == "defined" || k == "load_global_modules":
		s.diag(Warn, CodeReserved, pos, k, fmt.Sprintf("%s is Prosody's own, the assignment has no effect", k), "")
		return true
	}
	return false
}

// here is the line that Lua is at.
func (ld *loader) here(L *lua.LState) Pos {
	for level := 1; ; level++ {
		dbg, ok := L.GetStack(level)
		if !ok {
			return Pos{File: ld.cfg.File}
		}
		if _, err := L.GetInfo("Sl", dbg, nil); err == nil && dbg.CurrentLine > 0 {
			return Pos{dbg.Source, dbg.CurrentLine}
		}
	}
}

// virtualHost is VirtualHost "name": it moves the cursor there. Called with options, what it returns
// sets them and moves the cursor back to the global section.
func (s *script) virtualHost(L *lua.LState) int {
	d := s.open(L, KindVirtualHost)
	L.Push(L.NewFunction(func(L *lua.LState) int {
		s.section = s.global
		switch v := L.Get(1).(type) {
		case lua.LString:
			L.RaiseError("VirtualHost %q takes no module, but %q is given", d.host, string(v))
		case *lua.LTable:
			s.fill(L, d, v)
		default:
			L.RaiseError("VirtualHost %q takes a table of options, not a %s", d.host, v.Type())
		}
		return 0
	}))
	return 1
}

// component is Component "name", Component "name" "module" and either with a table of options. Without
// a module it is for an external component.
func (s *script) component(L *lua.LState) int {
	d := s.open(L, KindComponent)
	options := L.NewFunction(func(L *lua.LState) int {
		s.section = s.global
		v, ok := L.Get(1).(*lua.LTable)
		if !ok {
			L.RaiseError("Component %q takes a table of options, not a %s", d.host, L.Get(1).Type())
		}
		s.fill(L, d, v)
		return 0
	})
	L.Push(L.NewFunction(func(L *lua.LState) int {
		if module, ok := L.Get(1).(lua.LString); ok {
			d.module = string(module)
			L.Push(options)
			return 1
		}
		L.Push(options)
		L.Push(L.Get(1))
		L.Call(1, 0)
		return 0
	}))
	return 1
}

const noName = "must have a name"

// open finds or makes a host and moves the cursor to it. One name cannot be both kinds. A name that no address can have
// makes a section too, as in Prosody, so that all else in the file is looked at; Check refuses it.
func (s *script) open(L *lua.LState, kind Kind) *draft {
	var given string
	switch v := L.Get(1).(type) {
	case *lua.LNilType:
		L.RaiseError("%s %s", kind, noName)
	case lua.LString, lua.LNumber:
		given = v.String()
	default:
		L.RaiseError("%s takes a name in quotes, not a %s", kind, v.Type())
	}
	pos := s.here(L)
	if given == "*" && kind == KindVirtualHost {
		s.section = s.global
		s.global.declared = true
		return s.global
	}
	name, err := addr.PrepareDomain(strings.ToLower(given))
	if err != nil {
		name = strings.ToLower(given)
	}
	d := s.draft(name)
	switch {
	case d == nil && len(s.drafts) >= maxHosts:
		L.RaiseError("more than %d hosts", maxHosts)
	case d == nil:
		d = &draft{section: newSection(name, kind, pos), live: map[string]*liveSetting{}}
		s.drafts = append(s.drafts, d)
	case d.kind != kind:
		L.RaiseError("%s %q: there is a %s of that name already (%s)", kind, name, d.kind, d.pos)
	case kind == KindComponent:
		s.section = d
		s.diag(Warn, CodeDuplicate, pos, "", fmt.Sprintf("Component %q is declared again: it has the module of the last declaration, and the options of all (first declared at %s)", name, d.pos), "")
	}
	s.section = d
	if err != nil && !d.unservable {
		d.unservable = true
		s.noHost(kind, given, err, pos)
	}
	if lower := strings.ToLower(given); err == nil && name != lower && strings.Contains(lower, "xn--") {
		s.diag(Warn, CodeHosts, pos, "", fmt.Sprintf("%s %q is served as %s, as RFC 7622 has it; to Prosody it is a host of its own, and what it has kept for it is not found under the other name", kind, lower, name), "")
	}
	if mark := placeholder.FindString(given); mark != "" && err == nil {
		s.diag(Warn, CodeSource, pos, "", fmt.Sprintf("%s %q looks like a template that has not been rendered: %q", kind, given, mark), "")
	}
	if kind == KindComponent {
		d.module = "component"
		if module, ok := L.Get(2).(lua.LString); ok {
			s.diag(Warn, CodeLost, pos, "", fmt.Sprintf("%q is not read here: this is an external component, in Prosody too", string(module)),
				fmt.Sprintf("write Component %q %q", name, string(module)))
		}
	}
	return d
}

// noHost says that a name is none of a host.
func (s *script) noHost(kind Kind, given string, err error, pos Pos) {
	sev, hint := Refused, "a host's name is made of letters, digits, hyphens and dots; Prosody accepts others, but no client can have an address there"
	if kind == KindComponent {
		sev = Warn
	}
	if mark := placeholder.FindString(given); mark != "" {
		hint = fmt.Sprintf("%q looks like a template that has not been rendered", mark)
	}
	s.diag(sev, CodeHosts, pos, "", fmt.Sprintf("%s %q is no name of a host: %v", kind, given, cause(err)), hint)
}

func (ld *loader) draft(host string) *draft {
	for _, d := range ld.drafts {
		if d.host == host {
			return d
		}
	}
	return nil
}

// fill sets the options of a table form. Like Prosody it does not look for duplicates.
func (s *script) fill(L *lua.LState, d *draft, options *lua.LTable) {
	pos := s.here(L)
	fields := s.written(pos, options)
	for k, v := options.Next(lua.LNil); k != lua.LNil; k, v = options.Next(k) {
		name, ok := k.(lua.LString)
		if !ok {
			s.diag(Warn, CodeSource, pos, "", fmt.Sprintf("an entry of the options of %q has no name, it has no effect", d.host), "")
			continue
		}
		at, from := pos, []*ast.TableExpr(nil)
		if h := fieldHint(fields, string(name)); h != nil {
			at.Line = h.line
			from = []*ast.TableExpr{s.outlines[pos.File].table(h.value)}
		}
		if !s.reserved(string(name), v, at) {
			s.put(d, string(name), v, at, from)
		}
	}
}

// written finds how a table form is written: the table in that line with just these names.
func (s *script) written(pos Pos, options *lua.LTable) []*hint {
	o := s.outlines[pos.File]
	if o == nil {
		return nil
	}
	for _, t := range o.hosts[pos.Line] {
		_, fields := hints([]*ast.TableExpr{t})
		if len(fields) > 0 && !slices.ContainsFunc(fields, func(h *hint) bool { return options.RawGetString(h.key) == lua.LNil && !isNil(h.value) }) {
			return fields
		}
	}
	return nil
}

func isNil(e ast.Expr) bool {
	_, literal := constant(e)
	_, none := e.(*ast.NilExpr)
	return none || !literal
}

// include runs another file, or all that match a pattern in the last element of a path, in bytewise
// order: Prosody takes them as the directory gives them.
func (s *script) include(L *lua.LState) int {
	given, ok := L.Get(1).(lua.LString)
	if !ok || given == "" {
		L.RaiseError("Include takes the name of a file, not a %s", L.Get(1).Type())
	}
	if s.depth >= maxIncludeDepth {
		L.RaiseError("Include %q: more than %d files deep, does a file include itself?", string(given), maxIncludeDepth)
	}
	path := resolvePath(s.dir, string(given))
	if !strings.ContainsAny(string(given), "*?") {
		s.includeFile(L, path)
		return 0
	}
	dir, pattern := filepath.Split(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		L.RaiseError("Include %q: cannot open %s: %s", string(given), s.show(filepath.Clean(dir)), cause(err))
	}
	for _, e := range entries { // sorted by name
		if !strings.HasPrefix(e.Name(), ".") && glob(pattern, e.Name()) {
			s.includeFile(L, filepath.Join(dir, e.Name()))
		}
	}
	return 0
}

func (s *script) includeFile(L *lua.LState, path string) {
	if _, err := os.Stat(path); err != nil {
		L.RaiseError("Error loading included %s: %s", s.show(path), cause(err))
	}
	err := s.file(L, path)
	if e := (*Error)(nil); errors.As(err, &e) && e.Pos.Line == 0 { // nothing in it is wrong, but with it
		L.RaiseError("Error loading included %s: %s", e.Pos.File, e.Msg)
	}
	if err != nil {
		raise(L, err)
	}
}

// raise throws a Go error through Lua, so that explain finds it whole.
func raise(L *lua.LState, err error) {
	meta := L.NewTable()
	meta.RawSetString("__tostring", L.NewFunction(func(L *lua.LState) int {
		L.Push(lua.LString(err.Error()))
		return 1
	}))
	ud := L.NewUserData()
	ud.Value, ud.Metatable = err, meta
	L.Error(ud, 0)
}

// glob matches a name by * and ?; everything else is literal.
func glob(pattern, name string) bool {
	p, n, star, from := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func runScript(L *lua.LState) int {
	L.RaiseError("RunScript has no effect on the configuration, in Prosody neither: use Include")
	return 0
}
