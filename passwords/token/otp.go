package token

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"rosterd/engine/addr"
	"rosterd/passwords"
)

// OneTime is what Prosody's community module auth_token takes for a password: eight digits of a time-based code (RFC
// 6238), a nonce in digits, a space, and an HMAC of both and the user's address. An application makes them, and each is
// good for one login.
type OneTime struct {
	Seed   []byte           // of the codes
	Secret []byte           // of the HMAC
	Used   *Used            // what has been shown; it should outlive a OneTime that is replaced
	Now    func() time.Time // nil: time.Now
}

var (
	_ passwords.Source = (*OneTime)(nil)
	_ passwords.Once   = (*OneTime)(nil)
)

// Used are one-time tokens of any number of hosts. The zero value is ready.
type Used struct {
	mu     sync.Mutex // guards the fields below
	tokens map[[sha256.Size]byte]int64
	step   int64 // of the last look for old ones
}

// Once says that each token is for one login.
func (o *OneTime) Once() {}

const (
	period  = 30      // seconds that a code lasts
	digits  = 8       // of a code
	around  = 1       // codes before and after that are taken
	mostUse = 100_000 // tokens in three periods; more are refused until some are too old
)

// ParseSeed reads a seed as it is written: base32, in any case, without padding if need be (RFC 4648 §6).
func ParseSeed(s string) ([]byte, error) {
	s = strings.TrimRight(strings.ToUpper(strings.ReplaceAll(s, " ", "")), "=")
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(s)
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("it is no base32")
	}
	return b, nil
}

// CheckPassword implements passwords.Source.
func (o *OneTime) CheckPassword(_ context.Context, user addr.Bare, password string) error {
	head, mac, ok := strings.Cut(password, " ")
	if !ok || len(head) < digits || strings.Trim(head, "0123456789") != "" || len(password) > longest {
		return refused("it is no code, nonce and signature")
	}
	sum, err := base64.StdEncoding.DecodeString(mac)
	if err != nil {
		return refused("its signature is no base64")
	}
	want := hmac.New(sha256.New, o.Secret)
	want.Write([]byte(head + user.String()))
	if !hmac.Equal(sum, want.Sum(nil)) {
		return refused("its signature is wrong")
	}
	now := time.Now
	if o.Now != nil {
		now = o.Now
	}
	step := now().Unix() / period
	for at := step - around; at <= step+around; at++ {
		if hmac.Equal([]byte(head[:digits]), []byte(code(o.Seed, at))) {
			return o.Used.once(user, head, at, step)
		}
	}
	return refused("its code is not that of this minute")
}

// once lets a token in the first time that it is shown.
func (u *Used) once(user addr.Bare, head string, at, step int64) error {
	key := sha256.Sum256([]byte(user.String() + "\x00" + head))
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.step != step {
		u.step = step
		for k, at := range u.tokens {
			if at < step-around {
				delete(u.tokens, k)
			}
		}
	}
	if _, again := u.tokens[key]; again {
		return refused("it has been used")
	}
	if len(u.tokens) >= mostUse {
		return fmt.Errorf("more than %d logins in %d seconds", mostUse, period*(2*around+1))
	}
	if u.tokens == nil {
		u.tokens = make(map[[sha256.Size]byte]int64)
	}
	u.tokens[key] = at
	return nil
}

// code is that of a step (RFC 6238 §4.2, RFC 4226 §5.3).
func code(seed []byte, step int64) string {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step))
	mac := hmac.New(sha1.New, seed)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", digits, n%100_000_000)
}
