// Command bench drives a rosterd of its own over loopback, and other servers through the same scenarios in the same run,
// turn by turn, and says what they cost: CPU time from the kernel's accounting, memory, and latencies. Machines are
// noisy, ratios less so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"rosterd/bench/report"
	"rosterd/bench/target"
	"rosterd/plugins/worker"
)

var (
	servers   = flag.String("servers", "rosterd,prototype", "the `servers` to drive, separated by commas: rosterd, prosody, prototype")
	prototype = flag.String("prototype", "../shared/prototypes/scanner", "`folder` with the prototype's sources; skipped, and said so, if it is not there")
	rounds    = flag.Int("rounds", 3, "how often each scenario is played; the median of the rounds counts")
	only      = flag.String("only", "", "play only scenarios whose name contains one of these, separated by |")
	all       = flag.Bool("all", false, "play also the scenarios that take long")
	profiles  = flag.String("profile", "", "keep processor and allocation profiles of rosterd in a `folder`, of each scenario")
	scale     = flag.Float64("scale", 1, "factor on the amount of work")
)

// scenario is something that is measured. Each is in a file of its own, and enters itself: see play for what one does.
type scenario struct {
	name    string   // what -only looks in
	long    bool     // only with -all
	rare    bool     // only with -matrix
	most    int      // rounds at most; 0: as many as -rounds says
	servers []string // the kinds of target that can play it; none: it is played once a round, of the zero target.Kind
	marks   []report.Mark

	// play is one round, on servers that it starts and stops itself. What it adds needs no Server: that is the kind's.
	play func(ctx context.Context, k target.Kind, add func(report.Result)) error
}

// scenarios are all there are.
var scenarios []scenario

// everyone can play what needs accounts and rosters. Only rosterd, and what is not mentioned by -servers, does not.
var everyone = []string{target.Rosterd, target.Prosody}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "plugin-worker" {
		os.Exit(worker.Main(engines()))
	}
	flag.Parse()
	debug.SetGCPercent(400) // the load program shall have as little to do as can be
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if *from != "" {
		kept, err := report.Load(strings.Split(*from, ",")...)
		if err != nil {
			return err
		}
		return show(os.Stdout, kept, marks(scenarios))
	}
	k, err := newKeeper(*keep, *only)
	if err != nil {
		return err
	}
	chosen := chosen()
	measured, failed := playAll(ctx, chosen, k)
	if measured == nil {
		return failed
	}
	return errors.Join(failed, show(os.Stdout, measured, marks(chosen)))
}

// chosen are the scenarios that shall be played.
func chosen() []scenario {
	wanted := strings.Split(*only, "|")
	return slices.DeleteFunc(slices.Clone(scenarios), func(sc scenario) bool {
		return sc.long && !*all && !*matrix || sc.rare && !*matrix || !slices.ContainsFunc(wanted, func(part string) bool { return strings.Contains(sc.name, part) })
	})
}

// marks are those of scenarios, each with the command that measures it.
func marks(list []scenario) (found []report.Mark) {
	for _, sc := range list {
		for _, m := range sc.marks {
			if m.Command == "" {
				m.Command = command(sc, m)
			}
			found = append(found, m)
		}
	}
	return found
}

// command is what measures a mark.
func command(sc scenario, m report.Mark) string {
	text := "go run ./bench"
	if m.Ratio > 0 && m.Against == "" {
		text += " -servers rosterd,prosody"
	}
	if sc.long {
		text += " -all"
	}
	return text + " -only '" + sc.name + "'"
}

// playAll plays scenarios, and keeps what has been measured after each. One that fails does not keep the others from
// being played.
func playAll(ctx context.Context, list []scenario, k *keeper) (run *report.Run, failed error) {
	dir, err := os.MkdirTemp("", "rosterd-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // Prosody is somebody else, and reads its accounts there
		return nil, err
	}
	kinds, err := kinds(ctx, dir, list)
	if err != nil {
		return nil, err
	}
	now := report.Begin(ctx, os.Args[1:])
	run = now
	target.Profiles.Dir = *profiles
	for _, sc := range list {
		target.Profiles.Name = sc.name
		if ctx.Err() != nil {
			return run, errors.Join(failed, ctx.Err())
		}
		one := *now
		one.Results = nil
		if err := play(ctx, sc, kinds, &one); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", sc.name, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", sc.name, err))
		}
		for _, r := range one.Results {
			now.Add(r)
		}
		tell(sc, &one)
		if run, err = k.save(now); err != nil {
			return now, errors.Join(failed, err)
		}
	}
	return run, failed
}

// kinds are the servers that are wanted, and that some scenario can use.
func kinds(ctx context.Context, dir string, list []scenario) (kinds []target.Kind, err error) {
	for name := range strings.SplitSeq(*servers, ",") {
		variants := []string{name}
		if name == target.Prosody {
			variants = append(variants, target.NoNagle)
		}
		for _, v := range variants {
			if !slices.ContainsFunc(list, func(sc scenario) bool { return slices.Contains(sc.servers, v) }) {
				continue
			}
			k, err := target.Kinds(ctx, dir, *prototype, v)
			if errors.Is(err, target.ErrMissing) && v == target.Prototype {
				fmt.Printf("%v: played without it\n", err)
				continue
			}
			if err != nil {
				return nil, err
			}
			kinds = append(kinds, k...)
		}
	}
	return kinds, nil
}

// play has each server play a scenario in turn, round by round. Who fails is not asked again.
func play(ctx context.Context, sc scenario, kinds []target.Kind, into *report.Run) error {
	mine := slices.DeleteFunc(slices.Clone(kinds), func(k target.Kind) bool { return !slices.Contains(sc.servers, k.Name) })
	if len(sc.servers) == 0 {
		mine = []target.Kind{{}}
	}
	times := *rounds
	if sc.most > 0 {
		times = min(times, sc.most)
	}
	var failed error
	out := map[string]bool{}
	for range times {
		for _, k := range mine {
			if out[k.Name] || ctx.Err() != nil {
				continue
			}
			err := sc.play(ctx, k, func(r report.Result) {
				if r.Server == "" {
					r.Server = k.Name
				}
				into.Add(r)
			})
			err = errors.Join(err, target.UseAll()) // a server may have had a processor for itself
			if err != nil {
				out[k.Name] = true
				failed = errors.Join(failed, fmt.Errorf("%s: %w", k.Name, err))
			}
		}
	}
	return failed
}

// tell prints what a scenario has measured.
func tell(sc scenario, run *report.Run) {
	fmt.Printf("\n%s\n", sc.name)
	for _, s := range run.Sections(sections) {
		report.Print(os.Stdout, run.Table(s))
	}
}

// scaled is an amount of work.
func scaled(n int) int { return max(1, int(float64(n)**scale)) }
