package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"rosterd/config"
)

// configCommand answers what a configuration comes to, what a name in it means, and what another one would change.
func configCommand(ctx context.Context, args []string, c console) int {
	words := map[string]func(context.Context, []string, console) int{"show": configShow, "explain": configExplain, "diff": configDiff}
	if len(args) > 0 {
		if run := words[args[0]]; run != nil {
			return run(ctx, args[1:], c)
		}
		fmt.Fprintf(c.err, "rosterd config: unknown command %q\n", args[0])
	}
	fmt.Fprintln(c.err, `Usage:
  rosterd config show [--config FILE] [--host HOST] [--set] [--origin] [--redact=false] [--raw] [--json]
  rosterd config explain NAME… [--config FILE] [--json]
  rosterd config diff OLD NEW [--redact=false] [--json]`)
	return exitUsage
}

// configShow prints the value of each setting that counts.
func configShow(ctx context.Context, args []string, c console) int {
	c = seen(c)
	f := flags("config show", c)
	file := f.String("config", "", "configuration `FILE`")
	host := f.String("host", "", "show this `HOST` alone, with all it inherits; * is the global section")
	set := f.Bool("set", false, "leave out defaults")
	origin := f.Bool("origin", false, "say where each value comes from")
	redact := f.Bool("redact", true, "hide secrets; with --raw only if it is asked for")
	raw := f.Bool("raw", false, "what the files say, as Prosody would hold it, and no defaults")
	asJSON := f.Bool("json", false, "print JSON")
	rest, err := interleaved(f, args)
	if err != nil {
		return exitUsage
	}
	if len(rest) == 1 && *file == "" {
		*file = rest[0]
	} else if len(rest) > 0 {
		fmt.Fprintf(c.err, "rosterd config show: unexpected argument %q\n", rest[0])
		return exitUsage
	}
	path, err := findConfig(*file)
	if err != nil {
		fmt.Fprintln(c.err, "rosterd config show:", err)
		return exitUsage
	}
	if *raw {
		return showRaw(path, *host, isSet(f, "redact") && *redact, *asJSON, c)
	}
	cfg, _, err := examine(ctx, path, true) // so that the options of plugins are known
	if err != nil {
		fmt.Fprintln(c.err, err)
		return exitUsage
	}
	views := cfg.Views()
	if *host != "" {
		if views = slices.DeleteFunc(views, func(v config.View) bool { return v.Host != *host }); len(views) == 0 {
			fmt.Fprintf(c.err, "rosterd config show: %s has no host %q\n", path, *host)
			return exitFailed
		}
	}
	for i := range views {
		views[i].Settings = wanted(views[i].Settings, *set, *redact)
	}
	if *asJSON {
		return printJSON(c, struct {
			Files    []string         `json:"files"`
			Env      []config.EnvRead `json:"env"`
			Sections []config.View    `json:"sections"`
		}{cfg.Files, cfg.Env, views})
	}
	for i, v := range views {
		if i > 0 {
			fmt.Fprintln(c.out)
		}
		printView(c.out, v, *origin, *host == "")
	}
	return exitOK
}

// isSet tells whether a flag was given.
func isSet(f *flag.FlagSet, name string) (given bool) {
	f.Visit(func(x *flag.Flag) { given = given || x.Name == name })
	return given
}

// wanted are the settings to show, as they may be shown.
func wanted(list []config.Setting, set, redact bool) []config.Setting {
	shown := []config.Setting{}
	for _, s := range list {
		if set && s.Origin == config.FromDefault {
			continue
		}
		if redact {
			s = s.Redact()
		}
		shown = append(shown, s)
	}
	return shown
}

// printView writes a section as a configuration would. Of a host among others it leaves out what is as for all.
func printView(w io.Writer, v config.View, origin, amongOthers bool) {
	var notes []string
	if v.Pos.File != "" {
		notes = append(notes, v.Pos.String())
	}
	if !v.Served {
		notes = append(notes, "not served")
	}
	about := ""
	if len(notes) > 0 {
		about = " -- " + strings.Join(notes, ", ")
	}
	switch {
	case v.Host == "*":
		fmt.Fprintf(w, "-- The global section%s\n", about)
	case v.Module != "" && v.Module != "component":
		fmt.Fprintf(w, "%s %s %s%s\n", v.Kind, config.Lua(v.Host), config.Lua(v.Module), about)
	default:
		fmt.Fprintf(w, "%s %s%s\n", v.Kind, config.Lua(v.Host), about)
	}
	indent := ""
	if v.Host != "*" {
		indent = "\t"
	}
	for _, s := range v.Settings {
		if amongOthers && v.Host != "*" && (s.Origin == config.FromGlobal || s.Origin == config.FromDefault) {
			continue
		}
		line := fmt.Sprintf("%s%s = %s", indent, s.Name, config.Lua(s.Value))
		if origin {
			line += " -- " + originOf(s)
		}
		fmt.Fprintln(w, line)
	}
	var names []string
	for _, m := range v.Modules {
		names = append(names, m.Name)
	}
	if len(names) > 0 && v.Host != "*" {
		fmt.Fprintf(w, "%s-- modules: %s\n", indent, strings.Join(names, " "))
	}
}

// originOf says where a setting comes from, and what is odd about it.
func originOf(s config.Setting) string {
	say := s.Pos.String()
	switch s.Origin {
	case config.FromDefault:
		say = "default"
	case config.FromGlobal:
		say += ", inherited"
	case config.FromBoth:
		say += ", joined with the global list"
	}
	if s.WrittenAs != "" {
		say += ", as " + s.WrittenAs
	}
	for _, p := range s.Earlier {
		say += fmt.Sprintf(", replaces %v", p)
	}
	if s.NoEffect != "" {
		say += "; no effect: " + s.NoEffect
	}
	return say
}

// showRaw prints what Prosody's configmanager would hold.
func showRaw(path, host string, redact, asJSON bool, c console) int {
	cfg, err := config.Load(path, config.LoadOptions{Inspect: true})
	if err != nil {
		fmt.Fprintln(c.err, err)
		return exitUsage
	}
	raw := cfg.Raw()
	if host != "" {
		if raw[host] == nil {
			fmt.Fprintf(c.err, "rosterd config show: %s has no host %q\n", path, host)
			return exitFailed
		}
		raw = map[string]map[string]any{host: raw[host]}
	}
	if redact {
		for _, section := range raw {
			for name, v := range section {
				section[name] = config.Setting{Name: name, Value: v, Secret: config.SecretSetting(name)}.Redact().Value
			}
		}
	}
	if asJSON {
		return printJSON(c, raw)
	}
	for _, host := range slices.Sorted(maps.Keys(raw)) {
		for _, name := range slices.Sorted(maps.Keys(raw[host])) {
			fmt.Fprintf(c.out, "%s\t%s\t%s\n", host, name, config.Lua(raw[host][name]))
		}
	}
	return exitOK
}

// printJSON writes what a program is to read.
func printJSON(c console, v any) int {
	out := json.NewEncoder(c.out)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	if err := out.Encode(v); err != nil {
		fmt.Fprintln(c.err, "rosterd:", err)
		return exitFailed
	}
	return exitOK
}

// configExplain says what options and modules are; exit 1 if nobody knows one.
func configExplain(_ context.Context, args []string, c console) int {
	f := flags("config explain", c)
	file := f.String("config", "", "say what this `FILE` sets, too")
	asJSON := f.Bool("json", false, "print JSON")
	names, err := interleaved(f, args)
	if err != nil {
		return exitUsage
	}
	if len(names) == 0 {
		fmt.Fprintln(c.err, "rosterd config explain: name an option or a module")
		return exitUsage
	}
	var cfg *config.Config
	if *file != "" {
		if cfg, err = config.Load(*file, config.LoadOptions{Inspect: true}); err != nil {
			fmt.Fprintln(c.err, err)
			return exitUsage
		}
	}
	type explained struct {
		config.Explanation
		Places []config.Place `json:"set_at,omitempty"`
	}
	all, status := []explained{}, exitOK
	for _, name := range names {
		found, hint := config.Explain(name)
		if len(found) == 0 {
			if hint != "" {
				hint = fmt.Sprintf("; did you mean %s?", hint)
			}
			fmt.Fprintf(c.err, "rosterd config explain: nobody knows an option or a module %q%s\n", name, hint)
			status = exitFailed
		}
		for _, e := range found {
			x := explained{Explanation: e}
			if cfg != nil {
				x.Places = cfg.Places(e.Kind, e.Name)
			}
			all = append(all, x)
		}
	}
	if *asJSON {
		return max(status, printJSON(c, all))
	}
	for i, x := range all {
		if i > 0 {
			fmt.Fprintln(c.out)
		}
		printExplanation(c.out, x.Explanation)
		for _, p := range x.Places {
			where := "globally"
			if p.Host != "*" {
				where = "for " + p.Host
			}
			if x.Kind == "module" {
				fmt.Fprintf(c.out, "  %v  in %v, %s\n", p.Pos, p.Value, where)
			} else {
				fmt.Fprintf(c.out, "  %v  %s, %s\n", p.Pos, config.Lua(p.Value), where)
			}
		}
	}
	return status
}

func printExplanation(w io.Writer, e config.Explanation) {
	whose := map[string]string{
		"rosterd": "of rosterd", "core": "of Prosody", "bundled": "that comes with Prosody",
		"community": "of Prosody's community modules", "legacy": "of older versions of Prosody",
	}[e.From]
	fmt.Fprintf(w, "%s: %s %s\n", e.Name, e.Kind, whose)
	if e.Meaning != "" {
		fmt.Fprintf(w, "  %s\n", e.Meaning)
	}
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-12s %s\n", name, value)
		}
	}
	row("type", strings.Join(e.Types, " or "))
	row("read by", strings.Join(e.Owners, ", "))
	row("where", map[string]string{
		"host": "under a host, or globally for all", "global": "globally; under a host it has no effect", "host and global": "the list of a host is joined with the global one",
	}[e.Scope])
	switch {
	case e.Prosodys == "":
		row("default", e.Default)
	case e.Default == "":
		row("default", "none; in Prosody "+e.Prosodys)
	default:
		row("default", e.Default+"; in Prosody "+e.Prosodys)
	}
	row("replaced by", e.Replaced)
	row("options", strings.Join(e.Options, ", "))
	row("in rosterd", e.Here)
}

// configDiff says what another configuration would change; exit 0 nothing, 1 something, 2 trouble.
func configDiff(_ context.Context, args []string, c console) int {
	f := flags("config diff", c)
	asJSON := f.Bool("json", false, "print JSON")
	redact := f.Bool("redact", true, "hide secrets")
	files, err := interleaved(f, args)
	if err != nil {
		return exitUsage
	}
	if len(files) != 2 {
		fmt.Fprintln(c.err, "rosterd config diff: name two configurations, the old one and the new one")
		return exitUsage
	}
	var configs [2]*config.Config
	for i, file := range files {
		if configs[i], err = config.Load(file, config.LoadOptions{Inspect: true}); err != nil {
			fmt.Fprintln(c.err, err)
			return exitUsage
		}
	}
	d := config.Diff(configs[0], configs[1])
	if *redact {
		d.Redact()
	}
	if *asJSON {
		if status := printJSON(c, d); status != exitOK {
			return exitUsage
		}
	} else {
		printDiff(c.out, d)
	}
	if d.Empty() {
		return exitOK
	}
	return exitFailed
}

func printDiff(w io.Writer, d config.Difference) {
	for _, h := range d.HostsLost {
		fmt.Fprintf(w, "- %s is not served any more\n", h)
	}
	for _, h := range d.HostsGained {
		fmt.Fprintf(w, "+ %s is served\n", h)
	}
	for _, ch := range d.Changes {
		where := ch.Host
		if where == "*" {
			where = "all hosts"
		}
		fmt.Fprintf(w, "%s: %s\n", where, ch.Name)
		for _, side := range []struct {
			sign string
			*config.Setting
		}{{"-", ch.Old}, {"+", ch.New}} {
			if side.Setting == nil {
				fmt.Fprintf(w, "  %s not set\n", side.sign)
			} else {
				fmt.Fprintf(w, "  %s %s -- %s\n", side.sign, config.Lua(side.Value), originOf(*side.Setting))
			}
		}
	}
	for _, list := range []struct {
		sign  string
		hosts map[string][]string
	}{{"-", d.ModulesLost}, {"+", d.ModulesGained}} {
		for _, h := range slices.Sorted(maps.Keys(list.hosts)) {
			where := h
			if h == "*" {
				where = "all hosts"
			}
			fmt.Fprintf(w, "%s: modules %s %s\n", where, list.sign, strings.Join(list.hosts[h], " "))
		}
	}
}
