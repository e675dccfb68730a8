package directory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Groups are entries whose members are users.
type Groups struct {
	Directory *Directory
	Base      string
	Scope     Scope
	Name      string // attribute with the name of a group; what has none is none
	Member    string // attribute with its members: names of users or of their entries
	// Show is what the groups are called that count, by their names in the directory; nil: all count, by these.
	Show map[string]string

	Users     Query  // the users, as far as something is to be known of them; Base "": they are only names
	UserName  string // attribute with what a user logs in as
	UserAlias string // attribute with what he is called
}

// Group is one of them.
type Group struct {
	Name    string
	Members []Member
}

// Member is a user in a group.
type Member struct {
	User  string // that he logs in as
	Alias string // "" if none is known
}

// Limits of what is read.
const (
	maxGroups = 20_000
	maxUsers  = 200_000
	maxUnseen = 100 // problems
)

// List reads all of them, by name. What is left out is named.
func (g *Groups) List(ctx context.Context) (list []Group, problems []string, err error) {
	filter := "(" + g.Name + "=*)"
	if g.Show != nil {
		var names []string
		for _, name := range slices.Sorted(maps.Keys(g.Show)) {
			names = append(names, "("+g.Name+"="+Escape(name)+")")
		}
		filter = "(|" + strings.Join(names, "") + ")"
	}
	entries, err := g.Directory.Search(ctx, Query{Base: g.Base, Scope: g.Scope, Filter: filter, Attributes: []string{g.Name, g.Member}, Most: maxGroups})
	if err != nil {
		return nil, nil, fmt.Errorf("groups: %w", err)
	}
	known, err := g.users(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("users: %w", err)
	}
	for _, e := range entries {
		group := Group{Name: g.called(e)}
		if group.Name == "" {
			continue
		}
		for _, m := range e.Values(g.Member) {
			who, ok := known.member(m)
			if ok {
				group.Members = append(group.Members, who)
			} else if len(problems) < maxUnseen {
				problems = append(problems, fmt.Sprintf("%q, a member of %q, is no user", m, e.DN))
			}
		}
		list = append(list, group)
	}
	slices.SortStableFunc(list, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
	return list, problems, nil
}

// called is what a group is shown as, "" if it does not count. Names do not differ in case.
func (g *Groups) called(e Entry) string {
	if g.Show == nil {
		return e.Value(g.Name)
	}
	for _, name := range e.Values(g.Name) {
		for from, to := range g.Show {
			if strings.EqualFold(from, name) {
				return to
			}
		}
	}
	return ""
}

// people are users by what they log in as, and by their entries.
type people struct {
	byName, byEntry map[string]Member
}

func (g *Groups) users(ctx context.Context) (p people, err error) {
	p = people{make(map[string]Member), make(map[string]Member)}
	if g.Users.Base == "" {
		return p, nil
	}
	q := g.Users
	q.Attributes, q.Most = []string{g.UserName}, maxUsers
	if g.UserAlias != "" {
		q.Attributes = append(q.Attributes, g.UserAlias)
	}
	list, err := g.Directory.Search(ctx, q)
	if err != nil {
		return p, err
	}
	for _, e := range list {
		m := Member{User: e.Value(g.UserName), Alias: e.Value(g.UserAlias)}
		if m.User == "" {
			continue
		}
		p.byName[strings.ToLower(m.User)] = m
		p.byEntry[canonical(e.DN)] = m
	}
	return p, nil
}

// member is who is meant by a value: a name that no entry is known of is one all the same.
func (p people) member(value string) (Member, bool) {
	if m, ok := p.byName[strings.ToLower(value)]; ok {
		return m, true
	}
	if !strings.Contains(value, "=") {
		return Member{User: value}, value != ""
	}
	m, ok := p.byEntry[canonical(value)]
	return m, ok
}

// canonical is the same for all ways to write the name of an entry.
func canonical(dn string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return dn
	}
	return strings.ToLower(parsed.String())
}
