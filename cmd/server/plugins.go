package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/lua"
	"rosterd/plugins/wasm"
	"rosterd/plugins/worker"
)

// engines open plugins by the endings of their files.
func engines() map[string]plugins.Opener {
	return map[string]plugins.Opener{".lua": lua.Open, ".wasm": wasm.Open}
}

// pluginManager finds and opens modules, for whoever has nobody online and keeps nothing.
func pluginManager(cfg *config.Config, log *slog.Logger) *plugins.Manager {
	g := cfg.Global()
	return &plugins.Manager{
		Version: fullVersion(), Engines: engines(), Shipped: lua.Shipped(),
		Paths: config.PluginPaths.Get(g), Instead: config.PluginOverride.Get(g), Log: log, Limits: pluginLimits(cfg),
		Isolate:   worker.Opener(worker.Settings{Log: log}),
		Foreign:   config.Foreign,
		Secret:    config.Withheld,
		InProcess: func(host string) bool { return config.PluginIsolation.Get(cfg.Host(host)) == "inproc" },
	}
}

// plugins is the pluginManager of a server.
func (d *daemon) plugins(cfg *config.Config) *plugins.Manager {
	m := pluginManager(cfg, part(d.log, "plugins"))
	m.Keeper = values{d.db.Store}
	m.Cache = config.PluginCache.Get(cfg.Global())
	m.Observe = d.called
	m.Refresh = func(ctx context.Context, host string, users []string) (plugins.Refreshed, error) {
		s := d.refresh(ctx, host, users, nil)
		return plugins.Refreshed{Updated: s.Updated, Errors: s.Errors}, ctx.Err()
	}
	return m
}

// hosted are the plugins of one host.
type hosted struct {
	modules   map[string]*plugins.Opened
	rosters   *plugins.Opened
	cards     *engine.Cards   // nil: vCards are the users' own
	directory *ldapCards      // that gives them; nil: it is rosters
	passwords *plugins.Opened // nil: accounts are rosterd's own
}

// module is a plugin of the host, nil if it has none of that name.
func (h *hosted) module(name string) *plugins.Opened {
	if h == nil {
		return nil
	}
	return h.modules[name]
}

// openPlugins opens the plugins of every host, unless the plan before has the same.
func (p *plan) openPlugins(ctx context.Context, before *plan, m *plugins.Manager) error {
	p.plugins = make(map[string]*hosted)
	for _, h := range p.cfg.Hosts() {
		p.plugins[h.Name] = &hosted{modules: make(map[string]*plugins.Opened)}
		for _, module := range h.Plugins() {
			b := before.plugin(h.Name, module.Name)
			if b == nil || !b.Same(m, module.Name, h.Name, options(h)) {
				var err error
				if b, err = m.Open(ctx, module.Name, h.Name, options(h)); err != nil {
					return fmt.Errorf("%v: %w", module.Pos, err)
				}
				p.fresh = append(p.fresh, b)
			}
			p.plugins[h.Name].modules[module.Name] = b
		}
		if err := p.plugins[h.Name].assign(h); err != nil {
			return err
		}
	}
	return nil
}

// assign finds out who supplies what. That a script keeps its word is known only now that it has run.
func (h *hosted) assign(host *config.Host) error {
	for _, m := range host.Providers() {
		if h.rosters = h.modules[m.Name]; !h.rosters.Info().Roster {
			return fmt.Errorf("%v: module %q of %s supplies no rosters after all", m.Pos, m.Name, host.Name)
		}
		if host.WritesBack() && !h.rosters.Info().Edit {
			_, pos, _ := config.RosterEdit.Lookup(host)
			return fmt.Errorf("%v: rosterd_roster_edit: module %q of %s takes no edits", pos, m.Name, host.Name)
		}
	}
	if m, ok := host.Authenticator(); ok {
		if h.passwords = h.modules[m.Name]; !h.passwords.Info().Auth {
			return fmt.Errorf("%v: module %q of %s does not know passwords after all", m.Pos, m.Name, host.Name)
		}
	}
	return nil
}

// plugin is an open one of a plan, nil if there is none.
func (p *plan) plugin(host, module string) *plugins.Opened {
	if p == nil {
		return nil
	}
	return p.plugins[host].module(module)
}

// openedPlugins are all plugins of a plan.
func (p *plan) openedPlugins() map[*plugins.Opened]bool {
	all := map[*plugins.Opened]bool{}
	if p == nil {
		return all
	}
	for _, h := range p.plugins {
		for _, b := range h.modules {
			all[b] = true
		}
	}
	return all
}

// tryPlugins opens the modules of every host as the server would, and closes them again: what a script asks for is then
// known, and its mistakes are. A script that is loaded cannot contact anybody. Compiled code is left in the folder cache
// if there is one, which only the server may do: what others put there it could not trust.
func tryPlugins(ctx context.Context, cfg *config.Config, cache string) (found []config.Diag) {
	m := pluginManager(cfg, quiet)
	m.Cache = cache
	for _, h := range cfg.Hosts() {
		opened := &hosted{modules: make(map[string]*plugins.Opened)}
		whole := true
		for _, module := range h.Plugins() {
			p, err := m.Open(ctx, module.Name, h.Name, options(h))
			if err != nil {
				found = append(found, scriptDiag(h, module, err))
				cfg.PluginRefused(module.Name)
				whole = false
				continue
			}
			opened.modules[module.Name] = p
		}
		if whole {
			if err := opened.assign(h); err != nil {
				found = append(found, config.Diag{Severity: config.Refused, Code: config.CodeScript, Pos: h.Pos(), Host: h.Name, Message: err.Error()})
			}
			found = append(found, clashes(h, opened)...)
		}
		for _, p := range opened.modules {
			if err := p.Close(); err != nil {
				found = append(found, scriptDiag(h, config.Module{Pos: h.Pos()}, err))
			}
		}
	}
	return found
}

func scriptDiag(h *config.Host, module config.Module, err error) config.Diag {
	d := config.Diag{Severity: config.Refused, Code: config.CodeScript, Pos: module.Pos, Host: h.Name, Name: module.Name}
	var option *plugins.OptionError
	if errors.As(err, &option) {
		d.Name = option.Name
	}
	d.Message = strings.ReplaceAll(err.Error(), "\n", "; ")
	return d
}

// clashes are routes of scripts where something else is served already.
func clashes(h *config.Host, opened *hosted) (found []config.Diag) {
	taken := map[string]string{}
	for _, m := range h.HTTPModules() {
		taken[m.Path] = m.Name
	}
	for _, module := range h.Plugins() {
		app, path, ok := routesOf(h, module.Name, opened.modules[module.Name])
		if !ok {
			continue
		}
		if other, clash := taken[path]; clash {
			found = append(found, config.Diag{
				Severity: config.Refused, Code: config.CodePlace, Pos: module.Pos, Host: h.Name, Name: module.Name,
				Message: fmt.Sprintf("%s and the routes of module %q would both be served at %s", other, module.Name, path),
				Hint:    fmt.Sprintf("give them another path: http_paths = { %s = \"/…\" }", app),
			})
		}
		taken[path] = app
	}
	return found
}

// routesOf is where the routes of a plugin are, and what http_paths calls them.
func routesOf(h *config.Host, module string, p *plugins.Opened) (app, path string, ok bool) {
	info := p.Info()
	if len(info.Routes) == 0 {
		return "", "", false
	}
	if app = info.App; app == "" {
		app = strings.TrimPrefix(module, "http_")
	}
	if path = info.Path; path == "" {
		path = "/" + app
	}
	return app, h.HTTPPath(app, path), true
}

// pluginLimits are those of a host's plugins.
func pluginLimits(cfg *config.Config) func(host string) plugins.Limits {
	return func(host string) plugins.Limits {
		h := cfg.Host(host)
		parallel := config.BackendParallel.Get(h)
		return plugins.Limits{
			Answer: int64(config.BackendMaxAnswer.Get(h)), Contacts: config.RosterItems.Get(h), Conns: parallel,
			Calls: parallel + beside, Memory: int64(config.PluginMemory.Get(h)), Fresh: config.PluginReuse.Get(h) == "fresh",
		}
	}
}

// beside is how many calls of a plugin there may be beside those for rosters: notices wait for rosters, and logins
// should not wait for either.
const beside = 8

// options lets a plugin read the options of its host.
func options(h *config.Host) plugins.Config {
	return plugins.ConfigFunc(func(name string) (any, string, bool) {
		v, pos, ok := h.PluginOption(name)
		return v, pos.String(), ok
	})
}

// tick runs the timers of a plan's plugins, and ends those of the plan before that it has no more.
func (d *daemon) tick(p *plan) {
	all := p.openedPlugins()
	for b, stop := range d.timers {
		if !all[b] {
			stop()
			delete(d.timers, b)
		}
	}
	for host, h := range p.plugins {
		for module, b := range h.modules {
			if _, runs := d.timers[b]; runs || len(b.Info().Timers) == 0 {
				continue
			}
			ctx, stop := context.WithCancel(context.Background())
			d.timers[b] = stop
			log := part(d.log, "plugins").With("plugin", module, "host", host)
			d.ticking.Go(func() { plugins.RunTimers(ctx, b, log) })
		}
	}
}

// stopTimers ends all timers, and waits for those that run.
func (d *daemon) stopTimers(context.Context) error {
	for _, stop := range d.timers {
		stop()
	}
	d.ticking.Wait()
	return nil
}
