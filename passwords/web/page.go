package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"rosterd/engine/addr"
	"rosterd/passwords"
)

// Page is asked for as mod_auth_http_async does: GET URL with the user's name and password in Basic authentication
// (RFC 7617). Whoever gets it, whatever it says, is the user.
type Page struct {
	*Client
	URL string // $user in it stands for the user's name
}

var _ passwords.Source = (*Page)(nil)

// CheckPassword asks for the page.
func (p *Page) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	if name := user.Local(); name == "." || name == ".." {
		return fmt.Errorf("%w: %q would be another page", passwords.ErrRefused, name)
	}
	req, err := request(ctx, http.MethodGet, strings.ReplaceAll(p.URL, "$user", escaped(user.Local())), nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(user.Local(), password)
	if len(req.Header.Get("Authorization")) > longest {
		return errLong
	}
	r, err := p.do(req)
	if err != nil || r.status >= 200 && r.status <= 299 {
		return err
	}
	return verdict(req, r.status)
}

// escaped is a name as it may stand anywhere in a URL but in its host.
func escaped(name string) string { return strings.ReplaceAll(url.QueryEscape(name), "+", "%20") }
