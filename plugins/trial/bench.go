package trial

import (
	"context"
	"slices"
	"time"

	"rosterd/plugins"
)

// Bench is what many calls of one case took.
type Bench struct {
	Calls     int
	Wall      time.Duration // of all
	CPU       time.Duration // of this process, per call
	Child     time.Duration // of the plugin's own process, per call, its start included; 0 if it has none
	P50, P99  time.Duration // of a call
	Max       time.Duration
	Allocated int64 // bytes in this process, per call
	Costs           // per call, but for the memory
	Requests  int   // over HTTP, of the last call
	Usage     plugins.Usage
}

// Bounds of a bench, however many calls are wanted.
const (
	maxSamples = 1 << 20
	maxBench   = time.Minute
)

// Bench makes the case's call again and again, count times or, if that is 0, for as long as atMost, and closes the plugin.
// It ends early with the problems of a call that is not as the case expects.
func (o *Opened) Bench(ctx context.Context, count int, atMost time.Duration) (b Bench, problems []string, err error) {
	defer func() {
		children := cpu(ofChildren)
		if cerr := o.Close(); err == nil {
			err = cerr
		}
		if b.Calls > 0 {
			b.Child = (cpu(ofChildren) - children) / time.Duration(b.Calls)
		}
	}()
	var took []time.Duration
	spent, heap := o.costs(), allocated()
	start := time.Now()
	before := cpu(ofSelf)
	if count > 0 {
		atMost = maxBench
	} else {
		count = maxSamples
	}
	for ctx.Err() == nil && len(took) < min(count, maxSamples) && time.Since(start) < atMost {
		out, err := o.call(ctx, o.trial.Case)
		if err != nil {
			return b, nil, err
		}
		if problems := o.trial.Case.Judge(out); len(problems) > 0 {
			return b, problems, nil
		}
		took = append(took, out.Took)
		b.Requests = len(out.Asked)
	}
	b.Calls, b.Wall, b.Usage = len(took), time.Since(start), o.Usage()
	if b.Calls == 0 {
		return b, nil, ctx.Err()
	}
	n := b.Calls
	b.CPU = (cpu(ofSelf) - before) / time.Duration(n)
	b.Allocated, b.Costs = (allocated()-heap)/int64(n), o.costs().since(spent)
	b.Instructions, b.HostCalls = b.Instructions/int64(n), b.HostCalls/int64(n)
	slices.Sort(took)
	b.P50, b.P99, b.Max = took[n/2], took[n*99/100], took[n-1]
	return b, nil, nil
}
