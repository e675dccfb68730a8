package addr

import (
	"strings"
	"sync"

	"mellium.im/xmpp/jid"
)

// PrepareLocal prepares a localpart: UsernameCaseMapped without the characters of RFC 7622 §3.3.1.
func PrepareLocal(s string) (string, error) {
	if s != "" && plainLocal(s) {
		return s, nil
	}
	j, err := prepare(s, "d", "")
	if err != nil {
		return "", invalid(s, "localpart: "+err.Error())
	}
	if j.Localpart() == "" {
		return "", invalid(s, "empty localpart")
	}
	return j.Localpart(), nil
}

// PrepareDomain prepares a domainpart (RFC 7622 §3.2): lower case, U-labels, no final dot.
func PrepareDomain(s string) (string, error) {
	if s != "" && plainDomain(s) {
		return s, nil
	}
	if strings.ContainsAny(s, " \t\r\n\"&'/<>@\\") {
		return "", invalid(s, "domainpart: forbidden character")
	}
	j, err := prepare("", s, "")
	if err != nil {
		return "", invalid(s, "domainpart: "+err.Error())
	}
	d := j.Domainpart()
	if d == "" || d[0] == '.' || d[len(d)-1] == '.' || strings.Contains(d, "..") || strings.ContainsAny(d, " \t\r\n\"&'/<>@") {
		return "", invalid(s, "domainpart: empty label")
	}
	return d, nil
}

// PrepareResource prepares a resourcepart: OpaqueString (RFC 7622 §3.4).
func PrepareResource(s string) (string, error) {
	if s != "" && plainResource(s) {
		return s, nil
	}
	j, err := prepare("", "d", s)
	if err != nil {
		return "", invalid(s, "resourcepart: "+err.Error())
	}
	if j.Resourcepart() == "" {
		return "", invalid(s, "empty resourcepart")
	}
	return j.Resourcepart(), nil
}

// prepare lets mellium's jid do the profiles twice over: a prepared part must be stable, since
// two spellings of one address that differ only after the second pass would not compare equal.
func prepare(local, domain, resource string) (jid.JID, error) {
	j, err := jid.New(local, domain, resource)
	if err != nil {
		return jid.JID{}, err
	}
	return jid.New(j.Localpart(), j.Domainpart(), j.Resourcepart())
}

// class of an ASCII byte: in which parts it may stand as it is, already prepared.
var class = func() (t [256]uint8) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = inResource
		if c > 0x20 && !strings.ContainsRune(`"&'/:<>@`, rune(c)) && !(c >= 'A' && c <= 'Z') {
			t[c] |= inLocal
		}
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' { // "_": RFC 7622 forbids what container networks do
			t[c] |= inLabel
		}
	}
	return t
}()

const (
	inLocal = 1 << iota
	inLabel
	inResource
)

func plainLocal(s string) bool    { return len(s) <= MaxPart && all(s, inLocal) }
func plainResource(s string) bool { return len(s) <= MaxPart && all(s, inResource) }

func all(s string, in uint8) bool {
	for i := 0; i < len(s); i++ {
		if class[s[i]]&in == 0 {
			return false
		}
	}
	return true
}

// plainDomain accepts lower-case LDH names that need no preparation. Labels with "--" in the third place
// (A-labels among them) take the slow path.
func plainDomain(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	start := 0
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == '.':
			n := i - start
			if n == 0 || n > 63 || s[start] == '-' || s[i-1] == '-' || n > 3 && s[start+2:start+4] == "--" {
				return false
			}
			start = i + 1
		case class[s[i]]&inLabel == 0 && s[i] != '-':
			return false
		}
	}
	return true
}

// memo remembers what the slow path gave. A roster from a backend that writes "Marie@Example.COM" is
// prepared anew at every fetch, at 1–1.4 µs and half a dozen allocations an address without it.
var memo = struct {
	sync.RWMutex
	m map[string]JID
}{m: map[string]JID{}}

const memoSize, memoKey = 1 << 14, 256

func cached(s, local, domain, resource string) (JID, error) {
	memo.RLock()
	j, ok := memo.m[s]
	memo.RUnlock()
	if ok {
		return j, nil
	}
	j, err := New(local, domain, resource)
	if err != nil {
		return JID{}, err
	}
	if len(s) > memoKey {
		return j, nil
	}
	memo.Lock()
	if len(memo.m) >= memoSize {
		clear(memo.m) // cheap, rare, and no attacker can make it grow
	}
	memo.m[strings.Clone(s)] = j
	memo.Unlock()
	return j, nil
}
