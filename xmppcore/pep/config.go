package pep

import (
	"slices"
	"strconv"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

const (
	nsData    = "jabber:x:data"
	formNode  = NS + "#node_config"
	formMeta  = NS + "#meta-data"
	maxTitle  = 1023 // bytes of a text in a configuration
	maxGroups = 64
)

// Config is how a node behaves (XEP-0060 §16.4.4), as far as that can be chosen here. The zero value is not the default.
type Config struct {
	Access   string   `json:"access"`             // "open", "presence", "roster", "whitelist"
	Groups   []string `json:"groups,omitempty"`   // of "roster"
	MaxItems int      `json:"maxItems,omitempty"` // 0: as many as the host allows
	Transient, NoNotify, NoPayload, NoRetract, NoDelete,
	Normal bool `json:",omitzero"` // that no items are kept; what is not told of; messages are of type normal
	SendLast    string `json:"sendLast,omitempty"` // "never", "on_sub", or "" for on_sub_and_presence
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Type        string `json:"type,omitempty"` // namespace of the payload
}

// defaults are those of a node of which nothing is said. Bookmarks are nobody else's business (XEP-0402 §4, XEP-0223).
func defaults(node string) Config {
	switch node {
	case nodeBookmarks, nodeLegacyBookmarks:
		return Config{Access: "whitelist", SendLast: "never"}
	}
	return Config{Access: "presence", MaxItems: 1}
}

// field is one field of the form in which a Config travels.
type field struct {
	name, typ string
	options   []string
	get       func(*Config) []string
	set       func(*Config, []string) bool // false: not a value of this field
}

// fields are in the order of the form.
var fields = []field{
	textField("pubsub#title", func(c *Config) *string { return &c.Title }),
	textField("pubsub#description", func(c *Config) *string { return &c.Description }),
	textField("pubsub#type", func(c *Config) *string { return &c.Type }),
	{
		"pubsub#access_model", "list-single", []string{"open", "presence", "roster", "whitelist"},
		func(c *Config) []string { return []string{c.Access} },
		func(c *Config, v []string) bool {
			c.Access = v[0]
			return slices.Contains([]string{"open", "presence", "roster", "whitelist"}, v[0])
		},
	},
	{
		"pubsub#roster_groups_allowed", "text-multi", nil,
		func(c *Config) []string { return c.Groups },
		func(c *Config, v []string) bool {
			c.Groups = slices.Clone(v)
			return len(v) <= maxGroups && !slices.ContainsFunc(v, func(g string) bool { return len(g) > maxTitle })
		},
	},
	{
		"pubsub#max_items", "text-single", nil,
		func(c *Config) []string {
			if c.MaxItems == 0 {
				return []string{"max"}
			}
			return []string{strconv.Itoa(c.MaxItems)}
		},
		func(c *Config, v []string) bool {
			n, err := strconv.Atoi(v[0])
			c.MaxItems = n
			if v[0] == "max" {
				c.MaxItems = 0
				return true
			}
			return err == nil && n > 0
		},
	},
	boolField("pubsub#persist_items", func(c *Config) *bool { return &c.Transient }),
	{
		"pubsub#send_last_published_item", "list-single", []string{"never", "on_sub", "on_sub_and_presence"},
		func(c *Config) []string {
			if c.SendLast == "" {
				return []string{"on_sub_and_presence"}
			}
			return []string{c.SendLast}
		},
		func(c *Config, v []string) bool {
			c.SendLast = v[0]
			if v[0] == "on_sub_and_presence" {
				c.SendLast = ""
				return true
			}
			return v[0] == "never" || v[0] == "on_sub"
		},
	},
	boolField("pubsub#deliver_notifications", func(c *Config) *bool { return &c.NoNotify }),
	boolField("pubsub#deliver_payloads", func(c *Config) *bool { return &c.NoPayload }),
	boolField("pubsub#notify_retract", func(c *Config) *bool { return &c.NoRetract }),
	boolField("pubsub#notify_delete", func(c *Config) *bool { return &c.NoDelete }),
	{
		"pubsub#notification_type", "list-single", []string{"headline", "normal"},
		func(c *Config) []string {
			if c.Normal {
				return []string{"normal"}
			}
			return []string{"headline"}
		},
		func(c *Config, v []string) bool {
			c.Normal = v[0] == "normal"
			return v[0] == "normal" || v[0] == "headline"
		},
	},
	{ // nobody but the owner publishes
		"pubsub#publish_model", "list-single", []string{"publishers"},
		func(*Config) []string { return []string{"publishers"} },
		func(_ *Config, v []string) bool { return v[0] == "publishers" },
	},
}

func textField(name string, of func(*Config) *string) field {
	return field{
		name, "text-single", nil,
		func(c *Config) []string { return []string{*of(c)} },
		func(c *Config, v []string) bool { *of(c) = v[0]; return len(v[0]) <= maxTitle },
	}
}

// boolField is true where nothing else was said: what is kept is its opposite.
func boolField(name string, of func(*Config) *bool) field {
	return field{
		name, "boolean", nil,
		func(c *Config) []string {
			if !*of(c) {
				return []string{"1"}
			}
			return []string{"0"}
		},
		func(c *Config, v []string) bool {
			*of(c) = v[0] == "0" || v[0] == "false"
			return slices.Contains([]string{"0", "1", "false", "true"}, v[0])
		},
	}
}

// submitted is a data form that was filled in (XEP-0004): its values by field.
type submitted map[string][]string

// readForm reads the form inside an element; there is nil if there is none, or it says that nothing is wanted.
func readForm(in scan.Element) submitted {
	x, ok := in.Find(nsData, "x")
	if typ, _ := x.Attr("type"); !ok || typ == "cancel" {
		return nil
	}
	s := submitted{}
	for f := range x.Elements() {
		name, _ := f.Attr("var")
		if string(f.Name) != "field" || name == "" {
			continue
		}
		values := []string{}
		for v := range f.Elements() {
			if string(v.Name) == "value" {
				values = append(values, v.Text())
			}
		}
		s[name] = values
	}
	return s
}

// apply changes a configuration; what it does not know has no effect. most is how many items the host allows.
func (c *Config) apply(s submitted, most int) *stanza.Error {
	for _, f := range fields {
		v, ok := s[f.name]
		if !ok {
			continue
		}
		if f.typ == "text-single" && len(v) == 0 { // a text may be empty (XEP-0004 §3.2)
			v = []string{""}
		}
		if f.typ != "text-multi" && len(v) != 1 || !f.set(c, v) {
			return refusal(stanza.NotAcceptable, "", "no value of "+f.name)
		}
	}
	if c.MaxItems > most {
		return refusal(stanza.NotAcceptable, "", "pubsub#max_items is at most "+strconv.Itoa(most))
	}
	if c.MaxItems == most {
		c.MaxItems = 0
	}
	return nil
}

// meets tells whether a configuration is what the publisher takes for granted (XEP-0060 §7.1.5).
func (c Config) meets(s submitted, most int) (ok bool, wrong *stanza.Error) {
	wanted := c
	if err := wanted.apply(s, most); err != nil {
		return false, err
	}
	for _, f := range fields {
		if !slices.Equal(f.get(&c), f.get(&wanted)) {
			return false, nil
		}
	}
	return true, nil
}

// appendForm appends the form with what is configured.
func (c *Config) appendForm(b []byte) []byte {
	b = append(b, "<x xmlns='"+nsData+"' type='form'><field var='FORM_TYPE' type='hidden'><value>"+formNode+"</value></field>"...)
	for _, f := range fields {
		b = stanza.AppendAttr(append(b, "<field"...), "var", f.name)
		b = append(stanza.AppendAttr(b, "type", f.typ), '>')
		for _, v := range f.get(c) {
			b = append(stanza.AppendText(append(b, "<value>"...), v), "</value>"...)
		}
		for _, o := range f.options {
			b = append(append(append(b, "<option><value>"...), o...), "</value></option>"...)
		}
		b = append(b, "</field>"...)
	}
	return append(b, "</x>"...)
}

// appendMeta appends what anybody who may read the node is told of it (XEP-0060 §5.4).
func (c *Config) appendMeta(b []byte) []byte {
	b = append(b, "<x xmlns='"+nsData+"' type='result'><field var='FORM_TYPE' type='hidden'><value>"+formMeta+"</value></field>"...)
	for _, f := range fields[:4] {
		for _, v := range f.get(c) {
			b = append(stanza.AppendAttr(append(b, "<field"...), "var", f.name), "><value>"...)
			b = append(stanza.AppendText(b, v), "</value></field>"...)
		}
	}
	return append(b, "</x>"...)
}
