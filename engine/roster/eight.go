package roster

import (
	"encoding/binary"
	"math/bits"
)

// Texts are looked through eight bytes at a time, which is most of the work of reading and writing a roster as JSON. A byte
// that is looked for has its highest bit set in what these functions return; so may bytes above it, but none below.
const (
	each   = 0x0101010101010101
	marked = 0x80 * each
)

func zero(w uint64) uint64 { return (w - each) &^ w & marked }

// notText marks what ends a text in JSON, or makes it one that is not as it stands there: a quote, a backslash, a control.
func notText(w uint64) uint64 {
	return (w-' '*each)&^w&marked | zero(w^'"'*each) | zero(w^'\\'*each)
}

// notPlain marks what a writer of JSON looks at: all that notText marks, < > & and what is not printable ASCII. A quote and
// an ampersand are one but for a bit, as are the angle brackets.
func notPlain(w uint64) uint64 {
	return (w|(w+each)|(w-' '*each))&marked | zero(w&^(4*each)^'"'*each) | zero(w&^(2*each)^'<'*each) | zero(w^'\\'*each)
}

// textEnd is how many bytes there are in b before the first one that notText marks.
func textEnd(b []byte) int {
	at := 0
	for ; len(b)-at >= 8; at += 8 {
		if m := notText(binary.LittleEndian.Uint64(b[at:])); m != 0 {
			return at + bits.TrailingZeros64(m)/8
		}
	}
	return at + bits.TrailingZeros64(notText(padded(b[at:])))/8
}

// plainText tells that notPlain marks nothing in b.
func plainText(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		if notPlain(binary.LittleEndian.Uint64(b)) != 0 {
			return false
		}
	}
	return bits.TrailingZeros64(notPlain(padded(b)))/8 == len(b)
}

// padded is less than eight bytes, and controls behind them.
func padded(b []byte) (w uint64) {
	for k, c := range b {
		w |= uint64(c) << (8 * k)
	}
	return w
}
