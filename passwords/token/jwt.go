package token

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"rosterd/engine/addr"
	"rosterd/passwords"
)

// JWT is tokens that are signed (RFC 7519, RFC 8725). Nobody is asked about one, but for keys.
type JWT struct {
	Rules
	// Algorithms are those that tokens may be signed with, as in RFC 7518; "none" is never one of them.
	Algorithms []string
	Keys       Keys   // for all algorithms but those with a secret
	Secret     []byte // for HS256, HS384 and HS512
	// NotAsPassword refuses tokens in the place of a password.
	NotAsPassword bool
	Now           func() time.Time // nil: time.Now
}

var (
	_ passwords.Source = (*JWT)(nil)
	_ passwords.Tokens = (*JWT)(nil)
)

// Symmetric tells whether an algorithm is one with a secret that both sides know.
func Symmetric(algorithm string) bool {
	return slices.Contains([]string{"HS256", "HS384", "HS512"}, algorithm)
}

// Algorithms are those that a JWT can be checked with.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"}
}

// CheckPassword takes a token as a password.
func (j *JWT) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	if j.NotAsPassword {
		return refused("tokens are no passwords here")
	}
	return asPassword(ctx, j, user, password)
}

// CheckToken implements passwords.Tokens.
func (j *JWT) CheckToken(ctx context.Context, host, token string) (addr.Bare, error) {
	if len(token) > longest {
		return addr.Bare{}, refused("%w", errLong)
	}
	payload, err := j.verify(ctx, token)
	if err != nil {
		return addr.Bare{}, err
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return addr.Bare{}, refused("its claims: %w", err)
	}
	if c["exp"] == nil {
		return addr.Bare{}, refused("it has no exp: it would be good for ever")
	}
	now := time.Now
	if j.Now != nil {
		now = j.Now
	}
	if err := j.check(c, now()); err != nil {
		return addr.Bare{}, err
	}
	if name, _ := c[j.Username].(string); name == "" {
		return addr.Bare{}, refused("it has no claim %s that is a string", j.Username)
	}
	return j.user(c, host)
}

// Close lets go of connections to who publishes the keys.
func (j *JWT) Close() error {
	if c, ok := j.Keys.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// verify returns what was signed. Which keys are tried follows from the algorithm, and not from what the token would like:
// a public key is never a secret (RFC 8725 §2.1, §3.1).
func (j *JWT) verify(ctx context.Context, token string) ([]byte, error) {
	algorithms := make([]jose.SignatureAlgorithm, len(j.Algorithms))
	for i, a := range j.Algorithms {
		algorithms[i] = jose.SignatureAlgorithm(a)
	}
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return nil, refused("%s", fault(err))
	}
	head := signed.Signatures[0].Header
	keys, err := j.keys(ctx, head)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if payload, err := signed.Verify(k); err == nil {
			return payload, nil
		}
	}
	if len(keys) == 0 {
		return nil, refused("its key %s is not known", shown(head.KeyID))
	}
	return nil, refused("its signature is wrong")
}

// keys are those that may have signed a token.
func (j *JWT) keys(ctx context.Context, head jose.Header) (list []any, err error) {
	if Symmetric(head.Algorithm) {
		return []any{j.Secret}, nil
	}
	if j.Keys == nil {
		return nil, nil
	}
	found, err := j.Keys.Find(ctx, head.KeyID)
	if err != nil {
		return nil, err
	}
	for _, k := range found {
		if k.Algorithm == "" || k.Algorithm == head.Algorithm {
			list = append(list, k.Key)
		}
	}
	return list, nil
}

// fault is the library's error, which may show parts of the token.
func fault(err error) string {
	const most = 120
	s := err.Error()
	if len(s) > most {
		s = s[:most]
	}
	return fmt.Sprintf("it is none: %q", s)
}
