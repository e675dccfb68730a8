package presence

import (
	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
)

// component is the component that a contact belongs to, nil if that is none or is not connected.
func (p *Presence) component(contact addr.Bare) *session.Session {
	if p.Component == nil {
		return nil
	}
	return p.Component(contact.Domain())
}

// toComponent sends presence without to, of a user to a contact who has no account here. Who is there to see it is the
// component's business, as it is that of a server elsewhere (RFC 6121 §4.2.2).
func (p *Presence) toComponent(a *registry.Account, contact addr.Bare, b []byte) {
	if out := p.component(contact); out != nil && !a.Blocks.Load().Has(contact.Full()) {
		out.Append(func(dst []byte) []byte { return stanza.AppendAddressed(dst, b, contact.String()) })
	}
}

// Asked answers the probe of a component's contact (RFC 6121 §4.3.2): with the presence of the one resource asked for, or
// of all that are available, if the user's roster grants it.
func (p *Presence) Asked(out *session.Session, by, of addr.JID) {
	a := p.Registry.Account(of.Bare())
	if a == nil {
		return
	}
	a.Lock()
	defer a.Unlock()
	if r, _ := a.Roster(); !r.Grants(by.Bare()) || a.Blocks.Load().Has(by) {
		return
	}
	for _, r := range a.Resources() {
		if r.Available && (of.IsBare() || of == r.Full) {
			out.Append(func(dst []byte) []byte { return stanza.AppendAddressed(dst, r.Presence.Stanza(), by.String()) })
		}
	}
}
