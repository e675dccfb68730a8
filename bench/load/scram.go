package load

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// scram is RFC 5802 with SHA-1. What is derived of a password is kept, as clients keep it: logins of thousands with one
// password and one salt cost one derivation.
func (c *Client) scram(password string) error {
	bare := "n=" + c.User + ",r=load" + strconv.FormatInt(nonces.Add(1), 36) + "0123456789abcdef"
	text, err := c.answer("<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'>" + encode64("n,,"+bare) + "</auth>")
	if err != nil {
		return err
	}
	challenge, err := said(text, "challenge")
	if err != nil {
		return err
	}
	keys, final, err := prove(password, bare, challenge)
	if err != nil {
		return err
	}
	text, err = c.answer("<response xmlns='" + nsSASL + "'>" + encode64(final) + "</response>")
	if err != nil {
		return err
	}
	success, err := said(text, "success")
	if err != nil {
		return err
	}
	return keys.verify(success)
}

var nonces atomic.Int64

func encode64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// said is what the server says in an element of that name.
func said(text, name string) (string, error) {
	_, rest, ok := strings.Cut(text, "<"+name)
	if !ok {
		return "", fmt.Errorf("the server says %s", text)
	}
	_, rest, _ = strings.Cut(rest, ">")
	data, _, _ := strings.Cut(rest, "<")
	b, err := base64.StdEncoding.DecodeString(data)
	return string(b), err
}

// proof is what the server has to sign, and with what.
type proof struct {
	serverKey []byte
	message   string
}

// prove makes the client's final message (RFC 5802 §3).
func prove(password, bare, challenge string) (proof, string, error) {
	fields := map[byte]string{}
	for f := range strings.SplitSeq(challenge, ",") {
		if len(f) > 2 && f[1] == '=' {
			fields[f[0]] = f[2:]
		}
	}
	salt, err := base64.StdEncoding.DecodeString(fields['s'])
	iterations, errCount := strconv.Atoi(fields['i'])
	if err := errors.Join(err, errCount); err != nil {
		return proof{}, "", fmt.Errorf("challenge %q: %w", challenge, err)
	}
	k, err := derive(password, string(salt), iterations)
	if err != nil {
		return proof{}, "", err
	}
	final := "c=biws,r=" + fields['r']
	p := proof{k.server, bare + "," + challenge + "," + final}
	sign := mac(k.stored, p.message)
	subtle.XORBytes(sign, sign, k.client)
	return p, final + ",p=" + base64.StdEncoding.EncodeToString(sign), nil
}

// verify looks at the server's signature.
func (p proof) verify(final string) error {
	if want := "v=" + base64.StdEncoding.EncodeToString(mac(p.serverKey, p.message)); final != want {
		return fmt.Errorf("the server signs %q, not %q", final, want)
	}
	return nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha1.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// keys are derived of a password.
type keys struct{ client, stored, server []byte }

type derivation struct {
	password, salt string
	iterations     int
}

var (
	deriving sync.Mutex // guards derived
	derived  = map[derivation]keys{}
)

// mostDerived bounds what is kept: servers that make a salt for each login are asked for as many.
const mostDerived = 1000

func derive(password, salt string, iterations int) (keys, error) {
	d := derivation{password, salt, iterations}
	deriving.Lock()
	defer deriving.Unlock()
	if k, ok := derived[d]; ok {
		return k, nil
	}
	salted, err := pbkdf2.Key(sha1.New, password, []byte(salt), iterations, sha1.Size)
	if err != nil {
		return keys{}, err
	}
	k := keys{client: mac(salted, "Client Key"), server: mac(salted, "Server Key")}
	stored := sha1.Sum(k.client)
	k.stored = stored[:]
	if len(derived) >= mostDerived {
		clear(derived)
	}
	derived[d] = k
	return k, nil
}
