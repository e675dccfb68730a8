package engine

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Card is what a backend says of a user to who looks at him: a vCard (RFC 6350, XEP-0054). The zero Card is that of a
// user of whom it says nothing.
type Card struct {
	FN       string   `json:"fn,omitempty"`
	Nickname string   `json:"nickname,omitempty"`
	Given    string   `json:"given,omitempty"`
	Family   string   `json:"family,omitempty"`
	Email    []string `json:"email,omitempty"`
	Tel      []string `json:"tel,omitempty"`
	Org      string   `json:"org,omitempty"`
	Title    string   `json:"title,omitempty"`
	Role     string   `json:"role,omitempty"`
	URL      string   `json:"url,omitempty"`
	BDay     string   `json:"bday,omitempty"`
	Note     string   `json:"note,omitempty"`
	Photo    Photo    `json:"photo,omitzero"`
}

// Photo is a picture of a user; it has no Data if there is none.
type Photo struct {
	Type string `json:"type"` // such as image/png
	Data []byte `json:"data"`
}

// IsZero tells whether there is none.
func (p Photo) IsZero() bool { return len(p.Data) == 0 }

// Empty tells whether the card says nothing.
func (c *Card) Empty() bool { return c.size() == 0 }

// size is how many bytes the card says.
func (c *Card) size() int {
	n := len(c.Photo.Type) + len(c.Photo.Data)
	for _, s := range slices.Concat(c.texts(), c.Email, c.Tel) {
		n += len(s)
	}
	return n
}

func (c *Card) texts() []string {
	return []string{c.FN, c.Nickname, c.Given, c.Family, c.Org, c.Title, c.Role, c.URL, c.BDay, c.Note}
}

// Limits of a vCard from a backend.
const (
	MaxCard    = 512 << 10 // bytes of the document, and of what it says
	MaxPicture = 256 << 10 // bytes of a picture, decoded
	maxCardTel = 100       // addresses of a kind
)

// ParseCard reads a vCard of the backend's form: a JSON object, of which fields that are not known are not looked at.
// What is wrong with it names the user and the field.
func ParseCard(user addr.Bare, doc []byte) (c Card, err error) {
	if len(doc) > MaxCard {
		return c, fmt.Errorf("vCard of %s: %d bytes, more than %d", user, len(doc), MaxCard)
	}
	return ReadCard(user, doc)
}

// ReadCard is ParseCard of what json.Marshal has made of a Card, which takes up to two bytes for one of the card.
func ReadCard(user addr.Bare, doc []byte) (c Card, err error) {
	if most := 2*MaxCard + 4096; len(doc) > most {
		return c, fmt.Errorf("vCard of %s: %d bytes, more than %d", user, len(doc), most)
	}
	if err := roster.CheckJSON(doc); err != nil {
		return c, fmt.Errorf("vCard of %s: %w", user, err)
	}
	var fields map[string]json.RawMessage
	if strings.Join(strings.Fields(string(doc[:min(len(doc), 64)])), "") == "[]" {
		return c, nil // PHP writes {} so
	}
	if err := json.Unmarshal(doc, &fields); err != nil || fields == nil {
		return c, fmt.Errorf("vCard of %s: it is no JSON object", user)
	}
	for name, to := range map[string]*string{
		"fn": &c.FN, "nickname": &c.Nickname, "given": &c.Given, "family": &c.Family, "org": &c.Org, "title": &c.Title,
		"role": &c.Role, "url": &c.URL, "bday": &c.BDay, "note": &c.Note,
	} {
		if err := cardText(fields[name], to); err != nil {
			return Card{}, fmt.Errorf("vCard of %s: %s: %w", user, name, err)
		}
	}
	for name, to := range map[string]*[]string{"email": &c.Email, "tel": &c.Tel} {
		if err := cardTexts(fields[name], to); err != nil {
			return Card{}, fmt.Errorf("vCard of %s: %s: %w", user, name, err)
		}
	}
	if c.Photo, err = cardPhoto(fields["photo"]); err != nil {
		return Card{}, fmt.Errorf("vCard of %s: photo: %w", user, err)
	}
	if n := c.size(); n > MaxCard { // what is no UTF-8 becomes longer
		return Card{}, fmt.Errorf("vCard of %s: %d bytes, more than %d", user, n, MaxCard)
	}
	return c, nil
}

func isNull(v json.RawMessage) bool { return len(v) == 0 || string(v) == "null" }

func cardText(v json.RawMessage, to *string) error {
	if isNull(v) {
		return nil
	}
	if err := json.Unmarshal(v, to); err != nil {
		return fmt.Errorf("a %s, not a string", jsonKind(v))
	}
	return roster.CheckText(*to, MaxCard)
}

// cardTexts reads one string, or a list of them.
func cardTexts(v json.RawMessage, to *[]string) error {
	if isNull(v) {
		return nil
	}
	list := []json.RawMessage{v}
	if jsonKind(v) == "list" {
		if err := json.Unmarshal(v, &list); err != nil {
			return err
		}
	}
	if len(list) > maxCardTel {
		return fmt.Errorf("%d of them, more than %d", len(list), maxCardTel)
	}
	for _, v := range list {
		var s string
		if err := cardText(v, &s); err != nil {
			return err
		}
		if s != "" {
			*to = append(*to, s)
		}
	}
	return nil
}

func cardPhoto(v json.RawMessage) (p Photo, err error) {
	if isNull(v) {
		return p, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(v, &fields); err != nil {
		return p, fmt.Errorf("a %s, not an object with type and data", jsonKind(v))
	}
	var data string
	if err := cardText(fields["data"], &data); err != nil {
		return p, fmt.Errorf("data: %w", err)
	}
	if err := cardText(fields["type"], &p.Type); err != nil {
		return p, fmt.Errorf("type: %w", err)
	}
	if p.Data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data), "")); err != nil {
		return Photo{}, fmt.Errorf("data: %w", err)
	}
	switch {
	case len(p.Data) == 0:
		return Photo{}, nil
	case len(p.Data) > MaxPicture:
		return Photo{}, fmt.Errorf("a picture of %d bytes, more than %d", len(p.Data), MaxPicture)
	case p.Type == "":
		p.Type, _, _ = strings.Cut(http.DetectContentType(p.Data), ";")
	}
	if !strings.HasPrefix(p.Type, "image/") || len(p.Type) > 64 {
		return Photo{}, fmt.Errorf("type: %.64q is no type of a picture, such as image/png", p.Type)
	}
	return p, nil
}

// jsonKind is what a JSON value is, for people.
func jsonKind(v json.RawMessage) string {
	switch v[0] {
	case '"':
		return "string"
	case '{':
		return "table"
	case '[':
		return "list"
	case 't', 'f':
		return "boolean"
	}
	return "number"
}
