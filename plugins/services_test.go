package plugins

import (
	"context"
	"strings"
	"testing"
)

// TestKeys: of a key that is too long, what is said is what the plugin gave.
func TestKeys(t *testing.T) {
	long := func(n int) string { return strings.Repeat("k", n) }
	for name, c := range map[string]struct{ store, key, want string }{
		"as long as may be":           {"kv", long(254), ""},
		"longer":                      {"kv", long(255), "beyond a limit: a key of 255 bytes, more than 254"},
		"of a store with a long name": {long(250), long(7), "beyond a limit: a key of 7 bytes, more than 6"},
		"of one with too long a name": {long(257), "k", "beyond a limit: a store whose name has 257 bytes, more than 256"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := (&services{keeper: new(Memory)}).Save(context.Background(), c.store, c.key, nil, 0); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
