package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"rosterd/plugins/trial"
)

// pluginTest tries the cases of plugins without any network.
func pluginTest(ctx context.Context, args []string, c console) int {
	t := newPluginTool("test", c)
	t.isolated()
	t.cased()
	r := &trials{tool: t}
	t.flags.BoolVar(&r.update, "update", false, "rewrite what the cases expect as it comes")
	t.flags.StringVar(&r.pattern, "run", "*", "only cases whose `NAME` is this, or like it: \"not-*\"")
	t.flags.BoolVar(&t.json, "json", false, "print JSON")
	rest, err := t.parse(args)
	if err == nil && len(rest) == 0 {
		err = t.wrong("which plugin?")
	}
	if err == nil {
		_, err = path.Match(r.pattern, "")
	}
	for _, arg := range rest {
		if err == nil {
			err = r.plugin(ctx, arg)
		}
	}
	if err == nil {
		err = r.sum()
	}
	return t.end(err, exitFailed)
}

// trials are the cases that were tried.
type trials struct {
	tool    *pluginTool
	update  bool
	pattern string
	verdict verdicts
}

type verdicts struct {
	Cases   []verdict `json:"cases"`
	Passed  int       `json:"passed"`
	Failed  int       `json:"failed"`
	Updated int       `json:"updated,omitempty"`
}

// verdict is what a case came to.
type verdict struct {
	Plugin    string   `json:"plugin"`
	Case      string   `json:"case"`
	OK        bool     `json:"ok"`
	Updated   bool     `json:"updated,omitempty"`
	Problems  []string `json:"problems,omitempty"`
	Micros    int64    `json:"microseconds"`
	Requests  int      `json:"requests"`
	Allocated int64    `json:"allocated"`
	tally
	Log []string `json:"log,omitempty"`

	counts []string
}

// plugin tries the cases of one.
func (r *trials) plugin(ctx context.Context, arg string) error {
	s, err := r.tool.find(arg)
	if err != nil {
		return err
	}
	files, err := s.Cases()
	if err != nil {
		return err
	}
	var chosen []string
	width := 0
	for _, f := range files {
		name := caseName(f)
		if ok, err := path.Match(r.pattern, name); err != nil || !ok {
			continue
		}
		chosen, width = append(chosen, f), max(width, len([]rune(name)))
	}
	out := r.tool.c.out
	if r.tool.json {
		out = io.Discard
	}
	fmt.Fprintln(out, s.File)
	if len(chosen) == 0 {
		fmt.Fprintf(out, "  no cases: %s\n", filepath.Join(s.CaseDir(), r.pattern+".json"))
		return nil
	}
	for _, f := range chosen {
		v := r.try(ctx, s, f)
		if err := ctx.Err(); err != nil {
			return err
		}
		r.count(v)
		v.print(out, width)
	}
	return nil
}

func (r *trials) count(v verdict) {
	all := &r.verdict
	all.Cases = append(all.Cases, v)
	switch {
	case v.Updated:
		all.Updated++
		fallthrough
	case v.OK:
		all.Passed++
	default:
		all.Failed++
	}
}

func caseName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".json") }

// try makes the call of one case and judges what comes of it.
func (r *trials) try(ctx context.Context, s trial.Subject, file string) verdict {
	v := verdict{Plugin: s.Name, Case: caseName(file)}
	c, err := s.Load(file)
	if err != nil {
		v.Problems = []string{err.Error()}
		return v
	}
	o, out, err := r.tool.call(ctx, trial.Trial{Subject: s, Case: c, Manager: r.tool.manager()})
	if err != nil {
		v.Problems = []string{err.Error()}
		return v
	}
	v.Micros, v.Requests, v.Allocated = out.Took.Microseconds(), len(out.Asked), out.Allocated
	v.tally, v.counts = r.tool.tally(s, out.Costs), r.tool.counts(s, out.Costs)
	v.Problems = c.Judge(out)
	v.OK = len(v.Problems) == 0
	for _, l := range append(o.Loaded, out.Logged...) {
		v.Log = append(v.Log, strings.ToLower(l.Level.String())+": "+l.Text)
	}
	if r.update && !v.OK && len(out.Problems) == 0 && (c.Expect == nil || c.Expect.Fault == nil) {
		c.Update(out)
		if v.Problems = rewrite(c); len(v.Problems) == 0 {
			v.OK, v.Updated = true, true
		}
	}
	return v
}

func rewrite(c *trial.Case) (problems []string) {
	b, err := c.Encode()
	if err == nil {
		err = os.WriteFile(c.File, b, 0o644)
	}
	if err != nil {
		return []string{err.Error()}
	}
	return nil
}

// call opens a plugin, makes a call and closes it.
func (t *pluginTool) call(ctx context.Context, tr trial.Trial) (*trial.Opened, trial.Outcome, error) {
	o, err := tr.Open(ctx)
	if err != nil {
		return nil, trial.Outcome{}, err
	}
	out, err := o.Call(ctx)
	return o, out, errors.Join(err, o.Close())
}

// print writes a line for a case, and what is wrong with it below.
func (v verdict) print(w io.Writer, width int) {
	word := "FAIL"
	switch {
	case v.Updated:
		word = "new"
	case v.OK:
		word = "ok"
	}
	fmt.Fprintf(w, "  %-4s  %-*s  %7s  %s\n", word, width, v.Case, spent(time.Duration(v.Micros)*time.Microsecond), v.costs())
	for _, p := range v.Problems {
		fmt.Fprintln(w, indent(p, "        "))
	}
	if !v.OK && len(v.Log) > 0 {
		fmt.Fprintln(w, indent("it logged:\n  "+strings.Join(v.Log, "\n  "), "        "))
	}
}

// costs is what a call took besides its time.
func (v verdict) costs() string {
	return strings.Join(append([]string{fmt.Sprintf("%d HTTP  %s", v.Requests, sized(v.Allocated))}, v.counts...), "  ")
}

func indent(s, by string) string { return by + strings.ReplaceAll(s, "\n", "\n"+by) }

// sum ends the tests.
func (r *trials) sum() error {
	all := &r.verdict
	if r.tool.json {
		e := json.NewEncoder(r.tool.c.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(all); err != nil {
			return err
		}
	} else {
		if all.Updated > 0 {
			fmt.Fprintf(r.tool.c.out, "%s rewritten: look at the difference before you keep it\n", counted(all.Updated, "case"))
		}
		fmt.Fprintf(r.tool.c.out, "%d passed, %d failed\n", all.Passed, all.Failed)
	}
	if all.Failed > 0 || len(all.Cases) == 0 {
		return errUnwell
	}
	return nil
}
