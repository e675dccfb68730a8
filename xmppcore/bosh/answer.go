package bosh

import (
	"strconv"
	"time"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// condition is why a session ends, as its client is told (XEP-0124 §17.2).
type condition string

// The conditions. Others stand for stream errors, see farewell.
const (
	badRequest             condition = "bad-request"
	hostGone               condition = "host-gone"
	hostUnknown            condition = "host-unknown"
	improperAddressing     condition = "improper-addressing"
	itemNotFound           condition = "item-not-found"
	policyViolation        condition = "policy-violation"
	remoteConnectionFailed condition = "remote-connection-failed"
	remoteStreamError      condition = "remote-stream-error"
	systemShutdown         condition = "system-shutdown"
)

// nothing is the response that has nothing to say.
var nothing = []byte("<body xmlns='" + nsBody + "'/>")

// opened begins a response that holds something. The prefix is for stream:features and stream:error; clients look for
// it on the body.
const opened = "<body xmlns='" + nsBody + "' xmlns:stream='" + scan.NSStream + "'"

// wrap is a response with what the body says in attributes, which begin with a space, and its content.
func wrap(attrs, content []byte) []byte {
	if len(attrs)+len(content) == 0 {
		return nothing
	}
	b := make([]byte, 0, len(opened)+len(attrs)+len("></body>")+len(content))
	b = append(b, opened...)
	b = append(b, attrs...)
	b = append(b, '>')
	b = append(b, content...)
	return append(b, "</body>"...)
}

// contentOf is what wrap has put into a response.
func contentOf(response, attrs []byte) []byte {
	if len(response) <= len(nothing) {
		return nil
	}
	return response[len(opened)+len(attrs)+1 : len(response)-len("</body>")]
}

// terminate is the response that ends a session.
func terminate(c condition) []byte {
	return []byte("<body xmlns='" + nsBody + "' type='terminate' condition='" + string(c) + "'/>")
}

// farewell says in attributes and content how a stream ends, nil being the proper way. Most errors of the stream are
// told as they are (XEP-0206 §7).
func farewell(se *stanza.StreamError) (attrs, content []byte) {
	attrs = []byte(" type='terminate'")
	if se == nil {
		return attrs, nil
	}
	c := remoteStreamError
	switch se.Condition {
	case stanza.StreamHostGone:
		c = hostGone
	case stanza.StreamHostUnknown:
		c = hostUnknown
	case stanza.StreamImproperAddressing:
		c = improperAddressing
	case stanza.StreamSystemShutdown:
		c = systemShutdown
	default:
		content = stanza.AppendStreamError(nil, se)
	}
	return append(attrs, " condition='"+string(c)+"'"...), content
}

// appendCreation appends what the first response says of the session (XEP-0124 §7.2, XEP-0206 §5).
func (s *session) appendCreation(b []byte, o stream.Opening) []byte {
	b = stanza.AppendAttr(b, "sid", s.sid)
	b = stanza.AppendAttr(b, "from", o.From)
	b = stanza.AppendAttr(b, "authid", o.ID)
	b = stanza.AppendAttr(b, "ver", s.version)
	b = stanza.AppendAttr(b, "wait", seconds(s.wait))
	b = stanza.AppendAttr(b, "hold", strconv.Itoa(s.hold))
	b = stanza.AppendAttr(b, "requests", strconv.Itoa(s.requests))
	b = stanza.AppendAttr(b, "inactivity", seconds(s.settings.Inactivity))
	b = stanza.AppendAttr(b, "maxpause", seconds(s.maxPause()))
	if s.settings.Polling > 0 {
		b = stanza.AppendAttr(b, "polling", seconds(s.settings.Polling))
	}
	return append(b, " secure='true' xmlns:xmpp='"+nsXMPP+"' xmpp:version='1.0' xmpp:restartlogic='true' xml:lang='"+stream.Lang+"'"...)
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// negotiate is the version of BOSH that is spoken with a client: what it speaks, between those we know. Clients of 1.6
// are most, and there is no difference that concerns us.
func negotiate(ver string) string {
	const oldest, newest = 6, 11
	minor, ok := minorOf(ver)
	if !ok {
		minor = oldest
	}
	return "1." + strconv.Itoa(min(max(minor, oldest), newest))
}
