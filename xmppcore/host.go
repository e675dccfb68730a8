package xmppcore

import (
	"crypto/tls"
	"slices"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/register"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xep"
)

// Host is one VirtualHost.
type Host struct {
	Domain string // prepared

	TLS                   *tls.Config // for STARTTLS; nil: none
	RequireTLS            bool        // c2s_require_encryption
	AllowPlainUnencrypted bool        // allow_unencrypted_plain_auth
	Auth                  *auth.Host

	BlockSubscriptions bool          // module block_subscriptions
	Editable           bool          // its users change their rosters, or what is their own of them: engine.Engine has an Editor for it
	Writeback          bool          // where Editable: a backend decides, so that no approval in advance is promised
	Modules            []string      // those of disco, ping, version, time and server_contact_info that are enabled
	Name               string        // for disco
	Personal           Personal      // for pep and those that need it
	Cards              *engine.Cards // the vCards and avatars of its users, where its backend gives them; nil: they are the users' own
	Items              []xep.Item
	Contacts           xep.Contacts // for server_contact_info
	Greetings          Greetings
	Blocking           *Blocking            // module blocklist; nil: its users cannot block anybody
	Door               *register.Door       // where people make accounts; nil: nowhere
	Accounts           *register.Management // what users do with their own accounts; nil: nothing
	Stores             store.Stores         // where what belongs to its users is kept
	Messages           Messages             // for carbons, offline and mam
	Management         *StreamManagement    // module smacks; nil: streams are not managed
	ClientState        *session.Inactivity  // module csi_simple; nil: clients cannot say that nobody looks at them
	Conflict           Conflict
	MaxSessions        int         // of an account; 20 if it is 0
	Unlimited          []addr.Bare // users to whom Config.Stream.Rate does not apply (unlimited_jids)
}

// Conflict says who stays when a resource is bound twice (RFC 6120 §7.7.2.2), in the words of Prosody's
// option conflict_resolve.
type Conflict string

// The ways to resolve it.
const (
	KickOld Conflict = "kick_old" // the default
	KickNew Conflict = "kick_new"
	Random  Conflict = "random" // the new one gets another resource
	// Increment, the new one gets its resource with a number behind it.
	Increment Conflict = "increment"
)

// streamHost is what a negotiation sees of h.
func (h *Host) streamHost() *stream.Host {
	s := &stream.Host{
		Domain: h.Domain, TLS: h.TLS, RequireTLS: h.RequireTLS, AllowPlainUnencrypted: h.AllowPlainUnencrypted,
		Auth: h.Auth, Features: append(h.rosterFeatures(), h.stateFeature()...), Managed: h.Management != nil,
	}
	if h.Door != nil {
		s.Register = h.Door
	}
	return s
}

// routerHost is what routing sees of h, with what extensions add that need more than the host.
func (h *Host) routerHost(version string, more ...xep.Extension) *router.Host {
	own := &router.Host{Domain: h.Domain, BlockSubscriptions: h.BlockSubscriptions, Editable: h.Editable, Exists: h.Auth.Exists}
	has := func(module string) bool { return slices.Contains(h.Modules, module) }
	list := append([]xep.Extension{h.rosters(), sessions()}, more...)
	if has("ping") {
		list = append(list, xep.Ping())
	}
	if has("version") {
		list = append(list, xep.Version("rosterd", version))
	}
	if has("time") {
		list = append(list, xep.Time(time.Now))
	}
	if has("server_contact_info") {
		list = append(list, xep.Contact(h.Contacts))
	}
	if has("disco") {
		accounts := "registered"
		if h.Auth != nil && h.Auth.Anonymous {
			accounts = "anonymous"
		}
		list = append(list, xep.Disco(h.Name, accounts, list, h.Items))
	}
	xep.Install(own, list...)
	return own
}

// sessions answers what RFC 3921 §3 wanted after binding, and clients still send.
func sessions() xep.Extension {
	h := router.Handlers{{Space: "urn:ietf:params:xml:ns:xmpp-session", Name: "session"}: func(q *router.Query) *stanza.Error {
		if !q.Set {
			return &stanza.Error{Condition: stanza.BadRequest}
		}
		q.Result(nil)
		return nil
	}}
	return xep.Extension{Account: h, Server: h}
}
