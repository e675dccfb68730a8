// Package xep answers the small requests of the extensions, one file each. A host has those whose Prosody
// modules it enables.
package xep

import "rosterd/xmppcore/router"

// Extension is what a module adds to a host.
type Extension struct {
	Features                 []string // announced by the domain (XEP-0030)
	Form                     []byte   // beside them (XEP-0128); nil if there is none
	Server, Account, Contact router.Handlers
	Public                   router.Handlers
}

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
	}
}
