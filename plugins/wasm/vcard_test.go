package wasm_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"rosterd/plugins"
	"rosterd/plugins/wasm/module/asm"
)

// TestCard is about what becomes of a module's vCard: what it writes is read, and what it returns without one says why.
func TestCard(t *testing.T) {
	for _, tt := range []struct {
		returns   int32
		out, want string
	}{
		{0, `{"fn":"J","tel":"1","photo":{"type":"image/png","data":"YWJj"}}`, `{"fn":"J","tel":["1"],"photo":{"type":"image/png","data":"YWJj"}}`},
		{0, `{}`, `{}`},
		{0, ``, `{}`},
		{0, `{"fn":5}`, "permanent: vCard of john@example.com: fn: a number, not a string"},
		{1, ``, `{}`},
		{2, ``, "temporary 0s: crm.wasm says so of the vcard, and not why"},
		{4, ``, "denied: "},
		{9, ``, "protocol: plugin fault"},
	} {
		g := newGuest("output_write")
		c := asm.Code{}
		if tt.out != "" {
			c = g.call(c, "output_write", tt.out).Drop()
		}
		g.export("rosterd_vcard", c.I32(tt.returns))
		p := open(t, g.export("rosterd_fetch", asm.Code{}.I32(0)).Bytes(), setting{}, &world{})
		card, err := p.Card(t.Context(), user(t, "john@example.com"))
		b, _ := json.Marshal(card)
		got := string(b)
		if err != nil {
			got = kindOf(err) + ": " + err.Error()
		}
		if got != tt.want && (strings.HasPrefix(tt.want, "{") || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%d %s: %s, want %s", tt.returns, tt.out, got, tt.want)
		}
		if !p.Info().Card {
			t.Error("supplies none")
		}
	}
	p := open(t, newGuest().export("rosterd_fetch", asm.Code{}.I32(0)).Bytes(), setting{}, &world{})
	if _, err := p.Card(t.Context(), user(t, "john@example.com")); p.Info().Card || !errors.Is(err, plugins.ErrUnsupported) {
		t.Errorf("without: %v", err)
	}
}
