package wasm

import (
	"encoding/binary"
	"time"
	"unicode/utf8"

	"rosterd/engine/roster"
)

// document is what a module answers for a roster.
type document struct {
	rev       string
	maxAge    time.Duration
	unchanged bool
}

// Bounds of what a module says of a roster.
const (
	maxRev = 1024
	maxAge = 366 * 24 * time.Hour
)

// Bits of the flat form.
const (
	formKept      = 1 << 0 // max_age and rev follow
	formUnchanged = 1 << 1

	flagSubscription = 3
	flagApproved     = 1 << 2
	flagAsk          = 1 << 3
)

// smallest is the size of a contact without any text.
const smallest = 6

var subscriptions = [4]roster.Subscription{roster.None, roster.To, roster.From, roster.Both}

// decodeFlat reads the flat form into b.
func decodeFlat(b *roster.Builder, out []byte) (d document, err error) {
	f := flat{s: string(out)} // once: the contacts' texts share it
	if f.take(3) != "RF\x01" {
		return d, wrong(`the flat form begins with "RF" and 1`)
	}
	form := f.u8()
	if form&^(formKept|formUnchanged) != 0 {
		return d, wrong("the flat form has a form of %d", form)
	}
	if form&formKept != 0 {
		d.maxAge = time.Duration(f.u32()) * time.Second
		d.rev = f.text()
	}
	d.unchanged = form&formUnchanged != 0
	n := f.u32()
	switch {
	case f.short:
		return d, f.tooShort()
	case uint64(n)*smallest > uint64(len(f.s)):
		return d, wrong("the flat form has %d contacts in %d bytes", n, len(f.s))
	case d.unchanged && n != 0:
		return d, wrong("the flat form is unchanged and has %d contacts", n)
	case !utf8.ValidString(d.rev):
		return d, wrong("the flat form has a rev that is not UTF-8")
	}
	b.Grow(int(n))
	var room roster.Room
	for i := range n {
		if b.Full() {
			return d, nil // whoever builds the roster says so
		}
		flags := f.u8()
		jid, name := f.text(), f.text()
		has := int(f.u8())
		groups := room.Groups(has, int(min(n-i, 1024)))
		for k := range groups {
			groups[k] = f.text()
		}
		switch {
		case f.short:
			return d, f.tooShort()
		case flags&^(flagSubscription|flagApproved|flagAsk) != 0:
			return d, wrong("contact %d of the flat form has flags of 0x%x", i+1, flags)
		}
		b.Add(jid, roster.Item{
			Name: name, Subscription: subscriptions[flags&flagSubscription], Groups: groups,
			Approved: flags&flagApproved != 0, Ask: flags&flagAsk != 0,
		})
	}
	if f.s != "" {
		return d, wrong("%d bytes follow the last contact of the flat form", len(f.s))
	}
	return d, nil
}

// flat reads little-endian numbers and texts. Once there is too little of something all that follows is empty.
type flat struct {
	s     string
	short bool
}

func (f *flat) tooShort() error { return wrong("the flat form ends in the middle") }

func (f *flat) take(n int) string {
	if n > len(f.s) {
		f.s, f.short = "", true
		return ""
	}
	s := f.s[:n]
	f.s = f.s[n:]
	return s
}

func (f *flat) u8() byte {
	if s := f.take(1); s != "" {
		return s[0]
	}
	return 0
}

func (f *flat) u16() uint16 {
	if s := f.take(2); s != "" {
		return uint16(s[0]) | uint16(s[1])<<8
	}
	return 0
}

func (f *flat) u32() uint32 {
	if s := f.take(4); s != "" {
		return binary.LittleEndian.Uint32([]byte(s))
	}
	return 0
}

func (f *flat) text() string { return f.take(int(f.u16())) }
