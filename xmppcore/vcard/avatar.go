package vcard

import (
	"context"
	"encoding/base64"
	"regexp"
	"strconv"

	"rosterd/engine/addr"
	"rosterd/xmppcore/pep"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// Where avatars are published (XEP-0084).
const (
	NodeMetadata = "urn:xmpp:avatar:metadata"
	nodeData     = "urn:xmpp:avatar:data"
)

// isHash is what the ID of a picture looks like.
var isHash = regexp.MustCompile("^[0-9a-f]{40}$")

// Events is what avatars need of personal eventing; see pep.Service.
type Events interface {
	Last(ctx context.Context, owner addr.Bare, viewer addr.JID, node string) (p pep.Published, known bool, err error)
	Item(ctx context.Context, owner addr.Bare, viewer addr.JID, node, id string) (payload []byte, ok bool, err error)
	Publish(ctx context.Context, owner addr.Bare, node string, p pep.Published, open bool) error
}

// Published are Avatars that users publish (XEP-0084).
type Published struct{ Events Events }

var _ Avatars = Published{}

// Avatar is the picture that the last metadata name and that is here, not at some URL (XEP-0398 §3.1).
func (a Published) Avatar(ctx context.Context, owner addr.Bare, viewer addr.JID) (p Photo, ok, known bool, err error) {
	hash, typ, known, err := a.last(ctx, owner, viewer)
	if err != nil || hash == "" {
		return p, false, known, err
	}
	payload, ok, err := a.Events.Item(ctx, owner, viewer, nodeData, hash)
	if err != nil || !ok {
		return p, false, known, err
	}
	e, err := parse(payload)
	if err != nil {
		return p, false, known, err
	}
	p.Type = typ
	if p.Data, err = decode(e.Text()); err != nil || p.Hash() != hash {
		return Photo{}, false, known, nil // it is not what the metadata promise
	}
	return p, true, known, nil
}

// Hash names the picture of a user, "" if there is none.
func (a Published) Hash(ctx context.Context, owner addr.Bare) (string, error) {
	hash, _, _, err := a.last(ctx, owner, owner.Full())
	return hash, err
}

// last is what the last metadata say of the first picture that is here.
func (a Published) last(ctx context.Context, owner addr.Bare, viewer addr.JID) (hash, typ string, known bool, err error) {
	p, known, err := a.Events.Last(ctx, owner, viewer, NodeMetadata)
	if err != nil || p.Payload == nil {
		return "", "", known, err
	}
	e, err := parse(p.Payload)
	if err != nil {
		return "", "", known, err
	}
	for info := range e.Elements() {
		if _, elsewhere := info.Attr("url"); string(info.Name) != "info" || elsewhere {
			continue
		}
		if hash, _ = info.Attr("id"); !isHash.MatchString(hash) {
			continue
		}
		typ, _ = info.Attr("type")
		return hash, typ, known, nil
	}
	return "", "", known, nil
}

// SetAvatar publishes a picture, and then its metadata; without a picture these say that there is none (XEP-0084 §4.1,
// §4.2.4). Who could read it in the vCard may read it here: everybody, unless the nodes say something else already.
func (a Published) SetAvatar(ctx context.Context, owner addr.Bare, p Photo) error {
	hash, _, known, err := a.last(ctx, owner, owner.Full())
	switch {
	case err != nil:
		return err
	case len(p.Data) == 0:
		if !known || hash == "" {
			return nil
		}
		return a.Events.Publish(ctx, owner, NodeMetadata, pep.Published{Payload: []byte("<metadata xmlns='" + NodeMetadata + "'/>")}, true)
	case hash == p.Hash():
		return nil
	}
	hash = p.Hash()
	data := base64.StdEncoding.AppendEncode([]byte("<data xmlns='"+nodeData+"'>"), p.Data)
	if err := a.Events.Publish(ctx, owner, nodeData, pep.Published{ID: hash, Payload: append(data, "</data>"...)}, true); err != nil {
		return err
	}
	b := stanza.AppendAttr([]byte("<metadata xmlns='"+NodeMetadata+"'><info"), "bytes", strconv.Itoa(len(p.Data)))
	b = stanza.AppendAttr(b, "id", hash)
	if p.Type != "" {
		b = stanza.AppendAttr(b, "type", p.Type)
	}
	return a.Events.Publish(ctx, owner, NodeMetadata, pep.Published{ID: hash, Payload: append(b, "/></metadata>"...)}, true)
}

const nsUpdate = "vcard-temp:x:update"

// Dressed is an available presence with the hash of the user's picture in it, "" for none (XEP-0153 §3.1). One in which
// its client says something about a picture stays what it is.
func Dressed(st *scan.Stanza, hash string) (*scan.Stanza, error) {
	d, _, err := dress(stanza.AppendRoutedTo(nil, st, "", ""), hash, false)
	return d, err
}

// Redressed is a presence that was broadcast, with another hash in it; changed is false if it has that already.
func Redressed(presence []byte, hash string) (st *scan.Stanza, changed bool, err error) {
	if st, err = scanned(presence); err != nil {
		return nil, false, err
	}
	return dress(stanza.AppendRoutedTo(nil, st, "", ""), hash, true)
}

func dress(presence []byte, hash string, over bool) (st *scan.Stanza, changed bool, err error) {
	if st, err = scanned(presence); err != nil {
		return nil, false, err
	}
	raw := st.Raw
	for k := len(st.Children) - 1; k >= 0; k-- {
		c := st.Children[k]
		if string(c.Space) != nsUpdate || string(c.Name) != "x" {
			continue
		}
		if photo, has := st.Element(k).Find(nsUpdate, "photo"); has && (!over || photo.Text() == hash) {
			return st, false, nil
		}
		raw = append(raw[:c.Off:c.Off], raw[c.End:]...)
	}
	x := stanza.AppendText([]byte("<x xmlns='"+nsUpdate+"'><photo>"), hash)
	st, err = scanned(inside(raw, st, append(x, "</photo></x>"...)))
	return st, true, err
}

// inside puts a child at the end of a stanza, of whose root tag st tells.
func inside(raw []byte, st *scan.Stanza, child []byte) []byte {
	if st.SelfClosed {
		name := st.Name
		if len(st.Prefix) > 0 {
			name = append(append(append([]byte(nil), st.Prefix...), ':'), name...)
		}
		b := append(append([]byte(nil), raw[:st.Body]...), '>')
		b = append(append(b, child...), "</"...)
		return append(append(b, name...), '>')
	}
	end := len(raw) - 1
	for raw[end] != '<' {
		end--
	}
	b := append(append([]byte(nil), raw[:end]...), child...)
	return append(b, raw[end:]...)
}

// scanned reads a stanza that the server has written.
func scanned(b []byte) (*scan.Stanza, error) {
	sc := scan.Scanner{Limits: scan.Limits{Stanza: 1 << 30, Depth: 1 << 20, Attrs: 1 << 20, Prefixes: 64}}
	st := new(scan.Stanza)
	if _, err := sc.Next(b, st); err != nil {
		return nil, err
	}
	return st, nil
}
