package lua

import (
	"cmp"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

func init() {
	libraries["util.http"] = &library{funcs: map[string]native{
		"urlencode": urlEncode, "urldecode": urlDecode, "formencode": formEncode, "formdecode": formDecode,
		"contains_token": containsToken, "normalize_path": normalizePath,
	}}
}

const lowerHex = "0123456789abcdef"

// percentEncoded leaves what RFC 3986 §2.3 calls unreserved. Its hexadecimal digits are small, as Prosody's are: some
// services want the text that was signed byte by byte.
func percentEncoded(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, c := range []byte(s) {
		if unreserved(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', lowerHex[c>>4], lowerHex[c&15]})
		}
	}
	return b.String()
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// percentDecoded leaves what is no escape as it is.
func percentDecoded(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && nibble(s[i+1]) >= 0 && nibble(s[i+2]) >= 0 {
			b.WriteByte(byte(nibble(s[i+1])<<4 | nibble(s[i+2])))
			i += 2
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func urlEncode(_ *machine, l *glua.LState) int {
	if absent(l, 1) {
		return back(l, 1)
	}
	s := vm.CheckString(l, 1)
	vm.Charge(l, len(s)/4)
	return pushText(l, percentEncoded(s))
}

func urlDecode(_ *machine, l *glua.LState) int {
	if absent(l, 1) {
		return back(l, 1)
	}
	s := vm.CheckString(l, 1)
	vm.Charge(l, len(s)/4)
	return pushText(l, percentDecoded(s))
}

// field is one of a form.
type field struct{ name, value string }

// formPart writes a space as "+" (HTML §4.10.22.6, application/x-www-form-urlencoded).
func formPart(s string) string { return strings.ReplaceAll(percentEncoded(s), "%20", "+") }

func formText(fields []field) string {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(formPart(f.name))
		b.WriteByte('=')
		b.WriteString(formPart(f.value))
	}
	return b.String()
}

// formFields reads name=value pairs; what has no "=" is none.
func formFields(s string) (fields []field) {
	for pair := range strings.SplitSeq(s, "&") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			decode := func(s string) string { return percentDecoded(strings.ReplaceAll(s, "+", "%20")) }
			fields = append(fields, field{decode(name), decode(value)})
		}
	}
	return fields
}

// formEncode is http.formencode(form): a list of { name, value }, or names and values in no order, written sorted by name.
func formEncode(_ *machine, l *glua.LState) int {
	form := l.CheckTable(1)
	var fields []field
	size := 0
	add := func(f field) {
		n := len(f.name) + len(f.value) + 2
		vm.Charge(l, 5+n/4)
		size += n
		vm.CheckLength(l, size)
		fields = append(fields, f)
	}
	if form.RawGetInt(1) != glua.LNil {
		for i := 1; form.RawGetInt(i) != glua.LNil; i++ {
			add(formField(l, form.RawGetInt(i)))
		}
	} else {
		form.ForEach(func(k, v glua.LValue) { add(field{formValue(l, "name", k), formValue(l, "value", v)}) })
		slices.SortFunc(fields, func(a, b field) int {
			return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value))
		})
	}
	return pushText(l, formText(fields))
}

func formField(l *glua.LState, v glua.LValue) field {
	t, ok := v.(*glua.LTable)
	if !ok {
		l.ArgError(1, "a list of tables with name and value is expected, got "+v.Type().String())
	}
	return field{formValue(l, "name", t.RawGetString("name")), formValue(l, "value", t.RawGetString("value"))}
}

func formValue(l *glua.LState, what string, v glua.LValue) string {
	switch v.(type) {
	case glua.LString, glua.LNumber:
		return v.String()
	}
	l.ArgError(1, "the "+what+" of a field must be a string, got "+v.Type().String())
	return ""
}

// formDecode is http.formdecode(text): a list of { name, value } with the last value of each name beside, or the text
// itself, decoded, if there is no "=" in it.
func formDecode(_ *machine, l *glua.LState) int {
	s := vm.CheckString(l, 1)
	vm.Charge(l, len(s)/4)
	if !strings.Contains(s, "=") {
		return pushText(l, percentDecoded(s))
	}
	list := l.NewTable()
	for _, f := range formFields(s) {
		vm.Charge(l, 20)
		t := l.CreateTable(0, 2)
		t.RawSetString("name", glua.LString(f.name))
		t.RawSetString("value", glua.LString(f.value))
		list.Append(t)
		list.RawSetString(f.name, glua.LString(f.value))
	}
	l.Push(list)
	return 1
}

// containsToken is http.contains_token(field, token) for lists such as Connection's (RFC 9110 §5.6.1).
func containsToken(_ *machine, l *glua.LState) int {
	list := strings.NewReplacer(" ", "", "\t", "").Replace(lower(textArg(l, 1)))
	l.Push(glua.LBool(strings.Contains(","+list+",", ","+lower(textArg(l, 2))+",")))
	return 1
}

// normalizePath is http.normalize_path(path, is_dir): a slash in front, and behind if it is a directory.
func normalizePath(_ *machine, l *glua.LState) int {
	path := textArg(l, 1)
	switch isDir := glua.LVAsBool(l.Get(2)); {
	case isDir && !strings.HasSuffix(path, "/"):
		path += "/"
	case !isDir:
		path = strings.TrimSuffix(path, "/")
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return pushText(l, path)
}
