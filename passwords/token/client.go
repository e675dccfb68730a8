package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client asks an authorization server. It follows no redirects: what it sends is a secret.
type Client struct {
	// Name and Secret are those of rosterd at the server, as a client of OAuth (RFC 6749 §2.3.1).
	Name, Secret string
	// Agent is the User-Agent.
	Agent string

	http http.Client
}

// mostAnswer is how long an answer may be, in bytes.
const mostAnswer = 256 << 10

// NewClient makes a Client with at most so many connections to a server.
func NewClient(name, secret, agent string, conns int) *Client {
	return &Client{Name: name, Secret: secret, Agent: agent, http: http.Client{
		Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			MaxConnsPerHost: conns, MaxIdleConnsPerHost: conns, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close lets go of idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// answer is what a server has said.
type answer struct {
	from   string // the URL, without what may be secret
	status int
	kind   string // media type
	body   []byte
}

// fault is an answer that is none.
func (a *answer) fault() error { return fmt.Errorf("%s answers %d", a.from, a.status) }

// get asks with a token, or with none.
func (c *Client) get(ctx context.Context, address, token string) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return c.do(r)
}

// post sends a form, with the client's name and secret in the header if basic says so.
func (c *Client) post(ctx context.Context, address string, form url.Values, basic bool) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("not a URL")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic && c.Name != "" { // as RFC 6749 §2.3.1 writes them
		r.SetBasicAuth(url.QueryEscape(c.Name), url.QueryEscape(c.Secret))
	}
	return c.do(r)
}

func (c *Client) do(r *http.Request) (*answer, error) {
	shown := r.URL.Scheme + "://" + r.URL.Host + r.URL.Path
	r.Header.Set("Accept", "application/json")
	if c.Agent != "" {
		r.Header.Set("User-Agent", c.Agent)
	}
	res, err := c.http.Do(r)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok { // which shows the whole URL
			err = ue.Err
		}
		return nil, fmt.Errorf("ask %s: %w", shown, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask %s: %w", shown, err)
	case len(body) > mostAnswer:
		return nil, fmt.Errorf("ask %s: the answer is longer than %d bytes", shown, mostAnswer)
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return &answer{from: shown, status: res.StatusCode, kind: kind, body: body}, nil
}

// CheckURL tells why a server cannot be asked at a URL; nil if it can. What it says has nothing in it that may be secret.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("it cannot be parsed")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("it has to start with https:// or http:// and a host")
	case u.User != nil:
		return errors.New("a name or a password in it is not sent")
	}
	return nil
}
