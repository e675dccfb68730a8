package plugins

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// String is what log lines and errors say of an answer: "GET http://localhost/contacts/jim → 404 Not Found".
func (r *HTTPResponse) String() string {
	s := fmt.Sprintf("%s %s → %d", r.Method, r.URL, r.Status)
	if t := http.StatusText(r.Status); t != "" {
		s += " " + t
	}
	return s
}

// MaxAge is how long the answer stays fresh (RFC 9111 §4.2); 0 if it does not say.
func (r *HTTPResponse) MaxAge() time.Duration {
	var age time.Duration
	for d := range strings.SplitSeq(strings.Join(r.Header.Values("Cache-Control"), ","), ",") {
		name, arg, _ := strings.Cut(strings.ToLower(strings.TrimSpace(d)), "=")
		switch name {
		case "no-cache", "no-store":
			return 0
		case "max-age":
			age = seconds(strings.Trim(arg, `"`))
		}
	}
	return max(0, age-seconds(r.Header.Get("Age")))
}

// RetryAfter is how long the server asks to be left alone (RFC 9110 §10.2.3); 0 if it does not say.
func (r *HTTPResponse) RetryAfter(now time.Time) time.Duration {
	v := r.Header.Get("Retry-After")
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return seconds(v)
}

// seconds reads delta-seconds; a century is enough for anybody (RFC 9111 §1.2.2).
func seconds(s string) time.Duration {
	if s == "" {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(min(n, 1<<31)) * time.Second
}

// revision names the state of a resource by its validators and its URL: a copy of another URL must never be
// taken for this one after the configuration changed.
func revision(rawURL string, h http.Header) string {
	etag, modified := h.Get("ETag"), h.Get("Last-Modified")
	if len(etag) > 1024 {
		etag = ""
	}
	if _, err := http.ParseTime(modified); err != nil {
		modified = ""
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
