// Package plugins says what a plugin is to the rest of the server, whatever it is written in: how it is found
// and opened for a host, which options it sees, and which services it is given (HTTP, a store, log, clock). The
// languages themselves are engines that main hands in; this package knows none of them.
package plugins

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
)

// Plugin is a module opened for one host. Info says what it supplies; a method for what it does not supply answers
// ErrUnsupported. The methods may be called from many goroutines at once, and end when ctx does. Close lets go of what
// it holds; calls that are running end by their own deadlines.
type Plugin interface {
	Info() Info
	engine.Backend      // the rosters of its host
	engine.Generational // changes with the code and the options that it was opened with
	Editor
	engine.CardSource // what users are to others; where it is supplied
	Authenticator
	Handler
	Ticker
	Close() error
}

// Info is what a plugin supplies. It is known when the plugin is opened, and does not change.
type Info struct {
	Roster bool
	Edit   bool // of the rosters that it supplies
	Card   bool // vCards of their users
	Auth   bool
	App    string          // what http_paths calls its routes; "" is the module's name without "http_"
	Path   string          // where its routes want to be, such as "/crm"; "" is "/" and App
	Routes []Route         // of requests from outside, change notices above all
	Timers []time.Duration // when each is due for the first time, counted from when the plugin is used
}

// Route is a way in. Path is below the plugin's own, such as "/changed"; one that ends in "/*" takes all below it.
type Route struct{ Method, Path string }

// ErrUnsupported is what a plugin answers to what it does not supply.
var ErrUnsupported = errors.New("the plugin does not supply this")

// Authenticator knows the users' passwords. nil lets a user in; engine.ErrDenied and engine.ErrUnknownUser do not.
// Any other error is the plugin's own, and lets nobody in either.
type Authenticator interface {
	Authenticate(ctx context.Context, user addr.Bare, password string) error
}

// Handler answers requests from outside.
type Handler interface {
	Handle(ctx context.Context, c Call) (Reply, error)
}

// Ticker does something now and then. It says after how long it wants to be called again; 0 is never.
type Ticker interface {
	Tick(ctx context.Context, timer int) (again time.Duration, err error)
}

// Call is a request from outside to a route of a plugin.
type Call struct {
	Route  int // in Info.Routes
	Method string
	Path   string // as requested, the plugin's own path included
	Rest   string // what the "*" of the route stands for
	Query  string // raw (RFC 3986 §3.4)
	Host   string // the HTTP host that was asked
	Header http.Header
	Body   []byte
	From   netip.Addr // of the client
	Secure bool       // it came over TLS, as far as is known
}

// Reply is the answer to a Call. A Status of 0 is 200.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Nothing supplies nothing. Plugins embed it for what they do not have.
type Nothing struct{}

// Info is empty.
func (Nothing) Info() Info { return Info{} }

// Generation is unknown.
func (Nothing) Generation() string { return "" }

// Fetch is not supplied.
func (Nothing) Fetch(context.Context, engine.Request) (engine.Answer, error) {
	return engine.Answer{}, &engine.PermanentError{Err: ErrUnsupported}
}

// Edit is not supplied.
func (Nothing) Edit(context.Context, engine.Edit) error {
	return &engine.PermanentError{Err: ErrUnsupported}
}

// Card is not supplied.
func (Nothing) Card(context.Context, addr.Bare) (engine.Card, error) {
	return engine.Card{}, &engine.PermanentError{Err: ErrUnsupported}
}

// Authenticate is not supplied.
func (Nothing) Authenticate(context.Context, addr.Bare, string) error { return ErrUnsupported }

// Handle is not supplied.
func (Nothing) Handle(context.Context, Call) (Reply, error) { return Reply{}, ErrUnsupported }

// Tick is not supplied.
func (Nothing) Tick(context.Context, int) (time.Duration, error) { return 0, ErrUnsupported }

// Close has nothing to let go of.
func (Nothing) Close() error { return nil }

// Source is the code of a module.
type Source struct {
	Name    string // as in modules_enabled
	File    string // what errors name; its ending says the language
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
	Cache  string // the folder of compiled code, which nobody but the server can write to; "": compile each time
}

// Limits bound what a plugin and the backend of a host may make of us. Zero fields mean the defaults.
type Limits struct {
	Answer   int64 // bytes of an HTTP answer, decompressed; 16 MiB
	Contacts int   // of a roster; 100,000
	Conns    int   // connections to one HTTP server, and so requests to it at a time; 16
	Calls    int   // of the plugin at a time, whatever for; further ones wait; 24
	Memory   int64 // bytes that one call may take; 64 MiB
	Fresh    bool  // no call sees memory that another has used, at the price of making it anew each time
}

func (l Limits) withDefaults() Limits {
	l.Answer = cmp.Or(max(l.Answer, 0), 16<<20)
	l.Contacts = cmp.Or(max(l.Contacts, 0), 100_000)
	l.Conns = cmp.Or(max(l.Conns, 0), 16)
	l.Calls = cmp.Or(max(l.Calls, 0), 24)
	l.Memory = cmp.Or(max(l.Memory, 0), 64<<20)
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
