package main

import (
	"context"
	"errors"
	"fmt"

	"rosterd/config"
)

// hangup is what SIGHUP asks for: log files are opened anew, in case they were moved away, and the configuration and
// the certificates are read anew. Whatever is wrong with them, the server goes on with what it has; ok is false.
func (d *daemon) hangup(ctx context.Context, path string, l *logs) (ok bool) {
	if err := l.Reopen(); err != nil {
		d.log.Error("opening log files anew", "error", err)
	}
	err := d.reload(ctx, path, l)
	d.metrics.Reloaded(err == nil)
	if err != nil {
		d.log.Error("configuration not reloaded: everything stays as it was", "error", err)
		return false
	}
	d.log.Info("configuration reloaded", "files", d.plan.cfg.Files)
	return true
}

// reload serves the configuration as it is now, all of it or nothing.
func (d *daemon) reload(ctx context.Context, path string, l *logs) error {
	cfg, diags, err := examine(ctx, path, false, d.plan.cfg.Accepting()...)
	if err != nil {
		return err
	}
	refused := 0
	for _, found := range diags {
		switch found.Severity {
		case config.Refused:
			refused++
			d.log.Error("configuration", "refused", found)
		case config.Warn:
			d.log.Warn("configuration", "warning", found)
		}
	}
	switch {
	case refused == 1:
		return errors.New("1 setting is refused")
	case refused > 1:
		return fmt.Errorf("%d settings are refused", refused)
	}
	if err := restart(d.plan.cfg, cfg); err != nil {
		return err
	}
	outlets, err := l.Open(cfg.Global())
	if err != nil {
		return err
	}
	p, err := d.prepare(ctx, cfg)
	if err != nil {
		return errors.Join(err, outlets.close())
	}
	if err := d.adopt(p); err != nil {
		return errors.Join(err, outlets.close())
	}
	if err := l.Use(outlets); err != nil {
		d.log.Warn("log files of before were not closed", "error", err)
	}
	return nil
}

// restart refuses changes of what is read at the start only.
func restart(before, after *config.Config) error {
	for _, o := range []*config.Option[string]{config.Database, config.PidFile, config.AdminSocket} {
		was := o.Get(before.Global())
		if is, pos, _ := o.Lookup(after.Global()); is != was {
			return fmt.Errorf("%s%s cannot change from %s to %s while the server runs: restart it", at(pos), o.Name, was, is)
		}
	}
	return nil
}
