// Command rosterd is an XMPP server whose rosters belong to a backend. It starts from an existing
// prosody.cfg.lua.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"rosterd/plugins/worker"
)

// version is set by the linker in releases (make build).
var version = "devel"

func main() {
	if len(os.Args) == 2 && os.Args[1] == "plugin-worker" { // which the server starts, to run other people's code
		os.Exit(worker.Main(engines()))
	}
	if len(os.Args) > 1 && os.Args[1] == isolatedWord { // which check --isolate starts
		os.Exit(isolatedMain(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], console{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
	hangup   <-chan os.Signal // nil: SIGHUP
}

// command is one of rosterd's subcommands. Its int is the exit status.
type command struct {
	name, usage, about string
	run                func(ctx context.Context, args []string, c console) int
}

func commands() []command {
	return []command{
		{"serve", "serve [--config FILE]", "run the server", serve},
		{"check", "check [--config FILE] [--accept CODE[,…]] [--json] [--strict] [--isolate]", "say what of the configuration works here, and what does not; exit 0, 1 warnings, 2 refused. With --compare SERVER --as USER@HOST: log in at a running server, and at this or another one, and say where they differ", check},
		{"config", "config show [--config FILE] [--host HOST] [--origin] [--json], explain NAME…, diff OLD NEW", "what a configuration comes to, what a name in it means, what another one would change; diff exits 0 the same, 1 not", configCommand},
		{"user", "user add|passwd|delete USER@HOST, list|upgrade [HOST]  [--config FILE]", "manage accounts", user},
		{"roster", "roster get USER@HOST, refresh USER@HOST…, release USER@HOST…, explain USER@HOST [CONTACT]  [--config FILE] [--json]", "ask the running server where a roster comes from and who sees whom; exit 0, 1 what was asked for is unknown or not well", rosterCommand},
		{"health", "health [--config FILE]", "ask the running server how it is; exit 0 or 1", health},
		{"backup", "backup FILE [--config FILE] [--force]", "copy the database, whether or not the server runs", backup},
		{"import", "import prosody [--data FOLDER] [--config FILE] [--dry-run] [--host HOST]… [--store STORE,…] [--json]", "take over what Prosody has stored of its users; exit 0, 1 something was skipped, or it failed", importCommand},
		{"plugin", "plugin new|check|run|test|fuzz|bench", "write, try and measure a backend of your own; rosterd plugin help says more", pluginCommand},
		{"demo", "demo", "a server, a sample backend and two users, to see it work", demo},
		{"version", "version", "print the version", printVersion},
	}
}

// Exit statuses. Those of check are its own.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// run is main without the process: it is how tests start the program.
func run(ctx context.Context, args []string, c console) int {
	if len(args) == 0 {
		usage(c.err)
		return exitUsage
	}
	for _, cmd := range commands() {
		if cmd.name == args[0] {
			return cmd.run(ctx, args[1:], c)
		}
	}
	switch args[0] {
	case "help", "-h", "--help":
		usage(c.out)
		return exitOK
	}
	fmt.Fprintf(c.err, "rosterd: unknown command %q\n", args[0])
	usage(c.err)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "Usage:")
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  rosterd %s\n        %s\n", cmd.usage, cmd.about)
	}
	fmt.Fprintln(w, "\nFILE defaults to the first of ./prosody.cfg.lua, /etc/rosterd/prosody.cfg.lua, /etc/prosody/prosody.cfg.lua.")
}

// flags makes the flag set of a subcommand; parse reports what is wrong and the usage.
func flags(name string, c console) *flag.FlagSet {
	f := flag.NewFlagSet("rosterd "+name, flag.ContinueOnError)
	f.SetOutput(c.err)
	return f
}

// interleaved parses flags that may stand before, between and after the other arguments.
func interleaved(f *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			return rest, nil
		}
		rest, args = append(rest, f.Arg(0)), f.Args()[1:]
	}
}

func printVersion(_ context.Context, _ []string, c console) int {
	fmt.Fprintln(c.out, "rosterd", fullVersion())
	return exitOK
}

func fullVersion() string {
	if version != "devel" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "devel-" + s.Value[:12]
			}
		}
	}
	return version
}

var configPlaces = []string{"prosody.cfg.lua", "/etc/rosterd/prosody.cfg.lua", "/etc/prosody/prosody.cfg.lua"}

// findConfig is the named file, or the first that exists where configurations usually are.
func findConfig(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	for _, p := range configPlaces {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("no configuration: none of %v exists; name one with --config", configPlaces)
}
