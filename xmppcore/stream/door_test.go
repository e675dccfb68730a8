package stream

import (
	"net"
	"net/netip"
	"testing"
)

func TestDoor(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	l := Limits{PerAddress: 2, Unauthenticated: 4}.Defaults()
	var d door
	type result struct{ admitted, told bool }
	enter := func(from netip.Addr) result {
		se, ok := d.enter(from, &l)
		return result{ok && se == nil, ok}
	}
	for i, tt := range []struct {
		from netip.Addr
		want result
	}{
		{a, result{true, true}},
		{a, result{true, true}},
		{a, result{false, true}},            // the address is full
		{b, result{true, true}},             // the fourth that is told anything
		{netip.Addr{}, result{false, true}}, // all is full, and nobody is counted by address
	} {
		if got := enter(tt.from); got != tt.want {
			t.Errorf("%d from %v: %+v, want %+v", i, tt.from, got, tt.want)
		}
	}
	for range maxRefusals - 1 {
		if got := enter(a); got != (result{false, true}) {
			t.Fatalf("%d in all: %+v", d.total, got)
		}
	}
	if got := enter(a); got != (result{}) {
		t.Errorf("too many to be refused: %+v", got)
	}
	for range maxRefusals + 2 {
		d.leave(a)
	}
	d.leave(b)
	d.leave(netip.Addr{})
	if d.total != 0 || len(d.from) != 0 {
		t.Errorf("%d left, %v", d.total, d.from)
	}
}

func TestSource(t *testing.T) {
	r := &rules{trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	for addr, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1",
		"::ffff:192.0.2.1":     "192.0.2.1",
		"10.1.2.3":             "invalid IP",
		"::ffff:10.1.2.3":      "invalid IP",
		"fd00::1":              "invalid IP",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::",
		"fe80::1":              "fe80::",
	} {
		if got := r.source(address(&net.TCPAddr{IP: net.ParseIP(addr), Port: 1})); got.String() != want {
			t.Errorf("%s counts as %s, want %s", addr, got, want)
		}
	}
	if got := r.source(address(&net.UnixAddr{Name: "x"})); got.IsValid() {
		t.Errorf("a Unix socket counts as %s", got)
	}
}
