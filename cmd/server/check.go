package main

import (
	"context"
	"encoding/json"
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
	cfg, diags, err := examine(ctx, path, true)
	if err != nil {
		fmt.Fprintln(c.err, err)
		return exitUsage
	}
	if *asJSON {
		out := json.NewEncoder(c.out)
		out.SetIndent("", "  ")
		if err := out.Encode(struct {
			Files []string         `json:"files"`
			Env   []config.EnvRead `json:"env"`
			Diags []config.Diag    `json:"diagnostics"`
		}{cfg.Files, cfg.Env, diags}); err != nil {
			fmt.Fprintln(c.err, "rosterd check:", err)
			return exitFailed
		}
	} else {
		report(c.out, cfg, diags)
	}
	return config.ExitCode(diags, *strict)
}

// examine loads a configuration, lets the modules it names read their options, and checks it.
func examine(ctx context.Context, path string, inspect bool) (*config.Config, []config.Diag, error) {
	cfg, err := config.Load(path, config.LoadOptions{Inspect: inspect})
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
	fmt.Fprintf(w, "Loaded %s\n", strings.Join(cfg.Files, ", "))
	var env []string
	for _, e := range cfg.Env {
		word := "unset"
		if e.Set {
			word = "set"
		}
		env = append(env, fmt.Sprintf("%s=%s(%v)", e.Name, word, e.Pos))
	}
	if len(env) > 0 {
		fmt.Fprintf(w, "Environment read: %s\n", strings.Join(env, " "))
	}
	for _, d := range diags {
		fmt.Fprintln(w, d)
	}
	for _, h := range cfg.Hosts() {
		fmt.Fprintf(w, "Effective modules on %s: %s\n", h.Name, strings.Join(served(h), " "))
	}
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
