package roster

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"rosterd/engine/addr"
)

// ErrNotRoster is what every error of DecodeJSON wraps: the document as a whole is no roster.
var ErrNotRoster = errors.New("not a roster")

// maxDepth of a JSON document; the standard form has three levels.
const maxDepth = 64

// DecodeJSON reads the standard form, a JSON object of contacts:
//
//	{"marie@example.com": {"name": "Marie", "groups": ["Friends"], "subscription": "both", "ask": "subscribe", "approved": true}}
//
// All fields may be missing or null; subscription is "both" then. Groups may also be an object whose keys are
// the groups; a contact that is null, a string or an array has no data; [] is the empty roster, since PHP
// writes {} so. A contact that cannot be read is left out and named, the rest is served. An object in which
// nothing looks like a contact, such as {"error": "no database"}, is no roster.
func DecodeJSON(owner addr.Bare, body []byte, lim Limits) (Roster, []BadItem, error) {
	return DecodeNext(Roster{}, owner, body, lim)
}

// DecodeNext is DecodeJSON for a roster that was read before, and may have changed since. What is the same shares the
// memory of last; where all of it is, so is the roster itself.
func DecodeNext(last Roster, owner addr.Bare, body []byte, lim Limits) (Roster, []BadItem, error) {
	body = bytes.TrimPrefix(body, []byte("\uFEFF"))
	if b := after(last, owner, lim); decodePlain(b, body) {
		return b.read()
	}
	return decodeAny(after(last, owner, lim), body)
}

func after(last Roster, owner addr.Bare, lim Limits) *Builder {
	b := NewBuilder(owner, lim)
	b.last = last
	return b
}

// decodeAny is decodePlain for whatever a document may be, and says what is wrong with it.
func decodeAny(b *Builder, body []byte) (Roster, []BadItem, error) {
	if err := CheckJSON(body); err != nil {
		return Roster{}, nil, fmt.Errorf("%w: %w", ErrNotRoster, err)
	}
	top := gjson.ParseBytes(body) // copies body once; the items' strings share that copy
	if top.IsArray() && !hasElements(top) {
		return Roster{}, nil, nil
	}
	if !top.IsObject() {
		return Roster{}, nil, fmt.Errorf("%w: a JSON %s where an object of contacts was expected", ErrNotRoster, kind(top))
	}
	b.Grow(bytes.Count(body, []byte("@"))) // about as many contacts as there are
	b.parts = true
	first, like := "", false // what stands there first, and whether anything looks like a contact
	top.ForEach(func(key, value gjson.Result) bool {
		first = cmp.Or(first, key.String())
		like = like || value.IsObject() || strings.ContainsAny(key.String(), "@.")
		i, err := DecodeItem(value)
		if err != nil {
			b.Bad(key.String(), err.Error())
		} else {
			b.Add(key.String(), i)
		}
		return len(b.items) <= b.lim.Items
	})
	if first != "" && !like { // {"error": "no database"} would take everybody's contacts away
		return Roster{}, nil, fmt.Errorf("%w: an object without any contact: %q is no JID of a user, nor is anything else in it", ErrNotRoster, short(first))
	}
	return b.read()
}

// read is Roster of a document.
func (b *Builder) read() (Roster, []BadItem, error) {
	r, bad, err := b.Roster()
	if err != nil {
		return Roster{}, nil, fmt.Errorf("%w: %w", ErrNotRoster, err)
	}
	return r, bad, nil
}

// short is enough of a name to know it by.
func short(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// DecodeItem reads the fields of one contact, as DecodeJSON does. Others than its own it does not look at.
func DecodeItem(v gjson.Result) (i Item, err error) {
	i.Subscription = Both
	switch {
	case v.Type == gjson.Null, v.Type == gjson.String, v.IsArray():
		return i, nil
	case !v.IsObject():
		return i, fmt.Errorf("a JSON %s where an object was expected", kind(v))
	}
	v.ForEach(func(key, f gjson.Result) bool {
		if f.Type == gjson.Null {
			return true
		}
		switch key.String() {
		case "name":
			i.Name, err = text("name", f)
		case "groups":
			i.Groups, err = groups(f)
		case "subscription":
			var word string
			if word, err = text("subscription", f); err == nil {
				i.Subscription, err = ParseSubscription(word)
			}
		case "ask":
			i.Ask, err = ask(f)
		case "approved":
			i.Approved, err = flag("approved", f)
		}
		return err == nil
	})
	return i, err
}

func text(field string, v gjson.Result) (string, error) {
	if v.Type != gjson.String {
		return "", fmt.Errorf("%s is a JSON %s, not a string", field, kind(v))
	}
	return v.String(), nil
}

func flag(field string, v gjson.Result) (bool, error) {
	if !v.IsBool() {
		return false, fmt.Errorf("%s is a JSON %s, not true or false", field, kind(v))
	}
	return v.Bool(), nil
}

func ask(v gjson.Result) (bool, error) {
	if v.IsBool() {
		return v.Bool(), nil
	}
	switch word, err := text("ask", v); {
	case err != nil:
		return false, err
	case word == "subscribe":
		return true, nil
	case word == "":
		return false, nil
	default:
		return false, fmt.Errorf("ask %q is not \"subscribe\"", word)
	}
}

// groups are an array of names or, as Prosody keeps them, an object whose keys are the names.
func groups(v gjson.Result) (g []string, err error) {
	switch {
	case v.IsObject():
		v.ForEach(func(key, _ gjson.Result) bool { g = append(g, key.String()); return true })
	case v.IsArray():
		v.ForEach(func(_, e gjson.Result) bool {
			var s string
			s, err = text("a group", e)
			g = append(g, s)
			return err == nil
		})
	default:
		err = fmt.Errorf("groups is a JSON %s, not an array or an object", kind(v))
	}
	return g, err
}

func kind(v gjson.Result) string {
	switch {
	case v.IsObject():
		return "object"
	case v.IsArray():
		return "array"
	case v.IsBool():
		return "boolean"
	}
	return map[gjson.Type]string{gjson.Null: "null", gjson.Number: "number", gjson.String: "string"}[v.Type]
}

func hasElements(v gjson.Result) (some bool) {
	v.ForEach(func(_, _ gjson.Result) bool { some = true; return false })
	return some
}

// CheckJSON says why body is not JSON. The depth is counted first, because validating recurses.
func CheckJSON(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return errors.New("an empty answer")
	}
	if depth(body) > maxDepth {
		return fmt.Errorf("JSON nested more than %d deep", maxDepth)
	}
	if gjson.ValidBytes(body) {
		return nil
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil { // for its message
		return fmt.Errorf("%w in %q", err, start(body))
	}
	return fmt.Errorf("invalid JSON in %q", start(body))
}

func depth(body []byte) (deepest int) {
	d, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			d++
			deepest = max(deepest, d)
		case c == '}' || c == ']':
			d--
		}
	}
	return deepest
}

func start(body []byte) []byte { return body[:min(len(body), 60)] }

// EncodeJSON writes the standard form; DecodeJSON reads the same roster back.
func (r Roster) EncodeJSON() []byte { return r.appendJSON(make([]byte, 0, 64+112*r.Len()), true) }

// AppendBrief appends what EncodeJSON writes, without what goes without saying.
func (r Roster) AppendBrief(b []byte) []byte { return r.appendJSON(b, false) }

func (r Roster) appendJSON(b []byte, whole bool) []byte {
	b = append(b, '{')
	for k := range r.items() {
		if k > 0 {
			b = append(b, ',')
		}
		b = r.items()[k].appendJSON(b, whole)
	}
	return append(b, '}')
}

// appendText writes a JSON string. Nearly all addresses and most names are plain, and are found to be so in a fraction of
// the time that it takes to look at each of their characters as gjson does.
func appendText(b []byte, s string) []byte {
	from := len(b)
	b = append(append(b, '"'), s...)
	if !plainText(b[from+1:]) {
		return gjson.AppendJSONString(b[:from], s)
	}
	return append(b, '"')
}

func (i *Item) appendJSON(b []byte, whole bool) []byte {
	b = append(appendText(b, i.JID.String()), ":{"...)
	field := func(name string) {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, name...)
	}
	if whole || i.Subscription != Both {
		field(`"subscription":"`)
		b = append(append(b, i.Subscription.String()...), '"')
	}
	if i.Name != "" {
		field(`"name":`)
		b = appendText(b, i.Name)
	}
	for k, g := range i.Groups {
		if k == 0 {
			field(`"groups":[`)
		} else {
			b = append(b, ',')
		}
		b = appendText(b, g)
	}
	if len(i.Groups) > 0 {
		b = append(b, ']')
	}
	if i.Ask {
		field(`"ask":"subscribe"`)
	}
	if i.Approved {
		field(`"approved":true`)
	}
	return append(b, '}')
}
