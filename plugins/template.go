package plugins

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// URLTemplate is a URL in which %s stands for a user name, as in http_roster_url. Any other percent sign is
// part of the URL; "%%" is one percent sign, since Prosody's format wanted it written so.
type URLTemplate struct {
	parts []string // what stands between the places of the name
}

// placeholder is neither a hexadecimal digit nor anything that would be escaped.
const placeholder = "~"

// ParseURLTemplate checks that s is an absolute HTTP URL with %s in its path or its query.
func ParseURLTemplate(s string) (URLTemplate, error) {
	t := URLTemplate{parts: literals(s)}
	if len(t.parts) < 2 {
		return URLTemplate{}, errors.New("no %s in it, which stands for the user name")
	}
	u, err := url.Parse(strings.Join(t.parts, placeholder))
	if err != nil {
		return URLTemplate{}, errors.New("not a URL: " + urlReason(err))
	}
	if err := checkURL(u); err != nil {
		return URLTemplate{}, err
	}
	if misplaced(u) {
		return URLTemplate{}, errMisplaced
	}
	other, err := url.Parse(strings.Join(t.parts, placeholder+placeholder))
	if err != nil || other.Host != u.Host || other.User.String() != u.User.String() || other.Fragment != u.Fragment {
		return URLTemplate{}, errors.New("%s may stand in the path and in the query only")
	}
	for _, p := range t.parts[:len(t.parts)-1] {
		if i := strings.LastIndexByte(p, '%'); i >= 0 && len(p)-i < 3 {
			return URLTemplate{}, fmt.Errorf("%q stands right before %%s and would swallow a part of the name", p[i:])
		}
	}
	return t, nil
}

// literals cuts s at every %s and escapes what may not stand in a URL, so that it stays as it was written.
func literals(s string) []string {
	var parts []string
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%' && strings.HasPrefix(s[i+1:], "s"):
			parts = append(parts, b.String())
			b.Reset()
			i++
		case c == '%' && strings.HasPrefix(s[i+1:], "%"):
			b.WriteByte('%')
			i++
		case strings.HasPrefix(s[i:], secretOpens) && strings.Contains(s[i:], secretCloses):
			end := i + strings.Index(s[i:], secretCloses) + len(secretCloses)
			b.WriteString(s[i:end])
			i = end - 1
		case c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return append(parts, b.String())
}

// Fill puts the name in: everything outside the unreserved characters of RFC 3986 is percent-encoded, so that
// the name is one value and no syntax. The names "." and ".." have no such form where they would be a whole
// path segment, which everybody on the way may resolve (RFC 3986 §5.2.4), encoded or not.
func (t URLTemplate) Fill(name string) (string, error) {
	s := strings.Join(t.parts, EncodeURL(name))
	if strings.Trim(name, ".") == "" {
		path, _, _ := strings.Cut(s, "?")
		for seg := range strings.SplitSeq(path, "/") {
			if seg == "." || seg == ".." {
				return "", fmt.Errorf("user name %q cannot stand in the path of a URL", name)
			}
		}
	}
	return s, nil
}

// EncodeURL percent-encodes every byte outside the unreserved characters (RFC 3986 §2.3).
func EncodeURL(s string) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = unreserved(s[i])
	}
	if clean {
		return s
	}
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); i++ {
		if c := s[i]; unreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// checkURL refuses what the HTTP client cannot ask.
func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("not an http:// or https:// URL")
	case u.Hostname() == "":
		return errors.New("a URL without a host")
	}
	return nil
}

// urlReason leaves out the URL that package url repeats in its errors: it may hold a password.
func urlReason(err error) string {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}
