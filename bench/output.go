package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rosterd/bench/report"
)

var (
	keep    = flag.String("json", "", "keep what is measured in a `file`; with -only, what it has and is not measured again stays")
	page    = flag.String("page", "", "write what is measured into a `page`, with plots in a folder of its name in small letters beside it")
	against = flag.String("against", "", "say what has changed since the run that was kept in a `file`")
	from    = flag.String("from", "", "measure nothing, but take runs that were kept in `files`, separated by commas; a later one's results replace an earlier one's")
)

// keeper saves a run as far as it has come, so that what ends it early does not end what it has measured.
type keeper struct {
	file   string
	before *report.Run // what the file had; nil: nothing that stays
}

// newKeeper reads what the file has, if that is to stay.
func newKeeper(file, only string) (*keeper, error) {
	k := &keeper{file: file}
	if file == "" || only == "" {
		return k, nil
	}
	before, err := report.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	k.before = before
	return k, err
}

// save writes the file, and returns all that is in it.
func (k *keeper) save(run *report.Run) (*report.Run, error) {
	if k.before != nil {
		var err error
		if run, err = report.Join(k.before, run); err != nil {
			return nil, fmt.Errorf("%s: %w", k.file, err)
		}
	}
	if k.file == "" {
		return run, nil
	}
	return run, run.Save(k.file)
}

// show says what a run comes to: which of some marks it reaches, what has changed since an older one; and on the page.
func show(w io.Writer, run *report.Run, told []report.Mark) error {
	if len(told) > 0 {
		fmt.Fprintln(w)
		report.Print(w, report.Targets(run.Judge(told)))
	}
	if *against != "" {
		old, err := report.Load(*against)
		if err != nil {
			return err
		}
		fmt.Fprintln(w)
		report.WriteChanges(w, old, run)
	}
	if *page != "" {
		return writePage(*page, run, marks(scenarios))
	}
	return nil
}

// writePage puts a run on a page, and its plots beside it.
func writePage(path string, run *report.Run, marks []report.Mark) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	folder := strings.ToLower(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
	text, plots, err := run.Page(text, folder, marks, sections)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	beside := filepath.Join(filepath.Dir(path), folder)
	if err := os.MkdirAll(beside, 0o755); err != nil {
		return err
	}
	for name, svg := range plots {
		if err := os.WriteFile(filepath.Join(beside, name), svg, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(path, text, 0o644)
}
