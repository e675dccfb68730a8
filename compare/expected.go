package compare

import (
	"slices"
	"strings"
)

// An expectation is a difference that is meant: who has what the other has not, and why. docs/QUIRKS.md and
// docs/MIGRATING.md say more of each.
type expectation struct {
	has   string // software of the server that has the fact, by the beginning of its name; empty: either
	probe string // empty: any
	fact  string // what the fact begins with, or after a * what it ends with; empty: any
	why   string
}

const (
	prosody = "Prosody"
	rosterd = "rosterd"
)

const (
	binding    = "logins that are bound to the TLS connection; clients that know only tls-unique: see MIGRATING"
	versions   = "clients that have a roster already are told what has changed in it (RFC 6121 §2.6)"
	renamed    = "Prosody tells nobody that a contact's name or groups have changed"
	failed     = "a refresh that could update nothing says so; what was updated and what was not is counted by both"
	noCommands = "there are no ad-hoc commands"
	unsaid     = "is in Prosody, too, which does not say so"
	noOld      = "an old protocol that has a successor"
	noFederate = "no federation"
	pubsubLess = "nodes of personal eventing belong to their user: nobody else publishes there, or subscribes but by presence"
	says       = "servers say this in different words, clients do not depend on it"
)

var expectations = []expectation{
	{rosterd, underTLS, "sasl-channel-binding ", binding},
	{rosterd, mechanisms, "*-PLUS", binding},
	{"", "channel binding", "tls-", binding},
	{prosody, bound, "c http://jabber.org/protocol/caps", "the server's own hash of its features; clients ask disco instead"},
	{prosody, bound, "sm urn:xmpp:sm:2", noOld},
	{rosterd, "", "limits urn:xmpp:stream-limits:0", "the limits of a stream are announced (XEP-0478)"},
	{prosody, "", "dialback ", noFederate},
	{prosody, "", "bidi ", noFederate},
	{"", "disco of the server", "identity server/im is named ", "the name of the software, unless name is set"},
	{prosody, "disco of the server", "http://jabber.org/protocol/commands", noCommands},
	{prosody, "disco of the account", "http://jabber.org/protocol/commands", noCommands},
	{"", "commands of the server", "", noCommands},
	{prosody, "", "jabber:iq:time", noOld},
	{prosody, "disco of the server", "jabber:iq:roster", says},
	{prosody, "disco of the account", "identity account/admin", "admins have no rights here that others have not"},
	{rosterd, "disco of the account", "identity account/registered", "admins have no rights here that others have not"},
	{prosody, "disco of the account", "http://jabber.org/protocol/pubsub#member-affiliation", pubsubLess},
	{prosody, "disco of the account", "http://jabber.org/protocol/pubsub#modify-affiliations", pubsubLess},
	{prosody, "disco of the account", "http://jabber.org/protocol/pubsub#outcast-affiliation", pubsubLess},
	{prosody, "disco of the account", "http://jabber.org/protocol/pubsub#publisher-affiliation", pubsubLess},
	{prosody, "disco of the account", "http://jabber.org/protocol/pubsub#retrieve-subscriptions", pubsubLess},
	{prosody, "disco of the account", "http://jabber.org/protocol/pubsub#subscribe", pubsubLess},
	{prosody, "disco of the account", "http://jabber.org/protocol/pubsub#subscription-options", pubsubLess},
	{rosterd, "disco of the account", "http://jabber.org/protocol/pubsub#access-open", unsaid},
	{rosterd, "disco of the account", "http://jabber.org/protocol/pubsub#access-roster", unsaid},
	{rosterd, "disco of the account", "http://jabber.org/protocol/pubsub#access-whitelist", unsaid},
	{rosterd, "disco of the account", "http://jabber.org/protocol/pubsub#owner", unsaid},
	{rosterd, "disco of the account", "http://jabber.org/protocol/disco#", says},
	{rosterd, "disco of the account", "vcard-temp", says},
	{prosody, "disco of the account", "urn:xmpp:bookmarks-conversion:0", "an old name for bookmarks that are one in all places, as they are"},
	{prosody, "nodes of the account", "* node storage:bookmarks", "the old place of bookmarks is a view, and no node"},
	{prosody, "roster", "a version", "a client that does not ask for versions gets none (RFC 6121 §2.6)"},
	{"", "roster set", "error modify/item-not-found", says},
	{"", "roster set", "error cancel/item-not-found", says},
	{prosody, "vCard of a user who is not there", "", "a user who is not there has no empty vCard"},
	{rosterd, "vCard of a user who is not there", "error cancel/item-not-found", "a user who is not there has no empty vCard"},
	{"", "archive form", "query urn:xmpp:mam:2/x/field/validate", says},
	{prosody, "last activity of the account", "", "a user who was not here yet was not here 0 seconds ago"},
	{rosterd, "last activity of the account", "error cancel/service-unavailable", "a user who was not here yet was not here 0 seconds ago"},
	{rosterd, "roster with a version", "a version", versions},
	{rosterd, bound, "ver urn:xmpp:features:rosterver", versions},
	{prosody, bound, "sub urn:xmpp:features:pre-approval", "nobody is approved before he asks where a backend decides who is whose contact"},
	{rosterd, pushes, "a version", versions},
	{rosterd, refreshed, "status: error", failed},
	{prosody, refreshed, "status: ok", failed},
	{rosterd, refreshed, "message: roster update failed", failed},
	{prosody, refreshed, "message: roster update complete", failed},
}

// expected is why a server has a fact that the other one, of other software, has not; empty where nobody knows.
func expected(here, there *seen, probe, fact string) string {
	if here.software == "" || strings.HasPrefix(here.software, rosterd) == strings.HasPrefix(there.software, rosterd) {
		return "" // two of a kind have no reason to differ
	}
	for _, e := range expectations {
		if strings.HasPrefix(here.software, e.has) && (e.probe == "" || e.probe == probe) && e.matches(fact) {
			return e.why
		}
	}
	if (probe == pushes || probe == after) && here.has(fact) && there.has(fact) {
		return renamed
	}
	return ""
}

func (e expectation) matches(fact string) bool {
	if end, ok := strings.CutPrefix(e.fact, "*"); ok {
		return strings.HasSuffix(fact, end)
	}
	return strings.HasPrefix(fact, e.fact)
}

const (
	refreshed = "answer to a refresh"
	pushes    = "pushes after a refresh"
	after     = "roster after a refresh"
)

// has tells whether the contact of a fact is in the roster after the refresh, whatever his name and groups.
func (s *seen) has(contact string) bool {
	jid, _, _ := strings.Cut(contact, " ")
	return slices.ContainsFunc(s.by[after], func(f string) bool { return strings.HasPrefix(f, jid+" both") })
}
