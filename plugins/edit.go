package plugins

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"rosterd/engine"
)

// Editor takes what users want of their rosters to the backend, as an engine.Writer does.
type Editor interface {
	Edit(ctx context.Context, e engine.Edit) error
}

var _ engine.Writer = Editor(nil)

// maxVeto is how many bytes of a backend's no a user gets to read.
const maxVeto = 1024

// Veto is the no of a backend, with what of its words a user may see.
func Veto(text string) error {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if len(text) > maxVeto {
		text = strings.ToValidUTF8(text[:maxVeto], "") + "…"
	}
	return &engine.VetoError{Text: strings.TrimSpace(text)}
}

// Edited is what an answer to an edit means: nil if the backend has taken it, a veto in the words of a body that is plain text,
// or why nobody knows.
func (r *HTTPResponse) Edited(now time.Time) error {
	switch {
	case r.Status >= 200 && r.Status <= 299:
		return nil
	case r.Status == http.StatusForbidden, r.Status == http.StatusConflict:
		if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(strings.ToLower(kind)) != "text/plain" {
			return Veto("")
		}
		return Veto(string(r.Body[:min(len(r.Body), 4*maxVeto)]))
	case r.Status == http.StatusNotFound:
		return fmt.Errorf("%w: %s", engine.ErrNoItem, r)
	case r.Status == http.StatusUnauthorized:
		return &engine.PermanentError{Err: fmt.Errorf("%s: the backend refuses our credentials", r)}
	case r.Status == http.StatusPreconditionFailed:
		return &engine.TemporaryError{Err: fmt.Errorf("%s: the roster is not what it was", r)}
	case r.Status < 500 && r.Status != http.StatusRequestTimeout && r.Status != http.StatusTooManyRequests:
		return &engine.PermanentError{Err: fmt.Errorf("%s: the backend takes no edits", r)}
	}
	return &engine.TemporaryError{RetryAfter: r.RetryAfter(now), Err: errors.New(r.String())}
}

// StrongETag is the entity tag in a revision that an HTTPResponse had, "" if it has none or a weak one, of which nothing may depend
// (RFC 9110 §13.1.1).
func StrongETag(revision string) string {
	v, err := url.ParseQuery(revision)
	if etag := v.Get("etag"); err == nil && strings.HasPrefix(etag, `"`) {
		return etag
	}
	return ""
}
