package xep

import (
	"regexp"
	"strings"
	"sync"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// NSClientState is the namespace of client state indication.
const NSClientState = "urn:xmpp:csi:0"

const nsForward = "urn:xmpp:forward:0"

// CanWait sorts stanzas for a client that nobody looks at (XEP-0352): presence, headlines and messages in which there
// is nothing to read can wait, of presence and chat states the last of each. Messages with a child that one of the
// paths leads to cannot.
func CanWait(paths ...string) func(element []byte) (key string, ok bool) {
	var important []path
	for _, p := range paths {
		important = append(important, parsePath(p))
	}
	return func(element []byte) (string, bool) {
		r := readers.Get().(*reader)
		defer readers.Put(r)
		if _, err := r.Next(element, &r.st); err != nil {
			return "", false
		}
		switch stanza.KindOf(&r.st) {
		case stanza.Presence:
			return presenceWaits(&r.st)
		case stanza.Message:
			return messageWaits(&r.st, important)
		}
		return "", false
	}
}

// reader reads what others have sent and the server has added to, which the limits of both have let through.
type reader struct {
	scan.Scanner
	st scan.Stanza
}

var readers = sync.Pool{New: func() any {
	return &reader{Scanner: scan.Scanner{Limits: scan.Limits{Stanza: 1 << 30, Depth: 1 << 20, Attrs: 1 << 20, Prefixes: 64}}}
}}

func presenceWaits(st *scan.Stanza) (key string, ok bool) {
	switch typ, _ := st.Attr("type"); typ {
	case "", stanza.TypeUnavailable:
		from, _ := st.Attr("from")
		return "presence " + from, true
	case stanza.TypeError:
		return "", true
	}
	return "", false // somebody asks for a subscription, or answers
}

func messageWaits(st *scan.Stanza, important []path) (key string, ok bool) {
	switch typ, _ := st.Attr("type"); typ {
	case stanza.TypeHeadline:
		return "", true
	case stanza.TypeError:
		return "", false
	}
	m := st.Root()
	if _, sent := m.Find(nsCarbons, "sent"); sent {
		return "", false // the user is at another client
	}
	if copied, ok := carried(m); ok {
		m = copied
	}
	for e := range m.Elements() {
		if urgent(e) {
			return "", false
		}
	}
	for _, p := range important {
		if p.in(m) {
			return "", false
		}
	}
	if chatState(m) {
		from, _ := m.Attr("from")
		return "state " + from, true
	}
	return "", true
}

// carried is the message of which another is the copy for a client that did not get it (XEP-0280 §7).
func carried(m scan.Element) (scan.Element, bool) {
	for _, to := range []step{{nsCarbons, "received"}, {nsForward, "forwarded"}, {scan.NSClient, "message"}} {
		inner, ok := m.Find(to.space, to.name)
		if !ok {
			return scan.Element{}, false
		}
		m = inner
	}
	return m, true
}

// urgent tells whether a child of a message is something to read, or to answer.
func urgent(e scan.Element) bool {
	switch string(e.Space) {
	case scan.NSClient:
		return string(e.Name) == "body" || string(e.Name) == "subject"
	case "urn:xmpp:eme:0": // it may be anything (XEP-0380)
		return string(e.Name) == "encryption"
	case "jabber:x:conference": // an invitation (XEP-0249)
		return string(e.Name) == "x"
	case "http://jabber.org/protocol/muc#user": // XEP-0045 §7.8.2
		_, invited := e.Find("http://jabber.org/protocol/muc#user", "invite")
		return invited
	case "urn:xmpp:jingle-message:0", "urn:xmpp:jingle-message:1": // somebody calls (XEP-0353)
		return true
	}
	return false
}

// chatState tells whether a message says what somebody does, and nothing that would be missed (XEP-0085).
func chatState(m scan.Element) (found bool) {
	for e := range m.Elements() {
		switch string(e.Space) {
		case "http://jabber.org/protocol/chatstates":
			found = true
		case "urn:xmpp:hints", "urn:xmpp:delay", "urn:xmpp:sid:0":
		default:
			if string(e.Name) != "thread" {
				return false
			}
		}
	}
	return found
}

// path leads from a message to an element inside it, as Prosody's stanza:find does: a name or {namespace}name for each
// step, with / between.
type path []step

type step struct{ space, name string }

var pathForm = regexp.MustCompile(`(?:\{([^}]*)\})?([^/]*)(?:/|$)`)

func parsePath(text string) (p path) {
	for _, m := range pathForm.FindAllStringSubmatch(strings.TrimSuffix(text, "/"), -1) {
		if m[0] != "" {
			p = append(p, step{m[1], m[2]})
		}
	}
	return p
}

func (p path) in(e scan.Element) bool {
	if len(p) == 0 {
		return true
	}
	for c := range e.Elements() {
		if (p[0].space == "" || string(c.Space) == p[0].space) && (p[0].name == "" || string(c.Name) == p[0].name) && p[1:].in(c) {
			return true
		}
	}
	return false
}
