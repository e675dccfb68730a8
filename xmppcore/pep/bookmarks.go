package pep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/xep"
)

// Where bookmarks are, an item for each room (XEP-0402), and where they were, all in one element that was private data
// or the one item of a node (XEP-0048, XEP-0049).
const (
	nodeBookmarks       = "urn:xmpp:bookmarks:1"
	nodeLegacyBookmarks = "storage:bookmarks"
)

// keyLegacyBookmarks is where they are among private data, in Prosody's words.
const keyLegacyBookmarks = "storage:" + nodeLegacyBookmarks

// Bookmarks are those of a host's users for clients that look for them in the old places (XEP-0402 §5).
type Bookmarks struct {
	Service *Service
	Old     store.Keyed // where those of before are moved from; nil: they are not moved (upgrade_legacy_bookmarks)
}

// Extension announces that the places are one and the same.
func (m *Bookmarks) Extension() xep.Extension {
	return xep.Extension{AccountFeatures: []string{nodeBookmarks + "#compat", nodeBookmarks + "#compat-pep"}}
}

var errNoBookmarks = errors.New("bookmarks of this host are not converted")

// with does something with the bookmarks of a user, whose box is held.
func (m *Bookmarks) with(ctx context.Context, user addr.Bare, f func(*box) error) error {
	h := m.Service.Host(user.Domain())
	if h == nil || h.Bookmarks == nil {
		return errNoBookmarks
	}
	return m.Service.alone(ctx, h, user, func(b *box) error {
		if err := b.moveBookmarks(ctx); err != nil {
			return err
		}
		return f(b)
	})
}

// Private is the old form of a user's bookmarks, nil if there are none.
func (m *Bookmarks) Private(ctx context.Context, user addr.Bare) (old []byte, err error) {
	err = m.with(ctx, user, func(b *box) error {
		if n := b.nodes[nodeBookmarks]; n != nil && len(n.Items) > 0 {
			old, err = b.legacy(ctx)
		}
		return err
	})
	return old, err
}

// SetPrivate makes the bookmarks of a user those in the old form.
func (m *Bookmarks) SetPrivate(ctx context.Context, user addr.Bare, e scan.Element) *stanza.Error {
	err := m.with(ctx, user, func(b *box) error { return b.setLegacy(ctx, m.Service, e, true) })
	if err != nil {
		return m.Service.failed(user, err)
	}
	return nil
}

// bookmark is one room.
type bookmark struct {
	name, autojoin, nick, password string
	extensions                     []byte // of clients that know the new form: they stay (XEP-0402 §3)
}

func readBookmark(e scan.Element) (m bookmark) {
	space := string(e.Space)
	m.name, _ = e.Attr("name")
	if on, _ := e.Attr("autojoin"); on == "1" || on == "true" {
		m.autojoin = "true"
	}
	if nick, ok := e.Find(space, "nick"); ok {
		m.nick = nick.Text()
	}
	if password, ok := e.Find(space, "password"); ok {
		m.password = password.Text()
	}
	if x, ok := e.Find(nodeBookmarks, "extensions"); ok {
		m.extensions = x.AppendAlone(nil)
	}
	return m
}

func (m *bookmark) equal(o *bookmark) bool {
	return m.name == o.name && m.autojoin == o.autojoin && m.nick == o.nick && m.password == o.password && bytes.Equal(m.extensions, o.extensions)
}

// append appends a <conference/> in one of the two forms: the old one has a jid, which is the ID of an item else.
func (m *bookmark) append(b []byte, space, jid string) []byte {
	b = append(b, "<conference"...)
	if space != "" {
		b = stanza.AppendAttr(b, "xmlns", space)
	}
	for _, a := range [][2]string{{"jid", jid}, {"name", m.name}, {"autojoin", m.autojoin}} {
		if a[1] != "" {
			b = stanza.AppendAttr(b, a[0], a[1])
		}
	}
	b = append(b, '>')
	if m.nick != "" {
		b = append(stanza.AppendText(append(b, "<nick>"...), m.nick), "</nick>"...)
	}
	if m.password != "" {
		b = append(stanza.AppendText(append(b, "<password>"...), m.password), "</password>"...)
	}
	if jid == "" {
		b = append(b, m.extensions...)
	}
	return append(b, "</conference>"...)
}

// stored reads an element that is stored.
func stored(payload []byte) (scan.Element, error) {
	sc := scan.Scanner{Limits: scan.Limits{Stanza: 1 << 30, Depth: 1 << 20, Attrs: 1 << 20, Prefixes: 64}}
	var st scan.Stanza
	if _, err := sc.Next(append(append([]byte("<iq>"), payload...), "</iq>"...), &st); err != nil {
		return scan.Element{}, err
	}
	if len(st.Children) != 1 {
		return scan.Element{}, fmt.Errorf("what is stored is not one element, but %d", len(st.Children))
	}
	return st.Element(0), nil
}

// bookmark is the one with an ID.
func (b *box) bookmark(ctx context.Context, i *item) (bookmark, error) {
	payload, err := b.payload(ctx, nodeBookmarks, i)
	if err != nil {
		return bookmark{}, err
	}
	e, err := stored(payload)
	if err != nil {
		return bookmark{}, err
	}
	return readBookmark(e), nil
}

// legacy is the old form of what there is.
func (b *box) legacy(ctx context.Context) ([]byte, error) {
	old := []byte("<storage xmlns='" + nodeLegacyBookmarks + "'>")
	if n := b.nodes[nodeBookmarks]; n != nil {
		for k := range n.Items {
			m, err := b.bookmark(ctx, &n.Items[k])
			if err != nil {
				return nil, err
			}
			old = m.append(old, "", n.Items[k].ID)
		}
	}
	return append(old, "</storage>"...), nil
}

// setLegacy makes the bookmarks those in a <storage/> of the old form. What has not changed is not published again;
// what is missing is retracted. If tell is false, nobody is told.
func (b *box) setLegacy(ctx context.Context, s *Service, storage scan.Element, tell bool) error {
	wanted, err := rooms(storage)
	if err != nil {
		return err
	}
	if b.nodes[nodeBookmarks] == nil {
		if err := b.create(ctx, nodeBookmarks, defaults(nodeBookmarks)); err != nil {
			return err
		}
	}
	n := b.nodes[nodeBookmarks]
	if len(wanted) > b.most(&n.Config) {
		return refusal(stanza.ResourceConstraint, "", "more bookmarks than a user may have")
	}
	var gone []string
	for k := range n.Items {
		i := &n.Items[k]
		at := slices.IndexFunc(wanted, func(r room) bool { return r.jid == prepared(i.ID) })
		if at < 0 {
			gone = append(gone, i.ID)
			continue
		}
		wanted[at].jid = i.ID // it may have been published in another form than the canonical one
		old, err := b.bookmark(ctx, i)
		if err != nil {
			return err
		}
		wanted[at].extensions = old.extensions
		if wanted[at].equal(&old) {
			wanted = slices.Delete(wanted, at, at+1)
		}
	}
	changed := len(gone) + len(wanted)
	if len(gone) > 0 {
		if err := b.retract(ctx, nodeBookmarks, gone); err != nil {
			return err
		}
	}
	for _, r := range wanted {
		payload := r.append(nil, nodeBookmarks, "")
		if err := b.put(ctx, nodeBookmarks, r.jid, payload, s.told.Add(1)); err != nil {
			return err
		}
		if tell {
			s.tellAll(b, nodeBookmarks, &n.Config, itemsEvent(nodeBookmarks, appendItem(nil, r.jid, payload)))
		}
	}
	if !tell || changed == 0 {
		return nil
	}
	if len(gone) > 0 {
		s.tellAll(b, nodeBookmarks, &n.Config, itemsEvent(nodeBookmarks, retracted(gone)))
	}
	return s.tellLegacy(ctx, b)
}

// room is a bookmark with its address.
type room struct {
	jid string
	bookmark
}

// rooms are the <conference/>s of a <storage/>, each address once. Bookmarks of web pages are left out: the new form has
// none.
func rooms(storage scan.Element) (list []room, err error) {
	for e := range storage.Elements() {
		if string(e.Name) != "conference" || string(e.Space) != nodeLegacyBookmarks {
			continue
		}
		text, _ := e.Attr("jid")
		j, err := addr.Parse(text)
		if err != nil {
			return nil, refusal(stanza.BadRequest, "", "a bookmark has the JID of a room")
		}
		r := room{j.String(), readBookmark(e)}
		r.extensions = nil
		if k := slices.IndexFunc(list, func(o room) bool { return o.jid == r.jid }); k >= 0 {
			list[k] = r
		} else {
			list = append(list, r)
		}
	}
	return list, nil
}

// prepared is an address in its canonical form; what is none stays.
func prepared(id string) string {
	if j, err := addr.Parse(id); err == nil {
		return j.String()
	}
	return id
}

// tellLegacy tells those clients of the user that want the old node's events what all bookmarks are now.
func (s *Service) tellLegacy(ctx context.Context, b *box) error {
	if b.host.Bookmarks == nil {
		return nil
	}
	old, err := b.legacy(ctx)
	if err == nil {
		c := defaults(nodeLegacyBookmarks)
		s.tellAll(b, nodeLegacyBookmarks, &c, itemsEvent(nodeLegacyBookmarks, appendItem(nil, "current", old)))
	}
	return err
}

// moveBookmarks moves those that are private data to where they belong, once, and unless there are others already.
func (b *box) moveBookmarks(ctx context.Context) error {
	from := b.host.Bookmarks.Old
	if from == nil || b.moved || b.nodes[nodeBookmarks] != nil {
		return nil
	}
	old, ok, err := from.Get(ctx, b.owner, keyLegacyBookmarks)
	if err != nil {
		return err
	}
	if b.moved = true; !ok {
		return nil
	}
	e, err := stored(old)
	if err != nil {
		return err
	}
	if err := b.setLegacy(ctx, b.host.Bookmarks.Service, e, false); err != nil {
		return err
	}
	return from.Change(ctx, b.owner, map[string][]byte{keyLegacyBookmarks: nil})
}

// oldPlace answers the owner's requests for the old node: what is there is what is in the new one.
func (r *request) oldPlace() (result []byte, err error, handled bool) {
	if r.b.host.Bookmarks == nil || r.q.Sender.Bare() != r.b.owner || r.node != nodeLegacyBookmarks && r.node != nodeBookmarks {
		return nil, nil, false
	}
	if err := r.b.moveBookmarks(r.ctx); err != nil {
		return nil, err, true
	}
	if r.node == nodeBookmarks {
		return nil, nil, false
	}
	switch string(r.what.Name) {
	case "items":
		old, err := r.b.legacy(r.ctx)
		b := []byte("<pubsub xmlns='" + NS + "'><items node='" + nodeLegacyBookmarks + "'>")
		return append(appendItem(b, "current", old), "</items></pubsub>"...), err, true
	case "publish":
		item, _ := r.what.Find("", "item")
		storage, ok := scan.Element{}, false
		if item.Raw != nil {
			storage, ok = item.Find(nodeLegacyBookmarks, "storage")
		}
		if !ok {
			return nil, refusal(stanza.BadRequest, "invalid-payload", "no <storage/>"), true
		}
		b := []byte("<pubsub xmlns='" + NS + "'><publish node='" + nodeLegacyBookmarks + "'><item id='current'/></publish></pubsub>")
		return b, r.b.setLegacy(r.ctx, r.Service, storage, true), true
	}
	return nil, nil, false
}
