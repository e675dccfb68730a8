package stanza

import "rosterd/xmppcore/scan"

// Namespaces of the error conditions.
const (
	NSStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"
	NSStreams = "urn:ietf:params:xml:ns:xmpp-streams"
)

// ErrorType says what the sender can do about an error (RFC 6120 §8.3.2).
type ErrorType string

// The error types.
const (
	Auth     ErrorType = "auth"
	Cancel   ErrorType = "cancel"
	Continue ErrorType = "continue"
	Modify   ErrorType = "modify"
	Wait     ErrorType = "wait"
)

// Condition is a stanza error condition (RFC 6120 §8.3.3).
type Condition string

// The stanza error conditions.
const (
	BadRequest            Condition = "bad-request"
	Conflict              Condition = "conflict"
	FeatureNotImplemented Condition = "feature-not-implemented"
	Forbidden             Condition = "forbidden"
	Gone                  Condition = "gone"
	InternalServerError   Condition = "internal-server-error"
	ItemNotFound          Condition = "item-not-found"
	JIDMalformed          Condition = "jid-malformed"
	NotAcceptable         Condition = "not-acceptable"
	NotAllowed            Condition = "not-allowed"
	NotAuthorized         Condition = "not-authorized"
	PolicyViolation       Condition = "policy-violation"
	RecipientUnavailable  Condition = "recipient-unavailable"
	Redirect              Condition = "redirect"
	RegistrationRequired  Condition = "registration-required"
	RemoteServerNotFound  Condition = "remote-server-not-found"
	RemoteServerTimeout   Condition = "remote-server-timeout"
	ResourceConstraint    Condition = "resource-constraint"
	ServiceUnavailable    Condition = "service-unavailable"
	SubscriptionRequired  Condition = "subscription-required"
	UndefinedCondition    Condition = "undefined-condition"
	UnexpectedRequest     Condition = "unexpected-request"
)

// Type returns the error type that RFC 6120 §8.3.3 associates with c; where it
// leaves a choice, the first one it names, and Cancel for undefined-condition.
func (c Condition) Type() ErrorType {
	switch c {
	case Forbidden, NotAuthorized, RegistrationRequired, SubscriptionRequired:
		return Auth
	case BadRequest, JIDMalformed, NotAcceptable, PolicyViolation, Redirect:
		return Modify
	case RecipientUnavailable, RemoteServerTimeout, ResourceConstraint, UnexpectedRequest:
		return Wait
	}
	return Cancel
}

// Error is a stanza error. The zero fields are sensible but for Condition, and
// even its zero is written, as undefined-condition.
type Error struct {
	Type      ErrorType // "" is Condition.Type()
	Condition Condition
	Text      string // for people, in English
	Address   string // where to go instead: Gone and Redirect only (RFC 6120 §8.3.3.5, §8.3.3.14)
	App       []byte // application-specific condition: XML, written as it is
}

func (e Error) Error() string {
	s := string(e.errorType()) + "/" + string(e.condition())
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

func (e Error) condition() Condition {
	if e.Condition == "" {
		return UndefinedCondition
	}
	return e.Condition
}

func (e Error) errorType() ErrorType {
	if e.Type == "" {
		return e.condition().Type()
	}
	return e.Type
}

// AppendError appends the error reply to st (RFC 6120 §8.3.1): same kind, same
// id, type error, from and to as given (who replies, and who sent st). What st
// contained is not repeated, which the RFC allows: the sender knows it by its id,
// and a large stanza cannot be reflected. A stanza of type error must not be
// answered; the caller checks that.
func AppendError(dst []byte, st *scan.Stanza, from, to string, e Error) []byte {
	dst = append(dst, '<')
	dst = append(dst, st.Name...)
	dst = AppendAttr(dst, "type", TypeError)
	if id := st.Get("id"); id != nil {
		dst = appendRaw(dst, []byte("id"), id)
	}
	dst = appendAddresses(dst, from, to)
	dst = append(dst, '>')
	dst = AppendErrorElement(dst, e)
	dst = append(dst, '<', '/')
	dst = append(dst, st.Name...)
	return append(dst, '>')
}

// AppendErrorElement appends the <error/> child alone.
func AppendErrorElement(dst []byte, e Error) []byte {
	dst = append(dst, "<error"...)
	dst = AppendAttr(dst, "type", string(e.errorType()))
	dst = append(dst, '>')
	dst = appendCondition(dst, string(e.condition()), NSStanzas, e.Address)
	dst = appendErrorText(dst, NSStanzas, e.Text)
	dst = append(dst, e.App...)
	return append(dst, "</error>"...)
}

func appendCondition(dst []byte, condition, space, content string) []byte {
	dst = append(dst, '<')
	dst = append(dst, condition...)
	dst = AppendAttr(dst, "xmlns", space)
	if content == "" {
		return append(dst, '/', '>')
	}
	dst = append(dst, '>')
	dst = AppendText(dst, content)
	dst = append(dst, '<', '/')
	dst = append(dst, condition...)
	return append(dst, '>')
}

func appendErrorText(dst []byte, space, text string) []byte {
	if text == "" {
		return dst
	}
	dst = append(dst, "<text"...)
	dst = AppendAttr(dst, "xmlns", space)
	dst = append(dst, " xml:lang='en'>"...)
	dst = AppendText(dst, text)
	return append(dst, "</text>"...)
}
