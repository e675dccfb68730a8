package credential

import (
	"fmt"

	"github.com/xdg-go/scram"
)

// Hash names a hash function as SCRAM does: "SCRAM-" and the name is the mechanism (RFC 5802 §4).
type Hash string

// The hash functions that are served (RFC 5802, RFC 7677, and SHA-512 in the manner of the latter).
const (
	SHA1   Hash = "SHA-1"
	SHA256 Hash = "SHA-256"
	SHA512 Hash = "SHA-512"
)

// Hashes are all of them, strongest first.
func Hashes() []Hash { return []Hash{SHA512, SHA256, SHA1} }

// ParseHash accepts the names above.
func ParseHash(s string) (Hash, error) {
	if h := Hash(s); h.Size() != 0 {
		return h, nil
	}
	return "", fmt.Errorf("unknown hash %q: it is one of SHA-1, SHA-256, SHA-512", s)
}

// HashOfSize finds a hash function by the length of its keys in bytes.
func HashOfSize(n int) (Hash, bool) {
	for _, h := range Hashes() {
		if h.Size() == n {
			return h, true
		}
	}
	return "", false
}

// Mechanism is the name of the SASL mechanism.
func (h Hash) Mechanism() string { return "SCRAM-" + string(h) }

// Size is the length of a key in bytes, 0 if the hash is unknown.
func (h Hash) Size() int {
	if g := h.generator(); g != nil {
		return g().Size()
	}
	return 0
}

// NewServer makes the server side of the mechanism; lookup finds the keys of a user named as the client did.
func (h Hash) NewServer(lookup func(user string) (SCRAM, error)) (*scram.Server, error) {
	g := h.generator()
	if g == nil {
		return nil, fmt.Errorf("unknown hash %q", string(h))
	}
	return g.NewServer(func(user string) (scram.StoredCredentials, error) {
		s, err := lookup(user)
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(s.Salt), Iters: s.Iterations},
			StoredKey:  s.StoredKey,
			ServerKey:  s.ServerKey,
		}, err
	})
}

func (h Hash) generator() scram.HashGeneratorFcn {
	switch h {
	case SHA1:
		return scram.SHA1
	case SHA256:
		return scram.SHA256
	case SHA512:
		return scram.SHA512
	default:
		return nil
	}
}
