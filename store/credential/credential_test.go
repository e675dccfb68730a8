package credential

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func unbase64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The keys of RFC 5802 §5 and RFC 7677 §3 are not printed there: they were computed from the password, salt and
// count of those examples, and the conversations in xmppcore/auth check them against the RFCs' signatures.
// Those of Prosody were written by its prosodyctl, version 0.12.3.
func TestDerive(t *testing.T) {
	tests := []struct {
		name, password    string
		hash              Hash
		salt              []byte
		iterations        int
		stored, serverKey string
	}{
		{"RFC 5802 §5", "pencil", SHA1, unbase64(t, "QSXCR+Q6sek8bf92"), 4096,
			"e9d94660c39d65c38fbad91c358f14da0eef2bd6", "0fe09258b3ac852ba502cc62ba903eaacdbf7d31"},
		{"Prosody SHA-1", "R0m30MyR0m30", SHA1, []byte("ae7c367a-8067-48a4-b0c1-342839200b2a"), 10000,
			"3583cde4d681be27b5c218c0580f2e758efc4463", "b988782a47618003be739037395cacf60311cdc7"},
		{"Prosody SHA-256", "R0m30MyR0m30", SHA256, []byte("87357398-2289-40c8-b4af-0fc56b18b8e5"), 10000,
			"a350ff16c34ecd9ecbc8f7634857d229703c5b7d1501c9c1ff1271391d6f966a",
			"d1d88b9d3c8ae7910c7095c5442bc089167734efb88db64b2f3aa43155d3f11a"},
		{"Prosody, emoji", "пароль 🙂", SHA1, []byte("2e06ae22-2241-4274-bb73-c022d8ab9a45"), 10000,
			"ce536eb23976bd3e3bb158a006524aa8ba03d5ed", "9a194a247c6547ccf538e800c5cf0bd6afd63bcb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Derive(tt.hash, tt.password, tt.salt, tt.iterations)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(s.StoredKey); got != tt.stored {
				t.Errorf("StoredKey %s, want %s", got, tt.stored)
			}
			if got := hex.EncodeToString(s.ServerKey); got != tt.serverKey {
				t.Errorf("ServerKey %s, want %s", got, tt.serverKey)
			}
			if err := s.Check(); err != nil {
				t.Error(err)
			}
			c := Credentials{SCRAM: &s}
			if !c.Verify(tt.password) || c.Verify(tt.password+"x") || c.Verify("") {
				t.Error("Verify takes a wrong password or refuses the right one")
			}
		})
	}
}

func TestDeriveRefuses(t *testing.T) {
	tests := []struct {
		name, password string
		hash           Hash
		salt           string
		iterations     int
		want           string
	}{
		{"no password", "", SHA1, "salt", 1, "empty"},
		{"control character", "a\nb", SHA1, "salt", 1, "not allowed"},
		{"unknown hash", "x", "MD5", "salt", 1, `unknown hash "MD5"`},
		{"no hash", "x", "", "salt", 1, "unknown hash"},
		{"no salt", "x", SHA1, "", 1, "no salt"},
		{"no iterations", "x", SHA1, "salt", 0, "iteration count 0"},
		{"too many iterations", "x", SHA1, "salt", MaxIterations + 1, "iteration count 10000001"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Derive(tt.hash, tt.password, []byte(tt.salt), tt.iterations)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	good, err := Derive(SHA256, "x", []byte("salt"), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := good.Check(); err != nil {
		t.Errorf("good keys: %v", err)
	}
	short, other := good, good
	short.ServerKey = good.ServerKey[1:]
	other.Hash = SHA1
	for name, s := range map[string]SCRAM{"short key": short, "another hash": other, "nothing": {}} {
		if s.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What Prosody 0.12.3 makes of the same passwords.
func TestPrepare(t *testing.T) {
	tests := []struct{ name, password, want string }{
		{"ASCII", "pencil 1~", "pencil 1~"},
		{"soft hyphen goes (RFC 4013 §3)", "I\u00adX", "IX"},
		{"case stays", "USER", "USER"},
		{"compatibility forms", "\u00aa\u2168", "aIX"},
		{"other spaces", "a\u00a0b\u3000c", "a b c"},
		{"zero width space is a space", "a\u200bb", "a b"},
		{"Mongolian soft hyphen goes", "a\u1806b", "ab"},
		{"combining", "e\u0301", "é"},
		{"emoji", "\U0001f642", "\U0001f642"},
		{"compatibility form of a later Unicode", "\U0001f130\u2168", "\U0001f130IX"},
		{"Arabic", "\u0627\u0644", "\u0627\u0644"},
		{"Arabic letter of a later Unicode", "\u0628\u0760", "\u0628\u0760"},
		{"control character", "a\u0007", ""},
		{"Arabic with a digit last (RFC 4013 §3)", "\u06271", ""},
		{"both directions", "\u0627a\u0627", ""},
		{"private use", "\ue000", ""},
		{"not UTF-8", "a\xff", ""},
		{"replacement character", "\ufffd", ""},
		{"nothing", "", ""},
		{"nothing left", "\u00ad", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Prepare(tt.password)
			if got != tt.want {
				t.Errorf("%+q, want %+q", got, tt.want)
			}
			if (err != nil) != (tt.want == "") || err != nil && !errors.Is(err, ErrPassword) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestPlain(t *testing.T) {
	c := Credentials{Password: "I\u00adX", HasPassword: true}
	for password, want := range map[string]bool{"IX": true, "I\u00adX": true, "ix": false, "": false, "IXX": false} {
		if got := c.Verify(password); got != want {
			t.Errorf("Verify(%q) = %v", password, got)
		}
	}
	for _, h := range Hashes() {
		s, ok := c.For(h)
		if !ok || s.Hash != h || s.Iterations != DefaultIterations {
			t.Fatalf("For(%s) = %v, %v", h, s, ok)
		}
		if !(Credentials{SCRAM: &s}).Verify("IX") {
			t.Errorf("%s keys do not fit the password", h)
		}
	}
	if (Credentials{HasPassword: true}).Verify("") {
		t.Error("an empty password was accepted")
	}
	if _, ok := (Credentials{HasPassword: true}).For(SHA1); ok {
		t.Error("keys of an empty password")
	}
}

func TestHashed(t *testing.T) {
	s, err := Derive(SHA256, "pencil", NewSalt(), 4096)
	if err != nil {
		t.Fatal(err)
	}
	c := Credentials{SCRAM: &s}
	if got, ok := c.For(SHA256); !ok || !bytes.Equal(got.StoredKey, s.StoredKey) {
		t.Error("For does not give the keys that are there")
	}
	if _, ok := c.For(SHA1); ok {
		t.Error("keys for one hash served another")
	}
	var none Credentials
	if _, ok := none.For(SHA1); ok || none.Verify("") || none.Verify("pencil") {
		t.Error("no credentials let somebody in")
	}
}

func TestSecretsStayOut(t *testing.T) {
	c := Credentials{Password: "wherefore", HasPassword: true}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("login", "credentials", c)
	slog.New(slog.NewTextHandler(&log, nil)).Info("login", "credentials", c)
	fmt.Fprintf(&log, "%v %+v %#v %s", c, c, c, c)
	if strings.Contains(log.String(), "wherefore") {
		t.Errorf("the password was printed: %s", &log)
	}
	if !json.Valid(bytes.SplitN(log.Bytes(), []byte("\n"), 2)[0]) {
		t.Errorf("no JSON: %s", &log)
	}
}

func TestSalt(t *testing.T) {
	a, b := NewSalt(), NewSalt()
	if bytes.Equal(a, b) || len(a) != 36 {
		t.Errorf("salts %s, %s", a, b)
	}
	var ones [16]byte
	for i := range ones {
		ones[i] = 0xff
	}
	if got := string(FormatSalt(ones)); got != "ffffffff-ffff-4fff-bfff-ffffffffffff" {
		t.Errorf("salt %s", got)
	}
}

func TestHashNames(t *testing.T) {
	for _, h := range Hashes() {
		if got, err := ParseHash(string(h)); got != h || err != nil {
			t.Errorf("ParseHash(%s) = %s, %v", h, got, err)
		}
		if got, ok := HashOfSize(h.Size()); got != h || !ok {
			t.Errorf("HashOfSize(%d) = %s, %v", h.Size(), got, ok)
		}
		if h.Mechanism() != "SCRAM-"+string(h) {
			t.Errorf("mechanism %s", h.Mechanism())
		}
	}
	for _, s := range []string{"", "sha-1", "SHA1", "MD5"} {
		if _, err := ParseHash(s); err == nil {
			t.Errorf("ParseHash(%q) gave no error", s)
		}
	}
	if _, err := Hash("MD5").NewServer(nil); err == nil {
		t.Error("a server for an unknown hash")
	}
}

func FuzzPrepare(f *testing.F) {
	for _, s := range []string{"pencil", "I\u00adX", "e\u0301", "\u200b", "\u0627a", "\U0001f642", "a\xff", "\u2f868"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Prepare(s)
		if err != nil {
			return
		}
		if !(Credentials{Password: s, HasPassword: true}).Verify(p) {
			t.Errorf("%+q is prepared as %+q, which does not open it", s, p)
		}
	})
}
