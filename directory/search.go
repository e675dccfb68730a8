package directory

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Scope says which entries a search looks at.
type Scope string

// The scopes, by the names that Prosody has for them.
const (
	Base     Scope = "base"     // the one of that name
	OneLevel Scope = "onelevel" // those right below it
	Subtree  Scope = "subtree"  // it and all below
)

var scopes = map[Scope]int{Base: ldap.ScopeBaseObject, OneLevel: ldap.ScopeSingleLevel, Subtree: ldap.ScopeWholeSubtree}

// Query is a search.
type Query struct {
	Base       string
	Scope      Scope
	Filter     string // of RFC 4515; Tidy makes one of what OpenLDAP's library takes
	Attributes []string
	Most       int // entries; more are an error
}

// Entry is what a directory says of something.
type Entry struct {
	DN     string
	values map[string][][]byte // by lower-case name
}

// Values are those of an attribute.
func (e Entry) Values(attribute string) (list []string) {
	for _, v := range e.values[strings.ToLower(attribute)] {
		list = append(list, string(v))
	}
	return list
}

// Value is the first one of an attribute, "" if there is none.
func (e Entry) Value(attribute string) string {
	if list := e.values[strings.ToLower(attribute)]; len(list) > 0 {
		return string(list[0])
	}
	return ""
}

// Escape makes any text part of a filter (RFC 4515 §3).
func Escape(text string) string { return ldap.EscapeFilter(text) }

var (
	opening = regexp.MustCompile(`\(([&|!]?)\s+`)
	closing = regexp.MustCompile(`\)\s+`)
)

// Tidy makes a filter of RFC 4515 of what OpenLDAP's library takes for one: parentheses around the whole may be missing,
// and there may be spaces between the parts. The error says what is wrong with a filter.
func Tidy(filter string) (string, error) {
	f := strings.TrimSpace(filter)
	if !strings.HasPrefix(f, "(") {
		f = "(" + f + ")"
	}
	f = closing.ReplaceAllString(opening.ReplaceAllString(f, "($1"), ")")
	if _, err := ldap.CompileFilter(f); err != nil {
		if e, ok := errors.AsType[*ldap.Error](err); ok {
			err = e.Err // without the number that the library gives it
		}
		return "", fmt.Errorf("%q is no filter: %w", filter, err)
	}
	return f, nil
}

// And is what matches all of some filters.
func And(filters ...string) string { return "(&" + strings.Join(filters, "") + ")" }

// CheckDN says what is wrong with the name of an entry.
func CheckDN(dn string) error {
	if _, err := ldap.ParseDN(dn); err != nil {
		return fmt.Errorf("%q is no name of an entry: %w", dn, err)
	}
	return nil
}

// pageSize is how many entries are asked for at a time: servers have limits of their own, such as 1,000 or 500.
const pageSize = 500

// Search finds entries. References to other servers are not followed.
func (d *Directory) Search(ctx context.Context, q Query) (list []Entry, err error) {
	bytes := int64(maxAnswer)
	if q.Most == 1 {
		bytes = maxOne
	}
	err = d.with(ctx, searching, bytes, func(c *conn) error {
		list, err = c.search(q)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("search below %q: %w", q.Base, err)
	}
	return list, nil
}

func (c *conn) search(q Query) (list []Entry, err error) {
	paging := ldap.NewControlPaging(pageSize)
	req := ldap.NewSearchRequest(q.Base, scopes[q.Scope], ldap.NeverDerefAliases, 0, 0, false, q.Filter, q.Attributes, nil)
	if q.Most < pageSize {
		req.SizeLimit = q.Most + 1
	} else {
		req.Controls = []ldap.Control{paging}
	}
	for {
		res, err := c.Search(req)
		over := res != nil && len(list)+len(res.Entries) > q.Most
		if over {
			return nil, fmt.Errorf("%w: more than %d match %s", errTooMany, q.Most, q.Filter)
		}
		if err != nil {
			return nil, err
		}
		for _, e := range res.Entries {
			entry, err := c.entry(e)
			if err != nil {
				return nil, err
			}
			list = append(list, entry)
		}
		next, _ := ldap.FindControl(res.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if next == nil || len(next.Cookie) == 0 {
			return list, nil
		}
		paging.SetCookie(next.Cookie)
	}
}

var errTooMany = errors.New("too many entries")

// entry takes an entry as it is, but for attributes of which the server gives a part at a time, as Active Directory does
// with more than 1,500 members of a group: the rest of them is asked for.
func (c *conn) entry(e *ldap.Entry) (Entry, error) {
	entry := Entry{DN: e.DN, values: make(map[string][][]byte)}
	for _, a := range e.Attributes {
		name, next, part := partOf(a.Name)
		entry.values[name] = append(entry.values[name], a.ByteValues...)
		for part {
			res, err := c.Search(ldap.NewSearchRequest(e.DN, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{fmt.Sprintf("%s;range=%d-*", name, next)}, nil))
			if err != nil {
				return entry, err
			}
			had := next
			part = false
			for _, more := range res.Entries {
				for _, a := range more.Attributes {
					if n, to, again := partOf(a.Name); n == name {
						entry.values[name] = append(entry.values[name], a.ByteValues...)
						next, part = to, again
					}
				}
			}
			if part && next <= had {
				return entry, fmt.Errorf("%s: the server gives the same part of %s again", e.DN, name)
			}
		}
	}
	return entry, nil
}

var ranged = regexp.MustCompile(`^(.*);range=[0-9]+-([0-9]+|\*)$`)

// partOf is the name of an attribute without options, and which of its values is the first that was not given.
func partOf(attribute string) (name string, next int, part bool) {
	name = strings.ToLower(attribute)
	if m := ranged.FindStringSubmatch(name); m != nil {
		if m[2] != "*" {
			last, err := strconv.Atoi(m[2])
			next, part = last+1, err == nil
		}
		name = m[1]
	}
	name, _, _ = strings.Cut(name, ";")
	return name, next, part
}
