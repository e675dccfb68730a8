package lua

import (
	"strings"

	glua "github.com/yuin/gopher-lua"

	"rosterd/engine/addr"
)

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

// jidArg is the first argument; nil is no JID.
func jidArg(l *glua.LState) string {
	if l.Get(1) == glua.LNil {
		return ""
	}
	return l.CheckString(1)
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

func joinJID(node, host, resource string) string {
	if host == "" {
		return ""
	}
	if node != "" {
		host = node + "@" + host
	}
	if resource != "" {
		host += "/" + resource
	}
	return host
}

func prepared(s string) addr.JID {
	j, err := addr.Parse(s)
	if err != nil {
		return addr.JID{}
	}
	return j
}

func jidSplit(_ *machine, l *glua.LState) int {
	node, host, resource := jidParts(jidArg(l))
	return pushParts(l, node, host, resource)
}

func jidPreppedSplit(_ *machine, l *glua.LState) int {
	j := prepared(jidArg(l))
	if j.IsZero() {
		return pushParts(l, "", "", "")
	}
	return pushParts(l, j.Local(), j.Domain(), j.Resource())
}

func jidPrep(_ *machine, l *glua.LState) int { return pushParts(l, prepared(jidArg(l)).String()) }

func jidBare(_ *machine, l *glua.LState) int {
	node, host, _ := jidParts(jidArg(l))
	return pushParts(l, joinJID(node, host, ""))
}

func jidNode(_ *machine, l *glua.LState) int {
	node, _, _ := jidParts(jidArg(l))
	return pushParts(l, node)
}

func jidHost(_ *machine, l *glua.LState) int {
	_, host, _ := jidParts(jidArg(l))
	return pushParts(l, host)
}

func jidResource(_ *machine, l *glua.LState) int {
	_, _, resource := jidParts(jidArg(l))
	return pushParts(l, resource)
}

func jidJoin(_ *machine, l *glua.LState) int {
	return pushParts(l, joinJID(l.OptString(1, ""), l.OptString(2, ""), l.OptString(3, "")))
}
