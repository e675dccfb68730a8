//go:build wasip1

// Contacts from a CRM: whoever is in a team of the user, or in a team below one of those.
package main

import (
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
		if pages, err = found.read(answer); err != nil {
			return nil, fmt.Errorf("page %d cannot be read: %w", number, err)
		}
	}
	return found.roster(), nil
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
func (p *people) read(answer *rosterd.Response) (pages float64, err error) {
	var page struct{ Pages, Teams any }
	if err := answer.JSON(&page); err != nil {
		return 0, err
	}
	return count(page.Pages), p.add(page.Teams)
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
func (p *people) add(teams any) error {
	list, ok := teams.([]any)
	if !ok {
		return errors.New("no list of teams")
	}
	for _, t := range list {
		team, _ := t.(map[string]any)
		members, ok := team["members"].([]any)
		if !ok {
			return errors.New("a team without members")
		}
		for _, m := range members {
			member, _ := m.(map[string]any)
			if err := p.addMember(member, team["title"]); err != nil {
				return err
			}
		}
		if below, ok := team["teams"]; ok {
			if err := p.add(below); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *people) addMember(member map[string]any, of any) error {
	login, ok := member["login"].(string)
	if !ok {
		return errors.New("a member without a login")
	}
	jid := login + "@" + p.host
	if jid == p.user { // the user is in his teams himself
		return nil
	}
	title, ok := of.(string)
	if !ok {
		return errors.New("a team without a title")
	}
	i, known := p.byJID[jid]
	if !known {
		profile, ok := member["profile"].(map[string]any)
		name, text := profile["display_name"].(string)
		if !ok || !text && profile["display_name"] != nil {
			return fmt.Errorf("%s has no profile, or an odd one", login)
		}
		i = len(p.list)
		p.byJID[jid] = i
		p.list = append(p.list, person{jid: jid, name: name})
	}
	p.list[i].groups = append(p.list[i].groups, title)
	return nil
}

func (p *people) roster() *rosterd.Roster {
	var r rosterd.Roster
	for _, c := range p.list {
		r.Add(rosterd.Contact{JID: c.jid, Name: c.name, Groups: c.groups})
	}
	return &r
}
