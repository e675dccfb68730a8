package caps

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"slices"
	"strings"

	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
)

const nsData = "jabber:x:data"

// Limits of what is remembered of one client.
const (
	maxNotify      = 128
	maxNotifyBytes = 8 << 10
)

// info is a disco#info answer, as XEP-0115 §5.1 hashes it.
type info struct {
	identities, features []string
	forms                []string // each whole, beginning with its FORM_TYPE
	bad                  bool     // ill-formed (XEP-0115 §5.4): no hash stands for it
}

// read reads the query of an answer.
func read(query scan.Element) (i info) {
	var types []string
	for e := range query.Elements() {
		switch {
		case string(e.Space) == nsInfo && string(e.Name) == "identity":
			i.identities = append(i.identities, attr(e, "category")+"/"+attr(e, "type")+"/"+attr(e, "xml:lang")+"/"+attr(e, "name"))
		case string(e.Space) == nsInfo && string(e.Name) == "feature":
			i.features = append(i.features, attr(e, "var"))
		case string(e.Space) == nsData && string(e.Name) == "x":
			typ, form, bad := readForm(e)
			i.bad = i.bad || bad
			if typ != "" {
				types, i.forms = append(types, typ), append(i.forms, form)
			}
		}
	}
	for _, list := range [][]string{i.identities, i.features, types} {
		slices.Sort(list)
		i.bad = i.bad || len(slices.Compact(slices.Clone(list))) != len(list)
	}
	slices.Sort(i.forms)
	return i
}

// readForm is an extended form (XEP-0128). One without a hidden FORM_TYPE does not count, and has the type "".
func readForm(x scan.Element) (typ, form string, bad bool) {
	var fields []string
	for f := range x.Elements() {
		if string(f.Name) != "field" {
			continue
		}
		var values []string
		for v := range f.Elements() {
			if string(v.Name) == "value" {
				values = append(values, v.Text())
			}
		}
		name := attr(f, "var")
		if name == "FORM_TYPE" {
			if attr(f, "type") != "hidden" || len(values) == 0 {
				return "", "", false
			}
			typ = values[0]
			bad = bad || slices.ContainsFunc(values, func(v string) bool { return v != typ })
			continue
		}
		slices.Sort(values)
		fields = append(fields, line(name)+lines(values))
	}
	if typ == "" {
		return "", "", bad
	}
	slices.Sort(fields)
	return typ, line(typ) + strings.Join(fields, ""), bad
}

// ver is what hash makes of the answer, "" if it makes nothing of it.
func (i info) ver(algorithm string) string {
	var h hash.Hash
	switch algorithm {
	case "sha-1":
		h = sha1.New()
	case "sha-256":
		h = sha256.New()
	case "sha-512":
		h = sha512.New()
	}
	if h == nil || i.bad {
		return ""
	}
	h.Write([]byte(lines(i.identities) + lines(i.features) + strings.Join(i.forms, "")))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// capabilities are the features that the server acts on.
func (i info) capabilities() *registry.Capabilities {
	c := new(registry.Capabilities)
	bytes := 0
	for _, f := range i.features {
		node, ok := strings.CutSuffix(f, "+notify")
		if bytes += len(node); ok && len(c.Notify) < maxNotify && bytes <= maxNotifyBytes {
			c.Notify = append(c.Notify, strings.Clone(node))
		}
	}
	slices.Sort(c.Notify)
	c.Notify = slices.Clip(slices.Compact(c.Notify))
	return c
}

// line is one string of what is hashed (XEP-0115 §5.1).
func line(s string) string { return strings.ReplaceAll(s, "<", "&lt;") + "<" }

func lines(list []string) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(line(s))
	}
	return b.String()
}

func attr(e scan.Element, name string) string {
	v, _ := e.Attr(name)
	return v
}
