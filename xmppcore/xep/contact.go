package xep

import "rosterd/xmppcore/stanza"

// Contacts are the addresses of those who run a service, as URIs, by what they are for: "abuse", "admin"….
type Contacts map[string][]string

// contactKinds are the fields of the form that XEP-0157 registers, without "-addresses".
var contactKinds = []string{"abuse", "admin", "feedback", "sales", "security", "status", "support"}

// Contact is XEP-0157: the addresses stand in a form beside the features of the domain.
func Contact(addresses Contacts) Extension {
	b := []byte("<x xmlns='jabber:x:data' type='result'>" +
		"<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>")
	none := len(b)
	for _, kind := range contactKinds {
		if len(addresses[kind]) == 0 {
			continue
		}
		b = append(stanza.AppendAttr(append(b, "<field type='list-multi'"...), "var", kind+"-addresses"), '>')
		for _, uri := range addresses[kind] {
			b = append(stanza.AppendText(append(b, "<value>"...), uri), "</value>"...)
		}
		b = append(b, "</field>"...)
	}
	if len(b) == none {
		return Extension{}
	}
	return Extension{Form: append(b, "</x>"...)}
}
