package trial

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"rosterd/engine"
)

// EncodeCard is a vCard as cases and backends have it.
func EncodeCard(card engine.Card) json.RawMessage {
	b, err := marshal(card)
	if err != nil { // texts and bytes
		panic(err)
	}
	return bytes.TrimSpace(b)
}

// judgeCard compares vCards, of which the case may leave out what says nothing, and the type of a picture.
func (c *Case) judgeCard(o Outcome, add func(string, ...any)) {
	owner, err := c.user()
	if err != nil {
		add("user: %v", err)
		return
	}
	card, err := engine.ParseCard(owner, c.Expect.VCard)
	if err != nil {
		add("expect.vcard: %v", err)
		return
	}
	want, got := fieldsOf(card), fieldsOf(o.Card)
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			add("the vCard has %s, %s, and should not", name, short(got[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch is, ok := got[name]; {
		case !ok:
			add("the vCard has no %s, and should have %s", name, short(want[name]))
		case !bytes.Equal(is, want[name]):
			add("the vCard's %s is %s, not %s", name, short(is), short(want[name]))
		}
	}
}

func fieldsOf(card engine.Card) (fields map[string]json.RawMessage) {
	if err := json.Unmarshal(EncodeCard(card), &fields); err != nil {
		panic(err)
	}
	return fields
}

// WriteCard writes a vCard for people: a line for each field, and of the picture what is shown of it in presence.
func WriteCard(w io.Writer, card engine.Card) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range []struct{ name, text string }{
		{"fn", card.FN}, {"given", card.Given}, {"family", card.Family}, {"nickname", card.Nickname}, {"email", strings.Join(card.Email, ", ")},
		{"tel", strings.Join(card.Tel, ", ")}, {"org", card.Org}, {"title", card.Title}, {"role", card.Role}, {"url", card.URL}, {"bday", card.BDay}, {"note", card.Note},
	} {
		if f.text != "" {
			fmt.Fprintf(t, "%s\t%q\n", f.name, f.text)
		}
	}
	if mark := card.Mark(); mark.Hash != "" {
		fmt.Fprintf(t, "photo\t%s, %d bytes, SHA-1 %s\n", mark.Type, mark.Size, mark.Hash)
	}
	return t.Flush()
}
