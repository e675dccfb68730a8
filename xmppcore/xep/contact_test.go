package xep

import "testing"

func TestContact(t *testing.T) {
	const head = "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>"
	for _, tt := range []struct {
		name      string
		addresses Contacts
		want      string
	}{
		{"nobody", nil, ""},
		{"empty lists", Contacts{"admin": {}}, ""},
		{"what is not registered", Contacts{"marketing": {"mailto:a@example.com"}}, ""},
		{"one", Contacts{"admin": {"xmpp:admin@example.com"}}, head + "<field type='list-multi' var='admin-addresses'><value>xmpp:admin@example.com</value></field></x>"},
		{"several, in the order of the registry", Contacts{"support": {"https://example.com/?a=1&b=<2>"}, "abuse": {"mailto:abuse@example.com", "xmpp:abuse@example.com"}},
			head + "<field type='list-multi' var='abuse-addresses'><value>mailto:abuse@example.com</value><value>xmpp:abuse@example.com</value></field>" +
				"<field type='list-multi' var='support-addresses'><value>https://example.com/?a=1&amp;b=&lt;2&gt;</value></field></x>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(Contact(tt.addresses).Form); got != tt.want {
				t.Errorf("%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
