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
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	// maxRequest bounds the body of a request.
	maxRequest = 256 << 10
	// maxHead bounds its URL and its header, together.
	maxHead = 64 << 10
	// MaxRedirects bounds the redirects of a request.
	MaxRedirects = 3
)

// httpClient asks the servers of one plugin: it keeps connections alive, bounds them, and lets no credentials
// go to anybody but the server they are for.
type httpClient struct {
	transport *http.Transport
	guard     *guard
	agent     string
	header    http.Header // rosterd_backend_headers, for the servers of the plugin's own options
	secrets   secrets
	known     used // what no answer may repeat
	hops      int  // redirects that are followed unasked
	maxAnswer int64
	large     chan struct{} // places of large answers
	pause     time.Duration // before a request is sent again
}

func newHTTPClient(agent string, header http.Header, g *guard, lim Limits) *httpClient {
	d := &net.Dialer{ControlContext: control}
	return &httpClient{
		guard: g, agent: agent, header: header, maxAnswer: lim.Answer, large: largePlaces(lim.Answer), pause: retryPause,
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
	res, err := c.serve(ctx, r)
	if err != nil && len(err.Error()) > maxReason {
		return nil, &longError{err}
	}
	return res, err
}

// maxReason bounds the text of an error, which names URLs, methods and fields of the plugin's and of the server's making.
const maxReason = 1024

// longError is an error of which only the beginning is told.
type longError struct{ error }

func (e *longError) Error() string {
	return strings.ToValidUTF8(e.error.Error()[:maxReason], "") + "…"
}
func (e *longError) Unwrap() error { return e.error }

func (c *httpClient) serve(ctx context.Context, r HTTPRequest) (*HTTPResponse, error) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, &kindError{errors.New("not a URL: " + urlReason(err)), ErrInvalid}
	}
	if err := checkURL(u); err != nil {
		return nil, &kindError{err, ErrInvalid}
	}
	if err := c.guard.first(u); err != nil {
		return nil, err
	}
	p := &place{ctx: ctx, places: c.large}
	defer p.leave()
	res, err := c.ask(context.WithValue(ctx, placeKey{}, p), r, u)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Method, redacted(u), err)
	}
	return res, nil
}

// outgoing is a request that the guard lets go out, with its secrets.
type outgoing struct {
	HTTPRequest
	first *url.URL
	shown string // the URL as plugins may see it
	used  used
}

// ask puts the secrets in and keeps them to us: what comes back has none.
func (c *httpClient) ask(ctx context.Context, r HTTPRequest, u *url.URL) (*HTTPResponse, error) {
	switch err := checkRequest(r); {
	case errors.Is(err, ErrLimit):
		return nil, err
	case err != nil:
		return nil, &kindError{err, ErrInvalid}
	}
	o := &outgoing{HTTPRequest: r, shown: shown(u)}
	var err error
	if o.first, err = c.secrets.intoURL(u, &o.used); err != nil {
		return nil, &kindError{err, ErrRefused}
	}
	if o.Header, err = c.secrets.intoHeader(r.Header, &o.used); err != nil {
		return nil, &kindError{err, ErrRefused}
	}
	if o.Redirects == 0 {
		o.Redirects = c.hops
	}
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
		defer cancel()
	}
	res, err := c.follow(ctx, o)
	if err != nil {
		return nil, c.known.error(o.used.error(plain(ctx, err)))
	}
	return res, nil
}

// notForPlugins are header fields that say who is asked, or are about the connection.
var notForPlugins = []string{"Host", "Upgrade", "Proxy-Authorization"}

// checkRequest bounds what plugins send.
func checkRequest(r HTTPRequest) error {
	head := len(r.URL)
	for name, values := range r.Header {
		for _, v := range values {
			head += len(name) + len(v)
		}
	}
	for name := range r.Header {
		// Another name than the URL's would lead a server that serves many of them to somebody else's.
		if slices.ContainsFunc(notForPlugins, func(n string) bool { return strings.EqualFold(n, name) }) {
			return fmt.Errorf("header field %s is not for plugins to set", name)
		}
	}
	switch {
	case strings.EqualFold(r.Method, http.MethodTrace), strings.EqualFold(r.Method, "TRACK"), strings.EqualFold(r.Method, http.MethodConnect):
		return fmt.Errorf("method %s is not for plugins", r.Method) // it repeats what is sent along, or asks for a tunnel
	case len(r.Body) > maxRequest:
		return fmt.Errorf("%w: a body of %d bytes, more than %d KiB", ErrLimit, len(r.Body), maxRequest>>10)
	case head > maxHead:
		return fmt.Errorf("%w: URL and header of %d bytes, more than %d KiB", ErrLimit, head, maxHead>>10)
	case r.Redirects > MaxRedirects || r.Redirects < 0:
		return fmt.Errorf("%w: %d redirects, which may be 0 to %d", ErrLimit, r.Redirects, MaxRedirects)
	case r.Timeout < 0:
		return fmt.Errorf("a timeout of %v", r.Timeout)
	}
	return nil
}

// shown is a URL without what is not sent or not told.
func shown(u *url.URL) string {
	c := *u
	c.User, c.Fragment, c.RawFragment = nil, "", ""
	return c.String()
}

// follow sends the request and, as far as it only reads, goes where it is redirected to. Once it has been led to another
// server nothing of the plugin's or the operator's goes along any more, not even back to the first.
func (c *httpClient) follow(ctx context.Context, o *outgoing) (*HTTPResponse, error) {
	u, hopCtx, home := o.first, ctx, true
	for hop := 0; ; hop++ {
		res, err := c.exchange(hopCtx, o, u, home)
		if err != nil {
			return nil, err
		}
		to := location(u, o, res)
		if to == nil {
			return o.seal(res, c.known), nil
		}
		if hop == o.Redirects {
			return nil, fmt.Errorf("more than %d redirects, the last to %s", o.Redirects, redacted(to))
		}
		public, err := c.guard.redirect(u, to)
		if err != nil {
			return nil, err
		}
		if home = home && origin(to) == origin(o.first); !home && o.used.in(to.String()) {
			return nil, fmt.Errorf("%w: redirect to another server, %s, with a secret in the URL", ErrRefused, redacted(to))
		}
		u, hopCtx = to, ctx
		if public {
			hopCtx = context.WithValue(ctx, publicOnly{}, true)
		}
	}
}

// seal makes of the last answer what a plugin may see.
func (o *outgoing) seal(res *HTTPResponse, known used) *HTTPResponse {
	known.remove(res)
	res.Revision = revision(o.shown, res.Header)
	if res.Status == http.StatusNotModified && res.Revision == "" {
		res.Revision = o.Revision
	}
	return res
}

// location is where a redirect leads (RFC 9110 §15.4), nil if res is none that is to be followed.
func location(u *url.URL, o *outgoing, res *HTTPResponse) *url.URL {
	switch res.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	if o.Redirects == 0 || o.Method != http.MethodGet && o.Method != http.MethodHead {
		return nil
	}
	to, err := u.Parse(res.Header.Get("Location"))
	if err != nil || res.Header.Get("Location") == "" {
		return nil
	}
	to.User = nil // only the operator's URL may bring credentials
	return to
}

// exchange sends o to u, one hop on its way.
func (c *httpClient) exchange(ctx context.Context, o *outgoing, u *url.URL, home bool) (*HTTPResponse, error) {
	req, err := c.request(ctx, o, u, home)
	if err != nil {
		return nil, err
	}
	res, err := c.send(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	out := &HTTPResponse{Method: o.Method, URL: o.shown, Status: res.StatusCode, Header: res.Header}
	if out.Body, err = readBody(res, c.maxAnswer, growing(ctx)); err != nil {
		return nil, fmt.Errorf("in the body of a %d answer: %w", res.StatusCode, err)
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

func (c *httpClient) request(ctx context.Context, o *outgoing, u *url.URL, home bool) (*http.Request, error) {
	var body io.Reader
	if len(o.Body) > 0 {
		body = bytes.NewReader(o.Body)
	}
	req, err := http.NewRequestWithContext(ctx, o.Method, u.String(), body)
	if err != nil {
		return nil, errors.New(urlReason(err))
	}
	req.URL.User = nil
	h := req.Header
	h.Set("Accept", "application/json")
	h.Set("User-Agent", c.agent)
	h.Set("Accept-Encoding", "gzip")
	if home {
		if c.guard.trusted(u) {
			overlay(h, c.header)
		}
		overlay(h, o.Header)
		if user := o.first.User; user != nil && h.Get("Authorization") == "" {
			password, _ := user.Password()
			req.SetBasicAuth(user.Username(), password)
		}
	}
	overlay(h, conditions(o.shown, o.Revision))
	if host := h.Get("Host"); host != "" {
		req.Host = host
		h.Del("Host")
	}
	if err := checkHeader(h); err != nil {
		return nil, &kindError{err, ErrInvalid}
	}
	return req, nil
}

// kindError is an error of a kind that is not part of its text.
type kindError struct{ err, kind error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.err, e.kind} }

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

func readBody(res *http.Response, limit int64, grow func() error) ([]byte, error) {
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
	return readUpTo(src, size, limit, grow)
}

// largestPiece bounds what is set aside for an answer before it is there.
const largestPiece = 1 << 20

// readUpTo reads all of src, whose size is known or -1. It reads in pieces: a buffer that grows would take several times
// the size of a large answer, and a size that is only claimed would cost as much as one that is true. It asks grow before
// it goes on with a large one.
func readUpTo(src io.Reader, size, limit int64, grow func() error) ([]byte, error) {
	var pieces [][]byte
	next := int64(4 << 10)
	if size >= 0 {
		next = min(size, largestPiece-1) + 1 // and so the end is seen at once
	}
	for total := int64(0); ; next = min(2*next, largestPiece) {
		piece, err := readPiece(src, next)
		if total += int64(len(piece)); total > limit {
			return nil, tooLarge(limit)
		}
		pieces = append(pieces, piece)
		if total > smallAnswer {
			if err := grow(); err != nil {
				return nil, err
			}
		}
		switch {
		case err == nil:
		case err != io.EOF:
			return nil, err
		case len(pieces) == 1:
			return piece, nil
		default:
			return slices.Concat(pieces...), nil
		}
	}
}

// readPiece reads until the piece is full; an error is that of src, its end io.EOF.
func readPiece(src io.Reader, size int64) ([]byte, error) {
	piece := make([]byte, size)
	for n := 0; ; {
		if n == len(piece) {
			return piece, nil
		}
		m, err := src.Read(piece[n:])
		if n += m; err != nil {
			return piece[:n], err
		}
	}
}

func tooLarge(limit int64) error {
	err := fmt.Errorf("larger than %d bytes, the limit for an answer", limit)
	if limit%(1<<20) == 0 {
		err = fmt.Errorf("larger than %d MiB, the limit for an answer", limit>>20)
	}
	return &kindError{err, ErrLimit}
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
