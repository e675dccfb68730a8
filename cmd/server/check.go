package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"rosterd/config"
)

// check prints what the server would say of a configuration at its start.
func check(ctx context.Context, args []string, c console) int {
	if comparing(args) {
		return compareServers(ctx, args, c)
	}
	c = seen(c) // what scripts and configurations say of themselves
	f := flags("check", c)
	file := f.String("config", "", "configuration `FILE`")
	asJSON := f.Bool("json", false, "print JSON")
	strict := f.Bool("strict", false, "warnings refuse")
	isolate := f.Bool("isolate", false, "look at the file in a process of its own with limits of memory and processor time")
	accept := acceptFlag(f)
	rest, err := interleaved(f, args)
	if err != nil {
		return exitUsage
	}
	if len(rest) == 1 && *file == "" {
		*file = rest[0]
	} else if len(rest) > 0 {
		fmt.Fprintf(c.err, "rosterd check: unexpected argument %q\n", rest[0])
		return exitUsage
	}
	path, err := findConfig(*file)
	if err != nil {
		fmt.Fprintln(c.err, "rosterd check:", err)
		return exitUsage
	}
	if *isolate {
		return checkIsolated(ctx, args, path, *asJSON, c)
	}
	cfg, diags, err := examine(ctx, path, true, *accept...)
	if err != nil {
		return unreadable(err, path, *asJSON, c)
	}
	status := config.ExitCode(diags, *strict)
	if *asJSON {
		if printJSON(c, asReport(cfg, diags, status)) != exitOK {
			return exitUsage
		}
	} else {
		report(c.out, cfg, diags)
	}
	return status
}

// unreadable says why a configuration cannot be loaded.
func unreadable(err error, path string, asJSON bool, c console) int {
	if !asJSON {
		fmt.Fprintln(c.err, err)
		return exitUsage
	}
	d := config.Diag{Severity: config.Refused, Code: config.CodeLoad, Pos: config.Pos{File: path}, Message: err.Error()}
	if e := (*config.Error)(nil); errors.As(err, &e) {
		d.Pos, d.Message, d.Hint = e.Pos, e.Msg, e.Hint
	}
	printJSON(c, checkReport{Files: []string{}, Env: []config.EnvRead{}, Diags: []config.Diag{d}, Hosts: []checkedHost{}, Status: exitUsage})
	return exitUsage
}

// acceptFlag is --accept, which check and serve have.
func acceptFlag(f *flag.FlagSet) *[]string {
	list := new([]string)
	f.Func("accept", "accept what check says, by `CODE[@NAME][,…]`, as rosterd_accept does", func(s string) error {
		for code := range strings.SplitSeq(s, ",") {
			if err := config.CheckAcceptance(code); err != nil {
				return err
			}
			*list = append(*list, code)
		}
		return nil
	})
	return list
}

// checkReport is what check --json prints. Its fields stay; there may be more of them one day.
type checkReport struct {
	Files  []string         `json:"files"`       // in the order of reading
	Env    []config.EnvRead `json:"env"`         // environment variables that the files asked for
	Diags  []config.Diag    `json:"diagnostics"` // the worst first, then by place
	Hosts  []checkedHost    `json:"hosts"`       // that would be served
	Status int              `json:"exit_status"`
}

type checkedHost struct {
	Host        string   `json:"host"`
	Modules     []string `json:"modules"`     // that do something
	Unavailable []string `json:"unavailable"` // that the file asks for and rosterd does not have
}

func asReport(cfg *config.Config, diags []config.Diag, status int) checkReport {
	r := checkReport{Files: cfg.Files, Env: cfg.Env, Diags: diags, Hosts: []checkedHost{}, Status: status}
	for _, h := range cfg.Hosts() {
		r.Hosts = append(r.Hosts, checkedHost{h.Name, orEmpty(served(h)), orEmpty(unavailable(h))})
	}
	if r.Env == nil {
		r.Env = []config.EnvRead{}
	}
	if r.Diags == nil {
		r.Diags = []config.Diag{}
	}
	return r
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// examine loads a configuration, lets the modules it names read their options, and checks it.
func examine(ctx context.Context, path string, inspect bool, accept ...string) (*config.Config, []config.Diag, error) {
	cfg, err := config.Load(path, config.LoadOptions{Inspect: inspect, Accept: accept})
	if err != nil {
		return nil, nil, err
	}
	cache := ""
	if !inspect {
		cache = config.PluginCache.Get(cfg.Global())
	}
	found := slices.Concat(tryPlugins(ctx, cfg, cache), trySources(cfg), tryCertificates(cfg), tryFiles(cfg), tryGroups(ctx, cfg))
	return cfg, config.Check(cfg, found...), nil
}

// report prints what was read, and what is to be said of it.
func report(w io.Writer, cfg *config.Config, diags []config.Diag) {
	files := ""
	if len(cfg.Files) > 1 {
		files = fmt.Sprintf("%d files: ", len(cfg.Files))
	}
	fmt.Fprintf(w, "Loaded %s%s\n", files, strings.Join(cfg.Files, ", "))
	var env []string
	for _, e := range cfg.Env {
		switch {
		case e.Set:
			env = append(env, e.Name+"=set")
		case e.Pos.File == cfg.File:
			env = append(env, fmt.Sprintf("%s=unset(line %d)", e.Name, e.Pos.Line))
		default:
			env = append(env, fmt.Sprintf("%s=unset(%v)", e.Name, e.Pos))
		}
	}
	if len(env) > 0 {
		fmt.Fprintf(w, "Environment read: %s\n", strings.Join(env, " "))
	}
	diags = config.Collapse(diags, cfg.Files)
	for _, d := range diags {
		fmt.Fprintln(w, d)
	}
	for _, h := range cfg.Hosts() {
		names := served(h)
		fmt.Fprintf(w, "Effective modules on %s: %s (%d)", h.Name, strings.Join(names, " "), len(names))
		switch n := len(unavailable(h)); n {
		case 0:
		case 1:
			fmt.Fprint(w, "; 1 requested module is not available")
		default:
			fmt.Fprintf(w, "; %d requested modules are not available", n)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, countOf(diags))
}

// countOf says in a line what it all comes to.
func countOf(diags []config.Diag) string {
	var n [config.Refused + 1]int
	accepted := 0
	for _, d := range diags {
		n[d.Severity]++
		if d.Accepted != "" {
			accepted++
		}
	}
	s := fmt.Sprintf("Refused: %d, warnings: %d, notes: %d", n[config.Refused], n[config.Warn], n[config.Note])
	if accepted > 0 {
		s += fmt.Sprintf(" (%d accepted)", accepted)
	}
	if n[config.Refused] > 0 {
		s += ": the server does not start"
	}
	return s
}

// unavailable are the modules that the file asks for on a host and rosterd does not have.
func unavailable(h *config.Host) (names []string) {
	for _, m := range h.Modules() {
		kind, _ := config.LookupModule(m.Name)
		if kind == config.Missing && m.Pos != (config.Pos{}) && !slices.Contains(served(h), m.Name) && !isPlugin(h, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

// isPlugin tells whether a module of the host is a plugin.
func isPlugin(h *config.Host, module string) bool {
	return slices.ContainsFunc(h.Plugins(), func(m config.Module) bool { return m.Name == module })
}

// served are the modules of a host that do something here.
func served(h *config.Host) (names []string) {
	for _, m := range h.Modules() {
		kind, _ := config.LookupModule(m.Name)
		provider := slices.ContainsFunc(h.Providers(), func(p config.Module) bool { return p.Name == m.Name })
		if kind == config.Honoured || provider {
			names = append(names, m.Name)
		}
	}
	return names
}
