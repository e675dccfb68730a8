package lua

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
	glua "github.com/yuin/gopher-lua"
	"golang.org/x/net/idna"

	"rosterd/plugins/lua/vm"
)

func init() {
	libraries["util.encodings"] = &library{parts: map[string]map[string]native{
		"base64": {"encode": base64Encode, "decode": base64Decode},
		"stringprep": {
			"nameprep": prep(nameprep), "nodeprep": prep(nodeprep), "resourceprep": prep(resourceprep), "saslprep": prep(saslprep),
		},
		"idna": {"to_ascii": toASCII, "to_unicode": toUnicode},
		"utf8": {"valid": utf8Valid, "length": utf8Length},
	}}
}

func base64Encode(_ *machine, l *glua.LState) int {
	s := textArg(l, 1)
	vm.CheckLength(l, base64.StdEncoding.EncodedLen(len(s)))
	l.Push(glua.LString(base64.StdEncoding.EncodeToString([]byte(s))))
	return 1
}

// base64Decode is base64.decode(text): nothing if there is a character in it that has no meaning.
func base64Decode(_ *machine, l *glua.LState) int {
	s := vm.CheckString(l, 1)
	vm.Charge(l, len(s)/8)
	b, ok := unbase64(s)
	if !ok {
		return 0
	}
	return pushText(l, string(b))
}

// sextets are the values of base64's characters, or what else a character means.
var sextets = func() (t [256]byte) {
	for i := range t {
		t[i] = base64Wrong
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	for _, c := range []byte("\n\r\t \f\b") {
		t[c] = base64Space
	}
	t['='], t[0] = base64Pad, base64End
	return t
}()

const (
	base64Pad = 64 + iota
	base64Space
	base64End
	base64Wrong
)

// unbase64 reads as Prosody does: groups may be padded in the middle, white space may be anywhere, a last group without
// padding counts for nothing, and NUL is the end. (encoding/base64 takes less.)
func unbase64(s string) (out []byte, ok bool) {
	var group [4]byte
	n := 0
	for i := range len(s) {
		switch v := sextets[s[i]]; v {
		case base64Wrong:
			return nil, false
		case base64End:
			return out, true
		case base64Space:
		case base64Pad:
			out = append(out, bytesOf(group, n)...)
			n = 0
		default:
			if group[n] = v; n < 3 {
				n++
				continue
			}
			out = append(out, bytesOf(group, 4)...)
			n = 0
		}
	}
	return out, true
}

// bytesOf are the whole bytes in the first n sextets.
func bytesOf(group [4]byte, n int) []byte {
	all := []byte{group[0]<<2 | group[1]>>4, group[1]<<4 | group[2]>>2, group[2]<<6 | group[3]}
	return all[:max(n-1, 0)]
}

// The profiles of stringprep (RFC 3454) that XMPP had before RFC 7622.
var (
	// RFC 3491 §§3–6
	nameprep = stringprep.Profile{
		Mappings:  []stringprep.Mapping{stringprep.TableB1, stringprep.TableB2},
		Normalize: true,
		Prohibits: slices.Concat([]stringprep.Set{stringprep.TableC1_2, stringprep.TableC2_2}, tablesC3toC9),
		CheckBiDi: true,
	}
	// RFC 3920 §A
	nodeprep = stringprep.Profile{
		Mappings:  []stringprep.Mapping{stringprep.TableB1, stringprep.TableB2},
		Normalize: true,
		Prohibits: slices.Concat(tablesC1C2, tablesC3toC9, []stringprep.Set{stringprep.TableC1_1, notInNode}),
		CheckBiDi: true,
	}
	// RFC 3920 §B
	resourceprep = stringprep.Profile{
		Mappings:  []stringprep.Mapping{stringprep.TableB1},
		Normalize: true,
		Prohibits: slices.Concat(tablesC1C2, tablesC3toC9),
		CheckBiDi: true,
	}
	// RFC 4013 §2. The zero-width space is in both tables of mappings; ICU, which Prosody uses, makes it a space.
	saslprep = stringprep.Profile{
		Mappings:  []stringprep.Mapping{stringprep.SASLprep.Mappings[1], stringprep.TableB1},
		Normalize: true,
		Prohibits: slices.Concat(tablesC1C2, tablesC3toC9),
		CheckBiDi: true,
	}

	tablesC1C2   = []stringprep.Set{stringprep.TableC1_2, stringprep.TableC2_1, stringprep.TableC2_2}
	tablesC3toC9 = []stringprep.Set{stringprep.TableC3, stringprep.TableC4, stringprep.TableC5, stringprep.TableC6, stringprep.TableC7, stringprep.TableC8, stringprep.TableC9}
	notInNode    = stringprep.Set{{'"', '"'}, {'&', '\''}, {'/', '/'}, {':', ':'}, {'<', '<'}, {'>', '>'}, {'@', '@'}} // RFC 3920 §A.5
)

const (
	maxPrepared  = 1023 // bytes of a part of an address (RFC 6122 §2.1)
	stepsPerRune = 20   // tables and all
)

// prep is stringprep.PROFILE(text[, strict]): the prepared text or nil. A strict one takes no character that Unicode 3.2
// did not have (RFC 3454 §7).
func prep(p stringprep.Profile) native {
	return func(_ *machine, l *glua.LState) int {
		s := vm.CheckString(l, 1)
		if len(s) > maxPrepared || !utf8.ValidString(s) || glua.LVAsBool(l.Get(2)) && unassigned(s) {
			l.Push(glua.LNil)
			return 1
		}
		vm.Charge(l, len(s)*stepsPerRune)
		out, err := p.Prepare(s)
		if err != nil || len(out) > maxPrepared {
			l.Push(glua.LNil)
			return 1
		}
		l.Push(glua.LString(out))
		return 1
	}
}

func unassigned(s string) bool {
	for _, r := range s {
		if stringprep.TableA1.Contains(r) {
			return true
		}
	}
	return false
}

// Names are converted by the rules of today (UTS #46) in the transitional way, which gives for names of old what IDNA2003
// gave (RFC 3490). Prosody has the latter.
var (
	idnaOptions = []idna.Option{idna.MapForLookup(), idna.Transitional(true), idna.StrictDomainName(true), idna.BidiRule()}
	idnaASCII   = idna.New(append(idnaOptions, idna.VerifyDNSLength(true))...)
	idnaUnicode = idna.New(idnaOptions...)
)

const (
	maxName       = 1023 // bytes of a name before it is converted
	stepsPerIDNA  = 10   // and byte
	stepsPerNames = 30
)

func toASCII(_ *machine, l *glua.LState) int { return convertName(l, idnaASCII.ToASCII) }

func toUnicode(_ *machine, l *glua.LState) int { return convertName(l, unicodeName) }

// unicodeName goes by way of ASCII, which maps everything as IDNA2003 did.
func unicodeName(s string) (string, error) {
	ascii, err := idnaUnicode.ToASCII(s)
	if err != nil {
		return "", err
	}
	if ascii == "." || strings.Contains("."+ascii, "..") {
		return "", errors.New("empty label")
	}
	return idnaUnicode.ToUnicode(ascii)
}

// convertName pushes nil for what is no name.
func convertName(l *glua.LState, convert func(string) (string, error)) int {
	s := vm.CheckString(l, 1)
	if s == "" || len(s) > maxName || !utf8.ValidString(s) {
		l.Push(glua.LNil)
		return 1
	}
	vm.Charge(l, stepsPerNames+len(s)*stepsPerIDNA)
	name, err := convert(s)
	if err != nil {
		l.Push(glua.LNil)
		return 1
	}
	l.Push(glua.LString(name))
	return 1
}

func utf8Valid(_ *machine, l *glua.LState) int {
	l.Push(glua.LBool(utf8.ValidString(textArg(l, 1))))
	return 1
}

// utf8Length is the length of valid text in bytes, as in Prosody.
func utf8Length(_ *machine, l *glua.LState) int {
	s := textArg(l, 1)
	if !utf8.ValidString(s) {
		l.Push(glua.LNil)
		l.Push(glua.LString("invalid utf8"))
		return 2
	}
	l.Push(glua.LNumber(len(s)))
	return 1
}
