// Package groups puts groups that an administrator keeps, in a file such as Prosody's mod_groups reads or in a directory,
// into the rosters of a host: who is in a group has all others of it as contacts.
package groups

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Set is the groups of a host, as they once were. It does not change.
type Set struct {
	version [sha256.Size]byte
	groups  []*group
	of      map[addr.Bare][]*group // by member; those of everybody are not there
	public  []*group
}

// Group is one of a set.
type Group struct {
	Name    string
	Public  bool // everybody of the host has its members as contacts
	Members []Member
}

// Member is somebody in a group.
type Member struct {
	JID  addr.Bare
	Name string // "" if the group gives him none
}

type group struct {
	name    string
	public  bool
	members []Member // by JID
}

// Problem is what is left out, and why.
type Problem struct {
	Line   int // of a file; 0: it is not one
	Reason string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.Reason
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Reason)
}

var errNoName = errors.New("it is empty")

const (
	maxName     = 1023 // bytes of the name of a group or of a member
	maxProblems = 100  // that are told of
)

// New makes a set of groups. Groups of the same name are one, and of somebody who is in it twice the last counts. What no
// roster can have is left out and named.
func New(list []Group) (*Set, []Problem) {
	var m maker
	for _, g := range list {
		m.begin(g.Name)
		if m.group == nil {
			continue
		}
		m.group.public = m.group.public || g.Public
		for _, who := range g.Members {
			m.add(who)
		}
	}
	return m.seal(), m.problems
}

// maker makes a set, group by group.
type maker struct {
	groups   []*group
	byName   map[string]*group
	group    *group // the one that members belong to; nil: one that is left out
	line     int
	problems []Problem
}

func (m *maker) problem(format string, args ...any) {
	if len(m.problems) < maxProblems {
		m.problems = append(m.problems, Problem{m.line, fmt.Sprintf(format, args...)})
	}
}

// begin goes to the group of a name, which may have been there before.
func (m *maker) begin(name string) {
	m.group = nil
	if err := roster.CheckText(name, maxName); err != nil || name == "" {
		m.problem("a group with a name that no roster can have: %v", cmp.Or(err, errNoName))
		return
	}
	if m.group = m.byName[name]; m.group != nil {
		return
	}
	if m.byName == nil {
		m.byName = make(map[string]*group)
	}
	m.group = &group{name: name}
	m.byName[name] = m.group
	m.groups = append(m.groups, m.group)
}

func (m *maker) add(who Member) {
	if err := roster.CheckText(who.Name, maxName); err != nil {
		m.problem("the name of %s: %v", who.JID, err)
		return
	}
	m.group.members = append(m.group.members, who)
}

// seal is the set of what was added.
func (m *maker) seal() *Set {
	s := &Set{groups: m.groups, of: make(map[addr.Bare][]*group)}
	sum := sha256.New()
	for _, g := range s.groups {
		g.settle(s)
		g.sum(sum)
	}
	sum.Sum(s.version[:0])
	return s
}

// settle sorts the members, of whom the last one of each name counts, and puts the group where it is looked for.
func (g *group) settle(s *Set) {
	slices.Reverse(g.members)
	slices.SortStableFunc(g.members, func(a, b Member) int { return a.JID.Compare(b.JID) })
	g.members = slices.Clip(slices.CompactFunc(g.members, func(a, b Member) bool { return a.JID == b.JID }))
	if g.public {
		s.public = append(s.public, g)
		return
	}
	for _, m := range g.members {
		s.of[m.JID] = append(s.of[m.JID], g)
	}
}

func (g *group) sum(to hash.Hash) {
	fmt.Fprintf(to, "%q %v %d\n", g.name, g.public, len(g.members))
	for _, m := range g.members {
		io.WriteString(to, m.JID.String()+"\n"+m.Name+"\x00")
	}
}

// Members counts those who are in a group.
func (s *Set) Members() int {
	all := make(map[addr.Bare]bool)
	for _, g := range s.groups {
		for _, m := range g.members {
			all[m.JID] = true
		}
	}
	return len(all)
}

// Groups counts the groups that have members.
func (s *Set) Groups() (n int) {
	for _, g := range s.groups {
		if len(g.members) > 0 {
			n++
		}
	}
	return n
}

// groupsOf are the groups whose members a user has as contacts.
func (s *Set) groupsOf(user addr.Bare) []*group {
	if len(s.public) == 0 {
		return s.of[user]
	}
	return slices.Concat(s.of[user], s.public)
}

// contact is how the groups have somebody in a user's roster: his name, "" if they give none, and what they are called.
// It is false if they do not have him.
func (s *Set) contact(user, contact addr.Bare) (name string, groups []string, ok bool) {
	if user == contact {
		return "", nil, false
	}
	for _, g := range s.groupsOf(user) {
		k, found := slices.BinarySearchFunc(g.members, contact, func(m Member, c addr.Bare) int { return m.JID.Compare(c) })
		if found {
			name, groups, ok = cmp.Or(g.members[k].Name, name), append(groups, g.name), true
		}
	}
	return name, groups, ok
}

// Changed are the users among some whose contacts are others in another set. Those of none are not known.
func (s *Set) Changed(to *Set, among []addr.Bare) (users []addr.Bare) {
	if s == nil {
		return among
	}
	if s.version == to.version {
		return nil
	}
	for _, u := range among {
		if !slices.EqualFunc(s.groupsOf(u), to.groupsOf(u), (*group).equal) {
			users = append(users, u)
		}
	}
	return users
}

func (g *group) equal(o *group) bool { return g.name == o.name && slices.Equal(g.members, o.members) }
