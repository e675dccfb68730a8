package stream

import (
	"crypto/tls"
	"errors"
	"time"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// What a conn does as a Carrier, while its stream is negotiated.

var (
	_ Carrier = (*conn)(nil)
	_ Pacer   = (*conn)(nil)
)

// Allow implements Carrier.
func (c *conn) Allow(n int) { c.left = int32(min(n, countless)) }

// Interrupt implements Carrier.
func (c *conn) Interrupt() { c.wire.SetReadDeadline(time.Unix(1, 0)) }

// TLS implements Carrier.
func (c *conn) TLS() *tls.ConnectionState {
	if c.tls == nil {
		return nil
	}
	state := c.tls.ConnectionState()
	return &state
}

// Pace implements Pacer.
func (c *conn) Pace() { c.rate = NewRate(c.limits) }

// Unlimit implements Pacer.
func (c *conn) Unlimit() { c.rate.Lift() }

// ReadOpen implements Carrier.
func (c *conn) ReadOpen(h *scan.Header) error {
	for {
		if c.isClientHello() {
			return errHello
		}
		used, err := c.scanner.NextHeader(c.in.bytes(), h)
		if more, err := c.settle(used, err); !more {
			return err
		}
	}
}

// isClientHello tells whether the client speaks TLS from the start. XML would
// tell it nothing.
func (c *conn) isClientHello() bool {
	const handshake = 0x16 // content type (RFC 8446 §5.1)
	b := c.in.bytes()
	return c.tls == nil && len(b) > 0 && b[0] == handshake
}

// Next implements Carrier.
func (c *conn) Next(st *scan.Stanza) error {
	for {
		used, err := c.scanner.Next(c.in.bytes(), st)
		if more, err := c.settle(used, err); !more {
			return err
		}
	}
}

// settle takes from the input what the scanner has used, and reads on if that
// needs more. It tells whether the scanner is to try again.
func (c *conn) settle(used int, err error) (more bool, _ error) {
	c.in.advance(used)
	if c.left -= int32(used); c.left < 0 {
		return false, TooMuch()
	}
	if !errors.Is(err, scan.ErrMore) {
		return false, Refused(err)
	}
	if len(c.in.bytes()) > int(c.left) {
		return false, TooMuch()
	}
	if err := c.more(); err != nil {
		return false, err
	}
	return true, nil
}

// WriteOpen implements Carrier: our stream header, and the features.
func (c *conn) WriteOpen(o Opening) error {
	room := chunks.Get().(*[chunk]byte)
	defer chunks.Put(room)
	b := append(room[:0], "<?xml version='1.0'?><stream:stream xmlns='"+scan.NSClient+"' xmlns:stream='"+scan.NSStream+"'"...)
	b = AppendOpening(b, o)
	b = append(b, '>')
	if o.Features != nil {
		b = append(b, "<stream:features>"...)
		b = append(b, o.Features...)
		b = append(b, "</stream:features>"...)
	}
	return c.Write(b)
}

// AppendOpening appends what every form of opening says in attributes.
func AppendOpening(b []byte, o Opening) []byte {
	b = stanza.AppendAttr(b, "from", o.From)
	if !o.To.IsZero() {
		b = stanza.AppendAttr(b, "to", o.To.String())
	}
	b = stanza.AppendAttr(b, "id", o.ID)
	return append(b, " version='1.0' xml:lang='"+Lang+"'"...)
}
