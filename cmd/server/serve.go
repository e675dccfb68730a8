package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"rosterd/config"
)

// patience bounds how long a stop may take, part by part.
const patience = 10 * time.Second

// serve runs the server until ctx ends.
func serve(ctx context.Context, args []string, c console) int {
	f := flags("serve", c)
	file := f.String("config", "", "configuration `FILE`")
	rest, err := interleaved(f, args)
	if err != nil {
		return exitUsage
	}
	if len(rest) > 0 {
		fmt.Fprintf(c.err, "rosterd serve: unexpected argument %q\n", rest[0])
		return exitUsage
	}
	path, err := findConfig(*file)
	if err != nil {
		fmt.Fprintln(c.err, "rosterd serve:", err)
		return exitUsage
	}
	cfg, diags, err := examine(ctx, path, false)
	if err != nil {
		fmt.Fprintln(c.err, err)
		return exitUsage
	}
	report(c.err, cfg, diags)
	if config.ExitCode(diags, false) == 2 {
		fmt.Fprintln(c.err, "rosterd serve: refused, see above")
		return exitUsage
	}
	if err := serveConfig(ctx, cfg, c); err != nil {
		fmt.Fprintln(c.err, "rosterd serve:", err)
		return exitFailed
	}
	return exitOK
}

// serveConfig runs a server with its logs and its pidfile.
func serveConfig(ctx context.Context, cfg *config.Config, c console) (err error) {
	logs, err := openLogs(c, config.Log.Get(cfg.Global()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	log := logs.Logger()
	defer reopenOnHangup(logs, log)()

	remove, err := writePidFile(config.PidFile.Get(cfg.Global())) // first: a second server must not open anything
	if err != nil {
		log.Error("not started", "error", err)
		return err
	}
	defer remove()
	d, err := start(ctx, cfg, log)
	if err != nil {
		log.Error("not started", "error", err)
		return err
	}
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-d.failed:
		log.Error("stopping", "error", err)
	}
	return errors.Join(err, d.stop())
}

// reopenOnHangup opens log files anew on SIGHUP, until its result is called.
func reopenOnHangup(l *logs, log *slog.Logger) (stop func()) {
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range hangups {
			if err := l.Reopen(); err != nil {
				log.Error("opening log files anew", "error", err)
				continue
			}
			log.Info("log files opened anew; the configuration is read at the next start")
		}
	}()
	return func() { signal.Stop(hangups); close(hangups); <-done }
}
