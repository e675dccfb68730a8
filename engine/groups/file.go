// Package groups puts the groups that an administrator keeps in a file, as Prosody's mod_groups reads it, into the
// rosters of a host: who is in a group has all others of it as contacts.
package groups

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// File is the contents of a groups_file. It does not change.
type File struct {
	version string
	groups  []*group
	of      map[addr.Bare][]*group // by member; those of everybody are not there
	public  []*group
}

type group struct {
	name    string
	public  bool // everybody of the host has its members as contacts
	members []member
}

type member struct {
	jid  addr.Bare
	name string
}

// Problem is a line that is left out, and why.
type Problem struct {
	Line   int
	Reason string
}

func (p Problem) String() string { return fmt.Sprintf("line %d: %s", p.Line, p.Reason) }

var errNoName = errors.New("it is empty")

// Limits of a file.
const (
	MaxFile = 16 << 20 // bytes
	maxName = 1023     // bytes of the name of a group or of a member
)

// Parse reads a groups_file: a line "[Name]" begins a group, "[+Name]" one whose members everybody of the host has as
// contacts, and a line "jid" or "jid=Name" is a member of the group before it. Members before the first group are in
// one called "default". What is none of it is left out and named.
func Parse(text []byte) (*File, []Problem) {
	sum := sha256.Sum256(text)
	p := parser{file: &File{version: base64.RawURLEncoding.EncodeToString(sum[:12]), of: make(map[addr.Bare][]*group)}, byName: make(map[string]*group)}
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	p.group = p.begin("default")
	for line := range strings.Lines(string(text)) {
		p.line++
		p.read(strings.TrimRight(line, "\r\n"))
	}
	for _, g := range p.file.groups {
		g.settle(p.file)
	}
	return p.file, p.problems
}

type parser struct {
	file     *File
	byName   map[string]*group
	group    *group // the one that members belong to; nil: one that is left out
	line     int
	problems []Problem
}

func (p *parser) problem(format string, args ...any) {
	const most = 100
	if len(p.problems) < most {
		p.problems = append(p.problems, Problem{p.line, fmt.Sprintf(format, args...)})
	}
}

func (p *parser) read(line string) {
	text := strings.TrimSpace(line)
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		name, public := strings.CutPrefix(text[1:len(text)-1], "+")
		if err := roster.CheckText(name, maxName); err != nil || name == "" {
			p.problem("a group with a name that no roster can have: %v", cmp.Or(err, errNoName))
			p.group = nil
			return
		}
		p.group = p.begin(name)
		p.group.public = p.group.public || public
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
	if err := roster.CheckText(name, maxName); err != nil {
		p.problem("the name of %s: %v", who, err)
		return
	}
	p.group.members = append(p.group.members, member{who, name})
}

func short(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// begin is the group of a name, which may have been there before.
func (p *parser) begin(name string) *group {
	if g := p.byName[name]; g != nil {
		return g
	}
	g := &group{name: name}
	p.byName[name] = g
	p.file.groups = append(p.file.groups, g)
	return g
}

// settle sorts the members, of whom the last line about each counts, and puts the group where it is looked for.
func (g *group) settle(f *File) {
	slices.Reverse(g.members)
	slices.SortStableFunc(g.members, func(a, b member) int { return a.jid.Compare(b.jid) })
	g.members = slices.Clip(slices.CompactFunc(g.members, func(a, b member) bool { return a.jid == b.jid }))
	if g.public {
		f.public = append(f.public, g)
		return
	}
	for _, m := range g.members {
		f.of[m.jid] = append(f.of[m.jid], g)
	}
}

// Members counts those who are in a group.
func (f *File) Members() int {
	all := make(map[addr.Bare]bool)
	for _, g := range f.groups {
		for _, m := range g.members {
			all[m.jid] = true
		}
	}
	return len(all)
}

// Groups counts the groups that have members.
func (f *File) Groups() (n int) {
	for _, g := range f.groups {
		if len(g.members) > 0 {
			n++
		}
	}
	return n
}

// groupsOf are the groups whose members a user has as contacts.
func (f *File) groupsOf(user addr.Bare) []*group {
	if len(f.public) == 0 {
		return f.of[user]
	}
	return slices.Concat(f.of[user], f.public)
}

// contact is how the groups have somebody in a user's roster: his name, "" if they give none, and what they are called.
// It is false if they do not have him.
func (f *File) contact(user, contact addr.Bare) (name string, groups []string, ok bool) {
	if user == contact {
		return "", nil, false
	}
	for _, g := range f.groupsOf(user) {
		k, found := slices.BinarySearchFunc(g.members, contact, func(m member, c addr.Bare) int { return m.jid.Compare(c) })
		if found {
			name, groups, ok = cmp.Or(g.members[k].name, name), append(groups, g.name), true
		}
	}
	return name, groups, ok
}

// Changed are the users among some whose contacts are others in another file.
func (f *File) Changed(to *File, among []addr.Bare) (users []addr.Bare) {
	if f.version == to.version {
		return nil
	}
	for _, u := range among {
		if !slices.EqualFunc(f.groupsOf(u), to.groupsOf(u), (*group).equal) {
			users = append(users, u)
		}
	}
	return users
}

func (g *group) equal(o *group) bool { return g.name == o.name && slices.Equal(g.members, o.members) }
