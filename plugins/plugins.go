// Package plugins says what a plugin is to the rest of the server, whatever it is written in: how it is found
// and opened for a host, which options it sees, and which services it is given (HTTP, log, clock). The
// languages themselves are engines that main hands in; this package knows none of them.
package plugins

import (
	"cmp"
	"context"

	"rosterd/engine"
)

// Plugin is a module opened for one host: it supplies the rosters of that host. Close lets go of what it
// holds; calls that are running end by their own deadlines.
type Plugin interface {
	engine.Backend
	Close() error
}

// Source is the code of a module.
type Source struct {
	Name    string // as in modules_enabled
	File    string // what errors name
	Code    []byte
	Shipped bool   // came with rosterd, not from plugin_paths
	Unused  string // file in plugin_paths of the same name, which the shipped one keeps out
}

// Opener compiles and checks a module and runs it once, so that a mistake is known at the start and not at
// somebody's login. The plugin owns svc from then on and closes it when it is closed; if Opener fails, the
// caller does.
type Opener func(ctx context.Context, src Source, h Host, opts *Options, svc Services) (Plugin, error)

// Host is for whom a plugin is opened.
type Host struct {
	Name   string // a prepared domainpart
	Limits Limits
}

// Limits bound what the backend of a host may make of us. Zero fields mean the defaults.
type Limits struct {
	Answer   int64 // bytes of an HTTP answer, decompressed; 16 MiB
	Contacts int   // of a roster; 100,000
	Conns    int   // connections to one HTTP server, and so requests to it at a time; 16
}

func (l Limits) withDefaults() Limits {
	l.Answer = cmp.Or(max(l.Answer, 0), 16<<20)
	l.Contacts = cmp.Or(max(l.Contacts, 0), 100_000)
	l.Conns = cmp.Or(max(l.Conns, 0), 16)
	return l
}

// Config is what a host's configuration says, inherited from the global section as in Prosody. A value is a
// string, bool, int64, float64, []any or map[string]any; pos is "file:line". It does not change while a
// plugin is open, and is read from many goroutines at once.
type Config interface {
	Option(name string) (value any, pos string, ok bool)
}

// ConfigFunc lets a function be a Config.
type ConfigFunc func(name string) (value any, pos string, ok bool)

// Option calls f.
func (f ConfigFunc) Option(name string) (any, string, bool) { return f(name) }
