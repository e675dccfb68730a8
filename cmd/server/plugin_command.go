package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rosterd/config"
	"rosterd/engine/addr"
	"rosterd/plugins"
	"rosterd/plugins/lua"
	"rosterd/plugins/trial"
	"rosterd/plugins/worker"
)

// pluginCommands are the tools for those who write plugins.
func pluginCommands() []command {
	return []command{
		{"new", "new [--lang lua|c|rust|go|as] DIR", "write a plugin to begin with, with cases that pass", pluginNew},
		{"check", "check FILE|DIR… [--config FILE] [--option NAME=VALUE]… [--host HOST]", "load it as the server would; say what is wrong, what it provides, reads and may ask; exit 0, 1 warnings, 2 refused", pluginCheck},
		{"run", "run FILE|DIR --user USER@HOST [--config FILE] [--option NAME=VALUE]… [--record DIR]", "ask it once, with the real backend", pluginRun},
		{"test", "test FILE|DIR… [--run NAME] [--cases DIR] [--update] [--isolation inproc|process] [--json]", "try its cases, tests/*.json, without any network", pluginTest},
		{"fuzz", "fuzz FILE|DIR [--time 10s] [--count N] [--seed N] [--run NAME] [--cases DIR] [--write DIR] [--isolation inproc|process] [--json]", "have it read what no backend should send; exit 0, or 1 if that is a fault of it", pluginFuzz},
		{"bench", "bench FILE|DIR [--run NAME] [--cases DIR] [--count N] [--time 2s] [--isolation inproc|process]", "measure what a case costs", pluginBench},
	}
}

// pluginCommand runs one of the tools.
func pluginCommand(ctx context.Context, args []string, c console) int {
	c = seen(c)
	if len(args) > 0 {
		for _, cmd := range pluginCommands() {
			if cmd.name == args[0] {
				return cmd.run(ctx, args[1:], c)
			}
		}
	}
	w, status := c.err, exitUsage
	if len(args) > 0 && slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		w, status = c.out, exitOK
	} else if len(args) > 0 {
		fmt.Fprintf(w, "rosterd plugin: unknown command %q\n", args[0])
	}
	fmt.Fprintln(w, "Usage:")
	for _, cmd := range pluginCommands() {
		fmt.Fprintf(w, "  rosterd plugin %s\n        %s\n", cmd.usage, cmd.about)
	}
	fmt.Fprintln(w, "\nVALUE is text, or as in the configuration: \"text\", 5, true, { \"a\", \"b\" }.")
	return status
}

// pluginTool is what the tools have in common: where options come from, and where the code runs.
type pluginTool struct {
	name      string
	c         console
	flags     *flag.FlagSet
	file      string // configuration
	host      string
	isolation string
	cases     string         // the folder of cases; "": where the plugin has them
	options   map[string]any // of the command line
	json      bool
	illegible error // an option whose value cannot be read

	cfg *config.Config // nil: none
}

func newPluginTool(name string, c console) *pluginTool {
	t := &pluginTool{name: name, c: c, flags: flags("plugin "+name, c), options: map[string]any{}}
	for _, cmd := range pluginCommands() {
		if cmd.name == name {
			t.flags.Usage = func() {
				fmt.Fprintf(c.err, "usage: rosterd plugin %s\n", cmd.usage)
				t.flags.PrintDefaults()
			}
		}
	}
	return t
}

// configured adds the flags that say where options come from.
func (t *pluginTool) configured() {
	t.flags.StringVar(&t.file, "config", "", "read options from a configuration `FILE`")
	t.flags.StringVar(&t.host, "host", "", "of which `HOST` the options are")
	t.flags.Func("option", "set an option, `NAME=VALUE`; may be repeated", func(s string) error {
		name, text, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return errors.New("NAME=VALUE is expected")
		}
		v, err := config.Literal(text)
		if err != nil {
			t.illegible = cmp.Or(t.illegible, error(illegibleError{name, text, err})) // without the usage, in which nobody would find it
		}
		t.options[name] = v
		return nil
	})
}

// isolated adds the flag that says where the code runs.
func (t *pluginTool) isolated() {
	t.flags.StringVar(&t.isolation, "isolation", "inproc", "run it `WHERE`: inproc, or process, which is one of its own")
}

// cased adds the flag that says where the cases are.
func (t *pluginTool) cased() {
	t.flags.StringVar(&t.cases, "cases", "", "take the cases of the folder `DIR`, rather than those in tests beside the plugin")
}

// parse reads the arguments, and the configuration if one is named.
func (t *pluginTool) parse(args []string) (rest []string, err error) {
	if rest, err = interleaved(t.flags, args); err != nil {
		return nil, errReported
	}
	if t.illegible != nil {
		return nil, t.illegible
	}
	if t.isolation != "" && t.isolation != "inproc" && t.isolation != "process" {
		return nil, t.wrong("--isolation: %q is neither inproc nor process", t.isolation)
	}
	if t.file != "" {
		t.cfg, err = config.Load(t.file, config.LoadOptions{Inspect: true})
	}
	return rest, err
}

// errReported is a mistake in the arguments that was told already.
var errReported = errors.New("wrong arguments")

// usageError is a mistake in the arguments.
type usageError struct{ error }

func (t *pluginTool) wrong(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// illegibleError is a value that is none.
type illegibleError struct {
	option, value string
	err           error
}

func (e illegibleError) Error() string {
	return fmt.Sprintf("--option %s: %v\n  what is text goes in quotes or brackets: --option '%s=%s'\n  a table is written { a = 1, [\"b-c\"] = \"x\" }, a list { \"x\", \"y\" }", e.option, e.err, e.option, e.quoted())
}

// quoted is the value as a text of Lua.
func (e illegibleError) quoted() string {
	if strings.Contains(e.value, "]]") || strings.HasSuffix(e.value, "]") || strings.HasPrefix(e.value, "\n") {
		return strconv.Quote(e.value)
	}
	return "[[" + e.value + "]]"
}

// end reports an error and makes it a status.
func (t *pluginTool) end(err error, failed int) int {
	var usage usageError
	var illegible illegibleError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitUsage
	case errors.Is(err, errUnwell):
		return failed
	case errors.As(err, &usage):
		fmt.Fprintf(t.c.err, "rosterd plugin %s: %v\n", t.name, err)
		t.flags.Usage()
		return exitUsage
	}
	fmt.Fprintf(t.c.err, "rosterd plugin %s: %v\n", t.name, err)
	if errors.As(err, &illegible) {
		return exitUsage
	}
	return failed
}

// find is the plugin that an argument means, and where its cases are.
func (t *pluginTool) find(arg string) (trial.Subject, error) {
	s, err := t.subject(arg)
	if s.Tests = t.cases; err == nil && t.cases != "" {
		_, err = os.Stat(t.cases)
	}
	return s, err
}

// subject is the plugin that an argument means: a file, a folder, or with a configuration the name of a module.
func (t *pluginTool) subject(arg string) (trial.Subject, error) {
	s, err := trial.Find(arg, slices.Sorted(maps.Keys(engines()))...)
	if err == nil || t.cfg == nil || strings.ContainsAny(arg, `/\`) {
		return s, err
	}
	src, missing := pluginManager(t.cfg, quiet).Find(arg)
	switch {
	case missing != nil:
		return s, err
	case src.Shipped:
		return trial.Subject{Name: arg, File: src.File}, nil
	}
	return trial.Find(src.File, slices.Sorted(maps.Keys(engines()))...)
}

// manager is one for a single trial.
func (t *pluginTool) manager() *plugins.Manager {
	m := &plugins.Manager{Version: fullVersion(), Engines: engines(), Shipped: lua.Shipped()}
	if t.cfg != nil {
		m = pluginManager(t.cfg, quiet)
	}
	m.InProcess, m.Isolate, m.Cache = nil, nil, toolCache()
	if t.isolation == "process" {
		m.Isolate = worker.Opener(worker.Settings{Log: quiet, Staged: true})
	}
	return m
}

// toolCache is where the tools keep compiled code: the server's own folder is the server's alone. "" if there is no such place.
func toolCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "rosterd", "modules")
}

// place finds out for which host a plugin is opened, and for which user if one is named.
func (t *pluginTool) place(s trial.Subject, user string) (host, full string, err error) {
	local, host, named := strings.Cut(user, "@")
	switch {
	case named && t.host != "" && host != t.host:
		return "", "", t.wrong("%s is not of the host %s", user, t.host)
	case named:
	case t.host != "":
		host = t.host
	case t.cfg != nil:
		host = usualHost(t.cfg, s.Name)
	default:
		host = "example.com"
	}
	u, err := addr.NewBare(local, host)
	if err != nil {
		return "", "", fmt.Errorf("%s@%s: %w", local, host, err)
	}
	if t.cfg != nil && t.cfg.Host(u.Domain()) == nil {
		return "", "", fmt.Errorf("%s has no VirtualHost %q", t.cfg.File, u.Domain())
	}
	if local == "" {
		return u.Domain(), "", nil
	}
	return u.Domain(), u.String(), nil
}

// usualHost is the first that enables the module, else the first.
func usualHost(cfg *config.Config, module string) string {
	for _, h := range cfg.Hosts() {
		if h.Has(module) {
			return h.Name
		}
	}
	for _, h := range cfg.Hosts() {
		return h.Name
	}
	return ""
}

// config are the options of a host: those of the command line before those of the configuration.
func (t *pluginTool) config(host string) plugins.Config {
	return plugins.ConfigFunc(func(name string) (any, string, bool) {
		if v, ok := t.options[name]; ok {
			return v, "--option", true
		}
		if t.cfg == nil {
			return nil, "", false
		}
		return options(t.cfg.Host(host)).Option(name)
	})
}

// unread are the options of the command line that a plugin did not ask for.
func (t *pluginTool) unread(asked []string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(t.options)) {
		if !slices.Contains(asked, name) {
			names = append(names, name)
		}
	}
	return names
}

// spent is a time as people read it.
func spent(d time.Duration) string {
	switch ms := float64(d) / 1e6; {
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case ms >= 10:
		return fmt.Sprintf("%.0f ms", ms)
	case ms >= 0.1:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f µs", float64(d)/1e3)
}

// sized is a number of bytes as people read it.
func sized(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// counted is "1 call", "2 calls".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
