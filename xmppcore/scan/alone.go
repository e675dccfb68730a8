package scan

import "bytes"

// AppendAlone appends the element so that it means the same wherever it is put: the namespaces that it has from
// around it are declared by itself. What is inside stays byte for byte.
func (e Element) AppendAlone(dst []byte) []byte {
	dst = append(dst, e.Raw[:e.attrs]...)
	if !e.declares(nil) {
		dst = appendDeclaration(dst, nil, e.scope.space)
	}
	for d := e.scope.prefixes; d != nil; d = d.outer {
		if e.inherits(d) && bytes.Contains(e.Raw, append(bytes.Clone(d.Prefix), ':')) {
			dst = appendDeclaration(dst, d.Prefix, d.Space)
		}
	}
	return append(dst, e.Raw[e.attrs:]...)
}

// inherits tells whether the element has a prefix from around it, and not from itself or from further inside.
func (e Element) inherits(d *declared) bool {
	for in := e.scope.prefixes; in != d; in = in.outer {
		if bytes.Equal(in.Prefix, d.Prefix) {
			return false
		}
	}
	return !e.declares(d.Prefix)
}

// declares tells whether the element itself declares a prefix, or the default namespace, which has none.
func (e Element) declares(prefix []byte) bool {
	for a := range e.Attrs() {
		name, ok := bytes.CutPrefix(a.Name, []byte("xmlns"))
		if ok && (len(prefix) == 0 && len(name) == 0 || len(name) > 0 && name[0] == ':' && bytes.Equal(name[1:], prefix)) {
			return true
		}
	}
	return false
}

// appendDeclaration declares a namespace. In a scope it is not escaped, and holds nothing that no URI has.
func appendDeclaration(dst, prefix, space []byte) []byte {
	dst = append(dst, " xmlns"...)
	if len(prefix) > 0 {
		dst = append(append(dst, ':'), prefix...)
	}
	dst = append(dst, '=', '\'')
	for _, c := range space {
		switch c {
		case '&':
			dst = append(dst, "&amp;"...)
		case '\'':
			dst = append(dst, "&apos;"...)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '\'')
}
