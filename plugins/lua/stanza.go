package lua

import (
	"fmt"
	"strings"
	"unicode/utf8"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

func init() {
	libraries["util.stanza"] = &library{chunk: true, once: true, funcs: map[string]native{"fault": xmlFault, "escape": xmlEscape}}
}

// xmlFault is fault(v, "name" | "attribute" | "text"): what is wrong with v there, or nil.
func xmlFault(_ *machine, l *glua.LState) int {
	s, ok := l.Get(1).(glua.LString)
	if !ok {
		l.Push(glua.LString("string expected, got " + l.Get(1).Type().String()))
		return 1
	}
	vm.Charge(l, len(s)/bytesPerValue)
	if wrong := faultOf(string(s), l.Get(2).String()); wrong != "" {
		l.Push(glua.LString(wrong))
		return 1
	}
	return 0
}

// faultOf looks for what makes XML not well-formed. Namespace and name of an attribute are kept in one string,
// with U+0001 between them.
func faultOf(s, kind string) string {
	if kind != "text" && s == "" {
		return "it is empty"
	}
	if kind != "text" && strings.ContainsAny(s, `<>& '"`) {
		return fmt.Sprintf("%q has a character that no name has", s)
	}
	if !utf8.ValidString(s) {
		return "it is not UTF-8"
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' && c != '\n' && c != '\r' && (c != 1 || kind != "attribute") {
			return noCharacter(rune(c))
		}
	}
	for _, c := range []rune{0xFFFE, 0xFFFF} {
		if strings.ContainsRune(s, c) {
			return noCharacter(c)
		}
	}
	return ""
}

// noCharacter is what XML 1.0 §2.2 leaves out.
func noCharacter(c rune) string { return fmt.Sprintf("%U is no character of XML", c) }

var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;", `"`, "&quot;")

// xmlEscape is xml_escape(text).
func xmlEscape(_ *machine, l *glua.LState) int {
	s := l.CheckString(1)
	escaped := xmlEscapes.Replace(s)
	vm.Charge(l, (len(s)+len(escaped))/bytesPerValue)
	l.Push(glua.LString(escaped))
	return 1
}
