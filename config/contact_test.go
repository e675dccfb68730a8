package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestContactInfo(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"the admins", "admins = { 'a@x.example', 'o\\\\20b%@x.example', 'x.example' }", "map[admin:[xmpp:a@x.example xmpp:o%5C20b%25@x.example xmpp:x.example]]"},
		{"somebody else instead of the admins", "admins = { 'a@x.example' }; contact_info = { abuse = { 'mailto:abuse@x.example', 'xmpp:abuse@x.example' } }", "map[abuse:[mailto:abuse@x.example xmpp:abuse@x.example]]"},
		{"one address is a list of one", "contact_info = { support = 'https://x.example/help' }", "map[support:[https://x.example/help]]"},
		{"nobody", "admins = { 'a@x.example' }; contact_info = {}", "map[]"},
		{"a kind that is not registered", "contact_info = { marketing = { 'mailto:a@x.example' }, status = { 'https://x.example' } }", "map[status:[https://x.example]]"},
		{"what is no URI", "contact_info = { admin = { 'a@x.example', 'mailto:a@x.example', { 'x:y' } } }", "map[admin:[mailto:a@x.example x:y]]"},
		{"the host's own", "contact_info = { admin = { 'a:1' } }\nVirtualHost 'h.example'\ncontact_info = { abuse = { 'a:2' } }", "map[abuse:[a:2]]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(tt.src, "VirtualHost") {
				tt.src += "\nVirtualHost 'h.example'"
			}
			if got := fmt.Sprint(ContactInfo.Get(mustLoad(t, tt.src).Hosts()[0])); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// Who names admins and nothing that uses them is told so.
func TestAdminsWithoutUse(t *testing.T) {
	for modules, want := range map[string]bool{"": true, "'server_contact_info'": false} {
		said := false
		for _, d := range Check(mustLoad(t, "admins = { 'a@x.example' }\nmodules_enabled = { "+modules+" }\nVirtualHost 'h.example'")) {
			said = said || d.Name == "admins" && d.Severity == Note && d.Pos.Line == 1
		}
		if said != want {
			t.Errorf("with modules %q it is said: %v", modules, said)
		}
	}
}
