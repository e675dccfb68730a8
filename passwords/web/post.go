package web

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"rosterd/engine/addr"
	"rosterd/passwords"
)

// Post asks as mod_auth_custom_http does: POST URL with {"username": …, "password": …}; the answer true, to the letter,
// says yes.
type Post struct {
	*Client
	URL string
}

var _ passwords.Source = (*Post)(nil)

// CheckPassword posts it.
func (p *Post) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	doc, err := json.Marshal(struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}{user.Local(), password})
	if err != nil {
		return err
	}
	req, err := request(ctx, http.MethodPost, p.URL, bytes.NewReader(doc))
	if err != nil {
		return err
	}
	// It is JSON. Prosody's module says this of it all the same, and applications may have been made to suit that.
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r, err := p.do(req)
	switch {
	case err != nil:
		return err
	case r.status >= 200 && r.status <= 299 && string(r.body) == "true":
		return nil
	case r.status >= 200 && r.status <= 299:
		return passwords.ErrRefused
	}
	return verdict(req, r.status)
}
