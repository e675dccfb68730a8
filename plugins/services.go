package plugins

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Services is what a plugin may use of the world. It is safe for many goroutines at once.
type Services interface {
	// HTTP sends one request and reads the whole answer, whatever its status, until ctx ends.
	HTTP(ctx context.Context, r HTTPRequest) (*HTTPResponse, error)
	// Load reads what Save has kept under a key of one of the plugin's stores.
	Load(ctx context.Context, store, key string) (value []byte, ok bool, err error)
	// Save keeps a value beyond the call, the plugin and the process; a nil value removes it. A ttl of 0 is for ever.
	Save(ctx context.Context, store, key string, value []byte, ttl time.Duration) error
	// Refresh has the rosters of users of the plugin's host fetched anew, and waits until everybody is told.
	Refresh(ctx context.Context, users []string) (Refreshed, error)
	// Log writes a line that names the plugin and its host.
	Log(ctx context.Context, level slog.Level, msg string, args ...any)
	Now() time.Time
	// Random fills b with what nobody can guess.
	Random(b []byte)
	// Close ends what is kept between calls, such as idle connections.
	Close()
}

// Refreshed is what a refresh came to, counted as the refresh API counts.
type Refreshed struct{ Updated, Errors int }

// Keeper is where values of plugins are kept. Each plugin of each host has stores of its own.
type Keeper interface {
	LoadValue(ctx context.Context, host, plugin, store, key string) (value []byte, ok bool, err error)
	SaveValue(ctx context.Context, host, plugin, store, key string, value []byte, ttl time.Duration) error
}

// ErrLimit is wrapped by the errors for what goes beyond a limit.
var ErrLimit = errors.New("beyond a limit")

// ErrRefused is wrapped by the errors for requests that the operator has not allowed.
var ErrRefused = errors.New("refused by policy")

// ErrInvalid is wrapped by the errors for requests that nobody could send.
var ErrInvalid = errors.New("not a request")

// HTTPRequest is one request of a plugin. Userinfo in the URL becomes Basic authentication, and {{secret:NAME}} in the
// query or in the value of a header field what the option rosterd_plugin_secrets has under that name.
type HTTPRequest struct {
	Method   string // "" is GET
	URL      string
	Header   http.Header
	Body     []byte
	Revision string // of the copy that is held; the answer may then be 304 (RFC 9110 §13.1)

	// Redirects is how many redirects to follow, at most 3; an answer that leads further is an error. With 0 a redirect
	// is an answer like any other, but to the plugins that come with rosterd, for which it means 3.
	Redirects int
	Timeout   time.Duration // for the whole request; 0: until the call ends
}

// HTTPResponse is an answer with its whole body, decompressed.
type HTTPResponse struct {
	Method   string
	URL      string // as requested, without userinfo
	Status   int
	Header   http.Header
	Body     []byte
	Revision string // names this state of the resource; "" if the server gave no validator
}

// services is Services for one plugin of one host, in this process.
type services struct {
	client  *httpClient
	log     *slog.Logger
	now     func() time.Time
	host    string
	plugin  string
	keeper  Keeper
	refresh func(ctx context.Context, host string, users []string) (Refreshed, error)
}

var _ Services = (*services)(nil)

func (s *services) HTTP(ctx context.Context, r HTTPRequest) (*HTTPResponse, error) {
	return s.client.do(ctx, r)
}

func (s *services) Log(ctx context.Context, level slog.Level, msg string, args ...any) {
	s.log.Log(ctx, level, msg, args...)
}

func (s *services) Load(ctx context.Context, store, key string) ([]byte, bool, error) {
	return s.keeper.LoadValue(ctx, s.host, s.plugin, store, key)
}

// Limits of what a plugin keeps: of a key, with the name of its store, and of a value; and of the users that it has
// refreshed at once.
const (
	maxKey     = 256
	maxValue   = 64 << 10
	maxRefresh = 100_000
)

func (s *services) Save(ctx context.Context, store, key string, value []byte, ttl time.Duration) error {
	switch {
	case len(store) > maxKey:
		return fmt.Errorf("%w: a store whose name has %d bytes, more than %d", ErrLimit, len(store), maxKey)
	case len(store)+len(key) > maxKey:
		return fmt.Errorf("%w: a key of %d bytes, more than %d", ErrLimit, len(key), maxKey-len(store))
	case len(value) > maxValue:
		return fmt.Errorf("%w: a value of %d bytes, more than %d KiB", ErrLimit, len(value), maxValue>>10)
	}
	return s.keeper.SaveValue(ctx, s.host, s.plugin, store, key, value, ttl)
}

func (s *services) Refresh(ctx context.Context, users []string) (Refreshed, error) {
	if len(users) > maxRefresh {
		return Refreshed{}, fmt.Errorf("%w: %d users to refresh, more than %d", ErrLimit, len(users), maxRefresh)
	}
	if s.refresh == nil {
		return Refreshed{}, errors.New("no server runs here that could refresh rosters")
	}
	return s.refresh(ctx, s.host, users)
}

func (s *services) Random(b []byte) { _, _ = rand.Read(b) } // never fails

func (s *services) Now() time.Time { return s.now() }

func (s *services) Close() { s.client.transport.CloseIdleConnections() }
