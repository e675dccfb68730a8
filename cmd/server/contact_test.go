package main

import (
	"slices"
	"testing"
)

// TestContacts: whom to ask is in service discovery, for the admins without a word more (XEP-0157).
func TestContacts(t *testing.T) {
	t.Parallel()
	const head = "admins = { \"boss@example.com\" }\nmodules_enabled = { \"server_contact_info\" }\n"
	for _, tt := range []struct {
		name, head string
		want       []string // "field: value"
	}{
		{"the admins", head, []string{"FORM_TYPE: http://jabber.org/network/serverinfo", "admin-addresses: xmpp:boss@example.com"}},
		{"others", head + "contact_info = { abuse = { \"mailto:abuse@example.com\" }, support = { \"https://example.com/?a&b\" } }\n",
			[]string{"FORM_TYPE: http://jabber.org/network/serverinfo", "abuse-addresses: mailto:abuse@example.com", "support-addresses: https://example.com/?a&b"}},
		{"nobody", "modules_enabled = { \"server_contact_info\" }\n", nil},
		{"without the module", "admins = { \"boss@example.com\" }\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, "authentication = \"internal_plain\"\nc2s_require_encryption = false\nallow_unencrypted_plain_auth = true\n"+
				openHost("example.com", "http://127.0.0.1:1/%s", `modules_enabled = { "http_roster_admin", "saslauth", "disco" }`))
			p.head = tt.head
			c := p.serve(t).login(t, "john@example.com")
			answer, err := c.IQ(c.ctx, "get", "example.com", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
			c.must(err)
			query, _ := answer.Find("http://jabber.org/protocol/disco#info", "query")
			var got []string
			for _, form := range query.Children {
				if !form.Is("jabber:x:data", "x") {
					continue
				}
				equal(t, "type of the form", form.Attr("type"), "result")
				for _, field := range form.Children {
					for _, value := range field.Children {
						got = append(got, field.Attr("var")+": "+value.Text)
					}
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("contacts are %q, want %q", got, tt.want)
			}
		})
	}
}
