package worker

import (
	"reflect"
	"strings"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
)

// A vCard comes out of a child as it went in, and one that breaks the rules does not.
func TestCards(t *testing.T) {
	user := addr.MustBare("jim@example.com")
	for _, c := range []engine.Card{
		{},
		{Note: strings.Repeat("\u2028", engine.MaxCard/3)}, // which JSON writes longer
		{Note: strings.Repeat("\"", engine.MaxCard/2), FN: strings.Repeat("\ufffd", engine.MaxCard/6)},
		{FN: "<Jim>", Email: []string{"a@x", "b@x"}, Note: strings.Repeat("<", 500<<10), Photo: engine.Photo{Type: "image/png", Data: []byte{0, 255}}},
	} {
		d := decoder{s: string(appendCard(nil, c))}
		if got, err := d.card(user); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%v: %.200v, want %.200v", err, got, c)
		}
	}
	for name, b := range map[string][]byte{
		"no object": appendText(nil, "[1]"), "more behind it": append(appendText(nil, "{}"), 1), "nothing": nil,
		"too large": appendCard(nil, engine.Card{Note: strings.Repeat("x", engine.MaxCard), FN: "x"}),
		"a picture": appendCard(nil, engine.Card{Photo: engine.Photo{Type: "text/html", Data: []byte("x")}}),
	} {
		d := decoder{s: string(b)}
		if c, err := d.card(user); err == nil {
			t.Errorf("%s: %.200v", name, c)
		}
	}
}
