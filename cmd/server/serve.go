package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"rosterd/config"
)

// patience bounds how long a stop may take; moment is what each part may count on, however long others take.
const (
	patience = 10 * time.Second
	moment   = patience / 10
)

// serve runs the server until ctx ends.
func serve(ctx context.Context, args []string, c console) int {
	f := flags("serve", c)
	file := f.String("config", "", "configuration `FILE`")
	accept := acceptFlag(f)
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
	cfg, diags, err := examine(ctx, path, false, *accept...)
	if err != nil {
		fmt.Fprintln(c.err, err)
		return exitUsage
	}
	if ctx.Err() != nil { // told to stop, which is no fault of the modules that it kept from being opened
		return exitOK
	}
	report(c.err, cfg, diags)
	if config.ExitCode(diags, false) == 2 {
		fmt.Fprintln(c.err, "rosterd serve: refused, see above")
		return exitUsage
	}
	if err := serveConfig(ctx, path, cfg, c); err != nil {
		fmt.Fprintln(c.err, "rosterd serve:", err)
		return exitFailed
	}
	return exitOK
}

// serveConfig runs a server with its logs and its pidfile.
func serveConfig(ctx context.Context, path string, cfg *config.Config, c console) (err error) {
	logs, err := openLogs(c, cfg.Global())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	log := part(logs.Logger(), "server")
	boss, err := takeSupervisor()
	if err != nil {
		log.Error("not started", "error", err)
		return err
	}
	hangups, ignore := c.hangups() // before the pidfile says whom to send it to
	defer ignore()
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
	d.tell(boss.ready("serving"))
	defer boss.watch()()
	defer save()()
	for {
		select {
		case <-hangups:
			d.tell(boss.reloading())
			status := "serving"
			if !d.hangup(ctx, path, logs) {
				status = "serving with the configuration of before: it could not be reloaded, and the log says why"
			}
			d.tell(boss.ready(status))
			continue
		case <-ctx.Done():
			log.Info("stopping")
		case err = <-d.failed:
			log.Error("stopping", "error", err)
		}
		d.tell(boss.stopping())
		return errors.Join(err, d.stop())
	}
}

// tell reports that the supervisor could not be told something. It may stop us for that; we do not.
func (d *daemon) tell(err error) {
	if err != nil {
		d.log.Warn("systemd is not told how the server is", "error", err)
	}
}

// hangups are what asks the server to read its configuration anew: SIGHUP, or what a test sends.
func (c console) hangups() (hangups <-chan os.Signal, ignore func()) {
	if c.hangup != nil {
		return c.hangup, func() {}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}
