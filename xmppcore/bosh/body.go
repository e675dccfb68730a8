package bosh

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// Namespaces of the wrapper (XEP-0124 §6, XEP-0206 §3).
const (
	nsBody = "http://jabber.org/protocol/httpbind"
	nsXMPP = "urn:xmpp:xbosh"
)

const (
	chunk    = 4096    // is read at once, and the start tag of a <body/> has to fit into it
	envelope = 4096    // is what a request may be longer than the stanzas it may hold
	maxRID   = 1 << 53 // what JavaScript can count to (XEP-0124 §14.1)
)

// errRequest is a request that is no <body/>, or one whose attributes cannot be read.
var errRequest = errors.New("bad request")

// errDone is what next returns behind the last element.
var errDone = errors.New("end of the body")

// input is the <body/> of one request.
type input struct {
	sid, to, from, lang string
	space               string // the default namespace of what is inside
	ver, version        string // of BOSH, of XMPP
	rid                 int64  // 0: none, in a request for a session only
	ack                 int64  // 0: none
	wait, hold, pause   int    // -1: none
	terminate, restart  bool

	raw     []byte
	at      int // what is behind raw[at] has not been read
	scanner scan.Scanner
	cut     bool // it is longer than it may be, and not all here
	empty   bool // there is nothing inside
}

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// readRoot reads as far as the start tag. An errRequest is the client's mistake, others are r's.
func readRoot(r io.Reader) (*input, error) {
	in := &input{raw: chunks.Get().(*[chunk]byte)[:0]}
	root := stanzas.Get().(*scan.Stanza)
	defer putStanza(root)
	for {
		n, err := in.scanner.NextRoot(in.raw, root)
		switch {
		case err == nil:
			in.at = n
			err = in.attributes(root)
		case errors.Is(err, scan.ErrMore) && len(in.raw) < chunk:
			if err = in.fill(r, chunk); err == nil {
				continue
			}
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: the body ends in its start tag", errRequest)
			}
		default:
			err = fmt.Errorf("%w: %w", errRequest, err)
		}
		if err != nil {
			in.release()
			return nil, err
		}
		return in, nil
	}
}

// fill reads at least one byte, with n at most in all.
func (in *input) fill(r io.Reader, n int) error {
	for {
		k, err := r.Read(in.raw[len(in.raw):min(cap(in.raw), n)])
		in.raw = in.raw[:len(in.raw)+k]
		if k > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readRest reads what follows the start tag: n bytes at most.
func (in *input) readRest(r io.Reader, n int) error {
	for {
		if len(in.raw) > n {
			in.cut = true
			return nil
		}
		if len(in.raw) == cap(in.raw) {
			old := in.raw
			in.raw = append(make([]byte, 0, 2*cap(old)), old...)
			recycle(old)
		}
		if err := in.fill(r, n+1); errors.Is(err, io.EOF) {
			in.peek()
			return nil
		} else if err != nil {
			return err
		}
	}
}

// peek finds out whether there is nothing inside.
func (in *input) peek() {
	rest := bytes.TrimLeft(in.raw[in.at:], " \t\r\n")
	if len(rest) > 0 && !bytes.HasPrefix(rest, []byte("</")) {
		return
	}
	scanner, at := in.scanner, in.at
	st := stanzas.Get().(*scan.Stanza)
	in.empty = errors.Is(in.next(st), errDone)
	putStanza(st)
	in.scanner, in.at = scanner, at
}

// last tells whether the client means to make no other request soon.
func (in *input) last() bool { return in.terminate || in.pause >= 0 }

// release gives the buffer back. The input is not used any more.
func (in *input) release() {
	recycle(in.raw)
	in.raw = nil
}

func recycle(b []byte) {
	if cap(b) == chunk {
		chunks.Put((*[chunk]byte)(b[:chunk]))
	}
}

// attributes takes over what the start tag says.
func (in *input) attributes(root *scan.Stanza) error {
	if string(root.Name) != "body" || string(root.Space) != nsBody {
		return fmt.Errorf("%w: <%s xmlns='%s'> instead of <body/>", errRequest, root.Name, root.Space)
	}
	in.wait, in.hold, in.pause = -1, -1, -1
	prefix := prefixOf(root, nsXMPP)
	for _, a := range root.Attrs {
		name := string(a.Name)
		if local, ok := strings.CutPrefix(name, prefix+":"); ok && prefix != "" {
			name = "xmpp:" + local
		} else if strings.HasPrefix(name, "xmpp:") {
			continue // somebody else's
		}
		if err := in.attribute(name, a.Value); err != nil {
			return err
		}
	}
	if in.sid != "" && in.rid == 0 {
		return fmt.Errorf("%w: no rid", errRequest)
	}
	in.space = string(root.Default)
	return nil
}

func (in *input) attribute(name string, raw []byte) (err error) {
	value := func() string { return string(scan.AppendValue(nil, raw)) }
	switch name {
	case "sid":
		in.sid = value()
	case "to":
		in.to = value()
	case "from":
		in.from = value()
	case "xml:lang":
		in.lang = value()
	case "ver":
		in.ver = value()
	case "xmpp:version":
		in.version = value()
	case "type":
		in.terminate = string(raw) == "terminate"
	case "xmpp:restart":
		in.restart = string(raw) == "true" || string(raw) == "1"
	case "rid":
		in.rid, err = number(name, value(), 1, maxRID-1)
	case "ack":
		in.ack, err = number(name, value(), 0, maxRID-1)
	case "wait":
		in.wait, err = small(name, value())
	case "hold":
		in.hold, err = small(name, value())
	case "pause":
		in.pause, err = small(name, value())
	}
	return err
}

func number(name, value string, least, most int64) (int64, error) {
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil || int64(n) < least || int64(n) > most {
		return 0, fmt.Errorf("%w: %s=%q", errRequest, name, value)
	}
	return int64(n), nil
}

// small is a number that may be larger than anything we would do with it.
func small(name, value string) (int, error) {
	n, err := number(name, value, 0, 1<<62)
	return int(min(n, 1<<30)), err
}

// prefixOf is the prefix that the root declares for a namespace, "" if it does not.
func prefixOf(root *scan.Stanza, space string) string {
	for _, a := range root.Attrs {
		if prefix, ok := bytes.CutPrefix(a.Name, []byte("xmlns:")); ok && string(scan.AppendValue(nil, a.Value)) == space {
			return string(prefix)
		}
	}
	return ""
}

// begin comes before the first next. It says what the elements may be, and what they are where they do not say it:
// many clients leave out their namespace (XEP-0206 §2); the language is that of the session.
func (in *input) begin(l *stream.Limits, lang string) {
	in.scanner.Limits = scan.Limits{Stanza: l.Stanza, Depth: l.Depth, Attrs: l.Attributes}
	space := in.space
	if space == nsBody {
		space = scan.NSClient
	}
	in.scanner.Content(space, lang)
}

// next reads the next element, valid until the call after it or release. It returns errDone if there is none, and a
// *stanza.StreamError for what is wrong with it.
func (in *input) next(st *scan.Stanza) error {
	n, err := in.scanner.Next(in.raw[in.at:], st)
	in.at += n
	switch {
	case err == nil:
		return nil
	case errors.Is(err, scan.ErrEnd) && !in.cut:
		if len(bytes.TrimLeft(in.raw[in.at:], " \t\r\n")) > 0 {
			return &stanza.StreamError{Condition: stanza.StreamNotWellFormed, Text: "something behind the body"}
		}
		return errDone
	case in.cut && (errors.Is(err, scan.ErrMore) || errors.Is(err, scan.ErrEnd)):
		return &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: fmt.Sprintf("request longer than %d bytes", len(in.raw)-1)}
	case errors.Is(err, scan.ErrMore):
		return &stanza.StreamError{Condition: stanza.StreamNotWellFormed, Text: "the body has no end"}
	}
	return stream.Refused(err)
}

var stanzas = sync.Pool{New: func() any { return new(scan.Stanza) }}

// putStanza keeps st for others, but not the memory of a huge one.
func putStanza(st *scan.Stanza) {
	if cap(st.Children) <= 64 {
		stanzas.Put(st)
	}
}
