// Package addr holds XMPP addresses as canonical, comparable values (RFC 7622): two addresses are the same
// user exactly when they are equal with ==, so they serve as map keys. It does no I/O.
package addr

import (
	"errors"
	"fmt"
	"strings"
)

// MaxPart is the longest part of an address in bytes (RFC 7622 §3.1).
const MaxPart = 1023

// ErrInvalid is what every error of this package wraps.
var ErrInvalid = errors.New("not a valid address")

// Bare is a prepared bare JID: "localpart@domainpart", or "domainpart" alone. The zero value is no address.
type Bare struct {
	s     string
	local uint16 // length of the localpart
}

// JID is a prepared JID with an optional resourcepart. The zero value is no address.
type JID struct {
	s     string
	local uint16 // length of the localpart
	bare  uint16 // length of the bare JID
}

// Parse prepares s, in the form [localpart@]domainpart[/resourcepart] (RFC 7622 §3.1).
func Parse(s string) (JID, error) {
	local, domain, resource, hasLocal, hasResource := split(s)
	if hasLocal && local == "" {
		return JID{}, invalid(s, "empty localpart")
	}
	if hasResource && resource == "" {
		return JID{}, invalid(s, "empty resourcepart")
	}
	if plainLocal(local) && plainDomain(domain) && plainResource(resource) {
		return JID{s, uint16(len(local)), uint16(len(s) - len(resource) - btoi(hasResource))}, nil
	}
	return cached(s, local, domain, resource)
}

// ParseBare is Parse for an address that must not have a resourcepart.
func ParseBare(s string) (Bare, error) {
	j, err := Parse(s)
	if err != nil {
		return Bare{}, err
	}
	if !j.IsBare() {
		return Bare{}, invalid(s, "has a resourcepart")
	}
	return j.Bare(), nil
}

// New prepares the three parts; local and resource may be empty.
func New(local, domain, resource string) (JID, error) {
	var err error
	if local != "" {
		if local, err = PrepareLocal(local); err != nil {
			return JID{}, err
		}
	}
	if domain, err = PrepareDomain(domain); err != nil {
		return JID{}, err
	}
	if resource != "" {
		if resource, err = PrepareResource(resource); err != nil {
			return JID{}, err
		}
	}
	return join(local, domain, resource), nil
}

// NewBare is New without a resourcepart.
func NewBare(local, domain string) (Bare, error) {
	j, err := New(local, domain, "")
	return j.Bare(), err
}

// MustParse is Parse for addresses known to be valid; it panics otherwise.
func MustParse(s string) JID {
	j, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return j
}

// MustBare is ParseBare for addresses known to be valid; it panics otherwise.
func MustBare(s string) Bare {
	b, err := ParseBare(s)
	if err != nil {
		panic(err)
	}
	return b
}

// String is the canonical form; "" for the zero value.
func (b Bare) String() string { return b.s }

// Local is the localpart, "" if there is none.
func (b Bare) Local() string { return b.s[:b.local] }

// Domain is the domainpart.
func (b Bare) Domain() string {
	if b.local == 0 {
		return b.s
	}
	return b.s[b.local+1:]
}

// IsZero tells whether b is no address.
func (b Bare) IsZero() bool { return b.s == "" }

// Clone is b in memory of its own: an address that was read from a document else keeps all of it.
func (b Bare) Clone() Bare { return Bare{strings.Clone(b.s), b.local} }

// Moved is b in other memory: s is the same text.
func (b Bare) Moved(s string) Bare {
	if s != b.s {
		panic("addr: moved to another text")
	}
	return Bare{s, b.local}
}

// Compare orders addresses bytewise by their canonical form.
func (b Bare) Compare(c Bare) int { return strings.Compare(b.s, c.s) }

// Full is b as a JID without a resourcepart.
func (b Bare) Full() JID { return JID{b.s, b.local, uint16(len(b.s))} }

// WithResource is b with a prepared resourcepart.
func (b Bare) WithResource(resource string) (JID, error) {
	r, err := PrepareResource(resource)
	if err != nil {
		return JID{}, err
	}
	return JID{b.s + "/" + r, b.local, uint16(len(b.s))}, nil
}

// MarshalText writes the canonical form.
func (b Bare) MarshalText() ([]byte, error) { return []byte(b.s), nil }

// UnmarshalText is ParseBare; "" is the zero value.
func (b *Bare) UnmarshalText(t []byte) (err error) {
	if len(t) == 0 {
		*b = Bare{}
		return nil
	}
	*b, err = ParseBare(string(t))
	return err
}

// String is the canonical form; "" for the zero value.
func (j JID) String() string { return j.s }

// Bare is j without its resourcepart.
func (j JID) Bare() Bare { return Bare{j.s[:j.bare], j.local} }

// Local is the localpart, "" if there is none.
func (j JID) Local() string { return j.s[:j.local] }

// Domain is the domainpart.
func (j JID) Domain() string { return j.Bare().Domain() }

// Resource is the resourcepart, "" if there is none.
func (j JID) Resource() string {
	if j.IsBare() {
		return ""
	}
	return j.s[j.bare+1:]
}

// IsBare tells whether j has no resourcepart.
func (j JID) IsBare() bool { return int(j.bare) == len(j.s) }

// IsZero tells whether j is no address.
func (j JID) IsZero() bool { return j.s == "" }

// WithResource is j's bare JID with another, prepared resourcepart.
func (j JID) WithResource(resource string) (JID, error) { return j.Bare().WithResource(resource) }

// split cuts s at the first "/" and, before it, at the first "@" (RFC 7622 §3.1).
func split(s string) (local, domain, resource string, hasLocal, hasResource bool) {
	domain, resource, hasResource = strings.Cut(s, "/")
	if l, d, ok := strings.Cut(domain, "@"); ok {
		return l, d, resource, true, hasResource
	}
	return "", domain, resource, false, hasResource
}

func join(local, domain, resource string) JID {
	var s strings.Builder
	s.Grow(len(local) + len(domain) + len(resource) + 2)
	if local != "" {
		s.WriteString(local)
		s.WriteByte('@')
	}
	s.WriteString(domain)
	bare := s.Len()
	if resource != "" {
		s.WriteByte('/')
		s.WriteString(resource)
	}
	return JID{s.String(), uint16(len(local)), uint16(bare)}
}

func invalid(s, why string) error {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return fmt.Errorf("%w: %q: %s", ErrInvalid, s, why)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
