package vcard

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"strconv"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/xmppcore/pep"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/xep"
)

// Given are the vCards that a host's backend gives: all forms of them are made of one, and users change none.
type Given struct {
	Cards *engine.Cards
	Log   *slog.Logger
	Go    func(func(context.Context)) bool // runs something in a goroutine
}

var _ pep.Given = (*Given)(nil)

// Extension answers requests for vCards of the old form (XEP-0054).
func (g *Given) Extension() xep.Extension {
	x := g.extension(router.Payload{Space: NS, Name: "vCard"}, NS, appendTemp)
	x.Features = []string{NS}
	return x
}

// Four answers requests for those of the new form (XEP-0292).
func (g *Given) Four() xep.Extension {
	return g.extension(router.Payload{Space: nsFour, Name: "vcard"}, nsFour, appendFour)
}

func (g *Given) extension(p router.Payload, feature string, write func([]byte, *engine.Card) []byte) xep.Extension {
	h := router.Handlers{p: func(q *router.Query) *stanza.Error {
		owner := q.To.Bare()
		if q.Set {
			if q.Sender.Bare() != owner {
				return &stanza.Error{Condition: stanza.Forbidden}
			}
			return pep.NotYours()
		}
		q.Later(g.Go, func(ctx context.Context) ([]byte, *stanza.Error) {
			card, err := g.Cards.Get(ctx, owner)
			switch {
			case err != nil:
				return nil, unavailable(err)
			case card.Empty():
				return nil, &stanza.Error{Condition: stanza.ItemNotFound}
			}
			return write(nil, &card), nil
		})
		return nil
	}}
	return xep.Extension{Account: h, Public: h, AccountFeatures: []string{feature}}
}

// unavailable is what is answered where the backend fails: what went wrong is the site's own business, and in its log.
func unavailable(err error) *stanza.Error {
	var permanent *engine.PermanentError
	e := &stanza.Error{Type: stanza.Wait, Condition: stanza.RemoteServerTimeout, Text: "the site cannot say now"}
	if errors.As(err, &permanent) {
		e.Condition, e.Text = stanza.InternalServerError, "what the site says cannot be read"
	}
	return e
}

var givenNodes = []string{NodeMetadata, nodeData, nodeFour}

// Nodes are those that are made of the vCard.
func (g *Given) Nodes() []string { return givenNodes }

// Told is the node of which events are told.
func (g *Given) Told() string { return NodeMetadata }

// Item is what a node holds.
func (g *Given) Item(ctx context.Context, owner addr.Bare, node string) (p pep.Published, ok bool, err error) {
	card, err := g.Cards.Get(ctx, owner)
	if err != nil {
		return p, false, unavailable(err)
	}
	mark := card.Mark()
	switch {
	case node == nodeFour && !card.Empty():
		return pep.Published{ID: "current", Payload: appendFour(nil, &card)}, true, nil
	case node == NodeMetadata && mark.Hash != "":
		return Metadata(mark), true, nil
	case node == nodeData && mark.Hash != "":
		b := base64.StdEncoding.AppendEncode([]byte("<data xmlns='"+nodeData+"'>"), card.Photo.Data)
		return pep.Published{ID: mark.Hash, Payload: append(b, "</data>"...)}, true, nil
	}
	return p, false, nil
}

// Last is the metadata of a picture, once it is known; who wants it has it fetched.
func (g *Given) Last(owner addr.Bare) (p pep.Published, ok, known bool) {
	mark, known := g.Cards.Mark(owner)
	if mark.Hash == "" {
		return p, false, known
	}
	return Metadata(mark), true, known
}

// Metadata are those of a picture, or say that there is none (XEP-0084 §4.2).
func Metadata(m engine.CardMark) pep.Published {
	if m.Hash == "" {
		return pep.Published{ID: "none", Payload: []byte("<metadata xmlns='" + NodeMetadata + "'/>")}
	}
	b := stanza.AppendAttr([]byte("<metadata xmlns='"+NodeMetadata+"'><info"), "bytes", strconv.Itoa(m.Size))
	b = stanza.AppendAttr(stanza.AppendAttr(b, "id", m.Hash), "type", m.Type)
	return pep.Published{ID: m.Hash, Payload: append(b, "/></metadata>"...)}
}

// Dress puts the hash of a user's picture into his presence, whatever his client says (XEP-0398 §4), once it is known.
func (g *Given) Dress(user addr.Bare, st *scan.Stanza) (*scan.Stanza, error) {
	mark, known := g.Cards.Mark(user)
	if !known {
		return st, nil
	}
	d, _, err := dress(stanza.AppendRoutedTo(nil, st, "", ""), mark.Hash, true)
	return d, err
}

// field appends an element with text in it, unless that is empty.
func field(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	b = append(append(append(b, '<'), name...), '>')
	b = stanza.AppendText(b, text)
	return append(append(append(b, "</"...), name...), '>')
}

// appendTemp appends a vCard of the old form (XEP-0054 §4).
func appendTemp(b []byte, c *engine.Card) []byte {
	b = append(b, "<vCard xmlns='"+NS+"'>"...)
	b = field(b, "FN", c.FN)
	if c.Given != "" || c.Family != "" {
		b = append(b, "<N>"...)
		b = append(field(field(b, "FAMILY", c.Family), "GIVEN", c.Given), "</N>"...)
	}
	b = field(b, "NICKNAME", c.Nickname)
	if !c.Photo.IsZero() {
		b = append(b, "<PHOTO>"...)
		b = append(field(b, "TYPE", c.Photo.Type), "<BINVAL>"...)
		b = append(base64.StdEncoding.AppendEncode(b, c.Photo.Data), "</BINVAL></PHOTO>"...)
	}
	b = field(b, "BDAY", c.BDay)
	for _, n := range c.Tel {
		b = append(field(append(b, "<TEL>"...), "NUMBER", n), "</TEL>"...)
	}
	for _, m := range c.Email {
		b = append(field(append(b, "<EMAIL><INTERNET/>"...), "USERID", m), "</EMAIL>"...)
	}
	b = field(field(b, "TITLE", c.Title), "ROLE", c.Role)
	if c.Org != "" {
		b = append(field(append(b, "<ORG>"...), "ORGNAME", c.Org), "</ORG>"...)
	}
	b = field(field(b, "NOTE", c.Note), "URL", c.URL)
	return append(b, "</vCard>"...)
}

// appendFour appends a vCard of the new form (RFC 6351, XEP-0292 §3). It has no picture: that is in the avatar.
func appendFour(b []byte, c *engine.Card) []byte {
	value := func(name, kind, text string) {
		if text != "" {
			b = append(append(append(b, '<'), name...), '>')
			b = field(b, kind, text)
			b = append(append(append(b, "</"...), name...), '>')
		}
	}
	b = append(b, "<vcard xmlns='"+nsFour+"'>"...)
	value("fn", "text", c.FN)
	if c.Given != "" || c.Family != "" {
		b = append(b, "<n>"...)
		b = append(field(field(b, "surname", c.Family), "given", c.Given), "</n>"...)
	}
	value("nickname", "text", c.Nickname)
	value("bday", "text", c.BDay)
	for _, n := range c.Tel {
		value("tel", "text", n)
	}
	for _, m := range c.Email {
		value("email", "text", m)
	}
	value("title", "text", c.Title)
	value("role", "text", c.Role)
	value("org", "text", c.Org)
	value("note", "text", c.Note)
	value("url", "uri", c.URL)
	return append(b, "</vcard>"...)
}
