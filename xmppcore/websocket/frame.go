package websocket

import (
	"bytes"
	"encoding/binary"

	"rosterd/xmppcore/stanza"
)

// What we send is framed here and not by the library, which would write each
// message to the socket on its own: to a client that comes online we send one for
// each contact.

// Opcodes (RFC 6455 §5.2).
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// maxControl is the length of the longest control frame (RFC 6455 §5.5).
const maxControl = 2 + 125

// appendText appends an element of ours as a message.
func appendText(dst, element []byte) []byte {
	element = bytes.TrimLeft(element, " \t\r\n") // a message begins with '<' (RFC 7395 §3.3.3)
	if len(element) == 0 {
		return dst
	}
	begin := len(dst)
	dst = stanza.AppendStandalone(dst, element)
	return frame(dst, begin, opText)
}

// appendFrame appends a frame that is a whole message, or a control frame.
func appendFrame(dst []byte, op byte, payload []byte) []byte {
	begin := len(dst)
	return frame(append(dst, payload...), begin, op)
}

// frame makes a frame of b[begin:] (RFC 6455 §5.2). A server masks nothing.
func frame(b []byte, begin int, op byte) []byte {
	const final = 0x80
	var h [10]byte
	h[0] = final | op
	n, length := 2, len(b)-begin
	switch {
	case length < 126:
		h[1] = byte(length)
	case length < 1<<16:
		h[1], n = 126, 4
		binary.BigEndian.PutUint16(h[2:], uint16(length))
	default:
		h[1], n = 127, 10
		binary.BigEndian.PutUint64(h[2:], uint64(length))
	}
	b = append(b, h[:n]...)
	copy(b[begin+n:], b[begin:])
	copy(b[begin:], h[:n])
	return b
}
