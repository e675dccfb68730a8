package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"rosterd/plugins"
	"rosterd/plugins/trial"
	"rosterd/plugins/wasm"
)

const (
	// slowCompile is when compiling takes so long that a slower machine might not be done in time.
	slowCompile = 15 * time.Second
	// slowInstance is how long an instance may take to be made, where each call has one of its own.
	slowInstance = 2 * time.Millisecond
	// largeInstance is when it is worth a thought how many instances there may be at a time.
	largeInstance = 4 << 20
)

// moduleCosts are what a module takes to be ready.
type moduleCosts struct {
	cold, cached time.Duration // to be opened, the first time and later
	instance     wasm.InstanceCost
}

// openModule opens a module twice, to know what it takes without compiled code and with it.
func (t *pluginTool) openModule(ctx context.Context, tr trial.Trial) (_ *trial.Opened, costs *moduleCosts, err error) {
	cache, err := os.MkdirTemp("", "rosterd-check-")
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(cache)) }()
	open := func() (*trial.Opened, error) {
		tr.Manager = t.manager()
		tr.Manager.Cache = cache
		return tr.Open(ctx)
	}
	first, err := open()
	if err != nil {
		return nil, nil, err
	}
	costs = &moduleCosts{cold: first.Took}
	if err := first.Close(); err != nil {
		return nil, nil, err
	}
	o, err := open()
	if err != nil {
		return nil, nil, err
	}
	costs.cached = o.Took
	p, ok := o.Plugin.(*wasm.Plugin)
	if !ok {
		return o, costs, nil // it ships with rosterd, or is no module
	}
	if costs.instance, err = p.MeasureInstance(ctx); err != nil {
		return nil, nil, errors.Join(err, o.Close())
	}
	return o, costs, nil
}

// purposes are what imports are for, by what their names begin with.
var purposes = []struct{ prefix, purpose string }{
	{"input_", "what is asked"}, {"output_", "what is answered"}, {"fail", "failures"}, {"error_", "failures"}, {"config_", "options"},
	{"http_", "HTTP"}, {"kv_", "what is kept"}, {"var_", "what is kept"}, {"log", "the log"}, {"now_", "the clock"}, {"clock_", "the clock"}, {"random", "chance"},
	{"args_", "arguments, of which there are none"}, {"environ_", "the environment, which is empty"},
	{"fd_", "standard output, to the log; there are no files"}, {"poll_", "sleep, which nobody does"}, {"sched_", "sleep, which nobody does"}, {"proc_exit", "its end, which is a fault"},
}

func purpose(name string) string {
	for _, p := range purposes {
		if strings.HasPrefix(name, p.prefix) {
			return p.purpose
		}
	}
	return "memory of Extism" // all others are Extism's own
}

// imported are lines about what a module imports.
func imported(out wasm.Outline) (list []string) {
	for _, n := range out.Imports {
		var order []string
		by := map[string][]string{}
		for _, name := range n.Names {
			p := purpose(name)
			if slices.Contains(n.Unknown, name) {
				p = "unknown here"
			}
			if by[p] == nil {
				order = append(order, p)
			}
			if !slices.Contains(by[p], name) { // Go imports some twice
				by[p] = append(by[p], name)
			}
		}
		list = append(list, n.Module)
		for _, p := range order {
			list = append(list, fmt.Sprintf("  %s: %s", p, strings.Join(by[p], " ")))
		}
	}
	if len(list) == 0 {
		return []string{"nothing"}
	}
	return list
}

// asksHTTP tells whether a module may send requests, or has rosterd send them.
func asksHTTP(out wasm.Outline) bool {
	return slices.ContainsFunc(out.Exports, func(name string) bool { return strings.HasSuffix(name, "_transform") }) || slices.ContainsFunc(out.Imports, func(n wasm.Needed) bool { return slices.Contains(n.Names, "http_request") })
}

// static are the rows about a module that are known without running it.
func (ch *checked) static() []row {
	m := ch.module
	size := fmt.Sprintf("%s, %s, %s of code", sized(int64(m.Size)), counted(m.Functions, "function"), sized(int64(m.Code)))
	memory := fmt.Sprintf("%s at first, %s at the most", sized(m.Memory), sized(m.MaxMemory))
	var rows []row
	if m.ABI == "Extism" {
		rows = []row{{"made for", []string{m.ABI}}}
	}
	return append(rows, row{"exports", []string{strings.Join(m.Exports, " ")}}, row{"imports", imported(*m)}, row{"module", []string{size}}, row{"memory", []string{memory}})
}

// measured are the rows about what a module takes.
func (c *moduleCosts) measured() []row {
	rows := []row{{"opens", []string{fmt.Sprintf("in %s the first time, in %s once it has been compiled", spent(c.cold), spent(c.cached))}}}
	if i := c.instance; i.Took > 0 {
		rows = append(rows, row{"instance", []string{fmt.Sprintf("made in %s, with %s and %d fuel", spent(i.Took), sized(i.Memory), i.Fuel)}})
	}
	return rows
}

// warnModule says what is odd about a module that was opened.
func (ch *checked) warnModule() {
	warn := func(format string, args ...any) {
		ch.warnings = append(ch.warnings, ch.subject.File+": "+fmt.Sprintf(format, args...))
	}
	note := func(format string, args ...any) {
		ch.notes = append(ch.notes, ch.subject.File+": "+fmt.Sprintf(format, args...))
	}
	ch.warnings = append(ch.warnings, ch.misnamed()...)
	c, most := ch.costs, ch.module.MaxMemory
	if c.cold > slowCompile {
		warn("it took %s to be compiled; a server on which that takes more than a minute does not open it", spent(c.cold))
	}
	switch memory := c.instance.Memory; {
	case memory > most/4*3:
		warn("an instance begins with %s of the %s that it may have: it is never used again, and a large answer may not fit; rosterd_plugin_memory says how much there is", sized(memory), sized(most))
	case memory > largeInstance:
		note("%s for each call at a time: rosterd_backend_parallel says how many there are, rosterd_plugin_memory how much each may have", sized(memory))
	}
	if i := c.instance; i.Took > slowInstance {
		text := fmt.Sprintf("an instance takes %s to be made: with rosterd_plugin_reuse = \"fresh\" that is added to every call", spent(i.Took))
		if ch.limits.Fresh {
			warn("%s", text)
		} else {
			note("%s", text)
		}
	}
	if !ch.module.Named {
		note("it does not say what its functions are called, and so errors cannot: keep the names when it is linked, and leave out only what is for debuggers")
	}
}

// misnamed says which exports of a module may have been meant to be called.
func (ch *checked) misnamed() (warnings []string) {
	if ch.module == nil {
		return nil
	}
	for _, name := range ch.module.Strange {
		warnings = append(warnings, fmt.Sprintf("%s: it exports %s, which rosterd does not call%s", ch.subject.File, name, didYouMean(name, ch.module.Callable)))
	}
	return warnings
}

// limitsOf are what the configuration allows plugins of a host.
func limitsOf(m *plugins.Manager, host string) (l plugins.Limits) {
	if m.Limits != nil {
		l = m.Limits(host)
	}
	return l
}
