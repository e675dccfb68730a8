package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"rosterd/engine"
)

const (
	// maxCallBody bounds the body of a request from outside.
	maxCallBody = 1 << 20
	// maxCallers is how many requests from outside a plugin answers at once. They may wait for rosters, which the plugin
	// has to fetch meanwhile.
	maxCallers = 4
	// handleTime is how long one may take: as long as a refresh, and a little to answer.
	handleTime = 35 * time.Second
	// sendTime is how long a client may take to receive an answer, unless it is a small one, which never waits for him.
	sendTime = time.Minute
	small    = 4 << 10
)

// Routes serves the routes of a plugin. Its handler sees paths below the plugin's own.
func Routes(p Plugin, log *slog.Logger) http.Handler {
	return &routes{plugin: p, routes: p.Info().Routes, log: log, room: make(chan struct{}, maxCallers)}
}

type routes struct {
	plugin Plugin
	routes []Route
	log    *slog.Logger
	room   chan struct{}
}

func (s *routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i, rest, methods := s.find(r.Method, r.URL.Path)
	switch {
	case i < 0 && len(methods) == 0:
		answer(w, http.StatusNotFound, "there is nothing here")
		return
	case i < 0:
		w.Header().Set("Allow", strings.Join(methods, ", "))
		answer(w, http.StatusMethodNotAllowed, "only "+strings.Join(methods, ", "))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		answer(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("more than %d KiB", maxCallBody>>10))
		return
	case err != nil:
		answer(w, http.StatusBadRequest, "the request could not be read")
		return
	}
	reply, err := s.handle(r, call(r, i, rest, body))
	if err == nil {
		err = write(w, reply)
	}
	switch {
	case errors.Is(err, errBusy):
		answer(w, http.StatusServiceUnavailable, err.Error())
	case err != nil:
		s.fail(w, r, err)
	}
}

var errBusy = errors.New("too many requests at once")

// handle has a place for as long as the plugin takes, and not for as long as the client does.
func (s *routes) handle(r *http.Request, c Call) (Reply, error) {
	ctx, cancel := context.WithTimeout(r.Context(), handleTime)
	defer cancel()
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	case <-ctx.Done():
		return Reply{}, errBusy
	}
	return s.plugin.Handle(ctx, c)
}

// find is the route of a request: one of that very path before one that takes all below a path, of those the longest.
// Where there is none but for other methods, it names those.
func (s *routes) find(method, path string) (route int, rest string, methods []string) {
	path = strings.TrimPrefix(path, "/")
	route, longest := -1, -1
	for i, r := range s.routes {
		want := strings.TrimPrefix(r.Path, "/")
		below, open := strings.CutSuffix(want, "*")
		weight := len(want) + 1<<20
		if open {
			weight = len(below)
		}
		if !open && want != path || open && !strings.HasPrefix(path, below) {
			continue
		}
		if r.Method != method && (r.Method != http.MethodGet || method != http.MethodHead) {
			if !slices.Contains(methods, r.Method) {
				methods = append(methods, r.Method)
			}
			continue
		}
		if weight > longest {
			route, longest, rest = i, weight, ""
			if open {
				rest = path[len(below):]
			}
		}
	}
	slices.Sort(methods)
	return route, rest, methods
}

func call(r *http.Request, route int, rest string, body []byte) Call {
	c := Call{
		Route: route, Rest: rest, Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Host: r.Host,
		Header: r.Header, Body: body, Secure: r.TLS != nil || r.URL.Scheme == "https",
	}
	if full, _, _ := strings.Cut(r.RequestURI, "?"); strings.HasPrefix(full, "/") {
		c.Path = full
	}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.From = ap.Addr().Unmap()
	}
	return c
}

// write sends a reply, unless a plugin made one that nobody can send.
func write(w http.ResponseWriter, reply Reply) error {
	status := reply.Status
	if status == 0 {
		status = http.StatusOK
	}
	if status < 200 || status > 599 {
		return &engine.FaultError{Kind: "protocol", Err: fmt.Errorf("a reply with status %d", status)}
	}
	if err := checkHeader(reply.Header); err != nil {
		return &engine.FaultError{Kind: "protocol", Err: fmt.Errorf("a reply: %w", err)}
	}
	header := w.Header()
	if status == http.StatusNoContent || status == http.StatusNotModified {
		reply.Body = nil // there is none (RFC 9110 §6.4.1)
	}
	for name, values := range reply.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	if len(reply.Body) > 0 && header["Content-Type"] == nil {
		// Nobody guesses what it is: what a plugin repeats of a request must not become a page.
		plainText(header)
	}
	if len(reply.Body) < small {
		w.WriteHeader(status)
		_, _ = w.Write(reply.Body) // the client has gone
		return nil
	}
	header.Set("Content-Length", strconv.Itoa(len(reply.Body)))
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(sendTime)) // there is none to set where there is no connection
	w.WriteHeader(status)
	_, _ = w.Write(reply.Body)
	if control.Flush() == nil {
		_ = control.SetWriteDeadline(time.Time{}) // for the next answer
	}
	return nil
}

// fail tells the client no more than whether it may come again.
func (s *routes) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // nobody waits any more
	}
	var temporary *engine.TemporaryError
	if errors.As(err, &temporary) || errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("plugin could not answer a request", "path", r.URL.Path, "error", err)
		if temporary != nil && temporary.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(temporary.RetryAfter.Seconds()+1)))
		}
		answer(w, http.StatusServiceUnavailable, "not now")
		return
	}
	s.log.Error("plugin failed at a request", "path", r.URL.Path, "error", err)
	answer(w, http.StatusInternalServerError, "the plugin failed")
}

func answer(w http.ResponseWriter, status int, text string) {
	plainText(w.Header())
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

func plainText(header http.Header) {
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
}
