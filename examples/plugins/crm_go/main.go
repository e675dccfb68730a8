//go:build wasip1

// Contacts from a CRM: whoever is in a team of the user, or in a team below one of those.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	rosterd "rosterd/plugins/sdk/go"
)

var (
	teamsOf  rosterd.URLTemplate
	maxPages int64
)

//go:wasmexport rosterd_init
func initialize() int32 { return rosterd.Init(configure) }

//go:wasmexport rosterd_fetch
func fetch() int32 { return rosterd.Fetch(roster) }

func main() {}

func configure() (err error) {
	if teamsOf, err = rosterd.OptionURL("crm_url"); err != nil {
		return err
	}
	maxPages, err = rosterd.OptionInteger("crm_pages", 5, 1, 8) // a call may send 8 requests
	return err
}

func roster(q *rosterd.Request) (*rosterd.Roster, error) {
	url, err := teamsOf.Fill(q.Local)
	if err != nil {
		return nil, err
	}
	found := people{user: q.User, host: q.Host, byJID: map[string]int{}}
	pages := 1.0
	for number := int64(1); float64(number) <= pages; number++ {
		if number > maxPages {
			return nil, fmt.Errorf("%v pages, more than crm_pages = %d", pages, maxPages)
		}
		answer, err := rosterd.Get(url + "?page=" + strconv.FormatInt(number, 10))
		if err != nil {
			return nil, err
		}
		if err := answer.OK(); err != nil {
			return nil, err
		}
		body, err := answer.Body()
		if err != nil {
			return nil, err
		}
		if pages, err = found.read(body); err != nil {
			return nil, fmt.Errorf("page %d cannot be read: %w", number, err)
		}
	}
	return found.roster(), nil
}

// page is an answer. What is a pointer must be there, but for what says otherwise.
type page struct {
	Pages any     `json:"pages"`
	Teams *[]team `json:"teams"`
}

type team struct {
	Title   *string   `json:"title"`
	Members *[]member `json:"members"`
	Teams   below     `json:"teams"`
}

type member struct {
	Login   *string `json:"login"`
	Profile *struct {
		DisplayName *string `json:"display_name"` // there need not be one
	} `json:"profile"`
}

// below are teams that need not be there, but are a list if they are.
type below []team

func (t *below) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return errors.New("null where teams are expected")
	}
	return json.Unmarshal(b, (*[]team)(t))
}

// people are who was found, in that order. A member of several teams is in several groups.
type people struct {
	user  string
	host  string
	list  []person
	byJID map[string]int
}

type person struct {
	jid, name string
	groups    []string
}

// read adds who is on a page, and says how many pages there are. What is not as agreed is an error: a roster without contacts
// must not be read into it.
func (p *people) read(body []byte) (pages float64, err error) {
	var answer page
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, err
	}
	if answer.Teams == nil {
		return 0, errors.New("no teams")
	}
	if err := p.add(*answer.Teams); err != nil {
		return 0, err
	}
	return count(answer.Pages), nil
}

// count is a number, or a text that is one, and else 1.
func count(pages any) float64 {
	switch v := pages.(type) {
	case float64:
		return v
	case string:
		if n, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
			return n
		}
	}
	return 1
}

// add adds the members of teams, and of the teams in them.
func (p *people) add(teams []team) error {
	for _, t := range teams {
		if t.Members == nil {
			return errors.New("a team without members")
		}
		for _, m := range *t.Members {
			if err := p.addMember(m, t.Title); err != nil {
				return err
			}
		}
		if err := p.add(t.Teams); err != nil {
			return err
		}
	}
	return nil
}

func (p *people) addMember(m member, title *string) error {
	if m.Login == nil {
		return errors.New("a member without a login")
	}
	jid := *m.Login + "@" + p.host
	if jid == p.user { // the user is in his teams himself
		return nil
	}
	if title == nil {
		return errors.New("a team without a title")
	}
	i, known := p.byJID[jid]
	if !known {
		if m.Profile == nil {
			return fmt.Errorf("%s has no profile", *m.Login)
		}
		i = len(p.list)
		p.byJID[jid] = i
		p.list = append(p.list, person{jid: jid})
		if name := m.Profile.DisplayName; name != nil {
			p.list[i].name = *name
		}
	}
	p.list[i].groups = append(p.list[i].groups, *title)
	return nil
}

func (p *people) roster() *rosterd.Roster {
	var r rosterd.Roster
	for _, c := range p.list {
		r.Add(rosterd.Contact{JID: c.jid, Name: c.name, Groups: c.groups})
	}
	return &r
}
