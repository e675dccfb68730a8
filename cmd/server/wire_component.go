package main

import (
	"rosterd/config"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/component"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xep"
)

// components are the external components that may connect.
func components(cfg *config.Config, throttle *auth.Throttle) component.Config {
	g := cfg.Global()
	c := component.Config{Throttle: throttle, Limits: stream.Limits{
		Negotiation: config.PreauthBytes.Get(g), Authenticate: config.AuthTimeout.Get(g), WriteStall: config.OutboxTimeout.Get(g),
		Stanza: config.ComponentStanzaSize.Get(g), Depth: config.StanzaDepth.Get(g), Attributes: config.StanzaAttributes.Get(g),
	}}
	for _, h := range cfg.Components() {
		c.Components = append(c.Components, component.Component{
			Domain: h.Name, Secret: config.ComponentSecret.Get(h),
			Replace: config.ComponentConflict.Get(h) == "kick_old", AnyFrom: !config.ValidateFromAddresses.Get(h),
		})
	}
	return c
}

// inside are the components that a host names in service discovery, those right below its domain.
func inside(cfg *config.Config, h *config.Host) (list []xep.Item) {
	for _, e := range cfg.Inside(h) {
		item := xep.Item{JID: e.Name}
		if name, _, set := config.Name.Lookup(e); set {
			item.Name = name
		}
		list = append(list, item)
	}
	return list
}
