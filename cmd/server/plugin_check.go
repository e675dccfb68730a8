package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"rosterd/config/known"
	"rosterd/plugins"
	"rosterd/plugins/lua"
	"rosterd/plugins/trial"
	"rosterd/plugins/wasm"
)

// pluginCheck says what the server would say of plugins, and what they are.
func pluginCheck(ctx context.Context, args []string, c console) int {
	t := newPluginTool("check", c)
	t.configured()
	rest, err := t.parse(args)
	if err == nil && len(rest) == 0 {
		err = t.wrong("which plugin?")
	}
	worst := exitOK
	for _, arg := range rest {
		if err != nil {
			break
		}
		var status int
		if status, err = t.check(ctx, arg); status > worst {
			worst = status
		}
	}
	if err != nil {
		return t.end(err, exitUsage)
	}
	return worst
}

// checked is what is said of a plugin.
type checked struct {
	subject  trial.Subject
	outline  lua.Outline
	module   *wasm.Outline  // nil: it is none
	costs    *moduleCosts   // of a module that was opened
	limits   plugins.Limits // of the host, as far as its configuration says
	opened   *trial.Opened  // nil: it was refused
	warnings []string
	notes    []string
	config   plugins.Config
}

func (t *pluginTool) check(ctx context.Context, arg string) (status int, err error) {
	s, err := t.find(arg)
	if err != nil {
		return exitUsage, err
	}
	host, _, err := t.place(s, "")
	if err != nil {
		return exitUsage, err
	}
	ch := t.look(s, host)
	tr := trial.Trial{Subject: s, Case: &trial.Case{Call: trial.CallFetch, Host: host}, Manager: t.manager(), Config: ch.config, Live: true}
	var o *trial.Opened
	if ch.module != nil {
		o, ch.costs, err = t.openModule(ctx, tr)
	} else {
		o, err = openScript(ctx, tr)
	}
	var refused *trial.OpenError
	if errors.As(err, &refused) {
		t.refused(ch, refused)
		return exitUsage, nil
	}
	if err != nil {
		return exitUsage, err
	}
	ch.opened = o
	ch.warn(t.unread(o.Read))
	t.describe(ch, o)
	if len(ch.warnings) > 0 {
		status = exitFailed
	}
	return status, o.Close()
}

// look looks at a plugin without running it.
func (t *pluginTool) look(s trial.Subject, host string) *checked {
	ch := &checked{subject: s, config: t.config(host), limits: limitsOf(t.manager(), host)}
	if code, err := os.ReadFile(s.File); err == nil {
		ch.outlined(code, host)
	}
	return ch
}

// outlined says what is known of a plugin by looking at it.
func (ch *checked) outlined(code []byte, host string) {
	switch filepath.Ext(ch.subject.File) {
	case ".lua":
		ch.outline = lua.Describe(ch.subject.File, code)
	case ".wasm":
		m := wasm.Describe(ch.subject.File, code, plugins.Host{Name: host, Limits: ch.limits})
		ch.module = &m
	}
}

// openScript opens a script, and once more if that took long: the first one in a process has also made rosterd's own libraries.
func openScript(ctx context.Context, tr trial.Trial) (*trial.Opened, error) {
	o, err := tr.Open(ctx)
	if err != nil || o.Took <= slowLoad {
		return o, err
	}
	if again, err := tr.Open(ctx); err == nil {
		o.Took = min(o.Took, again.Took)
		_ = again.Close() // it was opened to be measured
	}
	return o, nil
}

// refused prints why a plugin cannot be opened.
func (t *pluginTool) refused(ch *checked, why *trial.OpenError) {
	fmt.Fprintf(t.c.out, "%s: refused\n%s\n", ch.subject.File, indent(why.Error(), "  "))
	if ch.module != nil && len(ch.module.Problems) == 0 {
		t.table(ch.static())
	}
	for _, warning := range ch.misnamed() {
		fmt.Fprintln(t.c.out, "  warning:", warning)
	}
	t.hint(t.c.out, ch, why)
}

// unset is how engines say that an option is missing.
var unset = regexp.MustCompile(`option (\w+) is not set`)

// hint names options that a plugin needs and that are not set, and those that may have been meant to be them.
func (t *pluginTool) hint(w io.Writer, ch *checked, why *trial.OpenError) {
	var missing []string
	need := func(name string) {
		if option := "--option " + name + "=…"; !slices.Contains(missing, option) {
			missing = append(missing, option)
		}
	}
	if found := unset.FindStringSubmatch(why.Error()); found != nil {
		need(found[1])
	}
	for _, u := range ch.outline.Options {
		if _, _, set := ch.config.Option(u.Name); u.Must && !set {
			need(u.Name)
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(w, "  not set, and needed: try %s, or --config prosody.cfg.lua\n", strings.Join(missing, " "))
	}
	asked := slices.Clone(why.Read)
	for _, u := range ch.outline.Options {
		asked = append(asked, u.Name)
	}
	for _, name := range t.unread(asked) {
		meant := didYouMean(name, asked)
		if meant != "" || len(missing) > 0 { // else it may have been stopped before it could ask
			fmt.Fprintf(w, "  --option %s: it had not asked for that until then%s\n", name, meant)
		}
	}
}

func didYouMean(name string, names []string) string {
	if near := known.Suggest(name, names); near != "" {
		return " (did you mean " + near + "?)"
	}
	return ""
}

// slowLoad is how long a script may take that is run for every call.
const slowLoad = 20 * time.Millisecond

func (ch *checked) warn(unread []string) {
	at := func(line int, text string) string {
		if line > 0 {
			return fmt.Sprintf("%s:%d: %s", ch.subject.File, line, text)
		}
		return ch.subject.File + ": " + text
	}
	add := func(line int, format string, args ...any) {
		ch.warnings = append(ch.warnings, at(line, fmt.Sprintf(format, args...)))
	}
	for _, r := range ch.outline.Odd {
		if r.Note {
			ch.notes = append(ch.notes, at(r.Line, r.Text))
		} else {
			add(r.Line, "%s", r.Text)
		}
	}
	for _, u := range ch.outline.URLs {
		if ch.opened.Allows(withPath(u.Text)) != nil {
			add(u.Line, "%s is no server that the script may ask: have an option name it, or rosterd_plugin_http_allow", u.Text)
		}
	}
	info := ch.opened.Info()
	if ch.module != nil {
		ch.warnModule()
	}
	if asks(ch) && len(ch.opened.Servers()) == 0 {
		add(0, "it asks over HTTP, and no option that it has read names a server: it may ask nobody")
	}
	if !info.Roster && !info.Auth && len(info.Routes) == 0 && len(info.Timers) == 0 {
		add(0, "it provides nothing")
	}
	if ch.module == nil && ch.opened.Took > slowLoad {
		add(0, "it took %s to be loaded; what is outside of functions runs again for every call", spent(ch.opened.Took))
	}
	for _, l := range ch.opened.Loaded {
		if l.Level >= 4 {
			add(0, "it logged: %s", l.Text)
		}
	}
	for _, name := range unread {
		ch.warnings = append(ch.warnings, fmt.Sprintf("--option %s: the plugin did not ask for it when it was opened", name))
	}
}

// asks tells whether a plugin seems to use HTTP.
func asks(ch *checked) bool {
	if ch.module != nil {
		return asksHTTP(*ch.module)
	}
	code, err := os.ReadFile(ch.subject.File)
	return err == nil && strings.Contains(string(code), "net.http")
}

// withPath makes the beginning of a URL one, "https://crm.example/people/" as well as "https://".
func withPath(s string) string {
	if strings.Count(s, "/") < 3 {
		return s + "/"
	}
	return s
}

// row is something that is said of a plugin, in some lines.
type row struct {
	head  string
	lines []string
}

// table prints rows.
func (t *pluginTool) table(rows []row) {
	w := tabwriter.NewWriter(t.c.out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		for i, line := range r.lines {
			if i > 0 {
				r.head = ""
			}
			fmt.Fprintf(w, "  %s\t%s\n", r.head, line)
		}
	}
	_ = w.Flush() // the console
}

// describe prints what a plugin is.
func (t *pluginTool) describe(ch *checked, o *trial.Opened) {
	fmt.Fprintf(t.c.out, "%s: ok\n", ch.subject.File)
	rows := []row{{"provides", provided(o)}, {"options", ch.options(o)}, {"asks", servers(o)}}
	if ch.module != nil {
		rows = slices.Concat(rows, ch.static(), ch.costs.measured())
	}
	t.table(rows)
	for _, warning := range ch.warnings {
		fmt.Fprintln(t.c.out, "  warning:", warning)
	}
	for _, note := range ch.notes {
		fmt.Fprintln(t.c.out, "  note:", note)
	}
}

func provided(o *trial.Opened) (list []string) {
	info := o.Info()
	if info.Roster {
		list = append(list, "rosters")
	}
	if info.Edit {
		list = append(list, "edits of rosters")
	}
	if info.Card {
		list = append(list, "vCards")
	}
	if info.Auth {
		list = append(list, "passwords")
	}
	for _, r := range info.Routes {
		list = append(list, fmt.Sprintf("%s %s", r.Method, o.Path(r)))
	}
	for i, after := range info.Timers {
		list = append(list, fmt.Sprintf("timer %d, first after %v", i, after))
	}
	return list
}

// options are those that the script reads or might read, and what they are.
func (ch *checked) options(o *trial.Opened) (list []string) {
	listed := map[string]bool{}
	for _, u := range ch.outline.Options {
		listed[u.Name] = true
		s := u.Name
		if u.Type != "" {
			s += ", " + strings.ReplaceAll(u.Type, "_", " ")
		}
		if state := ch.state(u.Name); state == notSet && u.Default != "" {
			s += ": " + u.Default
		} else {
			s += ": " + state
		}
		list = append(list, s)
	}
	for _, name := range o.Read {
		if listed[name] || strings.HasPrefix(name, "rosterd_") {
			continue
		}
		if ch.module != nil { // nothing is known of it but that it was read
			name += ": " + ch.state(name)
		}
		list = append(list, name)
	}
	return list
}

const notSet = "not set"

// state says whether an option is set, and where.
func (ch *checked) state(name string) string {
	if _, pos, set := ch.config.Option(name); set {
		return "set (" + pos + ")"
	}
	return notSet
}

func servers(o *trial.Opened) []string {
	list := o.Servers()
	if len(list) == 0 {
		return []string{"nobody over HTTP"}
	}
	return list
}
