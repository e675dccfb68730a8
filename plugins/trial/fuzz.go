package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/trial/mutate"
)

// Fuzz has a plugin read what no backend should send: what its cases have recorded, changed. A plugin may answer that with a
// roster or an error; that it traps, takes too long or too much, or answers what is no answer, is a Finding.
type Fuzz struct {
	Subject Subject
	Cases   []*Case
	Manager func() *plugins.Manager // for each time that the plugin is opened
	Seed    uint64                  // the same changes come of the same seed and the same cases
	Count   int                     // calls at most; 0: as many as there is time for
	Time    time.Duration           // at most
	Limit   time.Duration           // of a call; 5 s if zero
}

// Fuzzed is what came of it.
type Fuzzed struct {
	Calls    int
	Ends     map[string]int // by what calls came to: "ok", or as Kind says
	LeftOut  []string       // cases that cannot be changed, or are a fault as they are
	Findings []Finding      // of different kinds, as far as can be told
	Took     time.Duration
}

// Finding is a fault, and how to see it again.
type Finding struct {
	From   string // the case that was changed
	Call   int    // which one it was
	Kind   string // of the engine.FaultError
	Err    error
	Alone  bool // it comes again with a plugin that was opened anew; if not, something before mattered
	Record *Recording
}

const (
	// maxFindings ends a Fuzz: whoever has so many mends them first.
	maxFindings = 5
	// maxTries and maxShrink are what is done to make a finding smaller.
	maxTries  = 200
	maxShrink = 10 * time.Second
	// maxOpen is how many plugins are open at a time: cases with other options need one of their own.
	maxOpen = 4
)

// fuzzing is a Fuzz that runs.
type fuzzing struct {
	Fuzz
	bodies [][]byte // of all cases
	opened []*Opened
	seen   map[string]bool
	done   Fuzzed
}

// Run goes on until the count, the time or ctx is over, or enough is found. A ctx that is over is no error, once cases have been
// tried as they are.
func (f Fuzz) Run(ctx context.Context) (_ Fuzzed, err error) {
	z := &fuzzing{Fuzz: f, seen: map[string]bool{}, done: Fuzzed{Ends: map[string]int{}}}
	z.Cases = nil
	defer func() { err = errors.Join(err, z.close(0)) }()
	for _, c := range f.Cases {
		if err := z.take(ctx, c); err != nil {
			return z.done, err
		}
	}
	if len(z.Cases) == 0 {
		return z.done, fmt.Errorf("%s has no case with an answer of a backend that could be changed", f.Subject.File)
	}
	start := time.Now()
	for time.Since(start) < f.Time && len(z.done.Findings) < maxFindings && (f.Count == 0 || z.done.Calls < f.Count) {
		if err := z.step(ctx); ctx.Err() != nil {
			break // whoever does not want to wait wants what was found until now
		} else if err != nil {
			return z.done, err
		}
	}
	z.done.Took = time.Since(start)
	return z.done, nil
}

// take begins with a case as it is.
func (z *fuzzing) take(ctx context.Context, c *Case) error {
	out, err := z.call(ctx, c, nil)
	if err != nil {
		return fmt.Errorf("case %s: %w", c.Name(), err)
	}
	if len(places(c)) == 0 || Kind(out.Err) == "fault" {
		z.done.LeftOut = append(z.done.LeftOut, c.Name())
		return nil
	}
	z.Cases = append(z.Cases, c)
	for _, content := range c.contents() {
		if b := content.bytes(); len(b) > 0 {
			z.bodies = append(z.bodies, b)
		}
	}
	slices.SortFunc(z.bodies, slices.Compare) // contents come in any order
	return nil
}

// step makes one call.
func (z *fuzzing) step(ctx context.Context) error {
	n := z.done.Calls
	m := mutate.New(z.Seed, uint64(n))
	from := z.Cases[m.IntN(len(z.Cases))]
	c := z.mutant(m, from)
	more := &improvised{fuzzing: z, m: m}
	out, err := z.call(ctx, c, more)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("call %d, of case %s changed: %w", n, from.Name(), err)
	}
	z.done.Calls++
	z.done.Ends[cmp.Or(Kind(out.Err), "ok")]++
	if Kind(out.Err) != "fault" || z.seen[signature(out.Err)] {
		return nil
	}
	z.seen[signature(out.Err)] = true
	c.HTTP = append(c.HTTP, more.exchanges...)
	found, err := z.finding(ctx, n, from, c, out.Err)
	z.done.Findings = append(z.done.Findings, found)
	return err
}

// call makes the call of a case in an open plugin that it fits, as if nothing had been kept before.
func (z *fuzzing) call(ctx context.Context, c *Case, more *improvised) (Outcome, error) {
	o, err := z.open(ctx, c)
	if err != nil {
		return Outcome{}, err
	}
	o.keeper.reset()
	o.world.improvise = nil
	if more != nil {
		o.world.improvise = more.answer
	}
	return o.call(ctx, c)
}

// open finds a plugin that is open for the options of a case, or opens one.
func (z *fuzzing) open(ctx context.Context, c *Case) (*Opened, error) {
	i := slices.IndexFunc(z.opened, func(o *Opened) bool { return o.trial.Case.setting() == c.setting() })
	if i >= 0 {
		return z.opened[i], nil
	}
	if err := z.close(maxOpen - 1); err != nil {
		return nil, err
	}
	o, err := z.anew(ctx, c)
	if err == nil {
		z.opened = append(z.opened, o)
	}
	return o, err
}

func (z *fuzzing) anew(ctx context.Context, c *Case) (*Opened, error) {
	return Trial{Subject: z.Subject, Case: c, Manager: z.Manager(), Time: z.Limit}.Open(ctx)
}

// close closes the oldest plugins, until as many are left as are wanted.
func (z *fuzzing) close(leave int) (err error) {
	for len(z.opened) > leave {
		err = errors.Join(err, z.opened[0].Close())
		z.opened = z.opened[1:]
	}
	return err
}

// setting is what a plugin is opened with: cases that differ in it need one each.
func (c *Case) setting() string {
	options, err := marshal(c.Options)
	return fmt.Sprintf("%s\x00%v\x00%s\x00%v", c.Host, c.Now, options, err)
}

// differing are parts of errors that differ between two of a kind: numbers and what is quoted.
var differing = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'[^']*'|[0-9]+`)

// signature is the same for faults that seem to be the same.
func signature(err error) string {
	const most = 400
	s := differing.ReplaceAllString(err.Error(), "#")
	return s[:min(len(s), most)]
}

// finding sees whether a fault comes again, and makes the case of it small.
func (z *fuzzing) finding(ctx context.Context, n int, from, c *Case, fault error) (Finding, error) {
	f := Finding{From: from.Name(), Call: n, Err: fault, Kind: "fault"}
	var kind *engine.FaultError
	if errors.As(fault, &kind) && kind.Kind != "" {
		f.Kind = kind.Kind
	}
	s := &shrink{
		call:      func(c *Case) (Outcome, error) { return z.call(ctx, c, nil) },
		signature: signature(fault), until: time.Now().Add(maxShrink), left: maxTries,
	}
	if s.still(c) {
		c = s.smaller(from, c)
	}
	no := false
	c.Expect = &Expect{Fault: &no}
	c.About = fmt.Sprintf("Found by rosterd plugin fuzz --seed %d, call %d, in case %s: %s", z.Seed, n, f.From, z.brief(fault))
	var err error
	if f.Record, err = written(c, fmt.Sprintf("fuzz-%s-%d", f.Kind, n)); err != nil {
		return f, err
	}
	f.Alone, err = z.comesAgain(ctx, f.Record)
	return f, err
}

// comesAgain tries a recording as somebody will who has but its files.
func (z *fuzzing) comesAgain(ctx context.Context, r *Recording) (bool, error) {
	c, err := r.read()
	if err != nil {
		return false, err
	}
	o, err := z.anew(ctx, c)
	if err != nil {
		return false, err
	}
	out, err := o.call(ctx, c)
	return Kind(out.Err) == "fault", errors.Join(err, o.Close())
}
