package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"rosterd/config"
	"rosterd/plugins"
	"rosterd/plugins/lua"
)

// pluginManager finds and opens the modules that supply rosters.
func pluginManager(cfg *config.Config, log *slog.Logger) *plugins.Manager {
	g := cfg.Global()
	return &plugins.Manager{
		Version: fullVersion(), Engines: map[string]plugins.Opener{".lua": lua.Open}, Shipped: lua.Shipped(),
		Paths: config.PluginPaths.Get(g), Instead: config.PluginOverride.Get(g), Log: log, Limits: pluginLimits(cfg),
	}
}

// openBackends opens the roster module of every host, unless the plan before has the same.
func (p *plan) openBackends(ctx context.Context, before *plan, log *slog.Logger) error {
	m := pluginManager(p.cfg, log)
	p.backends = make(map[string]*plugins.Opened)
	for _, h := range p.cfg.Hosts() {
		for _, module := range h.Providers() {
			if before != nil {
				if b := before.backends[h.Name]; b != nil && b.Same(m, module.Name, h.Name, options(h)) {
					p.backends[h.Name] = b
					continue
				}
			}
			b, err := m.Open(ctx, module.Name, h.Name, options(h))
			if err != nil {
				return fmt.Errorf("%v: %w", module.Pos, err)
			}
			p.fresh = append(p.fresh, b)
			p.backends[h.Name] = b
		}
	}
	return nil
}

// tryBackends opens the roster module of every host as the server would, and closes it again: what a script asks
// for is then known, and its mistakes are. A script that is loaded cannot contact anybody.
func tryBackends(ctx context.Context, cfg *config.Config) (found []config.Diag) {
	m := pluginManager(cfg, quiet)
	for _, h := range cfg.Hosts() {
		for _, module := range h.Providers() {
			if module.File != "" && config.PluginIsolation.Get(h) != "inproc" {
				continue // nobody trusts it; check refuses the host
			}
			p, err := m.Open(ctx, module.Name, h.Name, options(h))
			if err == nil {
				err = p.Close()
			}
			if err != nil {
				found = append(found, scriptDiag(h, module, err))
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

// pluginLimits are those of a host's plugin.
func pluginLimits(cfg *config.Config) func(host string) plugins.Limits {
	return func(host string) plugins.Limits {
		h := cfg.Host(host)
		return plugins.Limits{
			Answer: int64(config.BackendMaxAnswer.Get(h)), Contacts: config.RosterItems.Get(h), Conns: config.BackendParallel.Get(h),
		}
	}
}

// options lets a plugin read the options of its host.
func options(h *config.Host) plugins.Config {
	return plugins.ConfigFunc(func(name string) (any, string, bool) {
		v, pos, ok := h.PluginOption(name)
		return v, pos.String(), ok
	})
}
