// Package pep lets users publish what others may want to know, such as avatars, nicknames and keys, and bookmarks for
// themselves: the part of publish-subscribe that personal eventing needs (XEP-0163, XEP-0060). Whoever sees somebody's
// presence is a subscriber, and gets the events of the nodes that his client asks for by its capabilities.
package pep

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/store"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/stanza"
)

// Namespaces.
const (
	NS       = "http://jabber.org/protocol/pubsub"
	nsOwner  = NS + "#owner"
	nsEvent  = NS + "#event"
	nsErrors = NS + "#errors"
)

// storeTimeout is how long a request waits for the store.
const storeTimeout = 10 * time.Second

// Host is how a VirtualHost keeps what its users publish.
type Host struct {
	Nodes, Items store.Keyed // Prosody's stores "pep" and "pep_data"
	MaxItems     int         // of a node (pep_max_items)
	MaxBoxes     int         // users whose nodes stay in memory (pep_service_cache_size)

	// Given are nodes that the site fills; nil: there are none.
	Given Given

	// Bookmarks are had from their old places, too; nil: they are not.
	Bookmarks *Bookmarks

	// Changed are told that something was published in a node of a user, or is no longer there. They run when that is
	// stored and its events are queued, in the goroutine of who has done it.
	Changed []func(owner addr.Bare, node string)
}

// Service is personal eventing for all hosts of a server. Its fields are set before it is used.
type Service struct {
	Registry *registry.Registry
	Log      *slog.Logger

	// Host is how a domain keeps what is published, nil if it does not.
	Host func(domain string) *Host
	// Contact is a user's roster item, whether the user is online or not.
	Contact func(ctx context.Context, owner, contact addr.Bare) (roster.Item, bool, error)
	// Blocked tells whether a user has blocked somebody.
	Blocked func(owner addr.Bare, other addr.JID) bool
	// Go runs something in a goroutine, until ctx ends. It is false if it does not.
	Go func(func(ctx context.Context)) bool

	awaiting awaiting
	boxes    boxes
	owed     owed
	told     atomic.Uint64 // items published since the start
}

// refusal is a stanza error with one of XEP-0060's own conditions, "" if there is none, and a text for people.
func refusal(c stanza.Condition, app, text string) *stanza.Error {
	e := &stanza.Error{Condition: c, Text: text}
	if app != "" {
		e.App = []byte("<" + app + " xmlns='" + nsErrors + "'/>")
	}
	return e
}

// unsupported says which feature of XEP-0060 is not there.
func unsupported(feature string) *stanza.Error {
	return &stanza.Error{Condition: stanza.FeatureNotImplemented, App: []byte("<unsupported xmlns='" + nsErrors + "' feature='" + feature + "'/>")}
}

var errNoNode = &stanza.Error{Condition: stanza.ItemNotFound}

// failed makes an error into an answer. What is not refused is a failure of ours.
func (s *Service) failed(owner addr.Bare, err error) *stanza.Error {
	if refused, ok := errors.AsType[*stanza.Error](err); ok {
		return refused
	}
	s.Log.Error("a store failed", "store", "pep", "user", owner, "error", err)
	return &stanza.Error{Type: stanza.Wait, Condition: stanza.InternalServerError}
}

// viewer is somebody who wants to see what a user has published.
type viewer struct {
	s     *Service
	owner addr.Bare
	bare  addr.Bare

	asked bool // the fields below are known
	item  roster.Item
	known bool
}

// may refuses who may not see a node (XEP-0060 §4.5).
func (v *viewer) may(ctx context.Context, c *Config) error {
	if v.bare == v.owner || c.Access == "open" {
		return nil
	}
	if c.Access == "whitelist" {
		return refusal(stanza.NotAllowed, "closed-node", "")
	}
	if !v.asked {
		i, ok, err := v.s.Contact(ctx, v.owner, v.bare)
		if err != nil {
			return err
		}
		v.item, v.known, v.asked = i, ok, true
	}
	switch {
	case c.Access == "roster":
		if !v.known || !slices.ContainsFunc(v.item.Groups, func(g string) bool { return slices.Contains(c.Groups, g) }) {
			return refusal(stanza.NotAuthorized, "not-in-roster-group", "")
		}
	case !v.known || !v.item.Subscription.From():
		return refusal(stanza.NotAuthorized, "presence-subscription-required", "")
	}
	return nil
}

// sees is may for who is not told why not.
func (v *viewer) sees(ctx context.Context, c *Config) (bool, error) {
	err := v.may(ctx, c)
	if _, refused := errors.AsType[*stanza.Error](err); refused {
		return false, nil
	}
	return err == nil, err
}

// NewHost is how a host keeps in its stores what is published: most items of a node, and boxes of users in memory. Zero
// means the defaults.
func NewHost(stores store.Stores, items, boxes int) *Host {
	return &Host{Nodes: stores.Keyed("pep"), Items: stores.Keyed("pep_data"), MaxItems: cmp.Or(items, 256), MaxBoxes: cmp.Or(boxes, maxBoxes)}
}
