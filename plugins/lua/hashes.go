package lua

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"hash"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

// hashes are what util.hashes has each as NAME and as hmac_NAME.
var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	"sha3_256": func() hash.Hash { return sha3.New256() },
	"sha3_512": func() hash.Hash { return sha3.New512() },
}

func init() {
	funcs := map[string]native{
		"equals": hashEquals, "pbkdf2_hmac_sha1": pbkdf2(sha1.New), "pbkdf2_hmac_sha256": pbkdf2(sha256.New),
		"scram_Hi_sha1": pbkdf2(sha1.New), // as pbkdf2_hmac_sha1 was called
	}
	for name, h := range hashes {
		funcs[name], funcs["hmac_"+name] = digest(h), mac(h)
	}
	libraries["util.hashes"] = &library{funcs: funcs}
	libraries["util.hmac"] = &library{funcs: map[string]native{ // older than the functions in util.hashes
		"md5": funcs["hmac_md5"], "sha1": funcs["hmac_sha1"], "sha256": funcs["hmac_sha256"], "sha512": funcs["hmac_sha512"],
	}}
}

// A step of the budget is some tens of nanoseconds.
const (
	bytesPerStep  = 8   // hashed
	stepsPerHash  = 20  // whatever is hashed
	stepsPerRound = 15  // of PBKDF2
	roundsAtOnce  = 500 // of PBKDF2, between two looks at the budget
)

// hashed charges for a hash of n bytes.
func hashed(l *glua.LState, n int) { vm.Charge(l, stepsPerHash+n/bytesPerStep) }

// digest is hashes.NAME(text[, as_hex]).
func digest(h func() hash.Hash) native {
	return func(_ *machine, l *glua.LState) int {
		s := vm.CheckString(l, 1)
		hashed(l, len(s))
		d := h()
		d.Write([]byte(s))
		return pushDigest(l, d, 2)
	}
}

// mac is hashes.hmac_NAME(key, text[, as_hex]).
func mac(h func() hash.Hash) native {
	return func(_ *machine, l *glua.LState) int {
		key, s := vm.CheckString(l, 1), vm.CheckString(l, 2)
		hashed(l, len(key)+len(s))
		d := hmac.New(h, []byte(key))
		d.Write([]byte(s))
		return pushDigest(l, d, 3)
	}
}

// pushDigest pushes the sum as bytes, or as hexadecimal text if argument asHex is true.
func pushDigest(l *glua.LState, d hash.Hash, asHex int) int {
	sum := d.Sum(nil)
	if glua.LVAsBool(l.Get(asHex)) {
		l.Push(glua.LString(hex.EncodeToString(sum)))
	} else {
		l.Push(glua.LString(sum))
	}
	return 1
}

// pbkdf2 is hashes.pbkdf2_hmac_NAME(password, salt, iterations): the first block of PBKDF2 (RFC 8018 §5.2), which is
// Hi of SCRAM (RFC 5802 §2.2). It is not crypto/pbkdf2, since that cannot be stopped in the middle.
func pbkdf2(h func() hash.Hash) native {
	return func(_ *machine, l *glua.LState) int {
		password, salt, iterations := vm.CheckString(l, 1), vm.CheckString(l, 2), vm.CheckInt(l, 3)
		if iterations < 1 {
			l.ArgError(3, "must be at least 1")
		}
		hashed(l, len(password)+len(salt))
		d := hmac.New(h, []byte(password))
		d.Write([]byte(salt))
		d.Write([]byte{0, 0, 0, 1})
		u := d.Sum(nil)
		key := append([]byte(nil), u...)
		for i := int64(1); i < iterations; i++ {
			if i%roundsAtOnce == 1 {
				vm.Charge(l, int(min(iterations-i, roundsAtOnce))*stepsPerRound)
			}
			d.Reset()
			d.Write(u)
			u = d.Sum(u[:0])
			subtle.XORBytes(key, key, u)
		}
		l.Push(glua.LString(key))
		return 1
	}
}

// hashEquals compares in a time that tells nothing but the lengths.
func hashEquals(_ *machine, l *glua.LState) int {
	a, b := textArg(l, 1), textArg(l, 2)
	l.Push(glua.LBool(subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1))
	return 1
}
