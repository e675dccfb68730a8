package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"rosterd/engine/addr"
	"rosterd/passwords"
)

// Application is asked as mod_auth_http asks: GET URL/check_password?user=…&server=…&pass=…, which says true, or
// something else. It knows who its users are.
type Application struct {
	*Client
	URL         string // below which its methods are
	Credentials string // USER:PASSWORD of ours; "": none are sent
}

var (
	_ passwords.Source = (*Application)(nil)
	_ passwords.Users  = (*Application)(nil)
)

// CheckPassword asks whether it is the user's.
func (a *Application) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	yes, err := a.ask(ctx, "check_password", url.Values{"user": {user.Local()}, "server": {user.Domain()}, "pass": {password}})
	if err == nil && !yes {
		return passwords.ErrRefused
	}
	return err
}

// UserExists asks whether there is such a user.
func (a *Application) UserExists(ctx context.Context, user addr.Bare) (bool, error) {
	yes, err := a.ask(ctx, "user_exists", url.Values{"user": {user.Local()}, "server": {user.Domain()}})
	if errors.Is(err, passwords.ErrRefused) {
		return false, nil
	}
	return yes, err
}

// ask tells whether the answer is true, to the letter.
func (a *Application) ask(ctx context.Context, method string, params url.Values) (bool, error) {
	req, err := request(ctx, http.MethodGet, strings.TrimSuffix(a.URL, "/")+"/"+method+"?"+params.Encode(), nil)
	if err != nil {
		return false, err
	}
	if len(req.URL.RequestURI()) > longest {
		return false, errLong
	}
	if name, password, ok := strings.Cut(a.Credentials, ":"); ok {
		req.SetBasicAuth(name, password)
	}
	r, err := a.do(req)
	switch {
	case err != nil:
		return false, err
	case r.status == http.StatusOK:
		return string(r.body) == "true", nil
	case r.status == http.StatusUnauthorized && a.Credentials != "":
		return false, fmt.Errorf("GET %s: the application refuses http_auth_credentials", place(req.URL))
	}
	return false, verdict(req, r.status)
}
