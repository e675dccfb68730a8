// Package credential is what is kept of a password: the keys that SCRAM needs (RFC 5802 §3), or the
// password itself where every hash must be served. Values only; it neither stores nor asks for anything.
package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"

	"github.com/xdg-go/scram"
)

var (
	// ErrNoUser says that there is no account of that name. Whoever keeps accounts returns it.
	ErrNoUser = errors.New("no such user")
	// ErrPassword says that a text cannot be a password: it is empty, or SASLprep refuses it.
	ErrPassword = errors.New("not usable as a password")
)

const (
	// DefaultIterations is the count of Prosody since 0.12 (default_iteration_count).
	DefaultIterations = 10_000
	// MaxIterations bounds what is believed of a stored account: a login costs as many hashes.
	MaxIterations = 10_000_000
)

// SCRAM is what a server keeps of a password for one hash function (RFC 5802 §3).
type SCRAM struct {
	Hash                 Hash
	Salt                 []byte
	Iterations           int
	StoredKey, ServerKey []byte
}

// Credentials are kept for one user. Without SCRAM and without HasPassword nobody can log in with them.
type Credentials struct {
	SCRAM       *SCRAM
	Password    string // only with HasPassword
	HasPassword bool
	Disabled    bool // Verify and For do not look at it
}

// Derive hashes a password (RFC 5802 §3), prepared first. It costs the given number of iterations,
// milliseconds at least: callers bound how many run at once.
func Derive(h Hash, password string, salt []byte, iterations int) (SCRAM, error) {
	prepared, err := Prepare(password)
	if err != nil {
		return SCRAM{}, err
	}
	s := SCRAM{Hash: h, Salt: salt, Iterations: iterations}
	if err := s.checkFactors(); err != nil {
		return SCRAM{}, err
	}
	client, err := h.generator().NewClientUnprepped("", prepared, "")
	if err != nil {
		return SCRAM{}, fmt.Errorf("derive %s keys: %w", h, err)
	}
	keys, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	if err != nil {
		return SCRAM{}, fmt.Errorf("derive %s keys: %w", h, err)
	}
	s.StoredKey, s.ServerKey = keys.StoredKey, keys.ServerKey
	return s, nil
}

// Check tells what is wrong with keys that were stored somewhere.
func (s SCRAM) Check() error {
	if err := s.checkFactors(); err != nil {
		return err
	}
	if n := s.Hash.Size(); len(s.StoredKey) != n || len(s.ServerKey) != n {
		return fmt.Errorf("keys of %d and %d bytes do not fit %s", len(s.StoredKey), len(s.ServerKey), s.Hash)
	}
	return nil
}

func (s SCRAM) checkFactors() error {
	switch {
	case s.Hash.Size() == 0:
		return fmt.Errorf("unknown hash %q", string(s.Hash))
	case len(s.Salt) == 0:
		return errors.New("no salt")
	case s.Iterations < 1 || s.Iterations > MaxIterations:
		return fmt.Errorf("iteration count %d is not within 1 and %d", s.Iterations, MaxIterations)
	}
	return nil
}

// Verify tells whether password is the right one. The time it takes does not depend on how wrong it
// is; with SCRAM keys it costs what Derive costs.
func (c Credentials) Verify(password string) bool {
	switch {
	case c.HasPassword:
		given, err1 := Prepare(password)
		kept, err2 := Prepare(c.Password) // Prosody before 0.12 stored it as it came
		return err1 == nil && err2 == nil && equal(given, kept)
	case c.SCRAM != nil:
		s, err := Derive(c.SCRAM.Hash, password, c.SCRAM.Salt, c.SCRAM.Iterations)
		return err == nil && subtle.ConstantTimeCompare(s.StoredKey, c.SCRAM.StoredKey) == 1
	default:
		return false
	}
}

// equal compares digests, so that not even the length of a password shows in the time.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// For is the SCRAM side of the credentials for one hash function, derived from the password where there
// is one. It is false if they cannot serve that hash.
func (c Credentials) For(h Hash) (SCRAM, bool) {
	switch {
	case c.HasPassword:
		s, err := Derive(h, c.Password, NewSalt(), DefaultIterations)
		return s, err == nil
	case c.SCRAM != nil && c.SCRAM.Hash == h:
		return *c.SCRAM, true
	default:
		return SCRAM{}, false
	}
}

// String names the kind of credentials and keeps the secret to itself, in logs above all.
func (c Credentials) String() string {
	switch {
	case c.HasPassword:
		return "password"
	case c.SCRAM != nil:
		return c.SCRAM.Hash.Mechanism()
	default:
		return "none"
	}
}

// GoString is String: %#v does not print secrets either.
func (c Credentials) GoString() string { return c.String() }

// LogValue is String.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// NewSalt makes a salt.
func NewSalt() []byte {
	var b [16]byte
	rand.Read(b[:])
	return FormatSalt(b)
}

// FormatSalt writes 16 random bytes as a version 4 UUID (RFC 9562 §5.4). Prosody's salts look like this, and
// so do ours and those shown for users who do not exist: the form of a salt tells nothing.
func FormatSalt(b [16]byte) []byte {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Appendf(nil, "%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
