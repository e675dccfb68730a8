package mutate

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
)

// value is a JSON value. It may be written as what is no JSON, and an object may have a name twice.
type value struct {
	open byte     // '{' or '['; 0: text is all of it
	text string   // as it is written
	keys []string // of an object, as they are written, one for each of kids
	kids []*value
}

// maxValues bounds the values of a document.
const maxValues = 100_000

var errLarge = errors.New("too many values")

// parse reads a document that is an object or an array.
func parse(b []byte) (*value, bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	n := 0
	v, err := read(d, &n)
	if err != nil || v.open == 0 {
		return nil, false
	}
	_, err = d.Token()
	return v, errors.Is(err, io.EOF)
}

func read(d *json.Decoder, n *int) (*value, error) {
	t, err := d.Token()
	if *n++; err == nil && *n > maxValues {
		err = errLarge
	}
	if err != nil {
		return nil, err
	}
	open, nested := t.(json.Delim)
	if !nested {
		return &value{text: written(t)}, nil
	}
	v := &value{open: byte(open)}
	for d.More() {
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v.keys = append(v.keys, written(key))
		}
		kid, err := read(d, n)
		if err != nil {
			return nil, err
		}
		v.kids = append(v.kids, kid)
	}
	_, err = d.Token()
	return v, err
}

// written is a value as JSON has it.
func written(t any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(t) // what came out of JSON goes into it
	return strings.TrimSuffix(b.String(), "\n")
}

func (v *value) append(b []byte) []byte {
	if v.open == 0 {
		return append(b, v.text...)
	}
	b = append(b, v.open)
	for i, kid := range v.kids {
		if i > 0 {
			b = append(b, ',')
		}
		if v.open == '{' {
			b = append(append(b, v.keys[i]...), ':')
		}
		b = kid.append(b)
	}
	return append(b, v.open+2) // '}' and ']' come two after '{' and '['
}

// all are the values of a document, the outer ones first.
func (v *value) all() []*value {
	list := []*value{v}
	for i := 0; i < len(list); i++ {
		list = append(list, list[i].kids...)
	}
	return list
}

func (v *value) clone() *value {
	c := &value{open: v.open, text: v.text, keys: slices.Clone(v.keys)}
	for _, kid := range v.kids {
		c.kids = append(c.kids, kid.clone())
	}
	return c
}

func (v *value) remove(from, to int) {
	v.kids = slices.Delete(v.kids, from, to)
	if v.open == '{' {
		v.keys = slices.Delete(v.keys, from, to)
	}
}

func (v *value) add(key string, kid *value) {
	v.kids = append(v.kids, kid)
	if v.open == '{' {
		v.keys = append(v.keys, key)
	}
}

// document changes one value of a document, and writes it.
func (m Mutator) document(root, donor *value) []byte {
	list := root.all()
	v := list[m.IntN(len(list))]
	switch m.IntN(3) {
	case 0:
		m.retype(v, list, donor)
	case 1:
		if len(v.kids) == 0 {
			m.scalar(v)
		} else {
			m.children(v)
		}
	default:
		return m.nested(root, v)
	}
	return root.append(nil)
}

// literals are values of each type, and some that are hardly any.
var literals = []string{
	"null", "true", "false", "0", "-0", "-1", "1", "1.5", "1e400", "-1e400", "1e-400", "9007199254740993", "18446744073709551616", "2147483648", "4294967296",
	`""`, `"x"`, `"\u0000"`, `"\ud800"`, `"\udc00\ud800"`, `"\ud83d\ude00"`, "[]", "{}", "[null]", `{"":null}`, "[[]]", `[{}]`,
	"NaN", "Infinity", "undefined", "01", "+1", ".5", "1.", "0x10", "'x'", "", "\xff",
}

// retype makes another value of one: of another type, or one from elsewhere.
func (m Mutator) retype(v *value, list []*value, donor *value) {
	switch m.IntN(4) {
	case 0:
		*v = *list[m.IntN(len(list))].clone()
	case 1:
		if donor != nil {
			all := donor.all()
			*v = *all[m.IntN(len(all))].clone()
			return
		}
		fallthrough
	default:
		*v = value{text: literals[m.IntN(len(literals))]}
	}
}

// scalar changes a text or a number.
func (m Mutator) scalar(v *value) {
	if v.open != 0 || !strings.HasPrefix(v.text, `"`) {
		v.open, v.text = 0, literals[m.IntN(len(literals))]
		return
	}
	inner := v.text[1 : len(v.text)-1]
	odd := m.Text()
	if m.IntN(4) > 0 { // right JSON, but for bytes that are no UTF-8
		odd = escaped(odd)
	}
	switch m.IntN(3) {
	case 0:
		inner = odd
	case 1:
		inner += odd
	default:
		inner = odd + inner
	}
	v.text = `"` + inner + `"`
}

// escaped is a text as JSON has it between quotes. Bytes that are no UTF-8 stay.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			const hex = "0123456789abcdef"
			b.WriteString(`\u00`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// children drops, repeats, renames or reorders what is in an object or an array.
func (m Mutator) children(v *value) {
	i := m.IntN(len(v.kids))
	key := ""
	if v.open == '{' {
		key = v.keys[i]
	}
	switch m.IntN(8) {
	case 0, 1:
		v.remove(i, i+1)
	case 2:
		v.remove(0, len(v.kids))
	case 3:
		v.add(key, v.kids[i].clone())
	case 4: // the same name again, with another value
		v.add(key, &value{text: literals[m.IntN(len(literals))]})
	case 5:
		weight := len(v.kids[i].append(nil)) + 1
		for range m.many(min(20_000, maxTree/weight)) {
			v.add(key, v.kids[i])
		}
	case 6:
		if v.open == '{' {
			v.keys[i] = written(strings.ToValidUTF8(m.Text(), ""))
			return
		}
		fallthrough
	default:
		j := m.IntN(len(v.kids))
		v.kids[i], v.kids[j] = v.kids[j], v.kids[i]
	}
}

// nested puts a value into others, a few or very many.
func (m Mutator) nested(root, v *value) []byte {
	open, end := "[", "]"
	if m.IntN(2) == 0 {
		open, end = `{"x":`, "}"
	}
	if len(v.kids) > 0 && v.open == '{' && m.IntN(2) == 0 { // as deep as it is wrong: teams in teams in teams
		open = "{" + v.keys[m.IntN(len(v.keys))] + ":"
		if m.IntN(2) == 0 {
			open, end = open+"[", "]}"
		}
	}
	n := 1
	if m.IntN(4) == 0 {
		n = m.many(min(50_000, maxBody/len(open+end)+1))
	}
	inner := string(v.append(nil))
	*v = value{text: strings.Repeat(open, n) + inner + strings.Repeat(end, n)}
	return root.append(nil)
}
