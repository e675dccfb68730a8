package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"rosterd/config"
	"rosterd/engine"
	"rosterd/engine/groups"
)

// groupsLook is how often it is looked whether a groups_file has changed.
var groupsLook = time.Second

// groupsFile is a groups_file that is served. It stays the same one after a reload.
type groupsFile struct {
	path string
	live groups.Live
	seen stamp  // of what is served
	odd  string // why the file cannot be read, as it was said
}

// stamp tells that a file is not what it was.
type stamp struct {
	size     int64
	modified time.Time
}

// readGroups reads a groups_file as it is now.
func readGroups(path string) (f *groups.File, problems []groups.Problem, s stamp, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, s, err
	}
	s = stamp{info.Size(), info.ModTime()}
	if !info.Mode().IsRegular() {
		return nil, nil, s, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a file")}
	}
	if s.size > groups.MaxFile {
		return nil, nil, s, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("more than %d bytes", groups.MaxFile)}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, s, err
	}
	f, problems = groups.Parse(text)
	return f, problems, s, nil
}

// tryGroups reads the groups_file of each host: what cannot be read refuses the start, as in Prosody.
func tryGroups(cfg *config.Config) (found []config.Diag) {
	tried := make(map[string]bool)
	for _, h := range cfg.Hosts() {
		path, ok := h.SharedGroups()
		if !ok || tried[path] {
			continue
		}
		tried[path] = true
		_, pos, _ := config.GroupsFile.Lookup(h)
		_, problems, _, err := readGroups(path)
		if err != nil {
			found = append(found, config.Diag{Severity: config.Refused, Code: config.CodeValue, Pos: pos, Host: h.Name, Name: config.GroupsFile.Name, Message: fmt.Sprintf("groups_file: %v", err)})
		}
		for _, p := range problems {
			found = append(found, config.Diag{
				Severity: config.Warn, Code: config.CodeValueOdd, Pos: config.Pos{File: path, Line: p.Line}, Host: h.Name, Name: config.GroupsFile.Name,
				Message: "groups_file: left out: " + p.Reason,
			})
		}
	}
	return found
}

// openGroups reads the files that are not served yet.
func (p *plan) openGroups(before *plan) error {
	p.groups = make(map[string]*groupsFile)
	files := make(map[string]*groupsFile)
	if before != nil {
		for _, f := range before.groups {
			files[f.path] = f
		}
	}
	for _, h := range p.cfg.Hosts() {
		path, ok := h.SharedGroups()
		if !ok {
			continue
		}
		if files[path] == nil {
			contents, _, s, err := readGroups(path) // its problems are what check has said
			if err != nil {
				return fmt.Errorf("groups_file of %s: %w", h.Name, err)
			}
			files[path] = &groupsFile{path: path, seen: s}
			files[path].live.Store(contents)
		}
		p.groups[h.Name] = files[path]
	}
	return nil
}

// ownHost is a host whose rosters no backend supplies. It is false if one does.
func (p *plan) ownHost(h *config.Host) (engine.Host, bool) {
	_, shared := h.SharedGroups()
	switch {
	case h.StoresRosters():
		return p.groupHost(h, p.storedHost(h)), true
	case shared:
		return p.groupHost(h, engine.Host{OneSided: true, Timeout: config.BackendTimeout.Get(h), Steps: config.RosterSteps.Get(h)}), true
	}
	return engine.Host{}, false
}

// groupHost puts the groups into the rosters of a host that has some: those that its users edit, or empty ones.
func (p *plan) groupHost(h *config.Host, own engine.Host) engine.Host {
	f := p.groups[h.Name]
	if f == nil {
		return own
	}
	own.Generation = "groups of " + f.path
	shared := groups.Rosters{Own: groups.Nobody, File: &f.live}
	if edited, ok := own.Backend.(storedRosters); ok {
		own.Generation += ", " + edited.Generation()
		shared.Own = edited
		own.Backend = groups.Edited{Rosters: shared, Editor: edited}
	} else {
		own.Backend = shared
	}
	return own
}

// watchGroups has the groups_files that are served looked at now and then, until it is stopped.
func (d *daemon) watchGroups() (stop func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(groupsLook)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				if p := d.served.Load(); p != nil {
					d.renewGroups(ctx, p)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return func(context.Context) error {
		cancel()
		<-ended
		return nil
	}
}

// renewGroups serves the groups_files of a plan as they are now. Whose contacts have changed is told.
func (d *daemon) renewGroups(ctx context.Context, p *plan) {
	looked := make(map[*groupsFile]*groups.File) // what was served before, nil where nothing has changed
	for host, f := range p.groups {
		before, done := looked[f]
		if !done {
			before = f.renew(part(d.log, "engine"))
			looked[f] = before
		}
		if before == nil {
			continue
		}
		var names []string
		for _, u := range before.Changed(f.live.Load(), d.eng.OnlineAt(host)) {
			names = append(names, u.Local())
		}
		d.eng.Refresh(ctx, host, names) // what fails is logged there, and tried again
	}
}

// renew reads the file if it is another, and returns what was served before, nil if that has not changed.
func (f *groupsFile) renew(log *slog.Logger) (before *groups.File) {
	info, err := os.Stat(f.path)
	if err == nil && f.seen == (stamp{info.Size(), info.ModTime()}) {
		return nil
	}
	now, problems, s, err := readGroups(f.path)
	if err != nil {
		if why := err.Error(); why != f.odd {
			log.Error("groups_file cannot be read: the groups stay as they were", "file", f.path, "error", err)
			f.odd = why
		}
		return nil
	}
	for _, p := range problems {
		log.Warn("line of groups_file left out", "file", f.path, "line", p.Line, "reason", p.Reason)
	}
	log.Info("groups read", "file", f.path, "groups", now.Groups(), "members", now.Members())
	f.seen, f.odd = s, ""
	return f.live.Swap(now)
}
