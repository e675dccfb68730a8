package prosody

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rosterd/store/dat"
)

// maxDepth bounds how deep elements nest. What a server takes of its clients is less.
const maxDepth = 100

// stanzaOf is the stanza of an item in a .list file, when it came and with whom.
func stanzaOf(t *dat.Table) (at time.Time, with string, stanza []byte, err error) {
	with, _ = t.Get("with").(string)
	switch when := t.Get("when").(type) {
	case int64:
		at, err = instant(float64(when))
	case float64:
		at, err = instant(when)
	default:
		at, err = stamp(t)
	}
	if err == nil {
		stanza, err = element(nil, t, "stamp", "stamp_legacy")
	}
	return at, with, stanza, err
}

// instant is the time of so many seconds, to the microsecond, in the years that can be written.
func instant(seconds float64) (time.Time, error) {
	if !(seconds >= -62135596800 && seconds < 253402300800) {
		return time.Time{}, fmt.Errorf("%v is no time", seconds)
	}
	return time.UnixMicro(int64(math.Round(seconds * 1e6))).UTC(), nil
}

// stamp is the time of an item of old, which is an attribute of the stanza.
func stamp(t *dat.Table) (time.Time, error) {
	attr, _ := t.Get("attr").(*dat.Table)
	if attr == nil {
		return time.Time{}, errors.New("no time")
	}
	text, _ := attr.Get("stamp").(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, errors.New("no time")
	}
	return at.UTC(), nil
}

// Element is an element as Prosody keeps it, as XML.
func Element(t *dat.Table) ([]byte, error) { return element(nil, t) }

func element(dst []byte, t *dat.Table, but ...string) ([]byte, error) {
	return appendElement(dst, t, 0, but)
}

// appendElement writes an element: its name, attr, and its children under 1, 2, 3 …
func appendElement(dst []byte, t *dat.Table, depth int, but []string) (_ []byte, err error) {
	name, ok := t.Get("name").(string)
	switch {
	case !ok || !isName(name):
		return nil, fmt.Errorf("%q is no name of an element", fmt.Sprint(t.Get("name")))
	case depth > maxDepth:
		return nil, errors.New("elements nested too deep")
	}
	dst = append(append(dst, '<'), name...)
	if dst, err = appendAttributes(dst, t, but); err != nil {
		return nil, fmt.Errorf("<%s>: %w", name, err)
	}
	list := children(t)
	if len(list) == 0 {
		return append(dst, "/>"...), nil
	}
	dst = append(dst, '>')
	for _, child := range list {
		switch v := child.(type) {
		case string:
			dst = append(dst, escape(v, inText)...)
		case *dat.Table:
			if dst, err = appendElement(dst, v, depth+1, nil); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("<%s>: a %T inside", name, v)
		}
	}
	return append(append(append(dst, "</"...), name...), '>'), nil
}

// children are the values under 1, 2, 3 … up to where one is missing, as Lua counts them.
func children(t *dat.Table) (list []dat.Value) {
	type child struct {
		n int64
		v dat.Value
	}
	var all []child
	for _, f := range t.Fields {
		if n, ok := f.Key.(int64); ok && n > 0 {
			all = append(all, child{n, f.Value})
		}
	}
	slices.SortFunc(all, func(a, b child) int { return cmp.Compare(a.n, b.n) })
	for i, c := range all {
		if c.n != int64(i+1) {
			break
		}
		list = append(list, c.v)
	}
	return list
}

// appendAttributes writes attributes. Those of a namespace have it before their name, and a separator between them.
func appendAttributes(dst []byte, element *dat.Table, but []string) ([]byte, error) {
	v := element.Get("attr")
	if v == nil {
		return dst, nil
	}
	t, ok := v.(*dat.Table)
	if !ok {
		return nil, fmt.Errorf("its attributes are a %T", v)
	}
	fields := slices.Clone(t.Fields) // Lua keeps no order
	slices.SortFunc(fields, func(a, b dat.Field) int { return cmp.Compare(fmt.Sprint(a.Key), fmt.Sprint(b.Key)) })
	prefixes := 0
	for _, f := range fields {
		name, ok := f.Key.(string)
		if !ok || slices.Contains(but, name) {
			continue
		}
		value, err := attribute(f.Value)
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", name, err)
		}
		space, local := split(name)
		switch {
		case space == nsXML:
			local = "xml:" + local
		case space != "":
			prefixes++
			prefix := "ns" + strconv.Itoa(prefixes)
			dst = fmt.Appendf(dst, " xmlns:%s='%s'", prefix, escape(space, inAttribute))
			local = prefix + ":" + local
		}
		if !isName(local) {
			return nil, fmt.Errorf("%q is no name of an attribute", local)
		}
		dst = fmt.Appendf(dst, " %s='%s'", local, escape(value, inAttribute))
	}
	return dst, nil
}

const nsXML = "http://www.w3.org/XML/1998/namespace"

// split cuts a name into its namespace, if it has one, and the rest. The separator was another one once.
func split(name string) (space, local string) {
	for _, sep := range []string{"\x01", "|"} {
		if space, local, ok := strings.Cut(name, sep); ok && space != "" {
			return space, local
		}
	}
	return "", name
}

// attribute is the value of one. Of old, there were numbers among them.
func attribute(v dat.Value) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	}
	return "", fmt.Errorf("is a %T", v)
}

// isName tells whether a name can stand where names stand, without beginning anything else. Whether XML has such names
// is for its reader to say.
func isName(s string) bool {
	for _, r := range s {
		switch {
		case r >= 0x80 && r != utf8.RuneError, r == '_', r == '-', r == '.', r == ':', r >= '0' && r <= '9', r|0x20 >= 'a' && r|0x20 <= 'z':
		default:
			return false
		}
	}
	return s != ""
}

var (
	inText      = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;")
	inAttribute = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;", "\t", "&#9;", "\n", "&#10;", "\r", "&#13;")
)

// escape writes a text as it may stand in XML; characters that may not are U+FFFD.
func escape(s string, how *strings.Replacer) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, notXML) {
		s = strings.Map(func(r rune) rune {
			if notXML(r) {
				return utf8.RuneError
			}
			return r
		}, s)
	}
	return how.Replace(s)
}

func notXML(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}
