package config

import (
	"net/url"
	"slices"
)

// contactKinds are what an address of contact_info can be for (XEP-0157).
var contactKinds = []string{"abuse", "admin", "feedback", "sales", "security", "status", "support"}

// contactTable reads contact_info: kind → URIs.
func contactTable(r *reading, v Value) (map[string][]string, bool) {
	t := v.Table()
	if t == nil || len(t.List) > 0 {
		r.fail(v, "takes a table such as { admin = { \"mailto:admin@example.com\" } }")
		return nil, false
	}
	contacts := map[string][]string{}
	for _, f := range t.Fields {
		kind := keyText(f.Key)
		if !slices.Contains(contactKinds, kind) {
			r.warn(f.Value, "%q is none of %s", kind, orList(contactKinds))
			continue
		}
		if list, ok := listOf(uri)(r, f.Value); ok {
			contacts[kind] = list
		}
	}
	return contacts, true
}

// uri reads an address with a scheme, which is how clients tell mail from chat.
func uri(r *reading, v Value) (string, bool) {
	s, ok := nonEmpty(r, v)
	if !ok {
		return "", false
	}
	if u, err := url.Parse(s); err != nil || u.Scheme == "" {
		r.fail(v, "takes URIs such as \"mailto:admin@example.com\", not %s", r.show(v))
		return "", false
	}
	return s, true
}

// contactAdmins are the admins, if nobody else is named.
func contactAdmins(h *Host) map[string][]string {
	var list []string
	for _, a := range Admins.Get(h) {
		address := url.PathEscape(a.Domain())
		if a.Local() != "" {
			address = url.PathEscape(a.Local()) + "@" + address // RFC 5122 §2.2
		}
		list = append(list, "xmpp:"+address)
	}
	return map[string][]string{"admin": list}
}
