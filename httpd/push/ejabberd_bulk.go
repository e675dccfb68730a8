package push

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

func (c *call) look() (*Host, roster.Roster, error) {
	h, user, err := c.user("user", "host")
	if err != nil {
		return nil, roster.Roster{}, err
	}
	list, err := c.api.look(c.ctx, user)
	return h, list, decided(err)
}

// row is a contact as get_roster has it before version 1: once for each of its groups.
type row struct {
	JID          string `json:"jid"`
	Nick         string `json:"nick"`
	Subscription string `json:"subscription"`
	Ask          string `json:"ask"`
	Group        string `json:"group"`
}

// entry is a contact as get_roster has it since.
type entry struct {
	JID          string   `json:"jid"`
	Nick         string   `json:"nick"`
	Subscription string   `json:"subscription"`
	Pending      string   `json:"pending"`
	Groups       []string `json:"groups"`
}

func (c *call) getRoster() (any, error) {
	h, list, err := c.look()
	if err != nil {
		return nil, err
	}
	if c.version < 0 {
		c.version = h.Version
	}
	rows, entries := []row{}, []entry{}
	for i := range list.All() {
		e := entry{i.JID.String(), i.Name, i.Subscription.String(), "none", append([]string{}, i.Groups...)}
		ask := "undefined" // sic
		if i.Ask {
			e.Pending, ask = "out", "subscribe"
		}
		entries = append(entries, e)
		if len(i.Groups) == 0 {
			rows = append(rows, row{e.JID, e.Nick, e.Subscription, ask, ""})
		}
		for _, g := range i.Groups {
			rows = append(rows, row{e.JID, e.Nick, e.Subscription, ask, g})
		}
	}
	if c.version > 0 {
		return entries, nil
	}
	return rows, nil
}

func (c *call) countRoster() (any, error) {
	_, list, err := c.look()
	return list.Len(), err
}

// parallel is how many rosters a call for many changes at a time: they share commits.
const parallel = 16

// each does something for many users, and stops at the first error or when the application hangs up. It returns for how
// many it was done.
func (c *call) each(users []addr.Bare, do func(ctx context.Context, user addr.Bare) error) (done int, err error) {
	c.api.bulk.Lock()
	defer c.api.bulk.Unlock()
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var running sync.WaitGroup
	turns := make(chan struct{}, parallel)
	for _, user := range users {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-turns }()
			if err := do(ctx, user); err != nil {
				cancel(fmt.Errorf("%s: %w", user, err))
				return
			}
			mu.Lock()
			defer mu.Unlock()
			done++
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return done, err
}

// pushAllToAll makes all users of a host contacts of each other.
func (c *call) pushAllToAll() (any, error) {
	h, err := c.host(c.args["host"].text)
	if err != nil {
		return nil, err
	}
	if h.Users == nil {
		return nil, refused(http.StatusBadRequest, "the accounts of %s are kept elsewhere: nobody here knows them all", h.Name)
	}
	users, err := h.Users(c.ctx)
	if err != nil {
		return nil, fmt.Errorf("users of %s: %w", h.Name, err)
	}
	groups := c.groups()
	items := make([]roster.Item, len(users))
	for i, u := range users {
		items[i] = roster.Item{JID: u, Name: u.Local(), Groups: groups, Subscription: roster.Both}
	}
	return c.befriend(h, users, items)
}

// befriend puts all items into the rosters of all users, but for the users' own.
func (c *call) befriend(h *Host, users []addr.Bare, items []roster.Item) (any, error) {
	if n := len(users) * len(items); n > h.Items {
		return nil, refused(http.StatusBadRequest, "%d contacts in %d rosters are more than the %d of rosterd_push_items", len(items), len(users), h.Items)
	}
	n, err := c.each(users, func(ctx context.Context, user addr.Bare) error {
		return c.api.put(ctx, user, func(roster.Roster) (put []roster.Item, _ []addr.Bare, _ error) {
			for _, i := range items {
				if i.JID != user {
					put = append(put, i)
				}
			}
			return put, nil, nil
		})
	})
	if err == nil {
		return 0, nil
	}
	c.api.Log.Warn("an application's call for many rosters has ended early", "host", h.Name, "rosters", len(users), "done", n, "error", err)
	return done(err)
}

// filter is what process_rosteritems looks for.
type filter struct {
	subscriptions, asks, users, contacts []string
}

func (c *call) filter() (f filter, err error) {
	words := func(name string, allowed ...string) []string {
		list := strings.FieldsFunc(c.args[name].text, func(r rune) bool { return r == ':' })
		if len(allowed) > 0 && slices.Contains(list, "any") {
			return allowed
		}
		for _, w := range list {
			if len(allowed) > 0 && !slices.Contains(allowed, w) && err == nil {
				err = refused(http.StatusBadRequest, "%s: %q is none of any, %s", name, clip(w), strings.Join(allowed, ", "))
			}
		}
		return list
	}
	globs := func(name string) (list []string) {
		for _, g := range words(name) {
			if g == "any" {
				list = append(list, "*", "*@*")
				continue
			}
			g = strings.ReplaceAll(strings.ToLower(g), "[!", "[^")
			if _, bad := path.Match(g, ""); bad != nil && err == nil {
				err = refused(http.StatusBadRequest, "%s: %q is no pattern", name, clip(g))
			}
			list = append(list, g)
		}
		return list
	}
	f.subscriptions, f.asks = words("subs", "none", "from", "to", "both"), words("asks", "none", "out", "in")
	f.users, f.contacts = globs("users"), globs("contacts")
	return f, err
}

// matches tells whether one of the patterns is that of a JID. One without @ is that of a server.
func matches(patterns []string, b addr.Bare) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		local, domain, ok := strings.Cut(p, "@")
		if !ok {
			local, domain = "", p
		}
		if ok != (b.Local() != "") {
			return false
		}
		l, _ := path.Match(local, b.Local())
		d, _ := path.Match(domain, b.Domain())
		return l && d
	})
}

func (f filter) takes(i roster.Item) bool {
	ask := "none"
	if i.Ask {
		ask = "out"
	}
	return slices.Contains(f.subscriptions, i.Subscription.String()) && slices.Contains(f.asks, ask) && matches(f.contacts, i.JID)
}

// pair is a contact of a user.
type pair struct {
	User    string `json:"user"`
	Contact string `json:"contact"`
}

// processItems lists or deletes contacts in the rosters of all hosts that are the caller's.
func (c *call) processItems() (any, error) {
	action := c.args["action"].text
	if action != "list" && action != "delete" {
		return nil, refused(http.StatusBadRequest, "action: %q is neither list nor delete", clip(action))
	}
	f, err := c.filter()
	if err != nil {
		return nil, err
	}
	users, most, err := c.stored(f)
	if err != nil {
		return nil, err
	}
	pairs, users, err := c.find(users, f, most)
	switch {
	case err != nil:
		return nil, decided(err)
	case action == "list":
		return pairs, nil
	}
	done, err := c.each(users, func(ctx context.Context, user addr.Bare) error {
		return c.api.put(ctx, user, func(now roster.Roster) (_ []roster.Item, remove []addr.Bare, _ error) {
			for i := range now.All() {
				if f.takes(i) {
					remove = append(remove, i.JID)
				}
			}
			return nil, remove, nil
		})
	})
	if err != nil {
		c.api.Log.Warn("an application's call for many rosters has ended early", "rosters", len(users), "done", done, "error", err)
		return nil, decided(err)
	}
	return pairs, nil
}

// stored are the users that a filter is for at the caller's hosts, and how many contacts the least of these lets be
// changed at a time.
func (c *call) stored(f filter) (users []addr.Bare, most int, err error) {
	mine := c.hosts()
	if len(mine) == 0 {
		return nil, 0, c.nobody()
	}
	most = mine[0].Items
	for _, h := range mine {
		most = min(most, h.Items)
		if h.Stored == nil {
			continue
		}
		list, err := h.Stored(c.ctx)
		if err != nil {
			return nil, 0, fmt.Errorf("users of %s: %w", h.Name, err)
		}
		for _, u := range list {
			if matches(f.users, u) {
				users = append(users, u)
			}
		}
	}
	slices.SortFunc(users, addr.Bare.Compare)
	return users, most, nil
}

// find looks through the rosters of users, and returns which of them have what is looked for.
func (c *call) find(users []addr.Bare, f filter, most int) (pairs []pair, having []addr.Bare, err error) {
	pairs = []pair{}
	for _, u := range users {
		list, err := c.api.own(c.ctx, u)
		if err != nil {
			return nil, nil, err
		}
		before := len(pairs)
		for i := range list.All() {
			if !f.takes(i) {
				continue
			}
			if len(pairs) == most {
				return nil, nil, refused(http.StatusBadRequest, "more contacts than the %d of rosterd_push_items: name fewer users", most)
			}
			pairs = append(pairs, pair{u.String(), i.JID.String()})
		}
		if len(pairs) > before {
			having = append(having, u)
		}
	}
	return pairs, having, nil
}
