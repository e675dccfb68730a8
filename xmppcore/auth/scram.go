package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/scram"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// scramRun is RFC 5802. A user who does not exist is answered like one who does and fails at the proof.
type scramRun struct {
	host    *Host
	hash    credential.Hash
	channel Channel
	bound   bool // the mechanism is a -PLUS
	offered bool // that -PLUS is offered beside this one
	server  *scram.Server
	conv    *scram.ServerConversation // since the client's first message

	ctx     context.Context // of the step that runs: the conversation asks for the user's keys in it
	user    addr.Bare
	refused *Error // how the exchange ends if not with a wrong proof: nil unless that is certain already
	unfit   error  // why the account cannot use the mechanism: for the log, once there is a proof
	failed  error  // why the keys were not looked for: ends the exchange at once
	deposit *deposit
}

// known are the mechanisms of the host.
func (h *Host) startSCRAM(mechanism string, known []string, ch Channel) (*scramRun, error) {
	name, bound := strings.CutSuffix(mechanism, plus)
	s := &scramRun{
		host: h, hash: credential.Hash(strings.TrimPrefix(name, scramName)), channel: ch,
		bound: bound, offered: len(ch.Bindings) > 0 && slices.Contains(known, name+plus) && h.offers(name+plus, ch),
	}
	var err error
	if s.server, err = s.hash.NewServer(s.lookup); err != nil {
		return nil, &Error{Condition: InvalidMechanism, Err: err}
	}
	return s, nil
}

// begin starts the conversation that the client's first message asks for: "p=" and the type of a channel binding,
// "n" if the client knows of none, "y" if it does and believes that we do not (RFC 5802 §6). The library refuses
// "y" where we offered one: then somebody has taken it out of what the client saw, to be able to sit in between.
func (s *scramRun) begin(message string) error {
	flag, _, _ := strings.Cut(message, ",")
	kind, bound := strings.CutPrefix(flag, "p=")
	binding := s.channel.binding(kind)
	switch {
	case bound != s.bound:
		return malformed("channel binding is for -PLUS, and -PLUS for channel binding")
	case bound && !binding.IsSupported():
		return malformed("channel binding that is not offered: " + shorten(strconv.QuoteToASCII(kind)))
	case bound:
		s.conv = s.server.NewConversationWithChannelBindingRequired(binding)
	case s.offered:
		s.conv = s.server.NewConversationWithChannelBinding(s.channel.binding(s.channel.Bindings[0].Type))
	default:
		s.conv = s.server.NewConversation()
	}
	return nil
}

func (s *scramRun) next(ctx context.Context, response []byte) ([]byte, addr.Bare, error) {
	message := string(response)
	if !utf8.ValidString(message) {
		return nil, addr.Bare{}, malformed("not UTF-8")
	}
	s.ctx = ctx
	if s.conv == nil {
		challenge, err := s.first(message)
		return challenge, addr.Bare{}, err
	}
	return s.final(message)
}

func (s *scramRun) first(message string) ([]byte, error) {
	if !goodNonce(message) {
		return nil, malformed("client nonce is not printable or missing")
	}
	if err := s.begin(message); err != nil {
		return nil, err
	}
	challenge, err := s.conv.Step(message)
	switch {
	case s.failed != nil:
		return nil, s.failed
	case err != nil:
		return nil, s.failure(challenge, err)
	}
	return []byte(challenge), nil
}

// final takes the proof.
func (s *scramRun) final(message string) ([]byte, addr.Bare, error) {
	s.deposit.back()
	a, err := s.host.Throttle.admit(s.ctx, s.user, s.channel.From)
	if err != nil {
		return nil, addr.Bare{}, err
	}
	if s.unfit != nil {
		s.host.log().Warn("account cannot use the mechanism", "user", s.user.String(), "err", s.unfit)
	}
	signature, err := s.conv.Step(message)
	switch {
	case err != nil:
		err = s.failure(signature, err)
	case s.refused != nil:
		err = s.refused
	}
	a.end(err)
	if err != nil {
		return nil, addr.Bare{}, err
	}
	return []byte(signature), s.user, nil
}

// goodNonce checks r= in the client's first message (RFC 5802 §7 "printable"); the library takes any.
func goodNonce(message string) bool {
	fields := strings.SplitN(message, ",", 5)
	if len(fields) < 4 || len(fields[3]) < 3 {
		return false
	}
	return strings.IndexFunc(fields[3], func(r rune) bool { return r < 0x21 || r > 0x7e }) < 0
}

// failure turns the library's error into ours. A wrong proof is the client's password, another channel binding a
// connection that is not the client's; everything else is a message that no correct client sends, or should not
// go on with.
func (s *scramRun) failure(answer string, err error) error {
	switch {
	case answer == scram.ErrInvalidProof:
	case answer == scram.ErrChannelBindingsDontMatch && s.bound: // the library's error shows the data
		return &Error{Condition: NotAuthorized, User: s.user, Err: errBinding}
	case answer == scram.ErrServerDoesSupportChannelBinding:
		return &Error{Condition: MalformedRequest, User: s.user, Err: errDowngrade}
	default:
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
	if s.failed = s.host.Throttle.barred(s.user, s.channel.From); s.failed != nil {
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
		s.unfit = why
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
	s.deposit = s.host.Throttle.deposit(s.user, s.channel.From)
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
