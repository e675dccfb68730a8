package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
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

// writePidFile refuses to take the file of a process that is alive.
func writePidFile(path string) (remove func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	if b, err := os.ReadFile(path); err == nil {
		if pid, err := strconv.Atoi(string(trimSpace(b))); err == nil && pid != os.Getpid() && alive(pid) {
			return nil, fmt.Errorf("pidfile %s names process %d, which is running", path, pid)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("pidfile: %w", err)
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return nil, fmt.Errorf("pidfile: %w", err)
	}
	return func() { os.Remove(path) }, nil
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] <= ' ' {
		b = b[:len(b)-1]
	}
	return b
}

func alive(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) == nil }
