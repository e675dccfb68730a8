// Package stream takes a client's stream to a bound resource (RFC 6120 §4–§7, RFC
// 7590), over TCP or whatever else is a Carrier, and carries the stanzas of that
// resource over TCP afterwards. It knows streams, TLS, SASL and binding; what a
// stanza means is its callers' business.
package stream

import (
	"net"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// Namespaces of the negotiation.
const (
	nsTLS     = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind    = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSession = "urn:ietf:params:xml:ns:xmpp-session"
	nsManaged = "urn:xmpp:sm:3"
)

// Transport carries the stanzas of one bound resource.
type Transport interface {
	// Run reads until the stream ends and calls handle for every complete, checked
	// stanza, one after the other; the stanza is valid until handle returns. Between
	// stanzas it holds no buffers. It returns nil after the peer's closing tag, what
	// handle returned if that was an error, a *stanza.StreamError if the peer broke
	// a rule, net.ErrClosed after Close or Abort, or else the read error. It closes
	// nothing. Call it once, on a goroutine that has done little else and whose stack
	// is still small: it may be all that there is of an idle session, and handle runs
	// on another one.
	Run(handle func(st *scan.Stanza) error) error

	// Write sends whole stanzas. It fails when the peer takes nothing for
	// Limits.WriteStall; a failed Write has closed the socket. One goroutine at a
	// time.
	Write(b []byte) error

	// Close ends the stream (RFC 6120 §4.4): it writes the error, if there is one,
	// and the closing tag, waits for the peer's closing tag, and closes the socket,
	// all bounded by Limits.Close. While Run is in progress the waiting is left to
	// it. What the peer still sends is discarded. Calls after the first do nothing.
	// Nobody may be writing.
	Close(se *stanza.StreamError)

	// Abort closes the socket at once; Run, Write and Close return.
	Abort()

	RemoteAddr() net.Addr
	Secure() bool // the stream is encrypted
}

// Sparing is a Transport that needs no goroutine while its session is idle, found by asking.
type Sparing interface {
	// RunThen is Run, but returns when the session is idle for the first time, or at
	// its end; then is called once, with what Run would have returned, perhaps before
	// RunThen returns. It is for a goroutine that does nothing else afterwards.
	RunThen(handle func(st *scan.Stanza) error, then func(error))
}

// RunThen is that of tr, or its Run on the goroutine that calls.
func RunThen(tr Transport, handle func(*scan.Stanza) error, then func(error)) {
	if s, ok := tr.(Sparing); ok {
		s.RunThen(handle, then)
		return
	}
	then(tr.Run(handle))
}

// Activity is what a Transport can say beyond that, found by asking.
type Activity interface {
	// LastRead is when the peer was last heard of, white space included.
	LastRead() time.Time
}

// Named is a Transport that says what it is, for operators; found by asking.
type Named interface {
	Name() string // "tcp", "websocket", "bosh"
}

// Keeper is a Transport whose Write only takes stanzas into its keeping, found by
// asking.
type Keeper interface {
	// Undelivered is what Write has taken and the peer has not received, or perhaps
	// not: whole stanzas. It is complete once Close or Abort has returned.
	Undelivered() []byte
}

// BindRequest is a client's request to bind a resource (RFC 6120 §7).
type BindRequest struct {
	User      addr.Bare // authenticated by SASL; nothing else says who the client is
	Host      *Host
	Resource  string // as the client wants it, prepared; "" if the server is to make one
	ID        string // of the IQ that asks
	Transport Transport
}

// ResumeRequest is a client's request to go on with a session whose stream has
// broken, instead of binding a resource (XEP-0198 §5).
type ResumeRequest struct {
	User      addr.Bare // authenticated by SASL; it must be the session's
	Host      *Host
	ID        string // of the session
	Handled   uint32 // stanzas that the client has handled, modulo 2^32
	Transport Transport
}

// NotResumed is the answer to a request that is refused; the client may bind a
// resource then.
type NotResumed struct {
	Condition stanza.Condition
	Handled   *uint32 // of a session that is over: how many of the client's stanzas were handled; nil if nobody knows
}

// Acceptor takes over streams.
type Acceptor interface {
	// Bind gives the client a resource. With nil the session has taken over the
	// Transport and writes the result of the bind itself, before anything else. With
	// an error it has not touched the Transport; the error is written and the client
	// may ask again (RFC 6120 §7.6.2, §7.7.2).
	Bind(r BindRequest) *stanza.Error
}

// Resumer is an Acceptor with sessions that can be resumed, found by asking.
type Resumer interface {
	// Resume carries a session on. With nil that has taken over the Transport and
	// answers itself. Else it has not touched it: the refusal is written and the
	// client may go on, or the stream ends with the error.
	Resume(r ResumeRequest) (*NotResumed, error)
}

// AcceptorFunc lets a function be an Acceptor.
type AcceptorFunc func(BindRequest) *stanza.Error

// Bind calls f.
func (f AcceptorFunc) Bind(r BindRequest) *stanza.Error { return f(r) }
