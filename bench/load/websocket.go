package load

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"rosterd/bench/target"
)

// webSocket is a connection of WebSocket (RFC 6455) as RFC 7395 uses it. What is read is what is in the messages, one
// after the other.
type webSocket struct {
	net.Conn
	in   *bufio.Reader
	left int64 // of the frame that is being read
	out  []byte
}

// upgrade shakes hands.
func upgrade(conn net.Conn, address string) (*webSocket, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	const key = "bG9hZCBwcm9ncmFtIG9rIQ=="
	request := "GET " + u.Path + " HTTP/1.1\r\nHost: " + target.Domain + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://" + target.Domain +
		"\r\nSec-WebSocket-Key: " + key + "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, err
	}
	w := &webSocket{Conn: conn, in: bufio.NewReaderSize(conn, 4096)}
	res, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("%s answers %s", address, res.Status)
	}
	return w, nil
}

const (
	opText  = 1
	opClose = 8
	opPing  = 9
)

// Read implements net.Conn.
func (w *webSocket) Read(b []byte) (int, error) {
	for w.left == 0 {
		if err := w.next(); err != nil {
			return 0, err
		}
	}
	n, err := w.in.Read(b[:min(int64(len(b)), w.left)])
	w.left -= int64(n)
	return n, err
}

// next reads the head of a frame (RFC 6455 §5.2), and what is no data.
func (w *webSocket) next() error {
	var head [10]byte
	if _, err := io.ReadFull(w.in, head[:2]); err != nil {
		return err
	}
	n := int64(head[1] & 0x7f)
	switch {
	case head[1]&0x80 != 0:
		return errors.New("the server masks a frame")
	case n == 126:
		if _, err := io.ReadFull(w.in, head[2:4]); err != nil {
			return err
		}
		n = int64(binary.BigEndian.Uint16(head[2:]))
	case n == 127:
		if _, err := io.ReadFull(w.in, head[2:10]); err != nil {
			return err
		}
		n = int64(binary.BigEndian.Uint64(head[2:]))
	}
	switch head[0] & 0x0f {
	case opClose:
		return io.EOF
	case opPing:
		data := make([]byte, n)
		if _, err := io.ReadFull(w.in, data); err != nil {
			return err
		}
		_, err := w.Conn.Write(appendFrame(nil, opPing+1, data))
		return err
	default:
		w.left = n
		return nil
	}
}

// appendFrame writes a frame with the mask 0: what is masked by it is as it was.
func appendFrame(dst []byte, op byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	dst = append(dst, 0x80|op)
	switch {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = append(dst, 0, 0, 0, 0)
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

// writeStanzas writes each of some stanzas as a message, with the namespace that it must say (RFC 7395 §3.3.3).
func (w *webSocket) writeStanzas(b []byte) (int, error) {
	w.out = w.out[:0]
	for rest := b; len(rest) > 0; {
		end, tag := stanza(rest)
		if end == 0 {
			return 0, fmt.Errorf("not whole: %q", rest)
		}
		if bytes.Contains(rest[:tag], []byte(" xmlns=")) {
			w.out = appendFrame(w.out, opText, rest[:end])
		} else {
			name := tag
			if i := bytes.IndexAny(rest[:tag], " />"); i > 0 {
				name = i
			}
			w.out = appendFrame(w.out, opText, rest[:name], []byte(" xmlns='jabber:client'"), rest[name:end])
		}
		rest = rest[end:]
	}
	_, err := w.Conn.Write(w.out)
	return len(b), err
}

// stanza is the length of the first of some stanzas, and of its start tag; 0 if it does not end. There is no ">" in the
// attributes and texts of what is written here, and no comments.
func stanza(b []byte) (end, tag int) {
	depth := 0
	for i := 0; i < len(b); {
		open := bytes.IndexByte(b[i:], '<')
		if open < 0 {
			return 0, 0
		}
		i += open
		shut := bytes.IndexByte(b[i:], '>')
		if shut < 0 {
			return 0, 0
		}
		if tag == 0 {
			tag = i + shut + 1
		}
		switch {
		case b[i+1] == '/':
			depth--
		case b[i+shut-1] != '/':
			depth++
		}
		if i += shut + 1; depth == 0 {
			return i, tag
		}
	}
	return 0, 0
}
