package migrate

import (
	"context"
	"fmt"
	"strings"

	"rosterd/store/dat"
	"rosterd/store/prosody"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/vcard"
)

// Where Prosody's mod_vcard_legacy keeps vCards: in a node, in the new form (RFC 6351).
const (
	nodeCard = "urn:xmpp:vcard4"
	nsCard   = "urn:ietf:params:xml:ns:vcard-4.0"
)

// published is the vCard of a user who has one among what is published, in the old form, in which anybody may read it.
// Where not everybody may, there is none.
func (o *one) published(ctx context.Context, name string) (map[string]group, error) {
	src := o.From[itemsStore]
	if !o.takes(nodesStore) || src == nil {
		return nil, nil
	}
	d, err := o.From[nodesStore].Table(ctx, o.Name, o.name, nodesStore)
	if err != nil || d.Table == nil {
		return nil, err
	}
	node, _ := d.Table.Get(nodeCard).(*dat.Table)
	if node == nil {
		return nil, nil
	}
	if c, _ := node.Get("config").(*dat.Table); c == nil || c.Get("access_model") != "open" && c.Get("pubsub#access_model") != "open" {
		o.r.skip(o.Name, name, o.user.String(), &prosody.Error{Place: d.At(d.Table, nodeCard), Reason: "the vCard is not for everybody: it is only taken as node " + nodeCard})
		return nil, nil
	}
	var last prosody.Item
	for item, err := range src.Items(ctx, o.Name, o.name, itemsOf+nodeCard) {
		if err != nil {
			return nil, err
		}
		if item.Err == nil {
			last = item
		}
	}
	if last.Stanza == nil {
		return nil, nil
	}
	card, err := oldCard(last.Stanza)
	if err == nil && len(card) > vcard.MaxCard {
		err = fmt.Errorf("a vCard has at most %d bytes", vcard.MaxCard)
	}
	if err != nil {
		return nil, &prosody.Error{Place: last.Place, Reason: err.Error()}
	}
	return map[string]group{"": {{name, ""}: card}}, nil
}

// fields of the old form: where they are in the new one, and how they are there.
var (
	simpleFields = map[string]string{
		"nickname": "text", "title": "text", "role": "text", "categories": "text", "note": "text", "url": "uri", "bday": "date",
	}
	nameFields    = [][2]string{{"FAMILY", "surname"}, {"GIVEN", "given"}, {"MIDDLE", "additional"}, {"PREFIX", "prefix"}, {"SUFFIX", "suffix"}}
	addressFields = [][2]string{{"POBOX", "pobox"}, {"EXTADD", "ext"}, {"STREET", "street"}, {"LOCALITY", "locality"}, {"REGION", "region"}, {"PCODE", "code"}, {"CTRY", "country"}}
)

// oldCard is what Prosody makes of a vCard for who asks in the old form, without what is empty. The picture is published
// for itself.
func oldCard(four []byte) ([]byte, error) {
	p, err := pieceOf(four)
	if err != nil {
		return nil, err
	}
	if p.name != "vcard" || p.space != nsCard {
		return nil, fmt.Errorf("<%s xmlns=%q> is no vCard", p.name, p.space)
	}
	sc, st := scan.Scanner{Limits: limits}, scan.Stanza{}
	if _, err := sc.Next(p.text, &st); err != nil {
		return nil, err
	}
	b := []byte("<vCard xmlns='" + vcard.NS + "'>")
	for e := range st.Root().Elements() {
		b = appendField(b, e)
	}
	return append(b, "</vCard>"...), nil
}

func appendField(b []byte, e scan.Element) []byte {
	name := string(e.Name)
	if typ := simpleFields[name]; typ != "" {
		return appendText(b, strings.ToUpper(name), inside(e, typ))
	}
	switch name {
	case "fn":
		return appendText(b, "FN", inside(e, "text"))
	case "n":
		return appendNested(b, "N", appendAll(nil, nameFields, e))
	case "adr":
		return appendNested(b, "ADR", append(appendAll(nil, addressFields, e), place4(e)...))
	case "email":
		if text := inside(e, "text"); text != "" {
			return appendNested(b, "EMAIL", append(append(appendText(nil, "USERID", text), "<INTERNET/>"...), place4(e)...))
		}
	case "tel":
		if number := strings.TrimPrefix(inside(e, "uri"), "tel:"); number != "" {
			return appendNested(b, "TEL", append(appendText(nil, "NUMBER", number), place4(e)...))
		}
	case "impp":
		if jid, ok := strings.CutPrefix(inside(e, "uri"), "xmpp:"); ok {
			return appendText(b, "JABBERID", jid)
		}
	case "org":
		return appendNested(b, "ORG", appendText(nil, "ORGNAME", inside(e, "text")))
	}
	return b
}

// inside is the text of a child, "" if there is none.
func inside(e scan.Element, name string) string {
	child, ok := e.Find(nsCard, name)
	if !ok {
		return ""
	}
	return child.Text()
}

// place4 tells whether it is for at home or at work.
func place4(e scan.Element) string {
	for _, name := range []string{"parameters", "type"} {
		child, ok := e.Find(nsCard, name)
		if !ok {
			return ""
		}
		e = child
	}
	switch inside(e, "text") {
	case "home":
		return "<HOME/>"
	case "work":
		return "<WORK/>"
	}
	return ""
}

func appendText(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return appendNested(b, name, stanza.AppendText(nil, text))
}

func appendNested(b []byte, name string, inner []byte) []byte {
	if len(inner) == 0 {
		return b
	}
	b = append(append(append(b, '<'), name...), '>')
	b = append(append(b, inner...), "</"...)
	return append(append(b, name...), '>')
}

func appendAll(b []byte, fields [][2]string, e scan.Element) []byte {
	for _, f := range fields {
		b = appendText(b, f[0], inside(e, f[1]))
	}
	return b
}
