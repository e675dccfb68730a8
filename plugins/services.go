package plugins

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// Services is what a plugin may use of the world. It is safe for many goroutines at once.
type Services interface {
	// HTTP sends one request and reads the whole answer, whatever its status, until ctx ends.
	HTTP(ctx context.Context, r HTTPRequest) (*HTTPResponse, error)
	// Log writes a line that names the plugin and its host.
	Log(ctx context.Context, level slog.Level, msg string, args ...any)
	Now() time.Time
	// Close ends what is kept between calls, such as idle connections.
	Close()
}

// ErrRefused is wrapped by the errors for requests that the operator has not allowed.
var ErrRefused = errors.New("refused by policy")

// HTTPRequest is one request of a plugin. Userinfo in the URL becomes Basic authentication.
type HTTPRequest struct {
	Method   string // "" is GET
	URL      string
	Header   http.Header
	Body     []byte
	Revision string // of the copy that is held; the answer may then be 304 (RFC 9110 §13.1)
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
	client *httpClient
	log    *slog.Logger
	now    func() time.Time
}

var _ Services = (*services)(nil)

func (s *services) HTTP(ctx context.Context, r HTTPRequest) (*HTTPResponse, error) {
	return s.client.do(ctx, r)
}

func (s *services) Log(ctx context.Context, level slog.Level, msg string, args ...any) {
	s.log.Log(ctx, level, msg, args...)
}

func (s *services) Now() time.Time { return s.now() }

func (s *services) Close() { s.client.transport.CloseIdleConnections() }
