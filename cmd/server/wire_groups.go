package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/engine/groups"
)

// groupsLook is how often it is looked whether it is time to ask a source of groups again. That is how often a groups_file
// is looked at.
var groupsLook = time.Second

// groupSource is where the groups of a host come from.
type groupSource struct {
	// key is comparable. Hosts with equal ones have one source, which stays the same after a reload that changes nothing
	// else of it.
	key  any
	name string        // for the log, without secrets
	ask  groups.Source // not asked before it is served
	// must says that a source that cannot be read refuses the start. Where it does not, nobody has a roster until it can.
	must    bool
	every   time.Duration // how often it is asked; 0: at every look
	timeout time.Duration // of one question
}

// groupSources make sources ready to be asked, by where config.Host.SharedGroups says that the groups are. An error names
// file and line.
var groupSources = map[config.GroupSource]func(*config.Host) (groupSource, error){
	config.GroupsInFile: fileGroups,
	config.GroupsInLDAP: ldapGroups,
	config.GroupsInSQL:  sqlGroups,
}

// groupFeed is a source that is served.
type groupFeed struct {
	groups.Feed
	key any
}

// groupsOf makes the source of a host ready. It is false if the host has none.
func groupsOf(h *config.Host) (s groupSource, ok bool, err error) {
	where, ok := h.SharedGroups()
	if !ok {
		return s, false, nil
	}
	s, err = groupSources[where](h)
	return s, true, err
}

// tryGroups looks at the sources of all hosts: what they need is there, and of those that must be readable at the start,
// what they say.
func tryGroups(ctx context.Context, cfg *config.Config) (found []config.Diag) {
	tried := make(map[any]bool)
	for _, h := range cfg.Hosts() {
		s, ok, err := groupsOf(h)
		if !ok || err == nil && tried[s.key] {
			continue
		}
		pos, name := h.GroupsPos()
		refuse := func(err error) {
			if wrong, ok := errors.AsType[*optionError](err); ok {
				name, err = wrong.name, wrong.err
				if !wrong.pos.IsZero() {
					pos = wrong.pos
				}
			}
			found = append(found, config.Diag{Severity: config.Refused, Code: config.CodeValue, Pos: pos, Host: h.Name, Name: name, Message: fmt.Sprintf("%s: %v", name, err)})
		}
		if err != nil {
			refuse(err)
			continue
		}
		tried[s.key] = true
		if !s.must {
			continue
		}
		_, problems, err := s.ask.Groups(ctx)
		if err != nil {
			refuse(err)
		}
		for _, p := range problems {
			found = append(found, config.Diag{
				Severity: config.Warn, Code: config.CodeValueOdd, Pos: config.Pos{File: config.GroupsFile.Get(h), Line: p.Line}, Host: h.Name, Name: name,
				Message: name + ": left out: " + p.Reason,
			})
		}
	}
	return found
}

// openGroups makes the sources ready that are not served yet.
func (p *plan) openGroups(ctx context.Context, before *plan, log *slog.Logger) error {
	p.groups = make(map[string]*groupFeed)
	feeds := make(map[any]*groupFeed)
	if before != nil {
		for _, f := range before.groups {
			feeds[f.key] = f
		}
	}
	for _, h := range p.cfg.Hosts() {
		s, ok, err := groupsOf(h)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if f := feeds[s.key]; f == nil || f.Every != s.every || f.Timeout != s.timeout {
			f := &groupFeed{key: s.key, Feed: groups.Feed{Source: s.ask, Name: s.name, Every: s.every, Timeout: s.timeout, Log: log}}
			if s.must {
				contents, _, err := s.ask.Groups(ctx) // its problems are what check has said
				if err != nil {
					return fmt.Errorf("groups of %s: %w", h.Name, err)
				}
				f.Live.Store(contents)
			} else if before != nil && before.groups[h.Name] != nil {
				f.Live.Store(before.groups[h.Name].Live.Load()) // until it has answered
			}
			feeds[s.key] = f
		}
		p.groups[h.Name] = feeds[s.key]
	}
	return nil
}

// closeGroups lets go of what the sources hold that are not those of another plan.
func (p *plan) closeGroups(other *plan) {
	keep := make(map[*groupFeed]bool)
	if other != nil {
		for _, f := range other.groups {
			keep[f] = true
		}
	}
	for _, f := range p.groups {
		if c, ok := f.Source.(io.Closer); ok && !keep[f] {
			keep[f] = true
			_ = c.Close() // connections that nobody reads
		}
	}
}

// ownHost is a host whose rosters no backend supplies. It is false if one does.
func (p *plan) ownHost(h *config.Host) (engine.Host, bool) {
	_, shared := h.SharedGroups()
	switch {
	case h.StoresRosters():
		return p.groupHost(h, p.storedHost(h)), true
	case shared:
		return p.groupHost(h, engine.Host{OneSided: true, Timeout: config.BackendTimeout.Get(h), Steps: config.RosterSteps.Get(h)}), true
	case h.Anonymous() && len(h.Providers()) == 0:
		return engine.Host{Backend: nobodyKnown, OneSided: true}, true
	}
	return engine.Host{}, false
}

// groupHost puts the groups into the rosters of a host that has some: those that its users edit, or empty ones.
func (p *plan) groupHost(h *config.Host, own engine.Host) engine.Host {
	f := p.groups[h.Name]
	if f == nil {
		return own
	}
	own.Generation = fmt.Sprintf("groups of %s, %v", f.Name, f.key)
	shared := groups.Rosters{Own: groups.Nobody, Groups: &f.Feed}
	switch kept := own.Backend.(type) {
	case storedRosters:
		own.Generation += ", " + kept.Generation()
		shared.Own = kept
		own.Backend = groups.Edited{Rosters: shared, Editor: kept}
	case fixedRosters:
		own.Generation += ", " + kept.Generation()
		shared.Own = kept
		own.Backend = shared
	default:
		own.Backend = shared
	}
	return own
}

// watchGroups has the sources of groups that are served asked now and then, until it is stopped.
func (d *daemon) watchGroups() (stop func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		t := time.NewTicker(groupsLook)
		defer t.Stop()
		for {
			select {
			case now := <-t.C:
				if p := d.served.Load(); p != nil {
					d.lookAtGroups(ctx, p, now, &work)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return func(context.Context) error {
		cancel()
		work.Wait()
		return nil
	}
}

// lookAtGroups asks the sources that are due. None waits for another.
func (d *daemon) lookAtGroups(ctx context.Context, p *plan, now time.Time, work *sync.WaitGroup) {
	begun := make(map[*groupFeed]bool)
	for _, f := range p.groups {
		if !begun[f] && f.Due(now) {
			begun[f] = true
			work.Go(func() { _ = d.renewGroups(ctx, f) })
		}
	}
}

// renewGroups serves the groups of a source as they are now. Whose contacts have changed is told. What fails has been
// said when it is returned.
func (d *daemon) renewGroups(ctx context.Context, f *groupFeed) error {
	before := f.Live.Load()
	if err := f.Renew(ctx); err != nil {
		return err
	}
	now := f.Live.Load()
	if now == before {
		return nil
	}
	for host, served := range d.served.Load().groups {
		if served != f {
			continue
		}
		var names []string
		for _, u := range before.Changed(now, d.eng.OnlineAt(host)) {
			names = append(names, u.Local())
		}
		d.eng.Refresh(ctx, host, names) // what fails is logged there, and tried again
	}
	return nil
}

// groupsFile is a groups_file, as a source.
type groupsFile struct {
	path string

	mu    sync.Mutex // guards the fields below
	seen  stamp      // of what was read
	given *groups.Set
}

// stamp tells that a file is not what it was.
type stamp struct {
	size     int64
	modified time.Time
}

func fileGroups(h *config.Host) (groupSource, error) {
	path := config.GroupsFile.Get(h)
	return groupSource{key: "file " + path, name: path, ask: &groupsFile{path: path}, must: true}, nil
}

// Groups reads the file if it is another than it was.
func (f *groupsFile) Groups(context.Context) (*groups.Set, []groups.Problem, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, nil, err
	}
	s := stamp{info.Size(), info.ModTime()}
	if f.given != nil && s == f.seen {
		return f.given, nil, nil
	}
	if !info.Mode().IsRegular() {
		return nil, nil, &fs.PathError{Op: "read", Path: f.path, Err: errors.New("not a file")}
	}
	if s.size > groups.MaxFile {
		return nil, nil, &fs.PathError{Op: "read", Path: f.path, Err: fmt.Errorf("more than %d bytes", groups.MaxFile)}
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, nil, err
	}
	now, problems := groups.Parse(text)
	f.seen, f.given = s, now
	return now, problems, nil
}
