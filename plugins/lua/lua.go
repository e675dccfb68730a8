// Package lua opens plugins written in Lua: scripts in the shape of Prosody modules, compiled once and run in
// this process under limits. Every call has a fresh environment, so that nothing a script sets lasts longer
// than the request it was set for.
package lua

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine"
	"rosterd/engine/roster"
	"rosterd/plugins"
	"rosterd/plugins/lua/vm"
)

//go:embed scripts/*.lua
var scripts embed.FS

// Shipped holds the scripts that come with rosterd, as mod_NAME.lua.
func Shipped() fs.FS {
	sub, err := fs.Sub(scripts, "scripts")
	if err != nil { // the name is a constant
		panic(err)
	}
	return sub
}

// Plugin is a script opened for one host.
type Plugin struct {
	plugins.Nothing
	name, file, host string
	shipped          bool
	proto            *glua.FunctionProto
	static           static // what is known of the script without running it
	opts             *plugins.Options
	svc              plugins.Services
	limits           vm.Limits
	contacts         roster.Limits
	tag              string // of the code and its options, so that no revision outlives them
	info             plugins.Info

	used atomic.Int64 // instructions, of all calls

	mu     sync.Mutex // guards the fields below
	idle   []*machine
	closed bool
}

var (
	_ plugins.Plugin      = (*Plugin)(nil)
	_ plugins.Opener      = Open
	_ engine.Generational = (*Plugin)(nil)
)

const (
	// maxIdle is how many machines wait for the next call.
	maxIdle = 16
	// maxCalls is how many calls a machine serves.
	maxCalls = 1000
	// heapPerCall bounds what a script from outside may make the process grow by, if the host says nothing.
	heapPerCall = 64 << 20
)

// Open compiles a script, refuses what it cannot have, and runs it once: its options are read and checked,
// and it must call module:provides. It is a plugins.Opener.
func Open(ctx context.Context, src plugins.Source, h plugins.Host, opts *plugins.Options, svc plugins.Services) (plugins.Plugin, error) {
	chunk, err := vm.Parse(src.File, src.Code)
	if err != nil {
		return nil, err
	}
	static, err := check(src.File, chunk)
	if err != nil {
		return nil, err
	}
	proto, err := vm.CompileChunk(src.File, chunk)
	if err != nil {
		return nil, err
	}
	p := &Plugin{name: src.Name, file: src.File, host: h.Name, contacts: roster.Limits{Items: h.Limits.Contacts}, shipped: src.Shipped, proto: proto, static: static, opts: opts, svc: svc}
	if !src.Shipped {
		p.limits.HeapBytes = uint64(cmp.Or(max(h.Limits.Memory, 0), heapPerCall))
	}
	m := newMachine(p)
	if err := m.run(ctx, &call{}, func(m *machine, _ *glua.LState) (err error) { p.info, err = m.info(); return err }); err != nil {
		m.close()
		return nil, p.loadError(err)
	}
	p.tag = plugins.Fingerprint(src.Code, opts)
	p.put(m)
	return p, nil
}

// loadError says where, whatever went wrong.
func (p *Plugin) loadError(err error) error {
	var failed *vm.RuntimeError
	var stopped *vm.StopError
	if errors.As(err, &failed) && failed.File != "" || errors.As(err, &stopped) && stopped.File != "" {
		return err
	}
	return fmt.Errorf("%s: %w", p.file, err)
}

// Info is what the script provides.
func (p *Plugin) Info() plugins.Info { return p.info }

// Fetch runs the script's fetch function.
func (p *Plugin) Fetch(ctx context.Context, r engine.Request) (engine.Answer, error) {
	if !p.info.Roster {
		return p.Nothing.Fetch(ctx, r)
	}
	c := &call{work: plugins.WorkRoster, request: r, rev: p.heldRevision(r.Rev)}
	out := outcome{}
	err := p.run(ctx, c, func(m *machine, l *glua.LState) (err error) {
		out, err = m.fetch(l)
		return err
	})
	if err != nil {
		return engine.Answer{}, err
	}
	return p.answer(c, out)
}

// run does a call on a machine of its own.
func (p *Plugin) run(ctx context.Context, c *call, f func(*machine, *glua.LState) error) error {
	m, err := p.get()
	if err != nil {
		return err
	}
	err = m.run(ctx, c, f)
	p.used.Add(m.state.Used())
	if err != nil {
		m.close() // what was cut short is not used again
		return p.failure(ctx, c, err)
	}
	p.put(m)
	return nil
}

// Instructions counts those of all calls that have ended, with the steps of libraries.
func (p *Plugin) Instructions() int64 { return p.used.Load() }

// Generation changes with the code and the options that it was loaded with.
func (p *Plugin) Generation() string { return p.tag }

// Options are the names of the options that the script has asked for.
func (p *Plugin) Options() []string { return p.opts.Read() }

func (p *Plugin) heldRevision(rev string) string {
	if of, rev, ok := strings.Cut(rev, ":"); ok && of == p.tag {
		return rev
	}
	return ""
}

// Close lets go of the machines. Calls that are running end as they would have.
func (p *Plugin) Close() error {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, m := range idle {
		m.close()
	}
	p.svc.Close()
	return nil
}

func (p *Plugin) get() (*machine, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, &engine.TemporaryError{Err: fmt.Errorf("plugin %s is closed", p.name)}
	}
	if n := len(p.idle); n > 0 {
		m := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return m, nil
	}
	p.mu.Unlock()
	return newMachine(p), nil
}

func (p *Plugin) put(m *machine) {
	p.mu.Lock()
	if !p.closed && len(p.idle) < maxIdle && m.calls < maxCalls {
		p.idle = append(p.idle, m)
		m = nil
	}
	p.mu.Unlock()
	if m != nil {
		m.close()
	}
}
