package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rosterd/engine/addr"
)

// Tokens knows whose an access token is. The error wraps ErrRefused if it is nobody's at that domain, or not any more;
// any other error is its own and lets nobody in; one that wraps ErrUnasked is not logged.
type Tokens interface {
	CheckToken(ctx context.Context, domain, token string) (addr.Bare, error)
}

// TokenHelp tells clients whose token was refused where to have another one (RFC 7628 §3.2.2). Empty fields are not told.
type TokenHelp struct {
	Scope     string // that tokens must have
	Discovery string // URL of the metadata of the authorization server
}

const bearerName = "OAUTHBEARER"

// bearer is RFC 7628: one message with a token. Who is refused learns why in a challenge, and has failed when he has
// answered that.
type bearer struct {
	host   *Host
	from   netip.Addr
	failed error
}

var errToken = errors.New("token not accepted")

func (b *bearer) next(ctx context.Context, response []byte) ([]byte, addr.Bare, error) {
	if b.failed != nil { // "the client MUST send an additional message containing a single ^A" (§3.2.3), of no consequence
		return nil, addr.Bare{}, b.failed
	}
	m, err := parseBearer(response)
	if err != nil {
		return nil, addr.Bare{}, err
	}
	claimed, err := b.claimed(m.authzid)
	if err != nil {
		return nil, addr.Bare{}, err
	}
	if m.token == "" { // somebody asks where tokens are to be had (§4.3)
		return b.refuse(&Error{Condition: NotAuthorized, User: claimed, Err: errToken})
	}
	a, err := b.host.Throttle.admitToken(claimed, b.from)
	if err != nil {
		return nil, addr.Bare{}, err
	}
	user, err := b.check(ctx, claimed, m.token)
	a.endToken(user, err)
	if e, ok := errors.AsType[*Error](err); ok && e.Condition == NotAuthorized {
		return b.refuse(err)
	}
	return nil, user, err
}

// claimed is whom the client wants to be; zero if it leaves that to the token. Clients write the name or the address.
func (b *bearer) claimed(authzid string) (addr.Bare, error) {
	if authzid == "" {
		return addr.Bare{}, nil
	}
	local := authzid
	if strings.Contains(authzid, "@") {
		user, err := addr.ParseBare(authzid)
		if err != nil || user.Domain() != b.host.Domain {
			return addr.Bare{}, &Error{Condition: InvalidAuthzid, Err: errAuthzid}
		}
		local = user.Local()
	}
	return b.host.user(local, "")
}

// check finds out whose the token is, and whether that is whom the client wants to be.
func (b *bearer) check(ctx context.Context, claimed addr.Bare, token string) (addr.Bare, error) {
	user, err := b.host.Tokens.CheckToken(ctx, b.host.Domain, token)
	switch {
	case errors.Is(err, ErrRefused):
		return addr.Bare{}, &Error{Condition: NotAuthorized, User: claimed, Err: err}
	case err == nil && (user.IsZero() || user.Domain() != b.host.Domain):
		err = errors.New("token of " + strconv.Quote(user.String()) + ", who is not of this host")
	case err == nil && !claimed.IsZero() && user != claimed:
		return addr.Bare{}, &Error{Condition: InvalidAuthzid, User: user, Err: errAuthzid}
	case err == nil:
		return user, nil
	}
	if ctx.Err() == nil && !errors.Is(err, ErrUnasked) { // else the client has gone
		b.host.log().Error("token could not be checked", "host", b.host.Domain, "error", err)
	}
	return addr.Bare{}, &Error{Condition: TemporaryAuthFailure, User: claimed, Err: err}
}

// refuse says in a challenge what was wrong (RFC 7628 §3.2.2).
func (b *bearer) refuse(err error) ([]byte, addr.Bare, error) {
	b.failed = err
	why, jsonErr := json.Marshal(struct {
		Status    string `json:"status"`
		Scope     string `json:"scope,omitempty"`
		Discovery string `json:"openid-configuration,omitempty"`
	}{"invalid_token", b.host.TokenHelp.Scope, b.host.TokenHelp.Discovery})
	if jsonErr != nil {
		return nil, addr.Bare{}, err
	}
	return why, addr.Bare{}, nil
}

// bearerMessage is what a client says first.
type bearerMessage struct{ authzid, token string }

// parseBearer reads gs2-header ^A *(key=value ^A) ^A (RFC 7628 §3.1). There is no channel binding in this mechanism: who
// begins with "p=" is refused; "y" is as good as "n", since nothing was offered that could have been hidden.
func parseBearer(message []byte) (m bearerMessage, err error) {
	if !utf8.Valid(message) {
		return m, malformed("not UTF-8")
	}
	header, rest, ok := strings.Cut(string(message), "\x01")
	if !ok || !strings.HasSuffix(rest, "\x01") {
		return m, malformed("no message of OAUTHBEARER")
	}
	if m.authzid, err = parseGS2(header); err != nil {
		return m, err
	}
	found := false
	for pair := range strings.SplitSeq(strings.TrimSuffix(rest, "\x01"), "\x01") {
		key, value, ok := strings.Cut(pair, "=")
		switch {
		case pair == "": // after the last one
		case !ok || !letters(key) || !printable(value):
			return m, malformed("what is no key=value")
		case key != "auth": // host, port, and whatever else there may be (§3.1)
		case found:
			return m, malformed("auth= twice")
		default:
			found = true
			if m.token, err = parseCredentials(value); err != nil {
				return m, err
			}
		}
	}
	if !found {
		return m, malformed("no auth=")
	}
	return m, nil
}

// parseGS2 reads the header of RFC 5801 §4 and returns the authzid in it.
func parseGS2(header string) (authzid string, err error) {
	parts := strings.Split(header, ",")
	switch {
	case len(parts) != 3 || parts[2] != "":
		return "", malformed("no gs2 header")
	case strings.HasPrefix(parts[0], "p="):
		return "", malformed("OAUTHBEARER has no channel binding")
	case parts[0] != "n" && parts[0] != "y":
		return "", malformed("no gs2 header")
	case parts[1] == "":
		return "", nil
	}
	name, ok := strings.CutPrefix(parts[1], "a=")
	if !ok || name == "" || strings.ContainsRune(name, 0) {
		return "", malformed("no authzid in the gs2 header")
	}
	decoded := strings.NewReplacer("=2C", ",", "=3D", "=").Replace(name)
	if strings.Count(name, "=") != strings.Count(name, "=2C")+strings.Count(name, "=3D") {
		return "", malformed("authzid with a stray =")
	}
	return decoded, nil
}

// parseCredentials reads the value of auth=: nothing, or Bearer and a token (RFC 6750 §2.1).
func parseCredentials(value string) (token string, err error) {
	if value == "" {
		return "", nil
	}
	scheme, token, _ := strings.Cut(value, " ")
	token = strings.Trim(token, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return "", malformed("authorization of another kind than Bearer")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", malformed("what is no token")
	}
	return token, nil
}

// letters tells whether s is a key (§3.1: 1*ALPHA).
func letters(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return (r|0x20) < 'a' || (r|0x20) > 'z' }) < 0
}

// printable tells whether s is a value (§3.1: VCHAR, space, tab, CR, LF).
func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return (r < ' ' || r > '~') && r != '\t' && r != '\r' && r != '\n' }) < 0
}

// admitToken lets a token be looked at unless its address was wrong too often. There is no guessing at tokens, and no
// account to guard; but each may cost a question to somebody else. The attempt must be ended with endToken.
func (t *Throttle) admitToken(claimed addr.Bare, from netip.Addr) (*attempt, error) {
	if t == nil {
		return nil, nil
	}
	if err := t.barred(claimed, from); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, now := placeOf(claimed, from), time.Now()
	a := &attempt{throttle: t, at: at, own: new(bucket)}
	if at.from.IsValid() && !t.isGood(at) {
		address := place{from: at.from}
		c := charge{address, t.bucket(address, now), t.addressStep()}
		c.bucket.take(now, c.step)
		a.charged = []charge{c}
	}
	return a, nil
}

// endToken takes the outcome: who has logged in somewhere is not counted there any more, if he says who he is.
func (a *attempt) endToken(user addr.Bare, err error) {
	if a != nil && err == nil {
		a.at = placeOf(user, a.at.from)
	}
	a.end(err)
}
