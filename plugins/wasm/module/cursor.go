package module

import (
	"fmt"
	"unicode/utf8"
)

// An Error says why bytes are no module, and where.
type Error struct {
	Offset int
	Text   string
}

func (e *Error) Error() string { return fmt.Sprintf("%s, at byte 0x%x", e.Text, e.Offset) }

// A cursor reads a part of a binary from pos to end. The first error stays: from
// then on it reads zeros, and remaining is 0, so that loops end.
type cursor struct {
	code     []byte
	pos, end int
	err      *Error
}

func (c *cursor) failAt(offset int, format string, args ...any) {
	if c.err == nil {
		c.err = &Error{Offset: offset, Text: fmt.Sprintf(format, args...)}
		c.pos = c.end
	}
}

func (c *cursor) remaining() int { return c.end - c.pos }

func (c *cursor) byte() byte {
	if c.pos >= c.end {
		c.failAt(c.pos, "it ends too early")
		return 0
	}
	b := c.code[c.pos]
	c.pos++
	return b
}

func (c *cursor) bytes(n int) []byte {
	if n > c.remaining() {
		c.failAt(c.pos, "%d bytes are announced where %d are left", n, c.remaining())
		return nil
	}
	b := c.code[c.pos : c.pos+n : c.pos+n]
	c.pos += n
	return b
}

// part is a cursor for the next n bytes, which this one skips.
func (c *cursor) part(n int) cursor {
	at := c.pos
	if c.bytes(n); c.err != nil {
		return cursor{code: c.code, pos: c.end, end: c.end, err: c.err}
	}
	return cursor{code: c.code, pos: at, end: c.pos}
}

// unsigned reads an unsigned number of so many bits in LEB128, which takes no
// more bytes than it may and has no bits beyond (§5.2.2).
func (c *cursor) unsigned(bits uint) uint64 {
	at := c.pos
	var v uint64
	for shift := uint(0); shift < bits; shift += 7 {
		b := c.byte()
		if shift+7 > bits && b>>(bits-shift) != 0 {
			break
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	c.failAt(at, "it is no number of %d bits", bits)
	return 0
}

func (c *cursor) u32() uint32 { return uint32(c.unsigned(32)) }

// signed reads a signed number of so many bits.
func (c *cursor) signed(bits uint) int64 {
	at := c.pos
	var v int64
	for shift := uint(0); shift < bits; shift += 7 {
		b := c.byte()
		if shift+7 > bits {
			// Bits beyond must all be those of the sign.
			if rest := int8(b<<1) >> (bits - shift); rest != 0 && rest != -1 || b >= 0x80 {
				break
			}
		}
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	c.failAt(at, "it is no signed number of %d bits", bits)
	return 0
}

// count reads how many items follow, of which each takes size bytes at least.
func (c *cursor) count(size, ceiling int, what string) int {
	at := c.pos
	n := int64(c.unsigned(32))
	if n > int64(c.remaining()/size) {
		c.failAt(at, "%d %s are announced in %d bytes", n, what, c.remaining())
		return 0
	}
	if n > int64(ceiling) {
		c.failAt(at, "there are %d %s, and more than %d are not read", n, what, ceiling)
		return 0
	}
	return int(n)
}

// name reads a name, which is UTF-8 (§5.2.4).
func (c *cursor) name() string {
	at := c.pos
	b := c.bytes(c.count(1, len(c.code), "bytes of a name"))
	if !utf8.Valid(b) {
		c.failAt(at, "it is a name that is not UTF-8")
		return ""
	}
	return string(b)
}

// index reads an index of something of which there are n.
func (c *cursor) index(n int, what string) uint32 {
	at := c.pos
	i := c.u32()
	if int64(i) >= int64(n) {
		c.failAt(at, "it names %s %d, and there are %d", what, i, n)
		return 0
	}
	return i
}

// done fails if something is left.
func (c *cursor) done(what string) {
	if c.err == nil && c.pos < c.end {
		c.failAt(c.pos, "%d bytes follow the end of %s", c.remaining(), what)
	}
}
