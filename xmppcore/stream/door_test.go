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
		{b, result{true, true}},             // the fourth that is told anything: who is refused takes no place
		{netip.Addr{}, result{true, true}},  // nobody is counted by address
		{netip.Addr{}, result{false, true}}, // all is full
	} {
		if got := enter(tt.from); got != tt.want {
			t.Errorf("%d from %v: %+v, want %+v", i, tt.from, got, tt.want)
		}
	}
	for range maxRefusals - 2 {
		if got := enter(a); got != (result{false, true}) {
			t.Fatalf("%+v in all: %+v", d.all, got)
		}
	}
	if got := enter(a); got != (result{}) {
		t.Errorf("too many to be refused: %+v", got)
	}
	d.leave(a, false)
	if got := enter(a); got != (result{true, true}) {
		t.Errorf("one has left: %+v", got)
	}
	for range 2 {
		d.leave(a, false)
	}
	for range maxRefusals - 1 {
		d.leave(a, true)
	}
	d.leave(b, false)
	d.leave(netip.Addr{}, false)
	d.leave(netip.Addr{}, true)
	if d.all != (throng{}) || len(d.from) != 0 {
		t.Errorf("%+v left, %v", d.all, d.from)
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
