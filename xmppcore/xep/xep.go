// Package xep answers the small requests of the extensions, one file each. A host has those whose Prosody
// modules it enables.
package xep

import (
	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// Extension is what a module adds to a host.
type Extension struct {
	Features                 []string // announced by the domain (XEP-0030)
	Form                     []byte   // beside them (XEP-0128); nil if there is none
	Server, Account, Contact router.Handlers
	Public                   router.Handlers
	AccountFeatures          []string                                                    // announced by accounts
	AccountIdentities        []Identity                                                  // of accounts, beside account/registered
	Nodes                    NodeHandler                                                 // what accounts answer about their nodes; nil: there are none
	Dress                    func(*registry.Resource, *scan.Stanza) *scan.Stanza         // see router.Host
	Shown                    func(res *registry.Resource, st *scan.Stanza, initial bool) // see router.Host

	Heard func(from router.Origin, to addr.JID, st *scan.Stanza) (mine bool, refused *stanza.Error) // see router.Host
}

// Identity is a category and a type of XEP-0030.
type Identity struct{ Category, Type string }

// add puts the handlers of an extension beside those that are there.
func add(to *router.Handlers, from router.Handlers) {
	if *to == nil {
		*to = make(router.Handlers)
	}
	for p, h := range from {
		(*to)[p] = h
	}
}

// Install adds extensions to a host.
func Install(h *router.Host, list ...Extension) {
	for _, x := range list {
		add(&h.Server, x.Server)
		add(&h.Account, x.Account)
		add(&h.Contact, x.Contact)
		add(&h.Public, x.Public)
		if x.Dress != nil {
			h.Dress = x.Dress
		}
		if x.Shown != nil {
			h.Shown = append(h.Shown, x.Shown)
		}
		if x.Heard != nil {
			h.Heard = x.Heard
		}
	}
}
