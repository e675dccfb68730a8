// Package vcard keeps what users say of themselves in the old form, as vCards that anybody may read (XEP-0054), and
// turns the pictures in them into avatars and back (XEP-0153, XEP-0398).
package vcard

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/xep"
)

// NS is the namespace of vCards.
const NS = "vcard-temp"

// MaxCard is how many bytes a vCard may have; each user has one.
const MaxCard = 512 << 10

// storeTimeout is how long a request waits for the store.
const storeTimeout = 10 * time.Second

// Photo is the picture of an avatar.
type Photo struct {
	Type string // such as image/png; may be ""
	Data []byte
}

// Hash names the picture (XEP-0153 §4.1, XEP-0084 §3).
func (p Photo) Hash() string {
	sum := sha1.Sum(p.Data)
	return hex.EncodeToString(sum[:])
}

// Avatars keep the pictures of users elsewhere than in their vCards.
type Avatars interface {
	// Avatar is the picture of a user, as far as a viewer may see it; ok is false if there is none, and known tells
	// whether the user has said anything about avatars, were it that he has none.
	Avatar(ctx context.Context, owner addr.Bare, viewer addr.JID) (p Photo, ok, known bool, err error)
	// SetAvatar gives a user another picture, or none if it has no data, and tells who wants to know.
	SetAvatar(ctx context.Context, owner addr.Bare, p Photo) error
}

// Cards are the vCards of a host's users.
type Cards struct {
	Store   store.Keyed // Prosody's store "vcard"; the key is ""
	Avatars Avatars     // where pictures are; nil: in the vCards
	Log     *slog.Logger
}

// Extension answers requests for vCards: those of users who are offline, too.
func (c *Cards) Extension() xep.Extension {
	p := router.Payload{Space: NS, Name: "vCard"}
	x := xep.Extension{
		Features: []string{NS}, AccountFeatures: []string{NS},
		Account: router.Handlers{p: func(q *router.Query) *stanza.Error {
			if q.Set {
				return c.set(q)
			}
			return c.get(q)
		}},
		Public: router.Handlers{p: func(q *router.Query) *stanza.Error {
			if q.Set {
				return &stanza.Error{Condition: stanza.Forbidden} // XEP-0054 §3.2
			}
			return c.get(q)
		}},
	}
	if c.Avatars != nil {
		x.AccountFeatures = append(x.AccountFeatures, "urn:xmpp:pep-vcard-conversion:0") // XEP-0398 §2
	}
	return x
}

// get answers with a vCard. Whether a user has none or does not exist is one and the same (XEP-0054 §3.3).
func (c *Cards) get(q *router.Query) *stanza.Error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	b, err := c.card(ctx, q.To.Bare(), q.Sender)
	if err != nil {
		return c.failed(q.To.Bare(), err)
	}
	if b == nil && c.Avatars != nil && q.To.Bare() == q.Sender.Bare() {
		b = []byte("<vCard xmlns='" + NS + "'/>") // some clients put their picture into what they get
	}
	if b == nil {
		return &stanza.Error{Condition: stanza.ItemNotFound}
	}
	q.Result(b)
	return nil
}

// card is the vCard of a user for a viewer, nil if there is none.
func (c *Cards) card(ctx context.Context, owner addr.Bare, viewer addr.JID) ([]byte, error) {
	kept, _, err := c.Store.Get(ctx, owner, "")
	if err != nil || c.Avatars == nil {
		return kept, err
	}
	photo, ok, known, err := c.Avatars.Avatar(ctx, owner, viewer)
	switch {
	case err != nil:
		return nil, err
	case !known || kept == nil && !ok:
		return kept, nil
	case kept == nil:
		kept = []byte("<vCard xmlns='" + NS + "'/>")
	}
	e, err := parse(kept)
	if err != nil {
		return nil, err
	}
	return appendCard(nil, e, &photo), nil
}

// set keeps a vCard. A picture in it becomes the avatar, and none takes the avatar away (XEP-0398 §3.2).
func (c *Cards) set(q *router.Query) *stanza.Error {
	owner := q.To.Bare()
	card := q.Payload.AppendAlone(nil)
	var photo Photo
	if c.Avatars != nil {
		var err error
		if photo, err = picture(q.Payload); err != nil {
			return &stanza.Error{Condition: stanza.BadRequest, Text: err.Error()}
		}
		e, err := parse(card)
		if err != nil {
			return c.failed(owner, err)
		}
		card = appendCard(nil, e, nil)
	}
	if len(card) > MaxCard {
		return &stanza.Error{Type: stanza.Modify, Condition: stanza.ResourceConstraint, Text: fmt.Sprintf("a vCard has at most %d bytes", MaxCard)}
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := c.Store.Change(ctx, owner, map[string][]byte{"": card}); err != nil {
		return c.failed(owner, err)
	}
	if c.Avatars != nil {
		if err := c.Avatars.SetAvatar(ctx, owner, photo); err != nil {
			return c.failed(owner, err)
		}
	}
	q.Result(nil)
	return nil
}

// Upgrade makes the picture in a vCard the avatar of a user who has never had another (upgrade_legacy_vcards).
func (c *Cards) Upgrade(ctx context.Context, owner addr.Bare) error {
	_, _, known, err := c.Avatars.Avatar(ctx, owner, owner.Full())
	if err != nil || known {
		return err
	}
	kept, ok, err := c.Store.Get(ctx, owner, "")
	if err != nil || !ok {
		return err
	}
	e, err := parse(kept)
	if err != nil {
		return err
	}
	photo, err := picture(e)
	if err != nil || photo.Data == nil {
		return nil // it stays in the vCard, for those who can read it
	}
	if err := c.Avatars.SetAvatar(ctx, owner, photo); err != nil {
		return err
	}
	return c.Store.Change(ctx, owner, map[string][]byte{"": appendCard(nil, e, nil)})
}

func (c *Cards) failed(user addr.Bare, err error) *stanza.Error {
	return failed(c.Log, "vcard", user, err)
}

// failed makes an error into an answer. What is not refused is a failure of ours.
func failed(log *slog.Logger, store string, user addr.Bare, err error) *stanza.Error {
	if refused, ok := errors.AsType[*stanza.Error](err); ok {
		return refused
	}
	log.Error("a store failed", "store", store, "user", user, "error", err)
	return &stanza.Error{Type: stanza.Wait, Condition: stanza.InternalServerError}
}

// parse reads an element that stands alone.
func parse(card []byte) (scan.Element, error) {
	st, err := scanned(append(append([]byte("<iq>"), card...), "</iq>"...))
	if err != nil {
		return scan.Element{}, fmt.Errorf("what is stored: %w", err)
	}
	if len(st.Children) != 1 {
		return scan.Element{}, fmt.Errorf("what is stored is not one element, but %d", len(st.Children))
	}
	return st.Element(0), nil
}

// picture is the first picture in a vCard, with no data if there is none.
func picture(card scan.Element) (p Photo, err error) {
	e, ok := card.Find(NS, "PHOTO")
	if !ok {
		return p, nil
	}
	data, ok := e.Find(NS, "BINVAL")
	if !ok {
		return p, nil // EXTVAL: it is elsewhere
	}
	if t, ok := e.Find(NS, "TYPE"); ok {
		p.Type = strings.TrimSpace(t.Text())
	}
	if p.Data, err = decode(data.Text()); err != nil {
		return Photo{}, fmt.Errorf("PHOTO: %w", err)
	}
	if len(p.Data) == 0 {
		p = Photo{}
	}
	return p, nil
}

// decode reads base64, which may be in lines, as in MIME.
func decode(text string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
}

// appendCard appends a vCard with another picture in the place of its own, or with none. What is no element, such as
// space between them, is left out.
func appendCard(dst []byte, card scan.Element, p *Photo) []byte {
	dst = append(dst, "<vCard xmlns='"+NS+"'>"...)
	for e := range card.Elements() {
		if string(e.Name) == "PHOTO" && string(e.Space) == NS {
			continue
		}
		if space, ok := e.Attr("xmlns"); !ok && string(e.Space) == NS && !strings.ContainsRune(string(e.Raw), ':') || ok && space == NS {
			dst = append(dst, e.Raw...) // means the same here
			continue
		}
		dst = e.AppendAlone(dst)
	}
	if p != nil && len(p.Data) > 0 {
		dst = append(dst, "<PHOTO>"...)
		if p.Type != "" {
			dst = append(stanza.AppendText(append(dst, "<TYPE>"...), p.Type), "</TYPE>"...)
		}
		dst = append(dst, "<BINVAL>"...)
		dst = base64.StdEncoding.AppendEncode(dst, p.Data)
		dst = append(dst, "</BINVAL></PHOTO>"...)
	}
	return append(dst, "</vCard>"...)
}
