package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/scram"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// scramRun is RFC 5802 without channel binding, which a client must not ask for then (§6: "p" is refused, "y"
// and "n" are not). A user who does not exist is answered like one who does and fails at the proof.
type scramRun struct {
	host *Host
	hash credential.Hash
	conv *scram.ServerConversation

	ctx     context.Context // of the step that runs: the conversation asks for the user's keys in it
	user    addr.Bare
	refused *Error // how the exchange ends if not with a wrong proof: nil unless that is certain already
	failed  error  // why the keys were not looked for: ends the exchange at once
}

func (h *Host) startSCRAM(hash credential.Hash) (*Exchange, error) {
	s := &scramRun{host: h, hash: hash}
	server, err := hash.NewServer(s.lookup)
	if err != nil {
		return nil, &Error{Condition: InvalidMechanism, Err: err}
	}
	s.conv = server.NewConversation()
	return &Exchange{run: s}, nil
}

func (s *scramRun) next(ctx context.Context, response []byte) ([]byte, addr.Bare, error) {
	message, first := string(response), s.ctx == nil
	if !utf8.ValidString(message) {
		return nil, addr.Bare{}, malformed("not UTF-8")
	}
	if first && !goodNonce(message) {
		return nil, addr.Bare{}, malformed("client nonce is not printable or missing")
	}
	s.ctx = ctx
	answer, err := s.conv.Step(message)
	switch {
	case s.failed != nil:
		return nil, addr.Bare{}, s.failed
	case err != nil:
		return nil, addr.Bare{}, s.failure(answer, err)
	case first:
		return []byte(answer), addr.Bare{}, nil
	case s.refused != nil:
		return nil, addr.Bare{}, s.refused
	default:
		return []byte(answer), s.user, nil
	}
}

// goodNonce checks r= in the client's first message (RFC 5802 §7 "printable"); the library takes any.
func goodNonce(message string) bool {
	fields := strings.SplitN(message, ",", 5)
	if len(fields) < 4 || len(fields[3]) < 3 {
		return false
	}
	return strings.IndexFunc(fields[3], func(r rune) bool { return r < 0x21 || r > 0x7e }) < 0
}

// failure turns the library's error into ours. A wrong proof is the client's password; everything else is a
// message that no correct client sends.
func (s *scramRun) failure(answer string, err error) error {
	if answer != scram.ErrInvalidProof {
		return &Error{Condition: MalformedRequest, User: s.user, Err: errors.New(shorten(err.Error()))}
	}
	if s.refused != nil && s.refused.Condition == NotAuthorized {
		return s.refused
	}
	return &Error{Condition: NotAuthorized, User: s.user, Err: errPassword}
}

// shorten keeps what a client sent from filling the log.
func shorten(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// lookup is called by the conversation for the name in the client's first message.
func (s *scramRun) lookup(name string) (credential.SCRAM, error) {
	var keys credential.SCRAM
	s.user, s.failed = s.host.user(name, s.conv.AuthzID())
	if s.failed != nil {
		return keys, s.failed
	}
	c, err := s.host.account(s.ctx, s.user)
	if err == nil {
		keys, err = s.keys(c)
	}
	s.failed = err
	return keys, err
}

// keys are the user's for this hash. Where there are none it sets refused and makes some up, which no proof fits.
func (s *scramRun) keys(c credential.Credentials) (keys credential.SCRAM, err error) {
	if c.Disabled {
		s.refused = &Error{Condition: AccountDisabled, User: s.user, Err: errDisabled}
	}
	switch own, ok := hashed(c, s.hash); {
	case ok:
		return own, nil
	case c.HasPassword:
		err := s.derive(c.Password, &keys)
		return keys, err
	case c.SCRAM != nil:
		why := fmt.Errorf("the account has %s keys and cannot use %s", c.SCRAM.Hash, s.hash.Mechanism())
		s.host.log().Warn("account cannot use the mechanism", "user", s.user.String(), "err", why)
		s.refuse(why)
	default:
		s.refuse(errNobody)
	}
	keys = credential.SCRAM{Hash: s.hash, Salt: s.host.salt(s.user), Iterations: s.host.iterations()}
	if s.host.StoresPasswords { // the others cost a derivation here
		err = s.derive(rand.Text(), &keys)
	}
	keys.StoredKey, keys.ServerKey = randomKey(s.hash), randomKey(s.hash)
	return keys, err
}

// hashed are keys that are stored.
func hashed(c credential.Credentials, h credential.Hash) (credential.SCRAM, bool) {
	if c.HasPassword {
		return credential.SCRAM{}, false
	}
	return c.For(h)
}

// derive makes the keys of a password, with the salt that this user would have if there were no such user.
func (s *scramRun) derive(password string, keys *credential.SCRAM) error {
	salt, iterations := s.host.salt(s.user), s.host.iterations()
	var err error
	waited := expensive(s.ctx, s.user, func() { *keys, err = credential.Derive(s.hash, password, salt, iterations) })
	switch {
	case waited != nil:
		return waited
	case err != nil:
		s.host.log().Error("stored password cannot be used", "user", s.user.String(), "err", err)
		return &Error{Condition: TemporaryAuthFailure, User: s.user, Err: err}
	}
	return nil
}

func (s *scramRun) refuse(why error) {
	s.refused = &Error{Condition: NotAuthorized, User: s.user, Err: why}
}

func randomKey(h credential.Hash) []byte {
	b := make([]byte, h.Size())
	rand.Read(b)
	return b
}
