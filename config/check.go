package config

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"rosterd/config/known"
)

// Check says what of a configuration rosterd does not honour, each with its file and line, and what
// keeps it from starting, together with what others found. The list is sorted: the worst first, then by file
// and line.
func Check(c *Config, found ...Diag) []Diag {
	ck := &checker{Config: c, diags: slices.Clone(c.diags), said: map[string]bool{}, unavailable: map[string]int{}}
	for i, d := range ck.diags {
		if o := registry[d.Name]; d.Code == CodeUnset && o != nil && o.spec().Secret {
			ck.diags[i].Severity = Refused // whoever named a secret did not want to do without
		}
	}
	ck.section(c.global)
	for _, h := range c.hosts {
		ck.section(h)
	}
	for _, h := range c.external {
		ck.section(h)
		ck.external(h)
	}
	for _, s := range c.sections {
		if s.kind == KindComponent && s.module != externalModule {
			ck.component(s)
		}
	}
	ck.hosts()
	ck.web()
	ck.network()
	ck.socket()
	ck.automatic()
	ck.withoutEffect()
	ck.summary()
	for _, d := range found {
		if !ck.refuses(d.Host, d.Name) {
			ck.diags = append(ck.diags, d)
		}
		if d.Code == CodeCertificate && d.Severity == Refused { // which says it better
			ck.diags = slices.DeleteFunc(ck.diags, func(l Diag) bool { return l.Code == CodeLogin && l.Name == Certificates.Name && l.Host == d.Host })
		}
	}
	ck.accept()
	sortDiags(ck.diags, c.Files)
	return ck.diags
}

type checker struct {
	*Config
	diags       []Diag
	quiet       []quiet         // accepted without effect
	moot        []moot          // options with nothing to do
	unavailable map[string]int  // modules that are not available, by name: where in diags that is said
	said        map[string]bool // to say once what concerns several hosts
}

type quiet struct {
	name string
	pos  Pos
}

// moot is an option that has no effect, and why.
type moot struct {
	host   *Host
	st     *setting
	why    string
	owners []string // modules that are not available: what is said of them says it, too
}

func (ck *checker) add(sev Severity, code Code, h *Host, name string, pos Pos, msg, hint string) {
	d := Diag{Severity: sev, Code: code, Pos: pos, Name: name, Message: msg, Hint: hint}
	if h != nil && h != ck.global {
		d.Host = h.Name
	}
	ck.diags = append(ck.diags, d)
}

// once is add for what several hosts inherit from one place.
func (ck *checker) once(sev Severity, code Code, h *Host, name string, pos Pos, msg, hint string) {
	key := fmt.Sprint(code, pos, name, msg)
	if !ck.said[key] {
		ck.said[key] = true
		ck.add(sev, code, h, name, pos, msg, hint)
	}
}

// refuses tells whether an option or module is refused already, for the host or for all.
func (ck *checker) refuses(host, name string) bool {
	return slices.ContainsFunc(ck.diags, func(d Diag) bool {
		return d.Severity == Refused && d.Name == name && (d.Host == host || d.Host == "")
	})
}

// refusedAt tells whether something is refused where it is written.
func (ck *checker) refusedAt(name string, pos Pos) bool {
	return slices.ContainsFunc(ck.diags, func(d Diag) bool { return d.Severity == Refused && d.Name == name && d.Pos == pos })
}

func (ck *checker) section(h *Host) {
	for _, name := range h.section.order {
		ck.option(h, h.section.set[name])
	}
}

// option says what becomes of one line.
func (ck *checker) option(h *Host, st *setting) {
	if o, ok := registry[st.name]; ok {
		ck.honoured(h, o, st)
		return
	}
	_, isFunction := st.value.v.(Function)
	_, isKnown := known.LookupOption(st.name)
	switch {
	case ck.readByPlugin(st.name):
	case st.used && (isFunction || !isKnown):
		// A variable of the file, not an option.
	case isFunction:
		ck.add(Warn, CodeUnknown, h, st.name, st.pos, st.name+" is a function that nothing calls", "")
	default:
		ck.foreign(h, st, isKnown)
	}
}

// honoured looks at the value of an option that counts.
func (ck *checker) honoured(h *Host, o anOption, st *setting) {
	s := o.spec()
	if s.Scope == ScopeGlobal && h != ck.global {
		ck.misplaced(h, st)
		return
	}
	ck.oldName(h, s, st)
	if s.Owner != "" && !ck.anyHas(h, s.Owner) {
		ck.add(Note, CodeMoot, h, st.name, st.pos, fmt.Sprintf("%s has no effect: it belongs to the module %q, which is not enabled (as in Prosody)", st.name, s.Owner), "")
	}
	problems, ok := o.examine(ck.Config, st)
	for _, p := range problems {
		sev, code, tail := Warn, CodeValueOdd, ""
		if p.bad {
			code = CodeValue
			switch {
			case s.Risk == Security:
				sev = Refused
			case !ok:
				tail = "; its default counts"
			}
		}
		pos := p.pos
		if pos.IsZero() {
			pos = st.pos
		}
		ck.add(sev, code, h, st.name, pos, st.name+": "+p.msg+tail, "")
	}
	ck.consequences(h, st)
}

func (ck *checker) misplaced(h *Host, st *setting) {
	ck.add(Warn, CodeMisplaced, h, st.name, st.pos,
		fmt.Sprintf("%s is a global option; under %s it has no effect, as in Prosody", st.name, h.section.title()), "move it above the first VirtualHost")
}

// oldName reports a name that is not the option's own.
func (ck *checker) oldName(h *Host, s *Spec, st *setting) {
	if st.name == s.Name {
		if k, _ := known.LookupOption(st.name); k.Replaced != "" {
			ck.add(Note, CodeDeprecated, h, st.name, st.pos, fmt.Sprintf("%s is deprecated in Prosody, which has %s for it", st.name, k.Replaced), "")
		}
		return
	}
	if own := h.find(s.Name, s.Scope); own != nil {
		ck.add(Warn, CodeDeprecated, h, st.name, st.pos, fmt.Sprintf("%s has no effect, since %s is set (%s)", st.name, s.Name, own.pos), "")
		return
	}
	if s.Old {
		ck.add(Warn, CodeDeprecated, h, st.name, st.pos, fmt.Sprintf("%s is deprecated, it is read as %s", st.name, s.Name), "")
	}
}

// anyHas reports whether the module is enabled where a setting of h could matter.
func (ck *checker) anyHas(h *Host, module string) bool {
	if h != ck.global {
		return h.Has(module)
	}
	has := func(h *Host) bool { return h.Has(module) }
	return slices.ContainsFunc(ck.Config.hosts, has) || slices.ContainsFunc(ck.Config.external, has)
}

// httpModules are the names that http_paths and http_cors_override know something of rosterd's own by.
var httpModules = []string{"roster_admin", "websocket", "bosh", "files"}

// serves tells whether http_paths and http_cors_override know something by a name.
func (ck *checker) serves(name string) bool {
	if slices.Contains(httpModules, name) {
		return true
	}
	return slices.ContainsFunc(ck.Config.hosts, func(h *Host) bool {
		return slices.ContainsFunc(h.Plugins(), func(m Module) bool {
			p := ck.plugins[m.Name]
			return m.File != "" && p != nil && p.app == name
		})
	})
}

// consequences of honoured options that reach further than their value.
func (ck *checker) consequences(h *Host, st *setting) {
	switch st.name {
	case "modules_enabled":
		for _, m := range moduleList(h.section, "modules_enabled") {
			ck.module(h, m)
		}
	case "modules_disabled":
		for _, m := range moduleList(h.section, "modules_disabled") {
			ck.disabled(h, m)
		}
	case "admins":
		if len(Admins.Get(h)) > 0 && !ck.anyHas(h, "server_contact_info") && !ck.anyHas(h, "announce") && !ck.anyHas(h, "http_ejabberd_api") && !ck.anyHas(h, "http_openfire_api") {
			ck.add(Note, CodeMoot, h, st.name, st.pos, "admins have no rights here that others have not", `module "server_contact_info" would name them in service discovery`)
		}
	case "anonymous_login":
		if AnonymousLogin.Get(h) {
			ck.add(Warn, CodeDeprecated, h, st.name, st.pos, "anonymous_login is an old switch; it goes before authentication, as in Prosody", `write authentication = "anonymous"`)
		}
	case HTTPAuthURL.Name:
		ck.httpAuthURL(h, st)
	case "plugin_paths":
		ck.pluginPaths(h, st)
	case "rosterd_plugin_override":
		ck.pluginOverride(h, st)
	case "storage", "default_storage":
		ck.otherStores(h, st)
	case "allow_registration":
		ck.registration(h, st)
	case MemoryEntries.Name:
		ck.memoryLimit(h, st)
	case VCardURL.Name:
		ck.unshown(h, st)
	case LDAPTable.Name, LDAPCA.Name, GroupsRefresh.Name:
		ck.ldapConsequences(h, st)
	case "sql", "sql_manage_tables":
		ck.mootSQL(h, st)
	case "http_paths":
		for _, f := range fieldsOf(st.value) {
			if !ck.serves(keyText(f.Key)) {
				ck.add(Note, CodeMoot, h, st.name, f.Value.pos, fmt.Sprintf("http_paths: nothing is served under the name %q", keyText(f.Key)), "")
			}
		}
	case "http_cors_override":
		for _, f := range fieldsOf(st.value) {
			if !ck.serves(keyText(f.Key)) {
				ck.add(Note, CodeMoot, h, st.name, f.Value.pos, fmt.Sprintf("http_cors_override: nothing is served under the name %q", keyText(f.Key)), "")
			}
		}
	case "http_default_host":
		if name := HTTPDefaultHost.Get(h); name != "" && ck.Host(name) == nil && !slices.ContainsFunc(ck.Config.hosts, func(h *Host) bool { return strings.EqualFold(HTTPHost.Get(h), name) }) {
			ck.add(Warn, CodeValueOdd, h, st.name, st.pos, fmt.Sprintf("http_default_host: there is no VirtualHost %q, and none has that http_host", name), "")
		}
	}
}

func fieldsOf(v Value) []Field {
	if t := v.Table(); t != nil {
		return t.Fields
	}
	return nil
}

// otherStores notes drivers of stores that rosterd does not have. Those it has are a matter of hosts.
func (ck *checker) otherStores(h *Host, st *setting) {
	var others []Item
	for _, f := range fieldsOf(st.value) {
		if name := keyText(f.Key); !slices.Contains(h.kept(), name) {
			others = append(others, Item{name, f.Value.pos})
		}
	}
	slices.SortStableFunc(others, func(a, b Item) int { return cmpPos(ck.Files, a.Pos, b.Pos) })
	switch len(others) {
	case 0:
	case 1:
		ck.add(Note, CodeMoot, h, st.name, others[0].Pos, fmt.Sprintf("storage: the store %q is not kept here", others[0].Name), "")
	default:
		ck.add(Note, CodeMoot, h, st.name, others[0].Pos, "storage: these stores are not kept here: "+placesIn(others[0].Pos.File, others), "")
	}
}

// pluginPaths names the files that a module of rosterd's own keeps out, such as the original of http_roster_admin.
func (ck *checker) pluginPaths(h *Host, st *setting) {
	for _, dir := range PluginPaths.Get(h) {
		var files []string
		hint := ""
		for _, name := range ownModules() {
			script := overridable(name)
			if ck.overridden(name) || moduleTable[name].kind != Provider && !ck.anyHas(h, name) {
				continue
			}
			file := pluginIn(dir, name)
			if file == "" {
				continue
			}
			p := readPlugin(file)
			if name == "auth_anonymous" && p.auth { // Prosody would take it
				ck.add(Warn, CodePlugins, h, st.name, st.pos, file+" is not used: whoever comes is let in, whatever it would say",
					fmt.Sprintf("rosterd_plugin_override = { %q } would take it instead", name))
				continue
			}
			files = append(files, file)
			if script && (p.rosters || p.auth) { // the original of http_roster_admin does not, in that way
				hint = fmt.Sprintf("rosterd_plugin_override = { %q } would take it instead", name)
			}
		}
		switch len(files) {
		case 0:
		case 1:
			ck.add(Note, CodePlugins, h, st.name, st.pos, files[0]+" is not used: rosterd has a module of this name itself", hint)
		default:
			list := strings.Join(files, ", ")
			if len(files) > 4 {
				list = fmt.Sprintf("%s, %s and %d others there", files[0], filepath.Base(files[1]), len(files)-2)
			}
			ck.add(Note, CodePlugins, h, st.name, st.pos, list+" are not used: rosterd has modules of these names itself", hint)
		}
	}
}

// pluginOverride wants a file for every module that is to give way to one.
func (ck *checker) pluginOverride(h *Host, st *setting) {
	for _, m := range moduleList(h.section, st.name) {
		switch {
		case !overridable(m.Name):
			ck.add(Warn, CodePlugins, h, m.Name, m.Pos, fmt.Sprintf("%s has no effect on %q: it is for modules of rosterd's own that are scripts", st.name, m.Name), "")
		case !ck.anyHas(ck.global, m.Name):
			ck.add(Note, CodeMoot, h, m.Name, m.Pos, fmt.Sprintf("%s: module %q is not enabled", st.name, m.Name), "")
		case ck.plugins[m.Name] == nil:
			ck.add(Refused, CodePlugins, h, m.Name, m.Pos, fmt.Sprintf("%s: there is no mod_%s.lua or .wasm in plugin_paths", st.name, m.Name), "")
		}
	}
}

// module says what becomes of an entry of modules_enabled. One that is disabled wherever it would be
// loaded has no effect in Prosody either.
func (ck *checker) module(h *Host, m Module) {
	ck.shadowed(h, m)
	if !ck.anyHas(h, m.Name) {
		if _, own := ownProvider(m.Name); own {
			ck.strangeModule(h, m)
		}
		return
	}
	ck.beside(h, m)
	ck.lacking(h, m)
	info := moduleInfo(m.Name)
	why := ""
	if info.doc != "" {
		why = ": " + info.doc
	}
	said := len(ck.diags)
	defer func() {
		if _, isKnown := known.LookupModule(m.Name); isKnown && len(ck.diags) > said && ck.diags[said].Severity != Note {
			if _, twice := ck.unavailable[m.Name]; !twice {
				ck.unavailable[m.Name] = said
			}
		}
	}()
	switch {
	case info.kind == Honoured || info.kind == Provider:
	case ck.provides(m.Name):
	case info.kind == Quiet:
		ck.quiet = append(ck.quiet, quiet{m.Name, m.Pos})
	case federation[m.Name]:
		ck.add(Warn, CodeFederation, h, m.Name, m.Pos, fmt.Sprintf("module %q is not available: there is no federation, %s", m.Name, noFederation), "")
	case info.kind == Moot:
		ck.add(Note, CodeMoot, h, m.Name, m.Pos, fmt.Sprintf("module %q has no effect: %s", m.Name, info.doc), "")
	case refusals[m.Name] != "":
		ck.refusal(h, m)
	case m.Name == "password_policy" && ck.choosePasswords(h):
		ck.add(Refused, CodeSecurity, h, m.Name, m.Pos, fmt.Sprintf("module %q is not available: %s", m.Name, restrictions[m.Name]), acceptHint(CodeSecurity, m.Name))
	case restrictions[m.Name] != "":
		ck.add(Warn, CodeRestriction, h, m.Name, m.Pos, fmt.Sprintf("module %q is not available: %s", m.Name, restrictions[m.Name]), "")
	case info.doc != "":
		ck.add(Warn, CodeModule, h, m.Name, m.Pos, fmt.Sprintf("module %q is not available%s", m.Name, why), "")
	default:
		ck.strangeModule(h, m)
	}
}

// refusal is of a module without which the server would be more open.
func (ck *checker) refusal(h *Host, m Module) {
	code, hint := CodeSecurity, acceptHint(CodeSecurity, m.Name)
	if strangers[m.Name] {
		code, hint = CodeStrangers, "take it out if that is what you want"
	}
	ck.add(Refused, code, h, m.Name, m.Pos, fmt.Sprintf("module %q is not available: %s", m.Name, refusals[m.Name]), hint)
}

func acceptHint(code Code, name string) string {
	return fmt.Sprintf("if that is acceptable: %s = { \"%s@%s\" }", acceptOption.Name, code, name)
}

// choosePasswords tells whether users choose passwords where a setting of h could matter.
func (ck *checker) choosePasswords(h *Host) bool {
	return slices.ContainsFunc(ck.Config.hosts, func(host *Host) bool {
		open, _ := host.Registers()
		return (h == host || h == ck.global) && (open || host.ManagesAccounts())
	})
}

// beside names the files that are no module because another one of that name is.
func (ck *checker) beside(h *Host, m Module) {
	if p := ck.plugins[m.Name]; p != nil && len(p.beside) > 0 {
		ck.add(Warn, CodePlugins, h, m.Name, m.Pos, fmt.Sprintf("module %q is %s; beside it, %s not used", m.Name, p.file, isAre(p.beside)), "take away what is not meant")
	}
}

func isAre(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}

// strangeModule deals with modules that the registry says nothing about.
func (ck *checker) strangeModule(h *Host, m Module) {
	quoted := fmt.Sprintf("module %q", m.Name)
	if bare, ok := strings.CutPrefix(m.Name, "mod_"); ok {
		ck.add(Warn, CodeUnknownMod, h, m.Name, m.Pos, quoted+" is written with mod_, Prosody would not find it either", fmt.Sprintf("write %q", bare))
		return
	}
	for prefix, option := range map[string]string{"auth_": "authentication", "storage_": "storage"} {
		if name, ok := strings.CutPrefix(m.Name, prefix); ok {
			ck.add(Warn, CodeUnknownMod, h, m.Name, m.Pos, fmt.Sprintf("%s is not for this list, it has no effect", quoted), fmt.Sprintf("Prosody chooses it by %s = %q", option, name))
			return
		}
	}
	if p := ck.plugins[m.Name]; p != nil {
		ck.add(Warn, CodePlugins, h, m.Name, m.Pos, fmt.Sprintf("%s: %s is not loaded, %s", quoted, p.file, p.useless()), "")
		return
	}
	if _, ok := known.LookupModule(m.Name); ok {
		ck.add(Warn, CodeModule, h, m.Name, m.Pos, quoted+" is not available", "")
		return
	}
	hint := cmp.Or(didYouMean(m.Name, moduleNamesKnown()), ck.ownModule("a module", m.Name))
	if bare, ok := strings.CutSuffix(m.Name, ".wasm"); ok {
		hint = fmt.Sprintf("write %q", bare)
	}
	ck.add(Warn, CodeUnknownMod, h, m.Name, m.Pos, quoted+" is not known", hint)
}

// provides tells whether a module is opened as a script.
func (ck *checker) provides(module string) bool {
	return slices.ContainsFunc(ck.Config.hosts, func(h *Host) bool {
		return hasModule(h.Plugins(), module)
	})
}

// useless says why the file is none that is opened.
func (p *plugin) useless() string {
	switch {
	case p.problem != "":
		return "it cannot be read: " + p.problem
	case p.compiled() && p.auth:
		return "it knows passwords, and authentication names another provider"
	case p.compiled():
		return "it exports nothing that rosterd calls (docs/PLUGINS.md says what that is)"
	case p.manages && !p.rosters && !p.hooked:
		return `it works on rosters by core.rostermanager; what it takes to supply them here is in docs/PLUGINS.md, "Moving a Prosody module over"`
	case p.hooked:
		return "another module supplies the rosters (beside others, roster-load would change them)"
	}
	return `it says neither module:provides("roster", …) nor module:refresh_rosters(…), and there is nothing else for a script here`
}

// disabled looks for misspelt names: what is disabled under a wrong name stays enabled.
func (ck *checker) disabled(h *Host, m Module) {
	if _, ok := known.LookupModule(m.Name); ok {
		return
	}
	if _, ok := moduleTable[m.Name]; ok || moduleInfo(m.Name).doc != "" || restrictions[m.Name] != "" {
		return
	}
	if hint := didYouMean(m.Name, moduleNamesKnown()); hint != "" || strings.HasPrefix(m.Name, "mod_") {
		if bare, ok := strings.CutPrefix(m.Name, "mod_"); ok {
			hint = fmt.Sprintf("write %q", bare)
		}
		ck.add(Warn, CodeUnknownMod, h, m.Name, m.Pos, fmt.Sprintf("modules_disabled: module %q is not known, nothing is disabled by it", m.Name), hint)
	}
}

func didYouMean(name string, candidates []string) string {
	if s := known.Suggest(name, candidates); s != "" {
		return "did you mean " + s + "?"
	}
	return ""
}

// moduleNamesKnown are all names that a module can have been meant by.
func moduleNamesKnown() []string {
	list := known.Modules()
	for name := range moduleTable {
		list = append(list, name)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// optionNamesKnown are all names that an option can have been meant by.
func optionNamesKnown() []string {
	list := known.Options()
	for name := range registry {
		list = append(list, name)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// foreign says why an option has no effect that is not in the registry.
func (ck *checker) foreign(h *Host, st *setting, isKnown bool) {
	name := st.name
	if quietOptions[name] {
		ck.quiet = append(ck.quiet, quiet{name, st.pos})
		return
	}
	if o, _ := known.LookupOption(name); o.GlobalOnly && h != ck.global {
		ck.misplaced(h, st)
		return
	}
	if strings.HasSuffix(name, "_port") && registry[name+"s"] != nil {
		ck.add(Warn, CodeUnknown, h, name, st.pos, name+": Prosody does not read it either", "did you mean "+name+"s?")
		return
	}
	if why := restrictiveOptions[name]; why != "" {
		ck.add(Warn, CodeRestriction, h, name, st.pos, name+": "+why, "")
		return
	}
	if why, ok := mootOption(name); ok && isKnown {
		o, _ := known.LookupOption(name)
		ck.moot = append(ck.moot, moot{h, st, why, o.Owners})
		return
	}
	if isKnown {
		ck.ownedByOthers(h, st)
		return
	}
	near := ck.scriptOption(name)
	hint := cmp.Or(near, didYouMean(name, optionNamesKnown()))
	if strings.HasPrefix(name, "rosterd_") {
		// Every such name is ours: this one is misspelt, and may have been meant to close something.
		ck.add(Refused, CodeUnknown, h, name, st.pos, name+": rosterd has no such option", hint)
		return
	}
	if near == "" && ck.ofRefused(name) {
		return // that the plugin is refused is said
	}
	msg := name + ": unknown option; Prosody ignores it too"
	if hint == "" && ck.strange() {
		msg = name + ": unknown option, unless read by a module of your own"
	}
	ck.add(Warn, CodeUnknown, h, name, st.pos, msg, hint)
}

// strange tells whether the files enable modules that nobody knows, which may read options that nobody knows.
func (ck *checker) strange() bool {
	isStrange := func(m Module) bool {
		_, isKnown := known.LookupModule(m.Name)
		_, ours := moduleTable[m.Name]
		return !isKnown && !ours && ck.plugins[m.Name] == nil && !strings.HasPrefix(m.Name, "mod_") && didYouMean(m.Name, moduleNamesKnown()) == ""
	}
	return slices.ContainsFunc(ck.sections, func(s *section) bool {
		return slices.ContainsFunc(moduleList(s, ModulesEnabled.Name), isStrange) || s.kind == KindComponent && isStrange(Module{Name: s.module})
	}) || slices.ContainsFunc(moduleList(ck.global.section, ModulesEnabled.Name), isStrange)
}

// scriptOption suggests an option that a script asks for.
func (ck *checker) scriptOption(name string) string {
	for _, module := range slices.Sorted(maps.Keys(ck.plugins)) {
		if p := ck.plugins[module]; p != nil {
			if s := known.Suggest(name, p.options); s != "" {
				return fmt.Sprintf("did you mean %s, which %s reads?", s, filepath.Base(p.file))
			}
		}
	}
	return ""
}

// ownedByOthers explains a known option by the modules that read it in Prosody.
func (ck *checker) ownedByOthers(h *Host, st *setting) {
	o, _ := known.LookupOption(st.name)
	if o.Replaced == "obsolete" || len(o.Owners) == 0 {
		ck.quiet = append(ck.quiet, quiet{st.name, st.pos})
		return
	}
	for _, m := range o.Owners {
		kind := moduleInfo(m).kind
		if m == "(core)" || (kind == Honoured || kind == Provider) && ck.anyHas(h, m) {
			where := "Prosody's core"
			if m != "(core)" {
				where = "mod_" + m
			}
			ck.add(Warn, CodeOption, h, st.name, st.pos, fmt.Sprintf("%s: this option of %s is not available", st.name, where), "")
			return
		}
	}
	for _, m := range o.Owners {
		if ck.anyHas(h, m) {
			ck.moot = append(ck.moot, moot{h, st, fmt.Sprintf("mod_%s is not available", m), o.Owners})
			return
		}
	}
	why := fmt.Sprintf("mod_%s is not available, and no host enables it", o.Owners[0])
	if kind := moduleInfo(o.Owners[0]).kind; kind == Honoured || kind == Provider {
		why = fmt.Sprintf("no host enables mod_%s", o.Owners[0])
	}
	ck.moot = append(ck.moot, moot{h, st, why, nil})
}

// withoutEffect says of the options that have nothing to do: with the module that they belong to, where something is said
// of that, and otherwise a line for each reason.
func (ck *checker) withoutEffect() {
	slices.SortStableFunc(ck.moot, func(a, b moot) int { return cmpPos(ck.Files, a.st.pos, b.st.pos) })
	var reasons []string
	byReason := map[string][]moot{}
	for _, m := range ck.moot {
		if i, ok := ck.saidOf(m); ok {
			d := &ck.diags[i]
			d.Settings = append(d.Settings, Item{m.st.name, m.st.pos})
			continue
		}
		if byReason[m.why] == nil {
			reasons = append(reasons, m.why)
		}
		byReason[m.why] = append(byReason[m.why], m)
	}
	for i := range ck.diags {
		if d := &ck.diags[i]; len(d.Settings) > 0 {
			d.Message += "; without effect " + areIs(d.Settings) + placesIn(d.Pos.File, d.Settings)
		}
	}
	for _, why := range reasons {
		list := byReason[why]
		first := list[0]
		if len(list) == 1 {
			ck.add(Note, CodeMoot, first.host, first.st.name, first.st.pos, fmt.Sprintf("%s has no effect: %s", first.st.name, why), "")
			continue
		}
		d := Diag{Severity: Note, Code: CodeMoot, Pos: first.st.pos, Name: first.st.name}
		for _, m := range list {
			d.Settings = append(d.Settings, Item{m.st.name, m.st.pos})
		}
		d.Message = fmt.Sprintf("%d settings have no effect: %s: %s", len(list), why, placesIn(d.Pos.File, d.Settings))
		ck.diags = append(ck.diags, d)
	}
}

// saidOf finds what is said of the module that an option belongs to.
func (ck *checker) saidOf(m moot) (int, bool) {
	for _, owner := range m.owners {
		if i, ok := ck.unavailable[owner]; ok {
			return i, true
		}
	}
	return 0, false
}

func areIs(items []Item) string {
	if len(items) == 1 {
		return "is "
	}
	return "are "
}

// placesIn lists settings with their lines, and with their files where those are not the expected one.
func placesIn(file string, items []Item) string {
	var list []string
	for _, it := range items {
		list = append(list, it.Name+":"+placeIn(file, it.Pos))
	}
	return strings.Join(list, " ")
}

// component says that a host will not exist.
func (ck *checker) component(s *section) {
	msg := fmt.Sprintf("Component %q %q: rosterd has no components of its own, this host will not exist", s.host, s.module)
	var settings []Item
	for _, name := range s.order {
		settings = append(settings, Item{name, s.set[name].pos})
	}
	for _, module := range append(moduleList(s, ModulesEnabled.Name), Module{Name: s.module}) {
		if _, ok := ck.unavailable[module.Name]; !ok {
			ck.unavailable[module.Name] = len(ck.diags)
		}
	}
	ck.diags = append(ck.diags, Diag{Severity: Warn, Code: CodeComponent, Pos: s.pos, Host: s.host, Name: s.module, Message: msg, Settings: settings})
}

// placeIn is a line, with the file where it is not the expected one.
func placeIn(file string, pos Pos) string {
	if pos.File == file {
		return fmt.Sprint(pos.Line)
	}
	return pos.String()
}

// automatic notes what Prosody loads unasked and rosterd does not have.
func (ck *checker) automatic() {
	missing := map[string]string{"s2s": "connections to other servers"}
	var names, things []string
	for _, name := range automatic {
		what, ok := missing[name]
		if ok && slices.ContainsFunc(ck.Config.hosts, func(h *Host) bool { m, has := h.Module(name); return has && m.Pos.IsZero() }) {
			names, things = append(names, name), append(things, what)
		}
	}
	if len(names) > 0 {
		ck.add(Note, CodeAutomatic, nil, "", Pos{File: ck.File},
			fmt.Sprintf("Prosody loads %s unasked; rosterd has no %s", strings.Join(names, " and "), strings.Join(things, " and no ")), "")
	}
}

// summary puts what is accepted quietly into one line.
func (ck *checker) summary() {
	if len(ck.quiet) == 0 {
		return
	}
	slices.SortStableFunc(ck.quiet, func(a, b quiet) int {
		return cmpPos(ck.Files, a.pos, b.pos)
	})
	var list []Item
	for _, q := range ck.quiet {
		list = append(list, Item{q.name, q.pos})
	}
	s := "settings"
	if len(list) == 1 {
		s = "setting"
	}
	ck.diags = append(ck.diags, Diag{Severity: Note, Code: CodeQuiet, Pos: Pos{File: ck.File}, Settings: list,
		Message: fmt.Sprintf("%d %s accepted without effect: %s", len(list), s, placesIn(ck.File, list))})
}
