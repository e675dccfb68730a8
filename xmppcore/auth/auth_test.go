package auth

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xdg-go/scram"
	"mellium.im/sasl"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// book is a set of accounts by name.
type book map[string]credential.Credentials

func (b book) Credentials(_ context.Context, user addr.Bare) (credential.Credentials, error) {
	if user.Local() == "broken" {
		return credential.Credentials{}, errors.New("disk on fire")
	}
	c, ok := b[user.String()]
	if !ok {
		return c, fmt.Errorf("look up %s: %w", user, credential.ErrNoUser)
	}
	return c, nil
}

const (
	password   = "R0m30MyR0m30"
	iterations = 4096
)

// keys are derived once for all tests: with -race it takes a while.
var keys = sync.OnceValue(func() map[credential.Hash]*credential.SCRAM {
	m := map[credential.Hash]*credential.SCRAM{}
	for _, h := range credential.Hashes() {
		s, err := credential.Derive(h, password, []byte("QSXCR+Q6sek8bf92"), iterations)
		if err != nil {
			panic(err)
		}
		m[h] = &s
	}
	return m
})

func hashedHost(h credential.Hash) *Host {
	return &Host{
		Domain: "example.net", Hashes: []credential.Hash{h}, Iterations: iterations, Secret: []byte("secret"),
		Accounts: book{
			"juliet@example.net":     {SCRAM: keys()[h]},
			"disabled@example.net":   {SCRAM: keys()[h], Disabled: true},
			"plain@example.net":      {Password: password, HasPassword: true},
			"zoë@example.net":        {SCRAM: keys()[h]},
			"a,=b@example.net":       {SCRAM: keys()[h]},
			"none@example.net":       {},
			"unprepared@example.net": {Password: "a\nb", HasPassword: true},
			"sha512@example.net":     {SCRAM: keys()[credential.SHA512]},
		},
		Log: slog.New(slog.DiscardHandler),
	}
}

func plainHost() *Host {
	h := hashedHost(credential.SHA1)
	h.Hashes, h.StoresPasswords = credential.Hashes(), true
	return h
}

var encrypted = Channel{Encrypted: true}

func condition(err error) Condition {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Condition
	}
	return ""
}

func TestMechanisms(t *testing.T) {
	tests := []struct {
		name string
		host Host
		ch   Channel
		want string
	}{
		{"default", Host{}, encrypted, "SCRAM-SHA-1 PLAIN"},
		{"password_hash", Host{Hashes: []credential.Hash{"SHA-256"}}, encrypted, "SCRAM-SHA-256 PLAIN"},
		{"internal_plain", Host{Hashes: credential.Hashes()}, encrypted, "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN"},
		{"strongest first", Host{Hashes: []credential.Hash{"SHA-1", "SHA-256"}}, encrypted, "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN"},
		{"not encrypted", Host{}, Channel{}, "SCRAM-SHA-1"},
		{"not encrypted, allowed", Host{}, Channel{AllowPlain: true}, "SCRAM-SHA-1 PLAIN"},
		{"disabled", Host{Disabled: []string{"PLAIN", "DIGEST-MD5"}}, encrypted, "SCRAM-SHA-1"},
		{"all disabled", Host{Disabled: []string{"PLAIN", "SCRAM-SHA-1"}}, encrypted, ""},
		{"channel binding", Host{}, boundChannel, "SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN"},
		{"channel binding before the better hash", Host{Hashes: credential.Hashes()}, boundChannel,
			"SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN"},
		{"channel binding disabled", Host{Disabled: []string{"SCRAM-SHA-1-PLUS"}}, boundChannel, "SCRAM-SHA-1 PLAIN"},
		{"nothing but channel binding", Host{Disabled: []string{"SCRAM-SHA-1", "PLAIN"}}, boundChannel, "SCRAM-SHA-1-PLUS"},
		{"nothing but channel binding, and none", Host{Disabled: []string{"SCRAM-SHA-1", "PLAIN"}}, encrypted, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(tt.host.Mechanisms(tt.ch), " "); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestStart(t *testing.T) {
	tests := []struct {
		name, mechanism string
		ch              Channel
		want            Condition
	}{
		{"offered", "PLAIN", encrypted, ""},
		{"needs encryption", "PLAIN", Channel{}, EncryptionRequired},
		{"does not need it", "SCRAM-SHA-1", Channel{}, ""},
		{"another hash", "SCRAM-SHA-256", encrypted, InvalidMechanism},
		{"channel binding", "SCRAM-SHA-1-PLUS", boundChannel, ""},
		{"channel binding to nothing", "SCRAM-SHA-1-PLUS", encrypted, InvalidMechanism},
		{"channel binding in the clear", "SCRAM-SHA-1-PLUS", Channel{}, EncryptionRequired},
		{"channel binding, another hash", "SCRAM-SHA-256-PLUS", boundChannel, InvalidMechanism},
		{"unknown", "DIGEST-MD5", encrypted, InvalidMechanism},
		{"lower case", "plain", encrypted, InvalidMechanism},
		{"none", "", encrypted, InvalidMechanism},
		{"too long", strings.Repeat("X", 1000), encrypted, InvalidMechanism},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, err := hashedHost(credential.SHA1).Start(tt.mechanism, tt.ch)
			if condition(err) != tt.want || (x == nil) != (tt.want != "") {
				t.Errorf("exchange %v, error %v, want %q", x, err, tt.want)
			}
			if err != nil && len(err.Error()) > 100 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}

// client is the other side: it takes challenges and gives responses. mellium.im/sasl and xdg-go/scram are two.
type client interface {
	step(challenge []byte) (response []byte, err error)
}

type mellium struct{ *sasl.Negotiator }

func (m mellium) step(challenge []byte) ([]byte, error) {
	_, resp, err := m.Step(challenge)
	return resp, err
}

type xdg struct{ *scram.ClientConversation }

func (x xdg) step(challenge []byte) ([]byte, error) {
	resp, err := x.Step(string(challenge))
	return []byte(resp), err
}

func melliumClient(t *testing.T, mechanism, name, password, authzid string) client {
	t.Helper()
	for _, m := range []sasl.Mechanism{sasl.Plain, sasl.ScramSha1, sasl.ScramSha256} {
		if m.Name == mechanism {
			return mellium{sasl.NewClient(m, sasl.Credentials(func() (username, pass, identity []byte) {
				return []byte(name), []byte(password), []byte(authzid)
			}))}
		}
	}
	t.Fatalf("mellium has no %s", mechanism)
	return nil
}

func xdgClient(t *testing.T, mechanism, name, password, authzid string) client {
	t.Helper()
	gen := map[string]scram.HashGeneratorFcn{"SCRAM-SHA-1": scram.SHA1, "SCRAM-SHA-256": scram.SHA256, "SCRAM-SHA-512": scram.SHA512}[mechanism]
	c, err := gen.NewClient(name, password, authzid)
	if err != nil {
		t.Fatal(err)
	}
	return xdg{c.NewConversation()}
}

// talk runs an exchange to its end. The steps are how often the client spoke.
func talk(t *testing.T, h *Host, mechanism string, c client) (user addr.Bare, steps int, challenges []string, err error) {
	t.Helper()
	return talkOn(t, h, encrypted, mechanism, c)
}

func talkOn(t *testing.T, h *Host, ch Channel, mechanism string, c client) (user addr.Bare, steps int, challenges []string, err error) {
	t.Helper()
	x, err := h.Start(mechanism, ch)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.step(nil)
	if err != nil {
		t.Fatal(err)
	}
	for {
		steps++
		challenge, done, err := x.Next(t.Context(), resp)
		if err != nil {
			if !x.User().IsZero() {
				t.Errorf("failed, and yet the user is %s", x.User())
			}
			return addr.Bare{}, steps, challenges, err
		}
		challenges = append(challenges, string(challenge))
		if done {
			if len(challenge) > 0 { // the server's signature
				if _, err := c.step(challenge); err != nil {
					t.Errorf("client: %v", err)
				}
			}
			return x.User(), steps, challenges, nil
		}
		if resp, err = c.step(challenge); err != nil {
			t.Fatalf("client: %v", err)
		}
	}
}

func TestLogin(t *testing.T) {
	type dial func(t *testing.T, mechanism, name, password, authzid string) client
	sha1, sha256, plain := hashedHost(credential.SHA1), hashedHost(credential.SHA256), plainHost()
	tests := []struct {
		name      string
		host      *Host
		dial      dial
		mechanism string
		user      string
		password  string
		authzid   string
		want      string // user, or condition
	}{
		{"mellium", sha1, melliumClient, "SCRAM-SHA-1", "juliet", password, "", "juliet@example.net"},
		{"mellium", sha1, melliumClient, "PLAIN", "juliet", password, "", "juliet@example.net"},
		{"mellium", sha256, melliumClient, "SCRAM-SHA-256", "juliet", password, "", "juliet@example.net"},
		{"xdg", sha1, xdgClient, "SCRAM-SHA-1", "juliet", password, "", "juliet@example.net"},
		{"xdg", sha256, xdgClient, "SCRAM-SHA-256", "juliet", password, "", "juliet@example.net"},
		{"xdg", hashedHost(credential.SHA512), xdgClient, "SCRAM-SHA-512", "juliet", password, "", "juliet@example.net"},

		{"case of the name", sha1, melliumClient, "SCRAM-SHA-1", "Juliet", password, "", "juliet@example.net"},
		{"case of the name", sha1, melliumClient, "PLAIN", "JULIET", password, "", "juliet@example.net"},
		{"name beyond ASCII", sha1, melliumClient, "SCRAM-SHA-1", "Zoë", password, "", "zoë@example.net"},
		{"escaped name", sha1, xdgClient, "SCRAM-SHA-1", "a,=b", password, "", "a,=b@example.net"},

		{"authzid", sha1, melliumClient, "PLAIN", "juliet", password, "juliet@example.net", "juliet@example.net"},
		{"authzid", sha1, xdgClient, "SCRAM-SHA-1", "juliet", password, "Juliet@Example.net", "juliet@example.net"},
		{"authzid of another", sha1, melliumClient, "PLAIN", "juliet", password, "romeo@example.net", "invalid-authzid"},
		{"authzid of another", sha1, xdgClient, "SCRAM-SHA-1", "juliet", password, "romeo@example.net", "invalid-authzid"},
		{"authzid elsewhere", sha1, melliumClient, "PLAIN", "juliet", password, "juliet@example.com", "invalid-authzid"},
		{"authzid with a resource", sha1, melliumClient, "PLAIN", "juliet", password, "juliet@example.net/x", "invalid-authzid"},
		{"authzid that is none", sha1, melliumClient, "PLAIN", "juliet", password, "@", "invalid-authzid"},

		{"wrong password", sha1, melliumClient, "PLAIN", "juliet", "wherefore", "", "not-authorized"},
		{"wrong password", sha1, melliumClient, "SCRAM-SHA-1", "juliet", "wherefore", "", "not-authorized"},
		{"wrong case of password", sha1, melliumClient, "SCRAM-SHA-1", "juliet", "r0m30Myr0m30", "", "not-authorized"},
		{"unknown user", sha1, melliumClient, "PLAIN", "romeo", password, "", "not-authorized"},
		{"unknown user", sha1, melliumClient, "SCRAM-SHA-1", "romeo", password, "", "not-authorized"},
		{"account without a password", sha1, melliumClient, "PLAIN", "none", password, "", "not-authorized"},
		{"account without a password", sha1, melliumClient, "SCRAM-SHA-1", "none", password, "", "not-authorized"},
		{"keys for another hash", sha1, melliumClient, "SCRAM-SHA-1", "sha512", password, "", "not-authorized"},
		{"keys for another hash", sha1, melliumClient, "PLAIN", "sha512", password, "", "sha512@example.net"},
		{"disabled", sha1, melliumClient, "PLAIN", "disabled", password, "", "account-disabled"},
		{"disabled", sha1, melliumClient, "SCRAM-SHA-1", "disabled", password, "", "account-disabled"},
		{"disabled, wrong password", sha1, melliumClient, "PLAIN", "disabled", "wherefore", "", "not-authorized"},
		{"disabled, wrong password", sha1, melliumClient, "SCRAM-SHA-1", "disabled", "wherefore", "", "not-authorized"},
		{"store fails", sha1, melliumClient, "PLAIN", "broken", password, "", "temporary-auth-failure"},
		{"store fails", sha1, melliumClient, "SCRAM-SHA-1", "broken", password, "", "temporary-auth-failure"},
		{"name that is none", sha1, melliumClient, "PLAIN", "juliet@example.net", password, "", "not-authorized"},
		{"name that is none", sha1, melliumClient, "SCRAM-SHA-1", "juliet@example.net", password, "", "not-authorized"},
		{"password that is none", sha1, melliumClient, "PLAIN", "juliet", "a\nb", "", "not-authorized"},

		{"stored password", sha1, melliumClient, "SCRAM-SHA-1", "plain", password, "", "plain@example.net"},
		{"stored password", sha1, melliumClient, "PLAIN", "plain", password, "", "plain@example.net"},
		{"stored password, wrong", sha1, melliumClient, "PLAIN", "plain", "wherefore", "", "not-authorized"},
		{"stored password of no use", sha1, melliumClient, "SCRAM-SHA-1", "unprepared", password, "", "temporary-auth-failure"},
		{"internal_plain", plain, melliumClient, "SCRAM-SHA-256", "plain", password, "", "plain@example.net"},
		{"internal_plain", plain, xdgClient, "SCRAM-SHA-512", "plain", password, "", "plain@example.net"},
		{"internal_plain", plain, melliumClient, "PLAIN", "plain", password, "", "plain@example.net"},
		{"internal_plain, keys stored", plain, melliumClient, "PLAIN", "juliet", password, "", "juliet@example.net"},
		{"internal_plain, keys stored", plain, melliumClient, "SCRAM-SHA-1", "juliet", password, "", "juliet@example.net"},
		{"internal_plain, wrong password", plain, melliumClient, "SCRAM-SHA-256", "plain", "wherefore", "", "not-authorized"},
		{"internal_plain, unknown user", plain, melliumClient, "SCRAM-SHA-256", "romeo", password, "", "not-authorized"},
		{"internal_plain, unknown user", plain, melliumClient, "PLAIN", "romeo", password, "", "not-authorized"},
	}
	for _, tt := range tests {
		t.Run(tt.name+", "+tt.mechanism, func(t *testing.T) {
			user, _, _, err := talk(t, tt.host, tt.mechanism, tt.dial(t, tt.mechanism, tt.user, tt.password, tt.authzid))
			got := user.String()
			if err != nil {
				got = string(condition(err))
			}
			if got != tt.want {
				t.Errorf("%q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

// What a stranger sees of SCRAM is the same for users who exist and for those who do not.
func TestUnknownUserLooksKnown(t *testing.T) {
	for name, h := range map[string]*Host{"hashed": hashedHost(credential.SHA1), "plain": plainHost()} {
		t.Run(name, func(t *testing.T) {
			first := func(user string) (salt string, form string) {
				_, steps, challenges, err := talk(t, h, "SCRAM-SHA-1", melliumClient(t, "SCRAM-SHA-1", user, "wherefore", ""))
				if condition(err) != NotAuthorized || steps != 2 || len(challenges) != 1 {
					t.Fatalf("%s: %d steps, challenges %q, error %v", user, steps, challenges, err)
				}
				fields := strings.Split(challenges[0], ",")
				raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(fields[1], "s="))
				if err != nil {
					t.Fatal(err)
				}
				form = strings.Map(func(r rune) rune {
					if strings.ContainsRune("0123456789abcdef", r) {
						return 'x'
					}
					return r
				}, string(raw))
				return string(raw), form + " " + strings.Join(fields[2:], ",")
			}
			salt, form := first("romeo")
			if again, _ := first("romeo"); again != salt {
				t.Errorf("salt %s, then %s", salt, again)
			}
			if other, _ := first("mercutio"); other == salt {
				t.Error("two users have one salt")
			}
			if want := "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx i=4096"; form != want {
				t.Errorf("challenge %s, want %s", form, want)
			}
			if plain, _ := first("plain"); plain == salt {
				t.Error("a user with a password has the salt of another")
			}
			if again, _ := first("plain"); again != mustSalt(h, "plain@example.net") {
				t.Errorf("salt of a user with a password is %s", again)
			}
		})
	}
	a, b, none, other := Host{Secret: []byte("a")}, Host{Secret: []byte("b")}, Host{}, Host{}
	if mustSalt(&a, "romeo@example.net") == mustSalt(&b, "romeo@example.net") {
		t.Error("the salt does not depend on the secret")
	}
	if mustSalt(&none, "romeo@example.net") != mustSalt(&other, "romeo@example.net") {
		t.Error("without a secret the salt changes within the process")
	}
}

func mustSalt(h *Host, user string) string { return string(h.salt(addr.MustBare(user))) }

// When all turns are taken, whoever needs one waits: so it shows who does, without a clock.
func TestSameWork(t *testing.T) {
	for range cap(derivations) {
		derivations <- struct{}{}
	}
	defer func() {
		for range cap(derivations) {
			<-derivations
		}
	}()
	sha1, plain := hashedHost(credential.SHA1), plainHost()
	tests := []struct {
		name      string
		host      *Host
		mechanism string
		user      string
		waits     bool
	}{
		{"known", sha1, "PLAIN", "juliet", true},
		{"unknown", sha1, "PLAIN", "romeo", true},
		{"stored password among hashed ones", sha1, "PLAIN", "plain", true},
		{"known", plain, "PLAIN", "plain", false},
		{"unknown", plain, "PLAIN", "romeo", false},
		{"known", sha1, "SCRAM-SHA-1", "juliet", false},
		{"unknown", sha1, "SCRAM-SHA-1", "romeo", false},
		{"known", plain, "SCRAM-SHA-256", "plain", true},
		{"unknown", plain, "SCRAM-SHA-256", "romeo", true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s, %s, passwords stored %v", tt.mechanism, tt.name, tt.host.StoresPasswords), func(t *testing.T) {
			x, err := tt.host.Start(tt.mechanism, encrypted)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := melliumClient(t, tt.mechanism, tt.user, "wherefore", "").step(nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, _, err = x.Next(ctx, resp)
			if waits := errors.Is(err, context.Canceled); waits != tt.waits {
				t.Errorf("waits %v, want %v (error %v)", waits, tt.waits, err)
			}
			if tt.waits && condition(err) != TemporaryAuthFailure {
				t.Errorf("condition of %v", err)
			}
		})
	}
}

func TestExpensiveLetsGo(t *testing.T) {
	ran := 0
	for range cap(derivations) + 1 {
		if err := expensive(t.Context(), addr.Bare{}, func() { ran++ }); err != nil {
			t.Fatal(err)
		}
	}
	if ran != cap(derivations)+1 || len(derivations) != 0 {
		t.Errorf("ran %d times, %d turns taken", ran, len(derivations))
	}
}

// Many logins at once, all of which succeed, for the race detector.
func TestManyAtOnce(t *testing.T) {
	h := hashedHost(credential.SHA1)
	var wg sync.WaitGroup
	for i := range 16 {
		mechanism := []string{"PLAIN", "SCRAM-SHA-1"}[i%2]
		wg.Go(func() {
			if _, _, _, err := talk(t, h, mechanism, melliumClient(t, mechanism, "juliet", password, "")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestMalformed(t *testing.T) {
	const first = "n,,n=juliet,r=abc"
	tests := []struct {
		name, mechanism string
		messages        []string
		want            Condition
	}{
		{"no parts", "PLAIN", []string{"juliet"}, MalformedRequest},
		{"two parts", "PLAIN", []string{"juliet\x00pw"}, MalformedRequest},
		{"four parts", "PLAIN", []string{"\x00juliet\x00pw\x00"}, MalformedRequest},
		{"empty", "PLAIN", []string{""}, MalformedRequest},
		{"no name", "PLAIN", []string{"\x00\x00pw"}, MalformedRequest},
		{"no password", "PLAIN", []string{"\x00juliet\x00"}, MalformedRequest},
		{"not UTF-8", "PLAIN", []string{"\x00juliet\x00\xff"}, MalformedRequest},
		{"name too long", "PLAIN", []string{"\x00" + strings.Repeat("j", 1024) + "\x00pw"}, NotAuthorized},

		{"empty", "SCRAM-SHA-1", []string{""}, MalformedRequest},
		{"not UTF-8", "SCRAM-SHA-1", []string{"n,,n=juliet\xff,r=abc"}, MalformedRequest},
		{"no gs2 header", "SCRAM-SHA-1", []string{"n=juliet,r=abc"}, MalformedRequest},
		{"unknown flag", "SCRAM-SHA-1", []string{"x,,n=juliet,r=abc"}, MalformedRequest},
		{"channel binding", "SCRAM-SHA-1", []string{"p=tls-unique,,n=juliet,r=abc"}, MalformedRequest},
		{"unknown channel binding", "SCRAM-SHA-1", []string{"p=tls-magic,,n=juliet,r=abc"}, MalformedRequest},
		{"mandatory extension", "SCRAM-SHA-1", []string{"n,,m=1,n=juliet,r=abc"}, MalformedRequest},
		{"no name", "SCRAM-SHA-1", []string{"n,,r=abc"}, MalformedRequest},
		{"empty name", "SCRAM-SHA-1", []string{"n,,n=,r=abc"}, NotAuthorized},
		{"escape in the name", "SCRAM-SHA-1", []string{"n,,n=jul=2Diet,r=abc"}, MalformedRequest},
		{"escape in the authzid", "SCRAM-SHA-1", []string{"n,a==,n=juliet,r=abc"}, MalformedRequest},
		{"no nonce", "SCRAM-SHA-1", []string{"n,,n=juliet"}, MalformedRequest},
		{"empty nonce", "SCRAM-SHA-1", []string{"n,,n=juliet,r="}, MalformedRequest},
		{"nonce not printable", "SCRAM-SHA-1", []string{"n,,n=juliet,r=a\nb"}, MalformedRequest},
		{"nonce not ASCII", "SCRAM-SHA-1", []string{"n,,n=juliet,r=é"}, MalformedRequest},
		{"first message twice", "SCRAM-SHA-1", []string{first, first}, MalformedRequest},
		{"empty final message", "SCRAM-SHA-1", []string{first, ""}, MalformedRequest},
		{"nonce of another", "SCRAM-SHA-1", []string{first, "c=biws,r=abcd,p=AAAA"}, MalformedRequest},
		{"proof missing", "SCRAM-SHA-1", []string{first, "c=biws,r=$NONCE"}, MalformedRequest},
		{"proof not base64", "SCRAM-SHA-1", []string{first, "c=biws,r=$NONCE,p=!"}, MalformedRequest},
		{"proof too short", "SCRAM-SHA-1", []string{first, "c=biws,r=$NONCE,p=AAAA"}, MalformedRequest},
		{"channel binding not that of the header", "SCRAM-SHA-1", []string{first, "c=eSws,r=$NONCE,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, MalformedRequest},
		{"wrong proof", "SCRAM-SHA-1", []string{first, "c=biws,r=$NONCE,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, NotAuthorized},
		{"wrong proof after y", "SCRAM-SHA-1", []string{"y,,n=juliet,r=abc", "c=eSws,r=$NONCE,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, NotAuthorized},
		{"wrong proof of nobody", "SCRAM-SHA-1", []string{"n,,n=romeo,r=abc", "c=biws,r=$NONCE,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, NotAuthorized},
		{"proof too short of nobody", "SCRAM-SHA-1", []string{"n,,n=romeo,r=abc", "c=biws,r=$NONCE,p=AAAA"}, MalformedRequest},
	}
	for _, tt := range tests {
		t.Run(tt.mechanism+", "+tt.name, func(t *testing.T) {
			x, err := hashedHost(credential.SHA1).Start(tt.mechanism, encrypted)
			if err != nil {
				t.Fatal(err)
			}
			var challenge []byte
			for i, m := range tt.messages {
				nonce, _, _ := strings.Cut(strings.TrimPrefix(string(challenge), "r="), ",")
				var done bool
				challenge, done, err = x.Next(t.Context(), []byte(strings.Replace(m, "$NONCE", nonce, 1)))
				if done || (err != nil) != (i == len(tt.messages)-1) {
					t.Fatalf("message %d: done %v, error %v", i, done, err)
				}
			}
			if condition(err) != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if _, done, err := x.Next(t.Context(), []byte("again")); done || condition(err) != MalformedRequest {
				t.Errorf("after its end: done %v, error %v", done, err)
			}
		})
	}
}

func TestNoInitialResponse(t *testing.T) {
	x, err := hashedHost(credential.SHA1).Start("PLAIN", encrypted)
	if err != nil {
		t.Fatal(err)
	}
	if challenge, done, err := x.Next(t.Context(), nil); challenge == nil || len(challenge) != 0 || done || err != nil {
		t.Fatalf("challenge %q, done %v, error %v", challenge, done, err)
	}
	if _, done, err := x.Next(t.Context(), []byte("\x00juliet\x00"+password)); !done || err != nil {
		t.Errorf("done %v, error %v", done, err)
	}
	if x, err = hashedHost(credential.SHA1).Start("PLAIN", encrypted); err != nil {
		t.Fatal(err)
	}
	for i := range 2 { // the second time nothing is not a turn but a response
		_, _, err = x.Next(t.Context(), nil)
		if (condition(err) == MalformedRequest) != (i == 1) {
			t.Errorf("turn %d: error %v", i, err)
		}
	}
}

// The conversations of RFC 5802 §5 and RFC 7677 §3, with the RFCs' nonces.
func TestRFC(t *testing.T) {
	tests := []struct {
		name                             string
		hash                             credential.Hash
		salt, nonce                      string
		first, challenge, final, success string
	}{
		{"RFC 5802 §5", credential.SHA1, "QSXCR+Q6sek8bf92", "3rfcNHYJY1ZVvWVs7j",
			"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		{"RFC 7677 §3", credential.SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
			"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			salt, err := base64.StdEncoding.DecodeString(tt.salt)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := credential.Derive(tt.hash, "pencil", salt, 4096)
			if err != nil {
				t.Fatal(err)
			}
			h := &Host{Domain: "example.net", Accounts: book{"user@example.net": {SCRAM: &keys}}}
			s := &scramRun{host: h, hash: tt.hash}
			server, err := tt.hash.NewServer(s.lookup)
			if err != nil {
				t.Fatal(err)
			}
			s.server = server.WithNonceGenerator(func() string { return tt.nonce })
			x := &Exchange{host: h, run: s}
			if got, done, err := x.Next(t.Context(), []byte(tt.first)); string(got) != tt.challenge || done || err != nil {
				t.Fatalf("challenge %s, done %v, error %v", got, done, err)
			}
			if got, done, err := x.Next(t.Context(), []byte(tt.final)); string(got) != tt.success || !done || err != nil {
				t.Fatalf("success %s, done %v, error %v", got, done, err)
			}
			if x.User() != addr.MustBare("user@example.net") {
				t.Errorf("user %s", x.User())
			}
		})
	}
}

// The log learns what the client does not.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	h := hashedHost(credential.SHA1)
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	for _, user := range []string{"broken", "sha512", "unprepared"} {
		_, _, _, err := talk(t, h, "SCRAM-SHA-1", melliumClient(t, "SCRAM-SHA-1", user, password, ""))
		if e := (*Error)(nil); !errors.As(err, &e) || e.User.Local() != user {
			t.Errorf("%s: error %v", user, err)
		}
		if !strings.Contains(log.String(), "user="+user+"@example.net") {
			t.Errorf("%s is not in the log: %s", user, &log)
		}
		log.Reset()
	}
	_, _, _, err := talk(t, h, "PLAIN", melliumClient(t, "PLAIN", "romeo", password, ""))
	if !errors.Is(err, credential.ErrNoUser) || !strings.HasPrefix(err.Error(), "not-authorized: romeo@example.net: ") {
		t.Errorf("error %v", err)
	}
	if log.Len() > 0 {
		t.Errorf("a wrong name was logged: %s", &log)
	}
}

// Whatever a client says, only the right password makes it a user.
func FuzzExchange(f *testing.F) {
	f.Add("PLAIN", []byte("\x00juliet\x00wherefore"), []byte(nil))
	f.Add("PLAIN", []byte(nil), []byte("x@y\x00juliet\x00"))
	f.Add("SCRAM-SHA-1", []byte("n,,n=juliet,r=abc"), []byte("c=biws,r=abc,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="))
	f.Add("SCRAM-SHA-1", []byte("p=tls-unique,a=x@y,n=j=2Cet,r=,x=y"), []byte("c=,r=,p="))
	f.Add("SCRAM-SHA-1", []byte("y,,n=plain,r=\"~"), []byte("e=other-error"))
	f.Add("SCRAM-SHA-1-PLUS", []byte("p=tls-exporter,,n=juliet,r=abc"), []byte("c=cD10bHMtZXhwb3J0ZXIsLGV4cG9ydGVk,r=abc,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="))
	f.Add("SCRAM-SHA-1-PLUS", []byte("p=tls-\x00,,n=juliet,r=abc"), []byte("c="))
	keys, err := credential.Derive(credential.SHA1, password, []byte("salt"), 1)
	if err != nil {
		f.Fatal(err)
	}
	h := &Host{Domain: "example.net", Iterations: 1, Log: slog.New(slog.DiscardHandler), Accounts: book{
		"juliet@example.net": {SCRAM: &keys},
		"plain@example.net":  {Password: password, HasPassword: true},
	}}
	conditions := []Condition{NotAuthorized, MalformedRequest, InvalidAuthzid, TemporaryAuthFailure}
	f.Fuzz(func(t *testing.T, mechanism string, first, second []byte) {
		x, err := h.Start(mechanism, boundChannel)
		if err != nil {
			if condition(err) != InvalidMechanism {
				t.Fatalf("start: %v", err)
			}
			return
		}
		for _, m := range [][]byte{first, second} {
			_, done, err := x.Next(t.Context(), m)
			if done && !bytes.HasSuffix(m, []byte("\x00"+password)) {
				t.Fatalf("%q, %q let %s in", first, second, x.User())
			}
			if err != nil && !slices.Contains(conditions, condition(err)) {
				t.Fatalf("%q: %v", m, err)
			}
			if done == x.User().IsZero() {
				t.Fatalf("done %v, user %q", done, x.User())
			}
			if err != nil || done {
				return
			}
		}
	})
}
