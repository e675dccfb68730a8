// Package auth is the server's side of SASL (RFC 4422, RFC 6120 §6): which mechanisms a host offers, and the
// exchanges that tell who a client is. It sees no XML; its errors are the conditions of RFC 6120 §6.5.
package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// Accounts finds what is kept of a user's password: credential.ErrNoUser if there is no such user. Any other
// error is the store's and lets nobody in.
type Accounts interface {
	Credentials(ctx context.Context, user addr.Bare) (credential.Credentials, error)
}

// Passwords knows whether a password is a user's: nil if it is, ErrRefused if it is not or there is no such user. Any
// other error is its own and lets nobody in.
type Passwords interface {
	CheckPassword(ctx context.Context, user addr.Bare, password string) error
}

// Users are Passwords that can also be asked for a user without a password. An error says that it is not known.
type Users interface {
	UserExists(ctx context.Context, user addr.Bare) (bool, error)
}

// ErrRefused is wrapped by the errors of Passwords that refuse a user.
var ErrRefused = errors.New("wrong password")

// ErrUnasked is wrapped by the errors of Passwords for questions that were spared whoever would have been asked. Why is
// known already: no login adds to the log.
var ErrUnasked = errors.New("password not asked about")

// Host is how the users of one host log in. It must not change while exchanges run.
type Host struct {
	Domain   string // prepared
	Accounts Accounts
	// Passwords, if it is set, is asked instead of Accounts. It sees the password itself: only PLAIN is offered.
	Passwords Passwords
	// Tokens, if it is set, knows whose access tokens are: OAUTHBEARER is offered, and Accounts is not asked.
	Tokens Tokens
	// TokenHelp is for clients whose token is refused.
	TokenHelp TokenHelp

	// Anonymous says that nobody has an account here: whoever comes gets a name, and only ANONYMOUS is offered.
	Anonymous bool

	// Hashes are those of the SCRAM mechanisms offered; none means SHA-1 alone. Stored keys serve one hash
	// only, a stored password serves them all.
	Hashes []credential.Hash
	// StoresPasswords says that this host keeps passwords as they are (internal_plain): a login costs the
	// server a derivation in SCRAM and none in PLAIN, and so must that of a user who does not exist.
	StoresPasswords bool
	// Iterations is the count of accounts of this host; 0 means credential.DefaultIterations.
	Iterations int
	// Secret makes the salts of users who do not exist. It should outlive the process: a salt that changes with
	// a restart tells them apart. If it is empty, a random one is made.
	Secret []byte
	// Disabled are mechanisms that are never offered, Insecure those that are offered with encryption only.
	Disabled, Insecure []string
	// Throttle slows down those who guess passwords; nil: nobody. One serves all hosts.
	Throttle *Throttle
	// Log is told when Accounts fails and when an account cannot serve a mechanism; nil means slog.Default.
	Log *slog.Logger
}

// Channel is what mechanisms want to know of the stream below.
type Channel struct {
	Encrypted  bool       // by whatever: a proxy may have taken the TLS off
	AllowPlain bool       // mechanisms that show the password may be used although nothing is encrypted
	Bindings   []Binding  // of TLS that ends here; none: no -PLUS
	From       netip.Addr // to count failed logins under; the zero one is not counted
	Address    netip.Addr // of the client, for the log
}

const (
	plainName = "PLAIN"
	scramName = "SCRAM-"
	plus      = "-PLUS"
)

// Binds tells whether a mechanism is one with channel binding (RFC 5802 §4).
func Binds(mechanism string) bool { return strings.HasSuffix(mechanism, plus) }

// Mechanisms lists what is offered on a channel, strongest first.
func (h *Host) Mechanisms(ch Channel) []string {
	return slices.DeleteFunc(h.known(), func(name string) bool { return !h.offers(name, ch) })
}

// offers tells whether a known mechanism is offered on a channel.
func (h *Host) offers(name string, ch Channel) bool {
	switch {
	case Binds(name) && len(ch.Bindings) == 0:
		return false
	case ch.Encrypted, bare(name) && ch.AllowPlain:
		return true
	}
	return !bare(name) && !slices.Contains(h.Insecure, name)
}

// bare tells whether a mechanism shows what whoever sees it can log in with.
func bare(mechanism string) bool { return mechanism == plainName || mechanism == bearerName }

// outside tells whether somebody else knows the users.
func (h *Host) outside() bool { return h.Passwords != nil || h.Tokens != nil }

// known lists the mechanisms of this host on an encrypted channel that can be bound to.
func (h *Host) known() []string {
	if h.Anonymous {
		return slices.DeleteFunc([]string{anonymousName}, func(name string) bool { return slices.Contains(h.Disabled, name) })
	}
	names := make([]string, 0, 2*len(hashMechanisms)+2)
	if !h.outside() {
		for _, m := range hashMechanisms {
			if h.hashed(m.hash) {
				names = append(names, m.bound)
			}
		}
		for _, m := range hashMechanisms {
			if h.hashed(m.hash) {
				names = append(names, m.name)
			}
		}
	}
	if h.Tokens != nil {
		names = append(names, bearerName)
	}
	if h.Passwords != nil || !h.outside() {
		names = append(names, plainName)
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(h.Disabled, name) })
}

// hashMechanisms are those of all hashes, strongest first; a login looks at them several times.
var hashMechanisms = func() (list []hashMechanism) {
	for _, hash := range credential.Hashes() {
		list = append(list, hashMechanism{hash, hash.Mechanism(), hash.Mechanism() + plus})
	}
	return list
}()

type hashMechanism struct {
	hash        credential.Hash
	name, bound string
}

func (h *Host) hashed(hash credential.Hash) bool { return slices.Contains(h.hashes(), hash) }

func (h *Host) hashes() []credential.Hash {
	if len(h.Hashes) == 0 {
		return onlySHA1
	}
	return h.Hashes
}

var onlySHA1 = []credential.Hash{credential.SHA1}

func (h *Host) iterations() int {
	if h.Iterations == 0 {
		return credential.DefaultIterations
	}
	return h.Iterations
}

func (h *Host) log() *slog.Logger {
	if h.Log == nil {
		return slog.Default()
	}
	return h.Log
}

// Start begins an exchange. The error is an *Error: invalid-mechanism for what this host does not offer,
// encryption-required for what it offers on an encrypted channel only (RFC 6120 §6.5.4, §6.5.6).
func (h *Host) Start(mechanism string, ch Channel) (*Exchange, error) {
	known := h.known()
	switch {
	case !slices.Contains(known, mechanism):
		return nil, &Error{Condition: InvalidMechanism, Err: errMechanism(mechanism)}
	case h.offers(mechanism, ch):
	case ch.Encrypted: // -PLUS, and nothing to bind to
		return nil, &Error{Condition: InvalidMechanism, Err: errMechanism(mechanism)}
	default:
		return nil, &Error{Condition: EncryptionRequired, Err: errMechanism(mechanism)}
	}
	x := &Exchange{host: h, address: ch.Address, run: &plain{host: h, from: ch.From}}
	switch mechanism {
	case plainName:
	case bearerName:
		x.run = &bearer{host: h, from: ch.From}
	case anonymousName:
		x.run, x.begun = anonymous{h}, true // there is no need to wait for what is not looked at
	default:
		var err error
		if x.run, err = h.startSCRAM(mechanism, known, ch); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// Exchange is one run of a mechanism. It is used by one goroutine at a time.
type Exchange struct {
	host    *Host
	address netip.Addr // of the client
	run     run
	begun   bool
	over    bool
	user    addr.Bare
}

// run is a mechanism in which the client speaks first, as in all that are offered here. The user that next
// returns is zero until the client is known to be that user.
type run interface {
	next(ctx context.Context, response []byte) (challenge []byte, user addr.Bare, err error)
}

// Next takes the client's decoded response, nil if it sent none. The challenge is for the client; once done is
// true the exchange has succeeded and the challenge, unless nil, goes along with success (RFC 6120 §6.4.6).
// The error is an *Error and ends the exchange.
func (x *Exchange) Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	switch {
	case x.over:
		return nil, false, malformed("the exchange is over")
	case !x.begun && response == nil: // no initial response: the client waits for its turn (RFC 6120 §6.4.2)
		x.begun = true
		return []byte{}, false, nil
	}
	x.begun = true
	challenge, user, err := x.run.next(ctx, response)
	if err != nil {
		x.over = true
		x.host.log().Debug("login failed", "address", x.address, "error", err)
		return nil, false, err
	}
	x.user, x.over = user, !user.IsZero()
	return challenge, x.over, nil
}

// User is who the client is after Next was done, zero before.
func (x *Exchange) User() addr.Bare { return x.user }
