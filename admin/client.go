package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// Client asks a running server by its socket.
type Client struct{ Socket string }

// ErrNotRunning says that nobody answers at the socket.
var ErrNotRunning = errors.New("no server answers")

// Error is a refusal of the server's.
type Error struct {
	Status int // of HTTP
	Text   string
}

func (e *Error) Error() string { return e.Text }

// Get asks for a user's roster and where it comes from.
func (c Client) Get(ctx context.Context, user string) (r Roster, err error) {
	err = c.call(ctx, http.MethodGet, "/roster?"+url.Values{"user": {user}}.Encode(), nil, &r)
	return r, err
}

// Refresh has the rosters of users fetched anew.
func (c Client) Refresh(ctx context.Context, users ...string) (list []Outcome, err error) {
	err = c.call(ctx, http.MethodPost, "/roster/refresh", named{users}, &list)
	return list, err
}

// Release lets held answers of users through.
func (c Client) Release(ctx context.Context, users ...string) (list []Outcome, err error) {
	err = c.call(ctx, http.MethodPost, "/roster/release", named{users}, &list)
	return list, err
}

// Deleted says that the accounts of users are gone.
func (c Client) Deleted(ctx context.Context, users ...string) error {
	return c.call(ctx, http.MethodPost, "/users/deleted", named{users}, new([]string))
}

// Overview explains what a user sees.
func (c Client) Overview(ctx context.Context, user string) (o Overview, err error) {
	err = c.call(ctx, http.MethodGet, "/roster/explain?"+url.Values{"user": {user}}.Encode(), nil, &o)
	return o, err
}

// Explain explains what a user and a contact see of each other.
func (c Client) Explain(ctx context.Context, user, contact string) (e Explanation, err error) {
	err = c.call(ctx, http.MethodGet, "/roster/explain?"+url.Values{"user": {user}, "contact": {contact}}.Encode(), nil, &e)
	return e, err
}

func (c Client) call(ctx context.Context, method, path string, body, into any) error {
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://rosterd"+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", c.Socket)
	}}
	resp, err := t.RoundTrip(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s", ErrNotRunning, c.Socket)
	case err != nil:
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("the answer of the server at %s: %w", c.Socket, err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("the answer of the server at %s: %w", c.Socket, err)
	}
	return nil
}

func refusal(status int, text []byte) error {
	var f fault
	if json.Unmarshal(text, &f) != nil || f.Error == "" {
		f.Error = http.StatusText(status)
	}
	return &Error{status, f.Error}
}
