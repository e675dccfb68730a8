package worker

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// kind is what a frame is about.
type kind uint8

const (
	kindLoad      kind = 1 + iota // to the child, once and first: the code and for whom it is opened
	kindReady                     // to the parent, once: what the plugin supplies, or why it cannot be opened
	kindCall                      // to the child
	kindCancel                    // to the child: nobody waits for the call any more
	kindResult                    // to the parent, once per call
	kindHostCall                  // to the parent: a call, or the loading, wants one of the services
	kindHostReply                 // to the child
	kindLog                       // to the parent
)

// frame is u8 kind, u32 call, u32 length, payload; numbers are little-endian. Call 0 is the loading, and whatever
// belongs to no call.
type frame struct {
	kind    kind
	call    uint32
	payload string
}

const headerLen = 9

// begin makes a frame to which the payload is appended; seal finishes it.
func begin(k kind, call uint32) []byte {
	b := make([]byte, headerLen, 256)
	b[0] = byte(k)
	binary.LittleEndian.PutUint32(b[1:], call)
	return b
}

func seal(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[5:], uint32(len(b)-headerLen))
	return b
}

// breach is what the other side may not do. It ends the connection.
type breach struct{ msg string }

func (e *breach) Error() string { return e.msg }

func breachf(format string, args ...any) error { return &breach{fmt.Sprintf(format, args...)} }

// frameReader reads frames of which none is larger than limit says; kinds that it says 0 of may not come at all.
type frameReader struct {
	r     *bufio.Reader
	limit func(kind) int64
}

func newFrameReader(r io.Reader, limit func(kind) int64) *frameReader {
	return &frameReader{bufio.NewReaderSize(r, 64<<10), limit}
}

func (r *frameReader) next() (frame, error) {
	var h [headerLen]byte
	if _, err := io.ReadFull(r.r, h[:]); err != nil {
		return frame{}, err
	}
	f := frame{kind: kind(h[0]), call: binary.LittleEndian.Uint32(h[1:])}
	n, most := int64(binary.LittleEndian.Uint32(h[5:])), r.limit(f.kind)
	switch {
	case most == 0:
		return frame{}, breachf("a frame of kind %d, which is not for this side", f.kind)
	case n > most:
		return frame{}, breachf("a frame of kind %d of %d bytes, more than %d", f.kind, n, most)
	}
	payload, err := r.text(int(n))
	f.payload = payload
	return f, err
}

// text reads n bytes. Large ones are believed as they arrive, not as they are announced.
func (r *frameReader) text(n int) (string, error) {
	const piece = 1 << 20
	b := make([]byte, min(n, piece))
	for have := 0; ; {
		k, err := io.ReadFull(r.r, b[have:])
		if have += k; err != nil {
			return "", io.ErrUnexpectedEOF
		}
		if have == n {
			return frozen(b), nil
		}
		b = append(b, make([]byte, min(n-have, have))...)
	}
}
