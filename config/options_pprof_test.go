package config

import (
	"strings"
	"testing"
)

// Profiles are for this machine, whatever the file says.
func TestPprof(t *testing.T) {
	for _, tt := range []struct{ name, value, address, refused string }{
		{"IPv4", `"127.0.0.1:6060"`, "127.0.0.1:6060", ""},
		{"all of loopback", `"127.3.2.1:6060"`, "127.3.2.1:6060", ""},
		{"IPv6", `"[::1]:6060"`, "[::1]:6060", ""},
		{"IPv4 in IPv6", `"[::ffff:127.0.0.1]:6060"`, "127.0.0.1:6060", ""},
		{"nothing", `""`, "", ""},
		{"everywhere", `"0.0.0.0:6060"`, "", "loopback only, not 0.0.0.0"},
		{"everywhere, without an address", `":6060"`, "", "takes an address and a port"},
		{"another interface", `"192.0.2.1:6060"`, "", "loopback only, not 192.0.2.1"},
		{"a name", `"localhost:6060"`, "", "takes an address and a port"},
		{"a port alone", `6060`, "", "takes an address and a port"},
		{"no port", `"127.0.0.1"`, "", "takes an address and a port"},
		{"any port", `"127.0.0.1:0"`, "", "takes an address and a port"},
		{"too high a port", `"127.0.0.1:65536"`, "", "takes an address and a port"},
		{"a table", `{ "127.0.0.1:6060", "127.0.0.1:6061" }`, "127.0.0.1:6060", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mustLoad(t, "-- first\nrosterd_pprof = "+tt.value)
			address, refused := "", ""
			for _, l := range c.Listeners("pprof") {
				address += l.String()
			}
			for _, d := range Check(c) {
				if d.Severity == Refused && d.Name == Pprof.Name {
					refused = d.String()
				}
			}
			if address != tt.address {
				t.Errorf("listens on %q, want %q", address, tt.address)
			}
			if (refused != "") != (tt.refused != "") || !strings.Contains(refused, tt.refused) || refused != "" && !strings.Contains(refused, ":2 ") {
				t.Errorf("refused: %q, want %q at line 2", refused, tt.refused)
			}
		})
	}
}
