package plugins

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rosterd/engine"
)

// String is what log lines and errors say of an answer: "GET http://localhost/contacts/jim → 404 Not Found".
func (r *HTTPResponse) String() string {
	s := fmt.Sprintf("%s %s → %d", r.Method, r.URL, r.Status)
	if t := http.StatusText(r.Status); t != "" {
		s += " " + t
	}
	return s
}

// NoRoster is what an answer means that brings none: that there is no such user, that somebody must change something, or
// that it did not work now.
func (r *HTTPResponse) NoRoster(now time.Time) error {
	switch r.Status {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s", engine.ErrUnknownUser, r)
	case http.StatusUnauthorized, http.StatusForbidden:
		return &engine.PermanentError{Err: fmt.Errorf("%s: the backend refuses our credentials", r)}
	}
	return &engine.TemporaryError{RetryAfter: r.RetryAfter(now), Err: errors.New(r.String())}
}

// Freshness is what an answer says about being kept (RFC 9111 §5.2.2, RFC 5861 §4).
type Freshness struct {
	MaxAge       time.Duration // how long it stays fresh; 0 if it does not say
	StaleIfError time.Duration // how long after that it may serve in place of an error
	Bounded      bool          // StaleIfError was named; else it may serve without limit
}

// Freshness reads Cache-Control and Age. That must-revalidate, proxy-revalidate, Expires and Pragma do not count, and
// no-store no more than no-cache, is meant: PHP sends them with every session, and nobody means by it that a roster
// should be lost in an outage. Who does has rosterd_keep_rosters.
func (r *HTTPResponse) Freshness() (f Freshness) {
	again := false // each login asks
	for d := range strings.SplitSeq(strings.Join(r.Header.Values("Cache-Control"), ","), ",") {
		name, arg, _ := strings.Cut(strings.ToLower(strings.TrimSpace(d)), "=")
		age, ok := seconds(strings.Trim(strings.TrimSpace(arg), `"`))
		switch strings.TrimSpace(name) {
		case "no-cache", "no-store":
			again = true
		case "max-age":
			f.MaxAge = age
		case "stale-if-error":
			f.StaleIfError, f.Bounded = age, ok
		}
	}
	on, _ := seconds(r.Header.Get("Age"))
	if f.MaxAge = max(0, f.MaxAge-on); again {
		f.MaxAge = 0
	}
	return f
}

// RetryAfter is how long the server asks to be left alone (RFC 9110 §10.2.3); 0 if it does not say.
func (r *HTTPResponse) RetryAfter(now time.Time) time.Duration {
	v := r.Header.Get("Retry-After")
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	after, _ := seconds(v)
	return after
}

// seconds reads delta-seconds; what is more than 68 years is 68 years (RFC 9111 §1.2.2).
func seconds(s string) (d time.Duration, ok bool) {
	if s = strings.TrimSpace(s); s == "" { // most answers say nothing; an error is not free
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		n = math.MaxUint64
	case err != nil:
		return 0, false
	}
	return time.Duration(min(n, 1<<31)) * time.Second, true
}

// revision names the state of a resource by its validators and its URL: a copy of another URL must never be
// taken for this one after the configuration changed.
func revision(rawURL string, h http.Header) string {
	etag, modified := h.Get("ETag"), h.Get("Last-Modified")
	if len(etag) > 1024 {
		etag = ""
	}
	if modified != "" { // an error is not free
		if _, err := http.ParseTime(modified); err != nil {
			modified = ""
		}
	}
	if etag == "" && modified == "" {
		return ""
	}
	v := url.Values{"of": {urlHash(rawURL)}}
	if etag != "" {
		v.Set("etag", etag)
	}
	if modified != "" {
		v.Set("modified", modified)
	}
	return v.Encode()
}

// conditions turns a revision back into the header fields of a conditional request.
func conditions(rawURL, rev string) http.Header {
	v, err := url.ParseQuery(rev)
	if err != nil || v.Get("of") != urlHash(rawURL) {
		return nil
	}
	h := http.Header{}
	if etag := v.Get("etag"); etag != "" {
		h.Set("If-None-Match", etag)
	}
	if modified := v.Get("modified"); modified != "" {
		h.Set("If-Modified-Since", modified)
	}
	return h
}

func urlHash(rawURL string) string {
	sum := sha256.Sum256([]byte(rawURL))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}
