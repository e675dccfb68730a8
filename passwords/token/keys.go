package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Keys are those that tokens may be signed with.
type Keys interface {
	// Find returns the public keys with that id, or all if it is "". None is no error.
	Find(ctx context.Context, id string) ([]jose.JSONWebKey, error)
}

// Fixed are keys that do not change.
type Fixed []jose.JSONWebKey

// Find implements Keys.
func (f Fixed) Find(_ context.Context, id string) (list []jose.JSONWebKey, _ error) {
	for _, k := range f {
		if id == "" || k.KeyID == "" || k.KeyID == id {
			list = append(list, k)
		}
	}
	return list, nil
}

// mostKeys of a set are used. A token that does not name its key is tried with each.
const mostKeys = 32

// ParseKeys reads public keys: a JSON Web Key Set, or PEM with public keys or certificates.
func ParseKeys(data []byte) (Fixed, error) {
	if block, rest := pem.Decode(data); block != nil {
		return parsePEM(block, rest)
	}
	return parseSet(data)
}

func parsePEM(block *pem.Block, rest []byte) (list Fixed, err error) {
	for ; block != nil; block, rest = pem.Decode(rest) {
		var key any
		switch block.Type {
		case "PUBLIC KEY":
			key, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			key, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case "CERTIFICATE":
			var cert *x509.Certificate
			if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
				key = cert.PublicKey
			}
		default:
			return nil, fmt.Errorf("%s is no public key", block.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("read a %s: %w", block.Type, err)
		}
		k := jose.JSONWebKey{Key: key}
		if why := useless(k); why != "" {
			return nil, fmt.Errorf("a %s is %s", block.Type, why)
		}
		list = append(list, k)
	}
	if len(list) > mostKeys {
		return nil, fmt.Errorf("%d keys, %d are the most", len(list), mostKeys)
	}
	return list, nil
}

// parseSet reads a JSON Web Key Set (RFC 7517 §5). Keys of unknown kinds, and those that are not for signatures, are
// passed over, as that asks for; and so are secret keys, which nobody who publishes them keeps.
func parseSet(data []byte) (list Fixed, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("read a key set: %w", err)
	}
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if json.Unmarshal(raw, &k) == nil && useless(k) == "" && len(list) < mostKeys {
			list = append(list, k)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("there is no public key for signatures in the key set")
	}
	return list, nil
}

// useless says why a key does not sign tokens; "" if it does.
func useless(k jose.JSONWebKey) string {
	if k.Use != "" && k.Use != "sig" {
		return "not for signatures"
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 || key.N.BitLen() > 8192 { // RFC 7518 §3.3; the upper bound is what one login may cost
			return fmt.Sprintf("of RSA with %d bits", key.N.BitLen())
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return "of a kind that is not used here"
	}
	return ""
}

// Published are keys that an authorization server publishes. They are fetched when they are wanted: at first, when they
// are old, and when a token names a key that is not among them, but then no more than once in a while. Keys that could
// not be fetched again are used for some time more.
type Published struct {
	Client *Client
	// URL is that of the key set; if it is "", Discovery is asked for it (RFC 8414), which must be of Issuer.
	URL, Discovery, Issuer string
	Now                    func() time.Time // nil: time.Now

	once  sync.Once
	place chan struct{} // one fetches at a time

	mu      sync.Mutex // guards the fields below
	keys    Fixed
	fetched time.Time
	tried   time.Time
	last    error // of the last fetch
}

const (
	fresh = time.Hour        // for how long fetched keys are used without looking again
	stale = 24 * time.Hour   // for how long if they cannot be had
	pause = 30 * time.Second // between two looks because of a key that is not there
	retry = 5 * time.Second  // after one that has failed

	patience = 2 * time.Second // for newer keys, where one of before is there
)

// After takes over the keys that another one knows, if it asks at the same place. It looks for newer ones at once.
func (p *Published) After(was *Published) {
	if p.URL != was.URL || p.Discovery != was.Discovery || p.Issuer != was.Issuer {
		return
	}
	was.mu.Lock()
	keys, fetched := was.keys, was.fetched
	was.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if keys != nil {
		p.keys, p.fetched, p.last = keys, fetched, errBefore
	}
}

// errBefore has keys fetched again that are of somebody before.
var errBefore = errors.New("not fetched yet")

// Find implements Keys. An error says that there are no keys to be had.
func (p *Published) Find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	p.once.Do(func() { p.place = make(chan struct{}, 1) })
	list, ask, err := p.look(id)
	if !ask {
		return list, err
	}
	wait, cancel := ctx, context.CancelFunc(func() {})
	if len(list) > 0 { // these will do
		wait, cancel = context.WithTimeout(ctx, patience)
	}
	defer cancel()
	select {
	case p.place <- struct{}{}:
		defer func() { <-p.place }()
	case <-wait.Done():
		return list, ctx.Err()
	}
	if list, ask, err := p.look(id); !ask { // somebody else has
		return list, err
	}
	keys, err := p.fetch(wait)
	p.learn(ctx, keys, err)
	list, _, before := p.look(id)
	if before == nil && list == nil {
		before = err // of somebody who did not wait
	}
	return list, before
}

// Close lets go of idle connections.
func (p *Published) Close() error { return p.Client.Close() }

// look finds keys among those that are known; ask says that it is time to fetch them.
func (p *Published) look(id string) (list []jose.JSONWebKey, ask bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	age, since := now.Sub(p.fetched), now.Sub(p.tried)
	ask = since >= retry
	if p.last == nil {
		ask = age >= fresh
	}
	if age > stale || p.keys == nil {
		return nil, ask, p.last
	}
	list, _ = p.keys.Find(context.Background(), id)
	if len(list) == 0 && since >= pause {
		ask = true
	}
	return list, ask, nil
}

// learn takes the outcome of a fetch. That somebody could not wait for it says nothing.
func (p *Published) learn(ctx context.Context, keys Fixed, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	p.tried, p.last = p.now(), err
	if err == nil {
		p.keys, p.fetched = keys, p.tried
	}
}

func (p *Published) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

func (p *Published) fetch(ctx context.Context) (Fixed, error) {
	url := p.URL
	if url == "" {
		var err error
		if url, err = p.discover(ctx); err != nil {
			return nil, err
		}
	}
	a, err := p.Client.get(ctx, url, "")
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	if a.status != 200 {
		return nil, fmt.Errorf("fetch keys: %w", a.fault())
	}
	keys, err := parseSet(a.body)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %s: %w", a.from, err)
	}
	return keys, nil
}

// discover asks where the keys are. Who says so has to be the issuer himself (RFC 8414 §3.3).
func (p *Published) discover(ctx context.Context) (string, error) {
	a, err := p.Client.get(ctx, p.Discovery, "")
	if err != nil {
		return "", fmt.Errorf("fetch metadata: %w", err)
	}
	if a.status != 200 {
		return "", fmt.Errorf("fetch metadata: %w", a.fault())
	}
	var meta struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	switch err := json.Unmarshal(a.body, &meta); {
	case err != nil:
		return "", fmt.Errorf("fetch metadata: %s: %w", a.from, err)
	case p.Issuer != "" && meta.Issuer != p.Issuer:
		return "", fmt.Errorf("fetch metadata: %s is of issuer %s, not of %s", a.from, shown(meta.Issuer), p.Issuer)
	case meta.Keys == "":
		return "", fmt.Errorf("fetch metadata: %s has no jwks_uri", a.from)
	case secure(p.Discovery) && !secure(meta.Keys): // RFC 8414 §2
		return "", fmt.Errorf("fetch metadata: the jwks_uri of %s does not begin with https", a.from)
	}
	return meta.Keys, nil
}

// secure tells whether a URL is asked by TLS.
func secure(address string) bool {
	scheme, _, _ := strings.Cut(address, ":")
	return strings.EqualFold(scheme, "https")
}
