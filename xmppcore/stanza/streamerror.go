package stanza

import (
	"errors"

	"rosterd/xmppcore/scan"
)

// StreamCondition is a stream error condition (RFC 6120 §4.9.3).
type StreamCondition string

// The stream error conditions.
const (
	StreamBadFormat              StreamCondition = "bad-format"
	StreamBadNamespacePrefix     StreamCondition = "bad-namespace-prefix"
	StreamConflict               StreamCondition = "conflict"
	StreamConnectionTimeout      StreamCondition = "connection-timeout"
	StreamHostGone               StreamCondition = "host-gone"
	StreamHostUnknown            StreamCondition = "host-unknown"
	StreamImproperAddressing     StreamCondition = "improper-addressing"
	StreamInternalServerError    StreamCondition = "internal-server-error"
	StreamInvalidFrom            StreamCondition = "invalid-from"
	StreamInvalidNamespace       StreamCondition = "invalid-namespace"
	StreamInvalidXML             StreamCondition = "invalid-xml"
	StreamNotAuthorized          StreamCondition = "not-authorized"
	StreamNotWellFormed          StreamCondition = "not-well-formed"
	StreamPolicyViolation        StreamCondition = "policy-violation"
	StreamRemoteConnectionFailed StreamCondition = "remote-connection-failed"
	StreamReset                  StreamCondition = "reset"
	StreamResourceConstraint     StreamCondition = "resource-constraint"
	StreamRestrictedXML          StreamCondition = "restricted-xml"
	StreamSeeOtherHost           StreamCondition = "see-other-host"
	StreamSystemShutdown         StreamCondition = "system-shutdown"
	StreamUndefinedCondition     StreamCondition = "undefined-condition"
	StreamUnsupportedEncoding    StreamCondition = "unsupported-encoding"
	StreamUnsupportedFeature     StreamCondition = "unsupported-feature"
	StreamUnsupportedStanzaType  StreamCondition = "unsupported-stanza-type"
	StreamUnsupportedVersion     StreamCondition = "unsupported-version"
)

// StreamError ends a stream (RFC 6120 §4.9).
type StreamError struct {
	Condition StreamCondition // "" is written as undefined-condition
	Text      string          // for people, in English
	Host      string          // where to connect instead: StreamSeeOtherHost only (RFC 6120 §4.9.3.19)
	App       []byte          // application-specific condition: XML, written as it is
}

func (e *StreamError) Error() string {
	s := "stream error " + string(e.condition())
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

func (e *StreamError) condition() StreamCondition {
	if e.Condition == "" {
		return StreamUndefinedCondition
	}
	return e.Condition
}

// AppendStreamError appends the <stream:error/>. The stream's end tag is the
// caller's.
func AppendStreamError(dst []byte, e *StreamError) []byte {
	dst = append(dst, "<stream:error>"...)
	dst = appendCondition(dst, string(e.condition()), NSStreams, e.Host)
	dst = appendErrorText(dst, NSStreams, e.Text)
	dst = append(dst, e.App...)
	return append(dst, "</stream:error>"...)
}

// ScanError turns what the scanner refused into the stream error that says so.
// It returns nil for other errors.
func ScanError(err error) *StreamError {
	var se *scan.Error
	if !errors.As(err, &se) {
		return nil
	}
	return &StreamError{Condition: StreamCondition(se.Condition), Text: se.Reason}
}
