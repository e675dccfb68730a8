package stream

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// authenticate goes from the first byte to SASL success.
func (n *negotiation) authenticate(ctx context.Context) error {
	if n.direct != nil {
		if err := n.tcp.startTLS(ctx, n.direct, &n.server.keys); err != nil {
			return err
		}
	}
	if err := n.open(); err != nil {
		return err
	}
	return n.logIn(ctx)
}

// logIn goes on to SASL success.
func (n *negotiation) logIn(ctx context.Context) error {
	for n.user.IsZero() {
		st, err := n.next()
		if err != nil {
			return err
		}
		switch {
		case is(st, nsTLS, "starttls"):
			err = n.startTLS(ctx)
		case is(st, nsSASL, "auth"):
			err = n.exchange(ctx, st)
		case string(st.Space) == nsSASL:
			err = n.fail(outOfTurn(st))
		case n.registers(st):
			err = n.register(ctx, st)
		default:
			err = tooEarly(st)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func is(st *scan.Stanza, space, name string) bool {
	return string(st.Space) == space && string(st.Name) == name
}

// tooEarly is the answer to what needs authentication first (RFC 6120
// §4.9.3.12).
func tooEarly(st *scan.Stanza) error {
	if string(st.Space) == scan.NSClient {
		return refuse(stanza.StreamNotAuthorized, "authenticate first")
	}
	return notStanza(st)
}

// notStanza is the answer to an element that is neither a stanza nor a step of
// the negotiation.
func notStanza(st *scan.Stanza) error {
	if is(st, scan.NSStream, "error") {
		return scan.ErrEnd // its end tag is on the way
	}
	return refuse(stanza.StreamUnsupportedStanzaType, "")
}

// exchange runs one SASL exchange from <auth/> to its outcome (RFC 6120 §6.4).
// The stream survives a failed one.
func (n *negotiation) exchange(ctx context.Context, st *scan.Stanza) error {
	x, data, err := n.converse(ctx, st)
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return n.fail(e)
	}
	if err != nil {
		return err
	}
	n.user = x.User()
	n.leave() // before the client knows, and connects again
	n.depart()
	n.server.counts.LoggedIn.Add(1)
	return n.c.Write(element("success", encode(data)))
}

// converse returns an exchange that has succeeded, and the data that goes along
// with that.
func (n *negotiation) converse(ctx context.Context, st *scan.Stanza) (*auth.Exchange, []byte, error) {
	if n.host.RequireTLS && !n.c.Secure() {
		return nil, nil, &auth.Error{Condition: auth.EncryptionRequired}
	}
	mechanism, _ := st.Attr("mechanism")
	x, err := n.host.Auth.Start(mechanism, n.channel())
	if err != nil {
		return nil, nil, err
	}
	said, err := decode(st)
	if err != nil {
		return nil, nil, err
	}
	for {
		n.turn.rest()
		data, done, err := x.Next(ctx, said)
		n.turn.heard()
		if done || err != nil {
			return x, data, err
		}
		if said, err = n.challenge(data); err != nil {
			return nil, nil, err
		}
	}
}

// challenge sends a challenge and returns the client's response.
func (n *negotiation) challenge(data []byte) ([]byte, error) {
	// Without data it is an empty element: "=" is for initial responses and
	// success only (RFC 6120 §6.4.2, §6.4.6).
	text := base64.StdEncoding.EncodeToString(data)
	if err := n.c.Write(element("challenge", text)); err != nil {
		return nil, err
	}
	st, err := n.next()
	switch {
	case err != nil:
		return nil, err
	case is(st, nsSASL, "response"):
		return response(st)
	case string(st.Space) == nsSASL:
		return nil, outOfTurn(st)
	}
	return nil, tooEarly(st)
}

// outOfTurn is the answer to a SASL element that does not go on with what was
// before.
func outOfTurn(st *scan.Stanza) *auth.Error {
	if string(st.Name) == "abort" {
		return &auth.Error{Condition: auth.Aborted}
	}
	return &auth.Error{Condition: auth.MalformedRequest}
}

// fail tells the client that an exchange has failed: the condition, and nothing
// of the cause. After too many the stream is closed (RFC 6120 §6.4.5).
func (n *negotiation) fail(e *auth.Error) error {
	n.server.counts.Failed.Add(1)
	b := "<failure xmlns='" + nsSASL + "'><" + string(e.Condition) + "/></failure>"
	if err := n.c.Write([]byte(b)); err != nil {
		return err
	}
	if n.failed++; n.failed >= n.limits.Attempts {
		return refuse(stanza.StreamPolicyViolation, "too many failed attempts to authenticate")
	}
	return nil
}

// element is a SASL element.
func element(name, text string) []byte {
	b := make([]byte, 0, 2*len(name)+len(text)+len(nsSASL)+len("< xmlns=''></>"))
	b = append(append(b, '<'), name...)
	b = append(b, " xmlns='"+nsSASL+"'"...)
	if text == "" {
		return append(b, "/>"...)
	}
	b = append(append(b, '>'), text...)
	return append(append(append(b, "</"...), name...), '>')
}

// encode writes data that goes along with success; no data, and data of length
// zero, are two things.
func encode(data []byte) string {
	if data != nil && len(data) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(data)
}

// response returns what a <response/> holds, which always is something, though
// it may be of length zero.
func response(st *scan.Stanza) ([]byte, error) {
	data, err := decode(st)
	if data == nil {
		data = []byte{}
	}
	return data, err
}

// decode returns the data in a SASL element: nil if there is none. Base64 is
// strict (RFC 4648 §3.3, §3.5); Go's decoder would let line ends pass.
func decode(st *scan.Stanza) ([]byte, error) {
	text := st.Root().Text()
	switch {
	case len(st.Children) > 0:
		return nil, &auth.Error{Condition: auth.MalformedRequest}
	case text == "":
		return nil, nil
	case text == "=":
		return []byte{}, nil
	case strings.ContainsAny(text, "\r\n"):
		return nil, &auth.Error{Condition: auth.IncorrectEncoding}
	}
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, &auth.Error{Condition: auth.IncorrectEncoding}
	}
	return data, nil
}
