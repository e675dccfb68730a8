package plugins

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	// maxRequest bounds the body of a request.
	maxRequest = 256 << 10
	// maxHops bounds the redirects of a request.
	maxHops = 3
)

// httpClient asks the servers of one plugin: it keeps connections alive, bounds them, and lets no credentials
// go to anybody but the server they are for.
type httpClient struct {
	transport *http.Transport
	guard     *guard
	agent     string
	header    http.Header // rosterd_backend_headers, for the servers of the plugin's own options
	maxAnswer int64
	pause     time.Duration // before a request is sent again
}

func newHTTPClient(agent string, header http.Header, g *guard, lim Limits) *httpClient {
	d := &net.Dialer{ControlContext: control}
	return &httpClient{
		guard: g, agent: agent, header: header, maxAnswer: lim.Answer, pause: retryPause,
		transport: &http.Transport{
			DialContext:            d.DialContext,
			MaxConnsPerHost:        lim.Conns,
			MaxIdleConnsPerHost:    lim.Conns,
			IdleConnTimeout:        time.Minute,
			TLSHandshakeTimeout:    10 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true, // done here, to bound it and to read what was compressed unasked
		},
	}
}

func (c *httpClient) do(ctx context.Context, r HTTPRequest) (*HTTPResponse, error) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, errors.New("not a URL: " + urlReason(err))
	}
	if err := checkURL(u); err != nil {
		return nil, err
	}
	if len(r.Body) > maxRequest {
		return nil, fmt.Errorf("%s %s: request of %d bytes, more than %d", r.Method, redacted(u), len(r.Body), maxRequest)
	}
	if err := c.guard.first(u); err != nil {
		return nil, err
	}
	res, err := c.follow(ctx, r, u)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Method, redacted(u), plain(ctx, err))
	}
	return res, nil
}

// follow sends the request and, as far as it only reads, goes where it is redirected to.
func (c *httpClient) follow(ctx context.Context, r HTTPRequest, first *url.URL) (*HTTPResponse, error) {
	shown := *first
	shown.User, shown.Fragment = nil, ""
	u, hopCtx := first, ctx
	for hop := 0; ; hop++ {
		res, err := c.exchange(hopCtx, r, first, u, shown.String())
		if err != nil {
			return nil, err
		}
		to := location(u, r, res)
		if to == nil {
			return res, nil
		}
		if hop == maxHops {
			return nil, fmt.Errorf("more than %d redirects, the last to %s", maxHops, redacted(to))
		}
		public, err := c.guard.redirect(u, to)
		if err != nil {
			return nil, err
		}
		u, hopCtx = to, ctx
		if public {
			hopCtx = context.WithValue(ctx, publicOnly{}, true)
		}
	}
}

// location is where a redirect leads (RFC 9110 §15.4), nil if res is none that can be followed.
func location(u *url.URL, r HTTPRequest, res *HTTPResponse) *url.URL {
	switch res.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	to, err := u.Parse(res.Header.Get("Location"))
	if err != nil || res.Header.Get("Location") == "" {
		return nil
	}
	to.User = nil // only the operator's URL may bring credentials
	return to
}

// exchange sends r to u, one hop on the way from first.
func (c *httpClient) exchange(ctx context.Context, r HTTPRequest, first, u *url.URL, shown string) (*HTTPResponse, error) {
	req, err := c.request(ctx, r, first, u, shown)
	if err != nil {
		return nil, err
	}
	res, err := c.send(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	out := &HTTPResponse{Method: r.Method, URL: shown, Status: res.StatusCode, Header: res.Header}
	if out.Body, err = readBody(res, c.maxAnswer); err != nil {
		return nil, fmt.Errorf("in the body of a %d answer: %w", res.StatusCode, err)
	}
	out.Revision = revision(shown, res.Header)
	if res.StatusCode == http.StatusNotModified && out.Revision == "" {
		out.Revision = r.Revision
	}
	return out, nil
}

// retryPause is how long a server that refused a connection or cut it is left alone before it is asked once
// more: long enough for a restarting listener to come back or a balancer to notice, short against the time of a call.
const retryPause = 100 * time.Millisecond

// send asks once more if the connection broke before there was an answer and r only reads (RFC 9110 §9.2.2). That a
// kept connection was closed meanwhile is seen to by net/http itself, which then takes another one without a pause.
func (c *httpClient) send(req *http.Request) (*http.Response, error) {
	res, err := c.transport.RoundTrip(req)
	if err == nil || req.Body != nil || req.Method != http.MethodGet && req.Method != http.MethodHead || !broken(err) {
		return res, err
	}
	ctx, pause := req.Context(), c.pause/2+rand.N(c.pause)
	if end, ok := ctx.Deadline(); ok && time.Until(end) < 2*pause {
		return nil, err
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return c.transport.RoundTrip(req)
	case <-ctx.Done():
		return nil, err
	}
}

// broken tells whether a connection could not be made or ended without an answer, as while a server restarts.
func broken(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)
}

func (c *httpClient) request(ctx context.Context, r HTTPRequest, first, u *url.URL, shown string) (*http.Request, error) {
	var body io.Reader
	if len(r.Body) > 0 {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), body)
	if err != nil {
		return nil, errors.New(urlReason(err))
	}
	req.URL.User = nil
	h := req.Header
	h.Set("Accept", "application/json")
	h.Set("User-Agent", c.agent)
	h.Set("Accept-Encoding", "gzip")
	if origin(first) == origin(u) {
		if c.guard.trusted(u) {
			overlay(h, c.header)
		}
		overlay(h, r.Header)
		if first.User != nil && h.Get("Authorization") == "" {
			password, _ := first.User.Password()
			req.SetBasicAuth(first.User.Username(), password)
		}
	}
	overlay(h, conditions(shown, r.Revision))
	if host := h.Get("Host"); host != "" {
		req.Host = host
		h.Del("Host")
	}
	return req, checkHeader(h)
}

func overlay(h, over http.Header) {
	for k, v := range over {
		h[http.CanonicalHeaderKey(k)] = v
	}
}

// checkHeader never shows a value, which may be a secret.
func checkHeader(h http.Header) error {
	for name, values := range h {
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("%q is no name of an HTTP header field", name)
		case name == "Content-Length" || name == "Transfer-Encoding" || name == "Connection" || name == "Trailer":
			return fmt.Errorf("header field %s is not for plugins to set", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("the value of header field %s holds a line break or a control character", name)
			}
		}
	}
	return nil
}

func readBody(res *http.Response, limit int64) ([]byte, error) {
	var src io.Reader = res.Body
	size := res.ContentLength
	switch enc := strings.ToLower(res.Header.Get("Content-Encoding")); enc {
	case "", "identity":
		if size > limit {
			return nil, tooLarge(limit)
		}
	case "gzip", "x-gzip":
		res.Header.Del("Content-Encoding")
		res.Header.Del("Content-Length")
		size = -1
		z, err := gzip.NewReader(io.LimitReader(res.Body, 2*limit)) // empty blocks give no output to count
		if errors.Is(err, io.EOF) {
			return nil, nil // no body at all, as with 204 and 304
		}
		if err != nil {
			return nil, err
		}
		src = z
	default:
		return nil, fmt.Errorf("content encoding %q, which was not asked for", enc)
	}
	var b bytes.Buffer
	if size > 0 {
		b.Grow(int(min(size, limit)) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(src, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, tooLarge(limit)
	}
	return b.Bytes(), nil
}

func tooLarge(limit int64) error {
	if limit%(1<<20) == 0 {
		return fmt.Errorf("larger than %d MiB, the limit for an answer", limit>>20)
	}
	return fmt.Errorf("larger than %d bytes, the limit for an answer", limit)
}

// plain makes sure that a deadline shows as one, however the transport puts it.
func plain(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return err
	case errors.Is(cause, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", cause)
	case !errors.Is(err, cause):
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
