package lua

import (
	"strings"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine/addr"
	"rosterd/plugins/lua/vm"
)

// util.jid prepares addresses as the server does (RFC 7622), so that they compare with what the server gives to
// scripts. Prosody prepares by the profiles before those, which util.encodings has.
func init() {
	libraries["util.jid"] = &library{funcs: map[string]native{
		"split": jidSplit, "prepped_split": jidPreppedSplit, "bare": jidBare, "prep": jidPrep, "join": jidJoin,
		"node": jidNode, "host": jidHost, "resource": jidResource, "compare": jidCompare,
		"escape": jidEscape, "unescape": jidUnescape,
	}}
}

// jidParts cuts as Prosody's util.jid does, without preparing anything; host is "" if s is no JID.
func jidParts(s string) (node, host, resource string) {
	bare, resource, hasResource := strings.Cut(s, "/")
	node, host, hasNode := strings.Cut(bare, "@")
	if !hasNode {
		node, host = "", bare
	}
	if host == "" || strings.Contains(host, "@") || hasNode && node == "" || hasResource && resource == "" {
		return "", "", ""
	}
	return node, host, resource
}

// jidArg is argument n; nil is no JID.
func jidArg(l *glua.LState, n int) string {
	if l.Get(n) == glua.LNil {
		return ""
	}
	return textArg(l, n)
}

// orNil is nil for "".
func orNil(s string) glua.LValue {
	if s == "" {
		return glua.LNil
	}
	return glua.LString(s)
}

func pushParts(l *glua.LState, parts ...string) int {
	for _, p := range parts {
		l.Push(orNil(p))
	}
	return len(parts)
}

// joinJID is the address of parts that are not empty.
func joinJID(node, host, resource string) string {
	if node != "" {
		host = node + "@" + host
	}
	if resource != "" {
		host += "/" + resource
	}
	return host
}

// prepared is the address in its canonical form, or none.
func prepared(s string) addr.JID {
	j, err := addr.Parse(s)
	if err != nil {
		return addr.JID{}
	}
	return j
}

func jidSplit(_ *machine, l *glua.LState) int {
	if l.Get(1) == glua.LNil {
		return 0
	}
	node, host, resource := jidParts(textArg(l, 1))
	return pushParts(l, node, host, resource)
}

func jidPreppedSplit(_ *machine, l *glua.LState) int {
	j := prepared(jidArg(l, 1))
	if j.IsZero() {
		return 0
	}
	return pushParts(l, j.Local(), j.Domain(), j.Resource())
}

func jidPrep(_ *machine, l *glua.LState) int {
	j := prepared(jidArg(l, 1))
	if j.IsZero() {
		return 0
	}
	return pushParts(l, j.String())
}

func jidBare(_ *machine, l *glua.LState) int {
	node, host, _ := jidParts(jidArg(l, 1))
	return pushParts(l, joinJID(node, host, ""))
}

func jidNode(_ *machine, l *glua.LState) int {
	node, _, _ := jidParts(jidArg(l, 1))
	return pushParts(l, node)
}

func jidHost(_ *machine, l *glua.LState) int {
	_, host, _ := jidParts(jidArg(l, 1))
	return pushParts(l, host)
}

func jidResource(_ *machine, l *glua.LState) int {
	_, _, resource := jidParts(jidArg(l, 1))
	return pushParts(l, resource)
}

// jidJoin takes any parts, empty ones too, and looks at none.
func jidJoin(_ *machine, l *glua.LState) int {
	if l.Get(2) == glua.LNil {
		return 0
	}
	s := vm.CheckString(l, 2)
	if l.Get(1) != glua.LNil {
		s = vm.CheckString(l, 1) + "@" + s
	}
	if l.Get(3) != glua.LNil {
		s += "/" + vm.CheckString(l, 3)
	}
	return pushText(l, s)
}

// jidCompare tells whether an address is what a rule allows: all parts that the rule has are the same.
func jidCompare(_ *machine, l *glua.LState) int {
	node, host, resource := jidParts(jidArg(l, 1))
	ruleNode, ruleHost, ruleResource := jidParts(jidArg(l, 2))
	allows := func(rule, part string) bool { return rule == "" || rule == part }
	l.Push(glua.LBool(allows(ruleNode, node) && allows(ruleHost, host) && allows(ruleResource, resource)))
	return 1
}

// escapes are the characters that no localpart has, and how XEP-0106 §4.2 writes them.
var escapes = map[byte]string{
	' ': `\20`, '"': `\22`, '&': `\26`, '\'': `\27`, '/': `\2f`, ':': `\3a`, '<': `\3c`, '>': `\3e`, '@': `\40`, '\\': `\5c`,
}

var unescapes = func() map[string]byte {
	m := map[string]byte{}
	for c, s := range escapes {
		m[s] = c
	}
	return m
}()

// escaped is the character that s begins with an escape of.
func escaped(s string) (c byte, ok bool) {
	if len(s) < 3 || s[0] != '\\' {
		return 0, false
	}
	c, ok = unescapes[s[:3]]
	return c, ok
}

// escapeNode escapes what must be, and a backslash only where it would begin an escape.
func escapeNode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		e, ok := escapes[s[i]]
		if s[i] == '\\' {
			_, ok = escaped(s[i:])
		}
		if ok {
			b.WriteString(e)
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func unescapeNode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c, ok := escaped(s[i:]); ok {
			b.WriteByte(c)
			i += 2
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func jidEscape(_ *machine, l *glua.LState) int {
	if absent(l, 1) {
		return back(l, 1)
	}
	s := vm.CheckString(l, 1)
	vm.Charge(l, len(s))
	return pushText(l, escapeNode(s))
}

func jidUnescape(_ *machine, l *glua.LState) int {
	if absent(l, 1) {
		return back(l, 1)
	}
	s := vm.CheckString(l, 1)
	vm.Charge(l, len(s))
	return pushText(l, unescapeNode(s))
}
