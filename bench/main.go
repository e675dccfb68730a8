// Command bench drives a rosterd of its own over loopback and says what it costs: CPU time of the server
// process, from the kernel's accounting, and memory. Where the sources of the throwaway prototype are given, it
// is driven through the same scenarios in the same run, turn by turn, and the ratio is printed: machines are
// noisy, ratios less so.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"

	"rosterd/plugins/worker"
)

var (
	prototype = flag.String("prototype", "../shared/prototypes/scanner", "`folder` with the prototype's sources; skipped, and said so, if it is not there")
	rounds    = flag.Int("rounds", 3, "how often each scenario is played; the best round counts")
	only      = flag.String("only", "", "play only scenarios whose name contains this")
	write     = flag.String("write", "", "write what plugins cost into a `page`, where it says so")
	scale     = flag.Float64("scale", 1, "factor on the amount of work")
)

// mark is a target in terms of the prototype or of an absolute amount.
type scenario struct {
	name, unit string
	mark       string
	gomaxprocs int
	shared     bool // the prototype can play it too
	run        func(s *server) (ops int, err error)
	modules    []string // of the server, besides what all need
	memory     bool     // what counts is memory per session, not CPU time
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "plugin-worker" {
		os.Exit(worker.Main(engines()))
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "rosterd-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	kinds, err := build(ctx, dir)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\trosterd\tprototype\tratio\tmark")
	for _, line := range encodings() {
		if strings.Contains(line, *only) {
			fmt.Fprintln(w, line)
		}
	}
	for _, sc := range scenarios() {
		if !strings.Contains(sc.name, *only) {
			continue
		}
		line, err := play(ctx, kinds, sc)
		if err != nil {
			return fmt.Errorf("%s: %w", sc.name, err)
		}
		fmt.Fprintln(w, line)
		w.Flush()
	}
	w.Flush()
	if !strings.Contains("plugins", *only) {
		return nil
	}
	fmt.Println("\nplugins: CPU time of a call and of loading")
	return benchPlugins(ctx, os.Stdout, dir)
}

// play runs a scenario for each kind of server in turn, and takes the best of each.
func play(ctx context.Context, kinds []kind, sc scenario) (string, error) {
	best := map[string]float64{}
	for range *rounds {
		for _, k := range kinds {
			if k.name != "rosterd" && !sc.shared {
				continue
			}
			v, err := once(ctx, k, sc)
			if err != nil {
				return "", fmt.Errorf("%s: %w", k.name, err)
			}
			if old, ok := best[k.name]; !ok || v < old {
				best[k.name] = v
			}
		}
	}
	columns := []string{sc.name, fmt.Sprintf("%.3g %s", best["rosterd"], sc.unit), "–", "–", sc.mark}
	if p, ok := best["prototype"]; ok && p > 0 {
		columns[2], columns[3] = fmt.Sprintf("%.3g %s", p, sc.unit), fmt.Sprintf("%.2f", best["rosterd"]/p)
	}
	return strings.Join(columns, "\t"), nil
}

func once(ctx context.Context, k kind, sc scenario) (float64, error) {
	env := []string{fmt.Sprintf("GOMAXPROCS=%d", sc.gomaxprocs)}
	if sc.memory {
		env = append(env, "GOGC=5") // what is live, not what a collection has not got round to
	}
	s, err := k.start(ctx, sc.modules, env...)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	ops, err := sc.run(s)
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, s.tail())
	}
	if sc.memory {
		return s.measured / float64(ops), nil
	}
	return s.measured / float64(ops) * 1e6, nil
}

func scaled(n int) int { return max(1, int(float64(n)**scale)) }

func names(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return slices.Clip(list)
}
