// Package web asks a web application whether a password is a user's, in the three ways for which Prosody has modules:
// mod_auth_http, mod_auth_http_async and mod_auth_custom_http.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"rosterd/passwords"
)

// maxAnswer bounds the body of an answer. One that says yes has four bytes.
const maxAnswer = 64 << 10

// longest is how much of a question may be in the first line of a request, or in one of its headers: web servers take 8 KiB.
// Some hang up on more, and that would look as if they were down.
const longest = 7 << 10

// errLong is of a password that is longer than could be asked about.
var errLong = fmt.Errorf("%w: too long for a request", passwords.ErrRefused)

// Client asks an application. It follows no redirects, which would take passwords elsewhere, and uses no proxy.
type Client struct {
	http  *http.Client
	agent string
}

// NewClient makes a client with so many connections at most. The agent is what it calls itself.
func NewClient(agent string, conns int) *Client {
	return &Client{agent: agent, http: &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{}).DialContext,
			MaxConnsPerHost:        conns,
			MaxIdleConnsPerHost:    conns,
			IdleConnTimeout:        time.Minute,
			TLSHandshakeTimeout:    10 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close ends the connections that wait for the next question.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// CheckURL tells why a URL cannot be asked; nil if it can. What it says has nothing in it that may be secret.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("it cannot be parsed")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("it has to start with http:// or https:// and a host")
	}
	return nil
}

// reply is what an application says.
type reply struct {
	status int
	body   []byte
}

// do sends a request. What an error says has no URL in it: there may be a password in that.
func (c *Client) do(req *http.Request) (reply, error) {
	req.Header.Set("User-Agent", c.agent)
	res, err := c.http.Do(req)
	if err != nil {
		return reply{}, withoutURL(req, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return reply{}, withoutURL(req, err)
	case len(body) > maxAnswer:
		return reply{}, fmt.Errorf("%s %s: more than %d bytes", req.Method, place(req.URL), maxAnswer)
	}
	return reply{res.StatusCode, body}, nil
}

// request makes one. What it says of a URL that is none does not show it.
func request(ctx context.Context, method, rawURL string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, rawURL, body)
	if err != nil {
		return nil, errors.New("the URL of the question cannot be parsed")
	}
	return req, nil
}

func withoutURL(req *http.Request, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("%s %s: %w", req.Method, place(req.URL), err)
}

// place is what may be said of a URL. Its path may have a user's name in it, and that is known.
func place(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// verdict is what a status means that is not a yes. That the application fails, is busy, or is not where it was, says
// nothing of the password.
func verdict(req *http.Request, status int) error {
	text := fmt.Sprintf("%s %s: %d %s", req.Method, place(req.URL), status, http.StatusText(status))
	switch {
	case status >= 500, status >= 300 && status <= 399, status < 200, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return errors.New(text)
	}
	return fmt.Errorf("%w: %s", passwords.ErrRefused, text)
}
