package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"rosterd/config"
	"rosterd/engine/addr"
)

// The configuration of the demo, as somebody who comes from Prosody would write it.
//
//go:embed demo/prosody.cfg.lua
var demoConfig string

// What is said at the start of the demo.
//
//go:embed demo/welcome.txt
var demoWelcome string

// demoPlace is where the parts of a demo are.
type demoPlace struct {
	Dir          string // removed at the end
	C2S, Backend int    // ports on loopback
	Alice, Bob   int    // HTTP for each of them, so that their pages do not share what browsers keep by origin
	Password     string // of both
}

// demo runs everything on loopback: a server, a sample backend and clients in the terminal and the browser, and shows
// what happens until ctx ends. It leaves nothing behind but what npm fetched, in the user's cache.
func demo(ctx context.Context, args []string, c console) int {
	f := flags("demo", c)
	if rest, err := interleaved(f, args); err != nil || len(rest) > 0 {
		return exitUsage
	}
	if err := runDemo(ctx, c.out); err != nil {
		fmt.Fprintln(c.err, "rosterd demo:", err)
		return exitFailed
	}
	return exitOK
}

func runDemo(ctx context.Context, out io.Writer) (err error) {
	p, err := prepareDemo()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.Dir)) }()
	view := newDemoView(out)

	backend, err := startSampleBackend(p, view)
	if err != nil {
		return err
	}
	defer backend.stop()
	d, err := startDemoServer(ctx, p, view)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()

	if err := template.Must(template.New("welcome").Parse(demoWelcome)).Execute(out, p); err != nil {
		return err
	}
	client, err := dialDemoClient(ctx, p, view)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("the terminal client: %w", err)
	}
	if err != nil {
		return nil // interrupted
	}
	defer client.close()
	if err := backend.rename(ctx, "alice", "marie@localhost", "Marie Curie"); err != nil && ctx.Err() == nil {
		return err
	}
	if err := openBrowser(ctx, p, backend); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		view.say("demo", "stopping")
		return nil
	case err := <-d.failed:
		return err
	case err := <-client.ended:
		return fmt.Errorf("the terminal client: %w", err)
	}
}

// prepareDemo makes a folder with a configuration and a certificate, on ports that are free.
func prepareDemo() (p demoPlace, err error) {
	p.Password = "secret"
	if p.Dir, err = os.MkdirTemp("", "rosterd-demo-"); err != nil {
		return p, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(p.Dir))
		}
	}()
	for port, usual := range map[*int]int{&p.C2S: 5222, &p.Alice: 5280, &p.Bob: 5290, &p.Backend: 8080} {
		if *port, err = freePort(usual); err != nil {
			return p, err
		}
	}
	if err = os.Mkdir(p.www(), 0o755); err != nil {
		return p, err
	}
	var text strings.Builder
	if err = template.Must(template.New("config").Parse(demoConfig)).Execute(&text, p); err != nil {
		return p, err
	}
	if err = os.WriteFile(p.config(), []byte(text.String()), 0o600); err != nil {
		return p, err
	}
	return p, writeSelfSigned(filepath.Join(p.Dir, "certs"), "localhost")
}

func (p demoPlace) config() string { return filepath.Join(p.Dir, "prosody.cfg.lua") }

// freePort is the usual port, or any other if that is taken.
func freePort(usual int) (int, error) {
	for _, port := range []int{usual, 0} {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer ln.Close()
		return ln.Addr().(*net.TCPAddr).Port, nil
	}
	return 0, errors.New("no free port on loopback")
}

func startDemoServer(ctx context.Context, p demoPlace, view *demoView) (*daemon, error) {
	cfg, diags, err := examine(ctx, p.config(), false)
	if err != nil {
		return nil, err
	}
	if config.ExitCode(diags, false) == 2 {
		return nil, fmt.Errorf("the demo's own configuration is refused: %v", diags)
	}
	if err := addDemoUsers(ctx, cfg, p); err != nil {
		return nil, err
	}
	d := newDaemon(slog.New(view))
	d.tap = view.tap
	if err := d.build(ctx, cfg); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

func addDemoUsers(ctx context.Context, cfg *config.Config, p demoPlace) error {
	db, err := openStore(cfg, quiet)
	if err != nil {
		return err
	}
	users := accounts(cfg, db)
	for _, u := range []string{"alice@localhost", "bob@localhost"} {
		if _, err = users.Add(ctx, addr.MustBare(u), p.Password); err != nil {
			break
		}
	}
	return errors.Join(err, db.Close())
}
