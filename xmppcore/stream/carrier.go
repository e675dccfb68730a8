package stream

import (
	"crypto/tls"
	"fmt"
	"runtime/debug"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// Carrier carries one client's stream while it is negotiated and, as a Transport,
// afterwards. Until Run, one goroutine at a time uses it, but for Interrupt, Close
// and Abort. A Carrier that is a Pacer is told when to begin.
type Carrier interface {
	Transport

	// ReadOpen reads what opens a stream, or opens it anew after SASL, into the zero
	// header h: a stream header, <open/>, <body/>. h.Default is scan.NSClient where
	// the form implies it.
	ReadOpen(h *scan.Header) error

	// WriteOpen writes our answer to that.
	WriteOpen(o Opening) error

	// Next reads the client's next element inside the stream, which is valid until
	// the next call. It returns scan.ErrEnd after the end of the stream, and so may
	// ReadOpen; a *stanza.StreamError for what breaks a rule; io.EOF when the client
	// is gone without a word.
	Next(st *scan.Stanza) error

	// Allow says how many more bytes ReadOpen and Next may take from the client;
	// beyond that they return TooMuch.
	Allow(n int)

	// Interrupt makes ReadOpen and Next return soon. Nothing is read after it.
	Interrupt()

	// TLS is the state of the TLS that ends here, nil if none does. Without one, a
	// Carrier may be Secure nevertheless.
	TLS() *tls.ConnectionState
}

// Opening is how we open a stream (RFC 6120 §4.7).
type Opening struct {
	From     string   // our domain; "" if the client wants one that is not here (§4.9.1.3)
	To       addr.JID // whom we are talking to; zero if nobody knows
	ID       string
	Features []byte // the children of stream:features; nil: no features follow, but an error
}

// Lang is the language of what the server says on its own, as every Opening has
// it.
const Lang = "en"

// Pacer is what a Carrier can do beyond that, found by asking.
type Pacer interface {
	Pace()    // from now on Limits.Rate holds for the client
	Unlimit() // from now on it does not
}

// Asker is a Carrier that asks a silent client for a sign of life, found by asking.
type Asker interface {
	Asks() time.Duration // after what silence; 0: never
}

// Visiting is a Carrier whose client may have waited at the server's desk before, for a TLS handshake. It is asked once.
type Visiting interface {
	Visitor() *admission.Visitor // nil: it has not
}

// TooMuch is the answer to more bytes than Allow has allowed.
func TooMuch() *stanza.StreamError {
	return &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "too many bytes before authentication and binding"}
}

// Refused is what the scanner's refusal means for the stream: a
// *stanza.StreamError. Other errors stay what they are.
func Refused(err error) error {
	if se := stanza.ScanError(err); se != nil {
		return se
	}
	return err
}

// Panic is the error of a stream that has run into a mistake of ours.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Unwrap is what the client is told.
func (p *Panic) Unwrap() error {
	return &stanza.StreamError{Condition: stanza.StreamInternalServerError}
}

// Recover is to be deferred by what reads a stream on a goroutine of its own: a
// panic becomes an error, and costs that stream only.
func Recover(err *error) {
	if v := recover(); v != nil {
		*err = &Panic{Value: v, Stack: debug.Stack()}
	}
}
