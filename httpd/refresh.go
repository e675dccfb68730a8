package httpd

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"rosterd/engine"
)

// Refresher is told that the rosters of users changed. It answers when they have
// been fetched again, or when ctx ends, whichever is first, with a result for
// each name, in the names' order. No names at all say that something has changed, not what. It may be an EachRefresher.
type Refresher interface {
	Refresh(ctx context.Context, host string, names []string) engine.Summary
}

// Refresh is the API by which a backend says that rosters changed: POST
// Path/refresh with a JSON array of usernames, or GET Path/refresh/USERNAME.
//
// Who asks must bring Token, Secret and ClientCAs: all that are set, or nothing if
// none is. Then whoever reaches the port is trusted, but for web pages open in a
// browser there.
type Refresh struct {
	Refresher Refresher
	Path      string        // as http_paths has it; "" means /roster_admin
	Timeout   time.Duration // an answer goes out that long after the request at the latest, or after the last line of one in lines; 0 means 30 s
	MaxBytes  int64         // of a body; 0 means 4 MiB
	MaxNames  int           // in a body; 0 means 100,000

	Token string // bearer token (RFC 6750 §2.1)

	// Secret is that of a signature of the body, in the form that webhooks use:
	//
	//	X-Hub-Signature-256: sha256=HEX of HMAC-SHA256(Secret, body)
	//
	// With X-Rosterd-Timestamp: SECONDS since 1970, what is signed is SECONDS, a
	// dot and the body, and a request that is older than five minutes is refused.
	// Who signs so cannot be replayed later: neither form passes for the other, as a
	// JSON array does not begin with a digit. A GET has no body to sign and is refused.
	Secret string

	// ClientCAs are the authorities of client certificates. The handshake asks for
	// one where a VirtualHost has them, and accepts clients without: only what is
	// here needs one.
	ClientCAs *x509.CertPool

	// Observe, if set, is told of each refresh: how many names it had, how many of them count as errors in the
	// answer, and how long it took.
	Observe func(names, errors int, took time.Duration)
}

// refreshAPI serves the Refresh of one VirtualHost.
type refreshAPI struct {
	Refresh
	server *Server
	host   string
	path   string // of the API, for messages
}

func newRefreshAPI(s *Server, host, path string, settings Refresh) http.Handler {
	a := &refreshAPI{Refresh: settings, server: s, host: host, path: path + "/refresh"}
	a.Timeout = or(a.Timeout, 30*time.Second)
	a.MaxBytes = or(a.MaxBytes, 4<<20)
	a.MaxNames = or(a.MaxNames, 100_000)
	router := newRouter()
	router.POST("/refresh", a.admit(a.refreshMany))
	router.POST("/refresh/", a.admit(a.refreshMany))
	router.GET("/refresh", a.admit(a.refreshOne))
	router.GET("/refresh/*name", a.admit(a.refreshOne))
	router.MethodNotAllowed = http.HandlerFunc(s.methodNotAllowed)
	router.NotFound = http.HandlerFunc(a.notFound)
	return router
}

func (a *refreshAPI) notFound(w http.ResponseWriter, r *http.Request) {
	a.server.refuse(w, r, http.StatusNotFound, "no such path; "+a.usage())
}

func (a *refreshAPI) usage() string {
	return fmt.Sprintf("POST a JSON array of usernames to %s, or GET %[1]s/USERNAME", a.path)
}

// admit lets in whoever brings what is needed, as far as the header shows them.
func (a *refreshAPI) admit(next func(http.ResponseWriter, *http.Request, httprouter.Params, signature)) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) {
		if err := a.checkToken(r); err != nil {
			a.challenge(w, r, err)
			return
		}
		if err := errors.Join(a.checkPage(r), a.checkName(r), a.checkCertificate(r)); err != nil {
			a.server.refuse(w, r, http.StatusForbidden, err.Error())
			return
		}
		signed, err := a.readSignature(r)
		if err != nil {
			a.server.refuse(w, r, http.StatusForbidden, err.Error())
			return
		}
		next(w, r, p, signed)
	}
}

// challenge is RFC 6750 §3: no error code for who did not try.
func (a *refreshAPI) challenge(w http.ResponseWriter, r *http.Request, err error) {
	challenge := fmt.Sprintf("Bearer realm=%q", a.host)
	if errors.Is(err, errWrongToken) {
		challenge += `, error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	a.server.refuse(w, r, http.StatusUnauthorized, err.Error())
}

func (a *refreshAPI) refreshOne(w http.ResponseWriter, r *http.Request, p httprouter.Params, _ signature) {
	name := strings.TrimPrefix(p.ByName("name"), "/")
	if strings.HasSuffix(r.URL.EscapedPath(), "/") { // and not %2F, which would be part of the name
		name = strings.TrimSuffix(name, "/")
	}
	if name == "" {
		a.server.refuse(w, r, http.StatusBadRequest, "no username; "+a.usage())
		return
	}
	a.refresh(w, r, []element{{name: name}})
}

func (a *refreshAPI) refreshMany(w http.ResponseWriter, r *http.Request, _ httprouter.Params, signed signature) {
	body, status, err := a.readSigned(r, signed)
	if err != nil {
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		a.server.refuse(w, r, status, err.Error())
		return
	}
	elements, err := decodeNames(body, a.MaxNames)
	switch {
	case errors.Is(err, errTooManyNames):
		a.server.refuse(w, r, http.StatusRequestEntityTooLarge, err.Error())
	case err != nil:
		a.server.refuse(w, r, http.StatusBadRequest, err.Error())
	default:
		a.refresh(w, r, elements)
	}
}

// readSigned reads a body of somebody who may send one; with an error comes the status to answer.
func (a *refreshAPI) readSigned(r *http.Request, signed signature) (body []byte, status int, err error) {
	if a.Secret == "" || a.Token != "" || a.ClientCAs != nil { // there is no signature, or it is not all that says who sends it
		body, status, err = a.readBody(r, r.Body)
	} else {
		kept := &roomReader{Reader: r.Body, room: &a.server.unsigned, most: unsignedBodies * a.MaxBytes}
		defer kept.leave()
		body, status, err = a.readBody(r, kept)
	}
	if err == nil {
		err, status = a.checkSignature(signed, body), http.StatusForbidden
	}
	return body, status, err
}

// readBody reads the whole body; with an error comes the status to answer.
func (a *refreshAPI) readBody(r *http.Request, from io.Reader) (body []byte, status int, err error) {
	if r.ContentLength <= a.MaxBytes { // else it is not even read: see Expect, RFC 9110 §10.1.1
		body, err = io.ReadAll(io.LimitReader(from, a.MaxBytes+1))
	}
	switch {
	case errors.Is(err, errBusy):
		return nil, http.StatusServiceUnavailable, err
	case r.ContentLength > a.MaxBytes, int64(len(body)) > a.MaxBytes:
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", a.MaxBytes)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, http.StatusRequestTimeout, fmt.Errorf("the body did not arrive in time: %d bytes of it came", len(body))
	case err != nil:
		return nil, http.StatusBadRequest, fmt.Errorf("the body ended after %d bytes: %w", len(body), err)
	}
	return body, 0, nil
}

func (a *refreshAPI) refresh(w http.ResponseWriter, r *http.Request, elements []element) {
	if wantsLines(r) {
		a.stream(w, r, elements)
		return
	}
	start := time.Now()
	names, at := distinct(elements)
	var summary engine.Summary
	if len(names) > 0 || len(elements) == 0 {
		summary = a.call(names)
	}
	answer := summarize(elements, at, summary)
	if a.Observe != nil {
		a.Observe(len(elements), answer.Errors, time.Since(start))
	}
	a.server.writeAnswer(w, r, http.StatusOK, answer)
}

// distinct returns each name once, and for each element where its name stands
// there, -1 for what is no name.
func distinct(elements []element) (names []string, at []int) {
	names = make([]string, 0, len(elements))
	at = make([]int, len(elements))
	seen := make(map[string]int, len(elements))
	for i, e := range elements {
		if e.kind != "" {
			at[i] = -1
			continue
		}
		n, ok := seen[e.name]
		if !ok {
			n = len(names)
			seen[e.name] = n
			names = append(names, e.name)
		}
		at[i] = n
	}
	return names, at
}

// summarize counts every element, also those that repeat a name. What fails where there is none is an error, too.
func summarize(elements []element, at []int, summary engine.Summary) answer {
	a := answer{Results: make([]result, len(elements))}
	for i, e := range elements {
		if at[i] < 0 {
			a.Results[i] = notAName(i, e)
		} else {
			a.Results[i] = resultOf(summary.Results[at[i]])
		}
		a.count(a.Results[i])
	}
	if len(elements) == 0 {
		a.Errors = summary.Errors
	}
	a.judge()
	return a
}

// notAName is what becomes of an element that is none.
func notAName(i int, e element) result {
	return result{Name: e.name, Outcome: string(engine.Invalid), Error: fmt.Sprintf("element %d is no string but a JSON %s", i, e.kind)}
}

func resultOf(r engine.Result) result {
	return result{Name: r.Name, Outcome: string(r.Outcome), Changes: r.Changes, Error: r.Error}
}

func (a *answer) count(r result) {
	switch engine.Outcome(r.Outcome) {
	case engine.Updated, engine.Unchanged, engine.Offline:
		a.Updated++
	default:
		a.Errors++
	}
}

// judge says how it went as a whole.
func (a *answer) judge() {
	a.Status, a.Message = "ok", "roster update complete"
	if a.Updated == 0 && a.Errors > 0 {
		a.Status, a.Message = "error", "roster update failed"
	}
}

// call asks the Refresher, whose time ends a little before the answer is due, so
// that it can still say what it has reached. One that says nothing then is left
// behind: all its names count as pending.
func (a *refreshAPI) call(names []string) engine.Summary {
	grace := a.grace()
	ctx, cancel := context.WithTimeout(a.server.refreshes, a.Timeout-grace)
	defer cancel()
	done := a.start(ctx, names, nil)
	select {
	case o := <-done:
		return a.summaryOf(o, names)
	case <-ctx.Done():
	}
	last := time.NewTimer(grace)
	defer last.Stop()
	select {
	case o := <-done:
		return a.summaryOf(o, names)
	case <-last.C:
		return a.tooLate(names)
	}
}

// grace is how long a Refresher whose time is up may take to say what it has reached.
func (a *refreshAPI) grace() time.Duration { return min(a.Timeout/10, time.Second) }

// refreshed is what a Refresher has answered.
type refreshed struct {
	summary engine.Summary
	panic   *calledPanic
}

// start calls the Refresher. The call does not end with the request: who hangs up without waiting for the answer wants
// the refresh all the same.
func (a *refreshAPI) start(ctx context.Context, names []string, landed engine.Landed) <-chan refreshed {
	done := make(chan refreshed, 1)
	a.server.calls.Go(func() {
		var o refreshed
		defer func() {
			if v := recover(); v != nil {
				o.panic = &calledPanic{value: v, stack: debug.Stack()}
			}
			done <- o
		}()
		if each, ok := a.Refresher.(EachRefresher); ok && landed != nil {
			o.summary = each.RefreshEach(ctx, a.host, names, landed)
		} else {
			o.summary = a.Refresher.Refresh(ctx, a.host, names)
		}
	})
	return done
}

func (a *refreshAPI) summaryOf(o refreshed, names []string) engine.Summary {
	if o.panic != nil {
		panic(*o.panic)
	}
	if len(o.summary.Results) != len(names) {
		panic(fmt.Sprintf("refresh of %s: %d results for %d names", a.host, len(o.summary.Results), len(names)))
	}
	return o.summary
}

func (a *refreshAPI) tooLate(names []string) engine.Summary {
	a.server.log().Warn("refresh not answered in time", "host", a.host, "names", len(names), "timeout", a.Timeout)
	return pending(names)
}

func pending(names []string) (s engine.Summary) {
	s.Errors = len(names)
	for _, name := range names {
		s.Results = append(s.Results, engine.Result{Name: name, Outcome: engine.Pending, Error: "no answer in time; it goes on"})
	}
	return s
}
