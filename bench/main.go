// Command bench drives a rosterd of its own over loopback, and other servers through the same scenarios in the same run,
// turn by turn, and says what they cost: CPU time from the kernel's accounting, memory, and latencies. Machines are
// noisy, ratios less so.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"rosterd/bench/report"
	"rosterd/bench/target"
	"rosterd/plugins/worker"
)

var (
	servers   = flag.String("servers", "rosterd,prototype", "the `servers` to drive, separated by commas: rosterd, prosody, prototype")
	prototype = flag.String("prototype", "../shared/prototypes/scanner", "`folder` with the prototype's sources; skipped, and said so, if it is not there")
	rounds    = flag.Int("rounds", 0, "how often each scenario is played, of which some are at most played so often as they would be anyway; the median of the rounds counts (0: what -list says)")
	only      = flag.String("only", "", "play only scenarios whose name this `expression` matches: login, or '^message, batched$'")
	list      = flag.Bool("list", false, "play nothing, but say which scenarios there are, how often each would be played, and how long it took in the run that -json names")
	all       = flag.Bool("all", false, "play also the scenarios that take long")
	profiles  = flag.String("profile", "", "keep processor and allocation profiles of rosterd in a `folder`, of each scenario; with -rounds 1 one of each")
	scale     = flag.Float64("scale", 1, "factor on the amount of work")
)

// scenario is something that is measured. Each is in a file of its own, and enters itself: see play for what one does.
type scenario struct {
	name    string   // what -only looks in
	long    bool     // only with -all
	rare    bool     // only with -matrix
	rounds  int      // without -rounds; 0: three
	most    int      // rounds at most; 0: as many as -rounds says
	slow    int      // rounds at most of Prosody, where each takes long; 0: as many as the others
	servers []string // the kinds of target that can play it; none: it is played once a round, of the zero target.Kind
	marks   []report.Mark

	// play is one round, on servers that it starts and stops itself. What it adds needs no Server: that is the kind's.
	play func(ctx context.Context, k target.Kind, add func(report.Result)) error
}

// scenarios are all there are.
var scenarios []scenario

// everyone can play what needs accounts and rosters. Only rosterd, and what is not mentioned by -servers, does not.
var everyone = []string{target.Rosterd, target.Prosody}

// unkept are those who play what is dearer where rosters are kept on disk, which Prosody's module does not do.
var unkept = []string{target.Rosterd, target.Prosody, target.NotKept}

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
	chosen, err := chosen(*only)
	if err != nil {
		return err
	}
	if *list {
		return plan(os.Stdout, chosen, *keep)
	}
	k, err := newKeeper(*keep, *only)
	if err != nil {
		return err
	}
	measured, failed := playAll(ctx, chosen, k)
	if measured == nil {
		return failed
	}
	return errors.Join(failed, show(os.Stdout, measured, marks(chosen)))
}

// chosen are the scenarios that shall be played, of those with such names.
func chosen(names string) ([]scenario, error) {
	wanted, err := regexp.Compile(names)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	list := slices.DeleteFunc(slices.Clone(scenarios), func(sc scenario) bool {
		return sc.long && !*all && !*matrix || sc.rare && !*matrix || !wanted.MatchString(sc.name)
	})
	if len(list) == 0 {
		return nil, fmt.Errorf("-only: no scenario has a name that %q matches; -all -list says all names, and some need -all", names)
	}
	return list, nil
}

// plan says what would be played, and how long it took in a run that was kept, if there is one.
func plan(w io.Writer, list []scenario, file string) error {
	run, err := report.Load(file)
	if file == "" || errors.Is(err, fs.ErrNotExist) {
		run, err = &report.Run{}, nil
	}
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("| scenario | rounds | of Prosody | took |\n| --- | --- | --- | --- |\n")
	all := 0.0
	for _, sc := range list {
		took := run.Took[sc.name]
		all += took
		theirs := "–"
		if slices.Contains(sc.servers, target.Prosody) {
			theirs = fmt.Sprint(sc.times(target.Prosody))
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", sc.name, sc.times(""), theirs, report.Figure(took, "s"))
	}
	fmt.Fprintf(&b, "| %d scenarios | | | %.0f minutes |\n", len(list), all/60)
	report.Print(w, b.String())
	return nil
}

// times is how often a server plays it.
func (sc scenario) times(server string) int {
	n := cmp.Or(*rounds, sc.rounds, 3)
	if sc.most > 0 {
		n = min(n, sc.most)
	}
	if sc.slow > 0 && (server == target.Prosody || server == target.NoNagle) {
		n = min(n, sc.slow)
	}
	return n
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
	return text + " -only '^" + sc.name + "$'"
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
		begun := time.Now()
		if err := play(ctx, sc, kinds, &one); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", sc.name, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", sc.name, err))
		}
		for _, r := range one.Results {
			now.Add(r)
		}
		if now.Took == nil {
			now.Took = map[string]float64{}
		}
		now.Took[sc.name] = time.Since(begun).Round(100 * time.Millisecond).Seconds()
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
		switch {
		case name == target.Prosody:
			variants = append(variants, target.NoNagle)
		case name == target.Rosterd && *profiles == "": // whose profiles would be mixed
			variants = append(variants, target.NotKept)
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
	perform := sc.play
	if len(sc.servers) == 0 {
		mine = []target.Kind{{}}
		perform = func(ctx context.Context, k target.Kind, add func(report.Result)) error {
			return target.ProfileOwn(func() error { return sc.play(ctx, k, add) })
		}
	}
	var failed error
	out := map[string]bool{}
	for round := range sc.times("") {
		for _, k := range mine {
			if out[k.Name] || round >= sc.times(k.Name) || ctx.Err() != nil {
				continue
			}
			err := perform(ctx, k, func(r report.Result) {
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
