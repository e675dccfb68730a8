// Package wasm opens plugins compiled to WebAssembly: modules of the ABI rosterd_v1, run in this process under limits.
// A module gets at what it imports and at nothing else, and its memory is one plugin's alone.
package wasm

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"

	"rosterd/engine"
	"rosterd/engine/roster"
	"rosterd/plugins"
	"rosterd/plugins/wasm/module"
)

// Plugin is a module opened for one host.
type Plugin struct {
	plugins.Nothing
	name, file, host string
	opts             *plugins.Options
	svc              plugins.Services
	limits           plugins.Limits
	contacts         roster.Limits
	tag              *tag
	info             plugins.Info
	extism           bool                 // it is one for Extism
	transform        *plugins.URLTemplate // what is asked for rosterd_transform; nil if it is not supplied
	started          time.Time            // where its monotonic clock begins
	begin, most      uint64               // bytes of an instance's memory
	fuel             int64                // of a call

	runtime  wazero.Runtime
	cache    wazero.CompilationCache // nil: there is none
	compiled wazero.CompiledModule

	used      atomic.Int64 // units of fuel, of all calls
	hostCalls atomic.Int64
	peak      atomic.Int64 // bytes of one instance's memory

	pool pool
}

var (
	_ plugins.Plugin      = (*Plugin)(nil)
	_ plugins.Opener      = Open
	_ engine.Generational = (*Plugin)(nil)
)

const (
	// defaultCalls and defaultMemory are what a host has that says nothing.
	defaultCalls  = 24
	defaultMemory = 64 << 20
	defaultAnswer = 16 << 20
	// openTime is how long a module may take to be ready, compiled as it is.
	openTime = 10 * time.Second
)

// Open verifies and compiles a module and makes an instance of it: its options are read and checked. It is a
// plugins.Opener.
func Open(ctx context.Context, src plugins.Source, h plugins.Host, opts *plugins.Options, svc plugins.Services) (plugins.Plugin, error) {
	p := &Plugin{
		name: src.Name, file: src.File, host: h.Name, opts: opts, svc: svc, limits: withDefaults(h.Limits),
		contacts: roster.Limits{Items: h.Limits.Contacts}, tag: newTag(src.Code, opts), started: svc.Now(), fuel: maxFuel,
	}
	p.pool.places = make(chan struct{}, p.limits.Calls)
	if err := p.open(ctx, src, h.Cache); err != nil {
		p.pool.closed = true
		p.release()
		return nil, err
	}
	return p, nil
}

func withDefaults(l plugins.Limits) plugins.Limits {
	l.Calls = cmp.Or(max(l.Calls, 0), defaultCalls)
	l.Memory = cmp.Or(max(l.Memory, 0), defaultMemory)
	l.Answer = cmp.Or(max(l.Answer, 0), defaultAnswer)
	return l
}

func (p *Plugin) open(ctx context.Context, src plugins.Source, cache string) error {
	m, err := module.Read(src.Code)
	if err != nil {
		return fmt.Errorf("%s: %w", p.file, err)
	}
	if problems := verify(m, p.limits); problems != nil {
		return refusal(p.file, problems)
	}
	if err := p.compile(ctx, m, sha256.Sum256(src.Code), cache); err != nil {
		return fmt.Errorf("%s: %w", p.file, err)
	}
	if err := p.supply(); err != nil {
		return fmt.Errorf("%s: %w", p.file, err)
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	c := &call{Context: ctx, plugin: p, op: opInit, started: p.svc.Now(), loading: true}
	in, err := p.instantiate(c)
	if err != nil {
		return p.loadError(c, err)
	}
	p.pool.put(p, in)
	return nil
}

// supply reads off what the module exports.
func (p *Plugin) supply() error {
	exports := p.compiled.ExportedFunctions()
	has := func(o op) bool { return exports[p.export(o)] != nil }
	p.info = plugins.Info{Roster: has(opFetch) || has(opTransform), Edit: has(opEdit), Card: has(opCard), Auth: has(opAuth)}
	if has(opWebhook) {
		p.info.App = p.name
		p.info.Path = "/" + p.name
		p.info.Routes = webhookRoutes()
	}
	if !has(opTransform) {
		return nil
	}
	t, err := p.urlOption()
	p.transform = &t
	return err
}

// urlOption is where rosterd_transform has rosterd ask.
func (p *Plugin) urlOption() (plugins.URLTemplate, error) {
	own := p.name + "_url"
	for _, name := range []string{own, "http_roster_url"} {
		s, ok, err := p.opts.String(name)
		p.tag.read(name)
		if err != nil {
			return plugins.URLTemplate{}, err
		}
		if !ok {
			continue
		}
		t, err := plugins.ParseURLTemplate(s)
		if err != nil {
			return t, p.opts.Wrong(name, "%v", err)
		}
		return t, nil
	}
	return plugins.URLTemplate{}, fmt.Errorf("option %s is not set, nor is http_roster_url: rosterd_transform maps what is found there", own)
}

// Info is what the module exports.
func (p *Plugin) Info() plugins.Info { return p.info }

// Generation changes with the code and the options that it has read.
func (p *Plugin) Generation() string { return p.tag.String() }

// Options are the names of the options that the module has asked for.
func (p *Plugin) Options() []string { return p.opts.Read() }

// Instructions counts the units of fuel of all calls that have ended.
func (p *Plugin) Instructions() int64 { return p.used.Load() }

// HostCalls counts the imports that all calls have called.
func (p *Plugin) HostCalls() int64 { return p.hostCalls.Load() }

// MemoryPeak is the largest memory of any instance so far, in bytes.
func (p *Plugin) MemoryPeak() int64 { return p.peak.Load() }

// Close lets go of the instances, and of the compiled module once no call runs any more.
func (p *Plugin) Close() error {
	first, quiet := p.pool.close()
	if quiet {
		p.release()
	}
	if first {
		p.svc.Close()
	}
	return nil
}

// release lets go of what instances are made of. Nothing runs any more.
func (p *Plugin) release() {
	ctx := context.Background()
	if p.runtime != nil {
		_ = p.runtime.Close(ctx) // it has nothing to write
	}
	if p.cache != nil {
		_ = p.cache.Close(ctx)
	}
}

// brief cuts what a module says to what is fit for a line in the log.
func brief(text string) string {
	if len(text) > maxLine {
		text = text[:maxLine] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// journal is where the engine itself says something of a plugin.
type journal struct {
	ctx context.Context
	svc plugins.Services
}

func (p *Plugin) journal(ctx context.Context) journal { return journal{ctx, p.svc} }

// Warn writes a line that docs/OPERATING.md explains.
func (j journal) Warn(msg string, args ...any) { j.svc.Log(j.ctx, slog.LevelWarn, msg, args...) }
