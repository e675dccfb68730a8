package plugins

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// Fingerprint changes with the code of a plugin, or a hash of it, and with the options that it has read so far. No
// revision that a plugin or its backend has named outlives it.
func Fingerprint(code []byte, opts *Options) string {
	h := sha256.New()
	h.Write(code)
	for _, name := range opts.Read() {
		v, _ := opts.Get(name)
		fmt.Fprintf(h, "\x00%s\x00%v", name, withoutUserinfo(v))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:9])
}

// withoutUserinfo keeps passwords out of what is kept with the rosters.
func withoutUserinfo(v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		return v
	}
	authority, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	return scheme + "://" + authority + "/" + path
}
