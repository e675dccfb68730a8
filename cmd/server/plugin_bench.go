package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rosterd/plugins/trial"
)

// pluginBench measures what a case costs.
func pluginBench(ctx context.Context, args []string, c console) int {
	t := newPluginTool("bench", c)
	t.isolated()
	t.cased()
	only := t.flags.String("run", "", "the case's `NAME`; the first that passes if it is not given")
	n := t.flags.Int("count", 0, "make so many calls, rather than as many as fit into --time")
	atMost := t.flags.Duration("time", 2*time.Second, "how long to go on")
	rest, err := t.parse(args)
	switch {
	case err != nil:
	case len(rest) != 1:
		err = t.wrong("one plugin is expected")
	case *n < 0 || *atMost <= 0 || *atMost > time.Minute:
		err = t.wrong("--count cannot be negative, and --time is at most a minute")
	default:
		err = t.bench(ctx, rest[0], *only, *n, *atMost)
	}
	return t.end(err, exitFailed)
}

func (t *pluginTool) bench(ctx context.Context, arg, only string, n int, atMost time.Duration) error {
	s, err := t.find(arg)
	if err != nil {
		return err
	}
	files, err := s.Cases()
	if err != nil {
		return err
	}
	var failed []string
	for _, f := range files {
		if only != "" && caseName(f) != only {
			continue
		}
		c, err := s.Load(f)
		if err != nil {
			return err
		}
		if only == "" && (c.Expect == nil || c.Expect.Error != "" || c.Expect.Fault != nil) {
			continue // what fails is not what should be fast
		}
		o, err := trial.Trial{Subject: s, Case: c, Manager: t.manager()}.Open(ctx)
		if err != nil {
			return err
		}
		b, problems, err := o.Bench(ctx, n, atMost)
		switch {
		case err != nil:
			return err
		case len(problems) == 0:
			t.report(s, c, b)
			return nil
		}
		failed = append(failed, fmt.Sprintf("case %s fails:\n%s", c.Name(), indent(strings.Join(problems, "\n"), "  ")))
	}
	if len(failed) > 0 {
		return errors.New(strings.Join(failed, "\n"))
	}
	if only != "" {
		return fmt.Errorf("%s has no case %q", s.File, only)
	}
	return fmt.Errorf("%s has no case in which something succeeds: there is nothing to measure", s.File)
}

// report prints what was measured.
func (t *pluginTool) report(s trial.Subject, c *trial.Case, b trial.Bench) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(t.c.out, "  %-13s %s\n", what, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(t.c.out, "%s, %s, %s\n", c.Name(), t.isolation, counted(b.Calls, "call"))
	line("time", "p50 %s, p99 %s, max %s", spent(b.P50), spent(b.P99), spent(b.Max))
	line("CPU", "%s a call", spent(b.CPU))
	if b.Child > 0 {
		line("", "%s a call in the plugin's process, its start included", spent(b.Child))
	}
	line("memory", "%s allocated a call", sized(b.Allocated))
	if b.Usage.Memory > 0 {
		line("", "%s is what the plugin's process has", sized(b.Usage.Memory))
	}
	if b.Memory > 0 {
		line("", "%s is what an instance had at the most", sized(b.Memory))
	}
	if b.Instructions > 0 {
		line(t.unit(s), "%d a call", b.Instructions)
	}
	if b.HostCalls > 0 {
		line("host calls", "%d a call", b.HostCalls)
	}
	line("HTTP", "%s a call, answered from the case at once", counted(b.Requests, "request"))
}
