package groups

import (
	"bytes"
	"strings"

	"rosterd/engine/addr"
)

// MaxFile is how many bytes a groups_file can have.
const MaxFile = 16 << 20

// Parse reads a groups_file: a line "[Name]" begins a group, "[+Name]" one whose members everybody of the host has as
// contacts, and a line "jid" or "jid=Name" is a member of the group before it. Members before the first group are in
// one called "default". What is none of it is left out and named.
func Parse(text []byte) (*Set, []Problem) {
	var p parser
	p.begin("default")
	for line := range strings.Lines(string(bytes.TrimPrefix(text, []byte("\uFEFF")))) {
		p.line++
		p.read(strings.TrimRight(line, "\r\n"))
	}
	return p.seal(), p.problems
}

type parser struct{ maker }

func (p *parser) read(line string) {
	text := strings.TrimSpace(line)
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		name, public := strings.CutPrefix(text[1:len(text)-1], "+")
		p.begin(name)
		if p.group != nil && public {
			p.group.public = true
		}
		return
	}
	jid, name, _ := strings.Cut(line, "=")
	words := strings.Fields(jid)
	if len(words) == 0 || p.group == nil {
		return
	}
	who, err := addr.ParseBare(words[0])
	if err != nil {
		p.problem("%q is no JID of a user", short(words[0]))
		return
	}
	p.add(Member{who, name})
}

func short(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}
