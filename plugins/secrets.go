package plugins

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"rosterd/engine"
)

// secrets are what plugins send and never see, by name: the option rosterd_plugin_secrets. In the query of a URL and in
// the values of header fields {{secret:NAME}} stands for one.
type secrets map[string]string

const (
	secretOpens, secretCloses = "{{secret:", "}}"
	// shortestTelling is the length from which on a secret stands nowhere by chance, and is taken out of answers that
	// repeat it.
	shortestTelling = 8
)

var errMisplaced = errors.New(secretOpens + "…" + secretCloses + " may stand in the query of a URL and in the value of a header field only")

// readSecrets reads the option.
func readSecrets(opts *Options) (secrets, error) {
	const option = "rosterd_plugin_secrets"
	fields, err := table(opts, option, `{ crm_token = "…" }`)
	if err != nil {
		return nil, err
	}
	s := secrets{}
	for name, v := range fields {
		value, isText := v.(string)
		switch {
		case !isText:
			return nil, opts.Wrong(option, "the value of %s is a %s, not a string", name, kind(v))
		case name == "" || strings.ContainsAny(name, "{}"):
			return nil, opts.Wrong(option, "%q is no name of a secret", name)
		case value == "":
			return nil, opts.Wrong(option, "%s is empty", name)
		}
		s[name] = value
	}
	return s, nil
}

// used are the secrets of one request.
type used struct {
	forms []form
}

// form is what a secret looks like on the way, and what plugins see instead.
type form struct{ sent, shown string }

// intoURL puts secrets into the query of a URL.
func (s secrets) intoURL(u *url.URL, use *used) (*url.URL, error) {
	if misplaced(u) {
		return nil, errMisplaced
	}
	query, err := s.into(u.RawQuery, url.QueryEscape, use)
	if err != nil || query == u.RawQuery {
		return u, err
	}
	real := *u
	real.RawQuery = query
	return &real, nil
}

// misplaced tells whether a secret is asked for in a part of a URL that is shown, or that says who is asked.
func misplaced(u *url.URL) bool {
	password, _ := u.User.Password()
	for _, part := range []string{u.Path, u.Host, u.Fragment, u.User.Username(), password} {
		if strings.Contains(part, secretOpens) {
			return true
		}
	}
	return false
}

// intoHeader puts secrets into the values of header fields.
func (s secrets) intoHeader(h http.Header, use *used) (http.Header, error) {
	real, same := h, true
	for name, values := range h {
		for i, v := range values {
			with, err := s.into(v, func(secret string) string { return secret }, use)
			if err != nil {
				return nil, fmt.Errorf("header field %s: %w", http.CanonicalHeaderKey(name), err)
			}
			if with == v {
				continue
			}
			if same {
				real, same = h.Clone(), false
			}
			real[name][i] = with
		}
	}
	return real, nil
}

// into puts secrets into a text. What stands for one is looked for once: no secret can bring in another.
func (s secrets) into(text string, escape func(string) string, use *used) (string, error) {
	before, rest, found := strings.Cut(text, secretOpens)
	if !found {
		return text, nil
	}
	var b strings.Builder
	for ; found; before, rest, found = strings.Cut(rest, secretOpens) {
		b.WriteString(before)
		name, after, closed := strings.Cut(rest, secretCloses)
		if !closed {
			return "", fmt.Errorf("%s without %s after the name", secretOpens, secretCloses)
		}
		secret, known := s[name]
		if !known {
			return "", fmt.Errorf("there is no secret %q in rosterd_plugin_secrets", name)
		}
		b.WriteString(escape(secret))
		use.add(name, secret)
		rest = after
	}
	b.WriteString(before)
	return b.String(), nil
}

func (u *used) add(name, secret string) { u.learn(secretOpens+name+secretCloses, secret) }

func (u *used) learn(shown, secret string) {
	// The last two are what JSON makes of a slash and of a quote, as PHP and others write it.
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(secret)
	for _, sent := range []string{secret, url.QueryEscape(secret), EncodeURL(secret), quoted, strings.ReplaceAll(quoted, "/", `\/`)} {
		if !slices.ContainsFunc(u.forms, func(f form) bool { return f.sent == sent }) {
			u.forms = append(u.forms, form{sent, shown})
		}
	}
}

// credential finds the names of header fields whose values are secret. X-Auth-Domain is not among them: what it says may
// well stand in an answer.
var credential = regexp.MustCompile(`(?i)^authorization$|^x-auth$|token|secret|passw|key|cookie|credential`)

// known are all secrets there are for a plugin: those by name, and the credentials among the operator's header. A server
// may repeat them whether or not a plugin has named them in this very request.
func known(s secrets, header http.Header) (all used) {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		all.add(name, s[name])
	}
	for name, values := range header {
		if !credential.MatchString(name) {
			continue
		}
		shown := "{{rosterd_backend_headers:" + name + "}}"
		for _, v := range values {
			all.learn(shown, v)
			if _, after, scheme := strings.Cut(v, " "); scheme {
				all.learn(shown, after)
			}
		}
	}
	all.forms = slices.Collect(all.telling)
	return all
}

// telling are the forms that stand nowhere by chance.
func (u *used) telling(yield func(form) bool) {
	for _, f := range u.forms {
		if len(f.sent) >= shortestTelling && !yield(f) {
			return
		}
	}
}

// in tells whether there is a secret in a text.
func (u *used) in(s string) bool {
	for f := range u.telling {
		if strings.Contains(s, f.sent) {
			return true
		}
	}
	return false
}

// remove takes secrets out of an answer: some servers repeat what they were sent, above all when they do not like it.
func (u *used) remove(res *HTTPResponse) {
	for f := range u.telling {
		for _, values := range res.Header {
			for i := range values {
				values[i] = strings.ReplaceAll(values[i], f.sent, f.shown)
			}
		}
		if bytes.Contains(res.Body, []byte(f.sent)) {
			res.Body = bytes.ReplaceAll(res.Body, []byte(f.sent), []byte(f.shown))
		}
	}
}

// error is err with a text that plugins may see.
func (u *used) error(err error) error {
	if text := u.hide(err.Error()); text != err.Error() {
		return &censored{text, err, u.hide}
	}
	return err
}

func (u *used) hide(text string) string {
	for _, f := range u.forms {
		text = strings.ReplaceAll(text, f.sent, f.shown)
	}
	return text
}

// censored is an error that is still known for what it is, with another text. It shows nobody what it wraps.
type censored struct {
	text string
	err  error
	hide func(string) string
}

func (e *censored) Error() string { return e.text }

// Is tells of the error below without showing it.
func (e *censored) Is(target error) bool { return errors.Is(e.err, target) }

// As tells what the engine asks of errors, likewise.
func (e *censored) As(target any) bool {
	switch t := target.(type) {
	case **engine.FaultError:
		if errors.As(e.err, t) {
			*t = &engine.FaultError{Kind: (*t).Kind, Err: errors.New(e.hide((*t).Err.Error()))}
			return true
		}
	case **engine.TemporaryError:
		if errors.As(e.err, t) {
			*t = &engine.TemporaryError{RetryAfter: (*t).RetryAfter, Err: errors.New(e.hide((*t).Err.Error()))}
			return true
		}
	case **engine.PermanentError:
		if errors.As(e.err, t) {
			*t = &engine.PermanentError{Err: errors.New(e.hide((*t).Err.Error()))}
			return true
		}
	}
	return false
}

// table reads an option that is a table with names.
func table(opts *Options, option, example string) (map[string]any, error) {
	v, ok := opts.Get(option)
	if !ok {
		return nil, nil
	}
	fields, isTable := v.(map[string]any)
	if list, empty := v.([]any); empty && len(list) == 0 {
		return nil, nil
	}
	if !isTable {
		return nil, opts.Wrong(option, `a %s where a table such as %s is expected`, kind(v), example)
	}
	return fields, nil
}
