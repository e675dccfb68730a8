package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rosterd/plugins"
	"rosterd/plugins/trial"
)

// maxFuzz bounds --time.
const maxFuzz = 24 * time.Hour

// pluginFuzz has a plugin read changed answers.
func pluginFuzz(ctx context.Context, args []string, c console) int {
	t := newPluginTool("fuzz", c)
	t.isolated()
	t.cased()
	f := &fuzzRun{tool: t}
	t.flags.DurationVar(&f.Time, "time", 10*time.Second, "how long to go on")
	t.flags.IntVar(&f.Count, "count", 0, "make so many calls at most")
	t.flags.Uint64Var(&f.Seed, "seed", rand.Uint64N(1_000_000), "where chance begins: the same `N` makes the same calls again")
	t.flags.DurationVar(&f.Limit, "limit", 5*time.Second, "how long a call may take")
	t.flags.StringVar(&f.pattern, "run", "*", "change only cases whose `NAME` is this, or like it: \"page-*\"")
	t.flags.StringVar(&f.write, "write", "", "write what is found as cases into the folder `DIR`, such as tests")
	t.flags.BoolVar(&t.json, "json", false, "print JSON")
	rest, err := t.parse(args)
	switch {
	case err != nil:
	case len(rest) != 1:
		err = t.wrong("one plugin is expected")
	case f.Count < 0 || f.Time <= 0 || f.Time > maxFuzz || f.Limit <= 0:
		err = t.wrong("--count cannot be negative, --limit has to be a time, and --time is at most a day")
	default:
		err = f.run(ctx, rest[0])
	}
	return t.end(err, exitFailed)
}

// fuzzRun is a Fuzz as the command line has it.
type fuzzRun struct {
	trial.Fuzz
	tool    *pluginTool
	pattern string
	write   string
}

func (f *fuzzRun) run(ctx context.Context, arg string) (err error) {
	if f.Subject, err = f.tool.find(arg); err != nil {
		return err
	}
	if err = f.load(); err != nil {
		return err
	}
	f.Manager = func() *plugins.Manager { return f.tool.manager() }
	done, err := f.Run(ctx)
	if err != nil {
		return err
	}
	files, err := f.keep(done.Findings)
	if err != nil {
		return err
	}
	if f.tool.json {
		err = f.encode(done, files)
	} else {
		f.print(done, files)
	}
	if err == nil && len(done.Findings) > 0 {
		err = errUnwell
	}
	return err
}

// load reads the cases that are changed.
func (f *fuzzRun) load() error {
	files, err := f.Subject.Cases()
	if err != nil {
		return err
	}
	for _, file := range files {
		if ok, err := path.Match(f.pattern, caseName(file)); err != nil {
			return f.tool.wrong("--run: %v", err)
		} else if !ok {
			continue
		}
		c, err := f.Subject.Load(file)
		if err != nil {
			return err
		}
		f.Cases = append(f.Cases, c)
	}
	if len(f.Cases) == 0 {
		return fmt.Errorf("%s has no case %s, and without cases it is not known what a backend answers", f.Subject.File, filepath.Join(f.Subject.CaseDir(), f.pattern+".json"))
	}
	return nil
}

// keep writes what was found, if that is wanted, and returns the names of the cases.
func (f *fuzzRun) keep(found []trial.Finding) (files []string, err error) {
	for _, x := range found {
		file := ""
		if f.write != "" {
			stem := trial.Stem(f.write, x.Record.Stem())
			if file, err = x.Record.Renamed(stem).Write(f.write, stem); err != nil {
				return nil, err
			}
		}
		files = append(files, file)
	}
	return files, nil
}

func (f *fuzzRun) print(done trial.Fuzzed, files []string) {
	out := f.tool.c.out
	fmt.Fprintf(out, "%s\n  %s of %s, seed %d, %s, %s\n", f.Subject.File, counted(done.Calls, "call"), counted(len(f.Cases)-len(done.LeftOut), "case"), f.Seed, f.tool.isolation, spent(done.Took))
	var ends []string
	for _, kind := range slices.Sorted(maps.Keys(done.Ends)) {
		ends = append(ends, fmt.Sprintf("%d %s", done.Ends[kind], kind))
	}
	fmt.Fprintf(out, "  %s\n", strings.Join(ends, ", "))
	if len(done.LeftOut) > 0 {
		fmt.Fprintf(out, "  left out, because nothing can be changed or it is a fault already: %s\n", strings.Join(done.LeftOut, ", "))
	}
	for i, x := range done.Findings {
		fmt.Fprintf(out, "FAULT  %s, call %d, of case %s\n%s\n", x.Kind, x.Call, x.From, indent(x.Err.Error(), "       "))
		if !x.Alone {
			fmt.Fprintf(out, "       not in a plugin that was just opened: what came before matters, and --seed %d --count %d comes there again\n", f.Seed, x.Call+1)
		}
		for _, how := range x.Record.Shown() {
			fmt.Fprintf(out, "       %s\n", how)
		}
		if files[i] != "" {
			fmt.Fprintf(out, "       written to %s\n", files[i])
		}
	}
	if len(done.Findings) > 0 && f.write == "" {
		fmt.Fprintf(out, "to have them as cases: --seed %d --write %s\n", f.Seed, f.Subject.CaseDir())
	}
	fmt.Fprintf(out, "%s found\n", counted(len(done.Findings), "fault"))
}

// encode prints the same for machines.
func (f *fuzzRun) encode(done trial.Fuzzed, files []string) error {
	type finding struct {
		Kind  string `json:"kind"`
		Case  string `json:"case"`
		Call  int    `json:"call"`
		Text  string `json:"text"`
		Alone bool   `json:"alone"`
		File  string `json:"file,omitempty"`
	}
	doc := struct {
		Plugin   string         `json:"plugin"`
		Seed     uint64         `json:"seed"`
		Calls    int            `json:"calls"`
		Ends     map[string]int `json:"ends"`
		LeftOut  []string       `json:"left_out,omitempty"`
		Findings []finding      `json:"findings"`
		Micros   int64          `json:"microseconds"`
	}{f.Subject.Name, f.Seed, done.Calls, done.Ends, done.LeftOut, []finding{}, done.Took.Microseconds()}
	for i, x := range done.Findings {
		doc.Findings = append(doc.Findings, finding{x.Kind, x.From, x.Call, x.Err.Error(), x.Alone, files[i]})
	}
	e := json.NewEncoder(f.tool.c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(doc)
}
