package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"rosterd/config"
	"rosterd/directory"
	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/groups"
)

// ldapGroups are the groups of the table ldap, as mod_storage_ldap makes rosters of them.
func ldapGroups(h *config.Host) (s groupSource, err error) {
	d, err := ldapDirectory(h)
	if err != nil {
		return s, err
	}
	l, pos, _ := config.LDAPTable.Lookup(h)
	users, err := userQuery(h, directory.OneLevel)
	if err != nil {
		return s, err
	}
	if err := directory.CheckDN(l.GroupBase); err != nil {
		return s, &optionError{pos, config.LDAPTable.Name, fmt.Errorf("groups.basedn: %w", err)}
	}
	if _, err := directory.Tidy(l.GroupName + "=x"); err != nil {
		return s, &optionError{pos, config.LDAPTable.Name, fmt.Errorf("groups.namefield: %w", err)}
	}
	every, timeout := config.GroupsRefresh.Get(h), config.BackendTimeout.Get(h)
	return groupSource{
		key:  fmt.Sprint("ldap ", h.Name, " ", ldapIdentity(h), " ", every, " ", timeout),
		name: "ldap " + l.Hostname + " " + l.GroupBase, every: every, timeout: timeout,
		ask: &groupsInLDAP{host: h.Name, list: directory.Groups{
			Directory: d, Base: l.GroupBase, Scope: directory.OneLevel, Name: l.GroupName, Member: l.GroupMember, Show: l.Groups,
			Users: users, UserName: l.UserName, UserAlias: l.UserAlias,
		}},
	}, nil
}

// ldapIdentity is another one if anything of the table ldap is, or the authorities that its servers are known by.
func ldapIdentity(h *config.Host) string {
	pem, _ := os.ReadFile(config.LDAPCA.Get(h)) // why not is told by ldapTLS
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %#v", config.LDAPCA.Get(h), pem, config.LDAPTable.Get(h)))
	return hex.EncodeToString(sum[:8])
}

// groupsInLDAP is a source of groups.
type groupsInLDAP struct {
	host string
	list directory.Groups
}

// Groups asks the directory for all of them.
func (g *groupsInLDAP) Groups(ctx context.Context) (*groups.Set, []groups.Problem, error) {
	list, said, err := g.list.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	var problems []groups.Problem
	for _, s := range said {
		problems = append(problems, groups.Problem{Reason: s})
	}
	var all []groups.Group
	for _, of := range list {
		group := groups.Group{Name: of.Name}
		for _, m := range of.Members {
			local, err := addr.PrepareLocal(m.User)
			var user addr.Bare
			if err == nil {
				user, err = addr.NewBare(local, g.host)
			}
			if err != nil {
				problems = append(problems, groups.Problem{Reason: fmt.Sprintf("%q of the group %q is no name of a user: %v", m.User, of.Name, err)})
				continue
			}
			group.Members = append(group.Members, groups.Member{JID: user, Name: m.Alias})
		}
		all = append(all, group)
	}
	set, more := groups.New(all)
	return set, append(problems, more...), nil
}

// Close lets go of the connections.
func (g *groupsInLDAP) Close() error { return g.list.Directory.Close() }

// ldapCards are the vCards of the table ldap.
type ldapCards struct {
	users    *directory.Users
	format   map[string]string // attributes by the names of vcard_format
	identity string
}

var _ engine.CardSource = (*ldapCards)(nil)

// openLDAPCards is nil where vCards are not those of a directory. Those of before are taken over if they are the same.
func openLDAPCards(h *config.Host, before *ldapCards) (*ldapCards, error) {
	identity := ldapIdentity(h)
	switch {
	case !h.LDAPCards():
		return nil, nil
	case before != nil && before.identity == identity:
		return before, nil
	}
	users, err := tableUsers(h)
	if err != nil {
		return nil, err
	}
	return &ldapCards{users, config.LDAPTable.Get(h).Card, identity}, nil
}

// Card asks for the entry of the user. Who has none has no vCard.
func (c *ldapCards) Card(ctx context.Context, user addr.Bare) (engine.Card, error) {
	e, err := c.users.Entry(ctx, user.Local(), slices.Sorted(maps.Values(c.format))...)
	switch {
	case errors.Is(err, directory.ErrRefused):
		return engine.Card{}, nil
	case err != nil:
		return engine.Card{}, err
	}
	doc, err := json.Marshal(card(e, c.format))
	if err != nil {
		return engine.Card{}, err
	}
	return engine.ReadCard(user, doc) // with the limits of other backends
}

// Close lets go of the connections.
func (c *ldapCards) Close() { _ = c.users.Directory.Close() }

// card is what an entry says of a user.
func card(e directory.Entry, format map[string]string) engine.Card {
	one := func(name string) string {
		if format[name] == "" {
			return ""
		}
		return e.Value(format[name])
	}
	c := engine.Card{
		FN: one("displayname"), Nickname: one("nickname"), Given: one("name.given"), Family: one("name.family"), Org: one("org.orgname"),
		Title: one("title"), Role: one("role"), URL: one("url"), BDay: one("birthday"), Note: one("note"),
	}
	if c.Note == "" {
		c.Note = one("description")
	}
	for _, name := range slices.Sorted(maps.Keys(format)) {
		switch {
		case strings.HasPrefix(name, "email."):
			c.Email = append(c.Email, e.Values(format[name])...)
		case strings.HasPrefix(name, "telephone."):
			c.Tel = append(c.Tel, e.Values(format[name])...)
		}
	}
	c.Photo = photo(one("photo.binval"), format["photo.type"])
	return c
}

// photo is a picture, as it is (jpegPhoto) or in Base64. What is none is left out.
func photo(data, kind string) (p engine.Photo) {
	p.Data = []byte(data)
	found := http.DetectContentType(p.Data)
	if !strings.HasPrefix(found, "image/") {
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data), ""))
		if err != nil || len(raw) == 0 {
			return engine.Photo{}
		}
		p.Data, found = raw, http.DetectContentType(raw)
	}
	if p.Type = kind; !strings.HasPrefix(kind, "image/") {
		p.Type, _, _ = strings.Cut(found, ";")
	}
	if !strings.HasPrefix(p.Type, "image/") || len(p.Data) > engine.MaxPicture {
		return engine.Photo{}
	}
	return p
}
