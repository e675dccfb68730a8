package migrate

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"rosterd/store/prosody"
)

// Counts are of what a store has: accounts, contacts, elements, nodes, messages.
type Counts struct {
	Users   int `json:"users"`   // who have something
	New     int `json:"new"`     // are taken
	Changed int `json:"changed"` // are taken instead of what was taken before
	Removed int `json:"removed"` // were taken before, and are no longer there
	Same    int `json:"same"`    // are here already
	Kept    int `json:"kept"`    // are otherwise here, and stay like that
	Skipped int `json:"skipped"` // are not taken
}

func (c *Counts) add(o Counts) {
	c.Users += o.Users
	c.New += o.New
	c.Changed += o.Changed
	c.Removed += o.Removed
	c.Same += o.Same
	c.Kept += o.Kept
	c.Skipped += o.Skipped
}

// Skipped is one thing that was not taken, or not as it was.
type Skipped struct {
	Host  string `json:"host"`
	Store string `json:"store,omitempty"`
	User  string `json:"user,omitempty"`
	File  string `json:"file,omitempty"` // or which row of a database
	Line  int    `json:"line,omitempty"`
	Why   string `json:"why"`
}

func (s Skipped) String() string {
	where := s.File
	if s.Line > 0 {
		where = fmt.Sprintf("%s:%d", s.File, s.Line)
	}
	var parts []string
	for _, p := range []string{where, cmp.Or(s.User, s.Host), s.Store, s.Why} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

// Left is a store that is not taken.
type Left struct {
	Host  string `json:"host"`
	Store string `json:"store,omitempty"`
	Users int    `json:"users"`
	Where string `json:"where"`
	Why   string `json:"why"`
}

// Row is a line of the report.
type Row struct {
	Host  string `json:"host"`
	Store string `json:"store"`
	Counts
}

// Report is what has come of it.
type Report struct {
	Dry     bool      `json:"dry_run"`
	Rows    []Row     `json:"stores"`
	Skipped []Skipped `json:"skipped"`
	More    int       `json:"skipped_more,omitempty"` // that are not in the list
	Left    []Left    `json:"left"`

	Tell func(Skipped) `json:"-"` // at once; nil: nobody
}

// maxSkipped are in the list.
const maxSkipped = 10_000

func (r *Report) skip(host, store, user string, err error) {
	s := Skipped{Host: host, Store: store, User: user, Why: err.Error()}
	if e, ok := errors.AsType[*prosody.Error](err); ok {
		s.File, s.Line, s.Why = e.Place.File, e.Place.Line, e.Reason
	}
	if r.Tell != nil {
		r.Tell(s)
	}
	if len(r.Skipped) >= maxSkipped {
		r.More++
		return
	}
	r.Skipped = append(r.Skipped, s)
}

// Leave reports what is not taken.
func (r *Report) Leave(l Left) { r.Left = append(r.Left, l) }

func (r *Report) count(host, store string, c Counts) {
	i := slices.IndexFunc(r.Rows, func(row Row) bool { return row.Host == host && row.Store == store })
	if i < 0 {
		i = len(r.Rows)
		r.Rows = append(r.Rows, Row{Host: host, Store: store})
	}
	r.Rows[i].add(c)
}

// Sort puts everything in an order that depends on nothing but what is in it.
func (r *Report) Sort() {
	place := func(s string) int {
		if i := slices.Index(Stores, s); i >= 0 {
			return i
		}
		return len(Stores)
	}
	slices.SortStableFunc(r.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(place(a.Store), place(b.Store)), cmp.Compare(a.Store, b.Store))
	})
	slices.SortStableFunc(r.Left, func(a, b Left) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Store, b.Store), cmp.Compare(a.Where, b.Where))
	})
}

// Print writes the report for people, but for what was told already.
func (r *Report) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(r.Rows) == 0 {
		fmt.Fprintln(w, "nothing was found that could be taken")
	} else {
		fmt.Fprintln(w, "host\tstore\tusers\tnew\tchanged\tremoved\tsame\tkept\tskipped\t")
	}
	for _, x := range r.Rows {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", x.Host, x.Store, x.Users, x.New, x.Changed, x.Removed, x.Same, x.Kept, x.Skipped)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, l := range r.Left {
		name := l.Host
		if l.Store != "" {
			name += " " + l.Store
		}
		users := ""
		if l.Users > 0 {
			users = fmt.Sprintf(" of %d users", l.Users)
		}
		if _, err := fmt.Fprintf(out, "left: %s%s in %s: %s\n", name, users, l.Where, l.Why); err != nil {
			return err
		}
	}
	if r.Dry {
		_, err := fmt.Fprintln(out, "nothing was written (--dry-run)")
		return err
	}
	return nil
}
