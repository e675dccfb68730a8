package xmppcore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// clerk is the backend of a house where it is asked for what users want of their rosters. It keeps both sides of a pair,
// and is not told twice: the same ID changes nothing.
type clerk struct {
	h *house

	mu    sync.Mutex // guards the fields below
	says  map[addr.Bare]string
	seen  map[string]bool
	asked []string
	news  chan struct{} // closed when it has been asked again
}

// Edit decides as it is told to: yes, no WORDS, gone, down, late, lost (it is done, but nobody hears of it).
func (c *clerk) Edit(ctx context.Context, e engine.Edit) error {
	c.mu.Lock()
	line := e.User.Local() + " " + e.Action.Name() + " " + strings.TrimSpace(item(e.Item))
	if c.seen[e.ID] || e.ID == "" {
		line += " again"
	}
	c.seen[e.ID] = true
	c.asked = append(c.asked, line)
	verdict, words, _ := strings.Cut(c.says[e.User], " ")
	close(c.news)
	c.news = make(chan struct{})
	c.mu.Unlock()
	c.h.mu.Lock()
	gate := c.h.gates[e.User]
	c.h.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	switch verdict {
	case "no":
		return &engine.VetoError{Text: words}
	case "gone":
		return fmt.Errorf("%w: 404", engine.ErrNoItem)
	case "down":
		return &engine.TemporaryError{Err: errors.New("503")}
	case "late":
		return fmt.Errorf("asking: %w", context.DeadlineExceeded)
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	c.h.take(e)
	if verdict == "lost" {
		return &engine.TemporaryError{Err: errors.New("connection reset")}
	}
	return nil
}

// item is what parseRoster reads.
func item(i roster.Item) string {
	s := i.JID.String() + " " + i.Subscription.String()
	if i.Name != "" {
		s += fmt.Sprintf(" %q", i.Name)
	}
	if len(i.Groups) > 0 {
		s += " (" + strings.Join(i.Groups, ", ") + ")"
	}
	return s
}

// take makes the change on both sides, if the other is of the same host. Under the lock.
func (h *house) take(e engine.Edit) {
	const to, from = roster.To, roster.From
	mine := func(i *roster.Item) { i.Name, i.Groups = e.Item.Name, e.Item.Groups }
	switch e.Action {
	case engine.Set:
		h.amend(e.User, e.Contact, true, mine)
	case engine.Remove:
		h.rosters[e.User] = slices.DeleteFunc(h.rosters[e.User], func(i roster.Item) bool { return i.JID == e.Contact })
		h.amend(e.Contact, e.User, false, func(i *roster.Item) { i.Subscription = roster.None })
	case engine.OutSubscribe:
		h.amend(e.User, e.Contact, true, func(i *roster.Item) { i.Subscription |= to })
		h.amend(e.Contact, e.User, true, func(i *roster.Item) { i.Subscription |= from })
	case engine.OutSubscribed:
		h.amend(e.User, e.Contact, true, func(i *roster.Item) { i.Subscription |= from })
		h.amend(e.Contact, e.User, true, func(i *roster.Item) { i.Subscription |= to })
	case engine.OutUnsubscribe:
		h.amend(e.User, e.Contact, false, func(i *roster.Item) { i.Subscription &^= to })
		h.amend(e.Contact, e.User, false, func(i *roster.Item) { i.Subscription &^= from })
	case engine.OutUnsubscribed:
		h.amend(e.User, e.Contact, false, func(i *roster.Item) { i.Subscription &^= from })
		h.amend(e.Contact, e.User, false, func(i *roster.Item) { i.Subscription &^= to })
	}
}

func (h *house) amend(user, contact addr.Bare, add bool, change func(*roster.Item)) {
	if user.Domain() != clerks {
		return
	}
	list := slices.Clone(h.rosters[user])
	defer func() { h.rosters[user] = list }()
	at := slices.IndexFunc(list, func(i roster.Item) bool { return i.JID == contact })
	switch {
	case at < 0 && !add:
		return
	case at < 0:
		at, list = len(list), append(list, roster.Item{JID: contact})
	}
	change(&list[at])
}

// actions adds the steps of conversations that are about it.
func (c *clerk) actions(steps map[string]func(context.Context, string) error) map[string]func(context.Context, string) error {
	steps["decides"] = func(_ context.Context, text string) error {
		user, verdict, _ := strings.Cut(text, " ")
		c.mu.Lock()
		defer c.mu.Unlock()
		c.says[addr.MustBare(user+"@"+clerks)] = verdict
		return nil
	}
	steps["asked"] = func(ctx context.Context, text string) error {
		var want []string
		for part := range strings.SplitSeq(text, ";") {
			if part = strings.TrimSpace(part); part != "nothing" {
				want = append(want, part)
			}
		}
		for {
			c.mu.Lock()
			got, news := c.asked, c.news
			if len(got) >= len(want) {
				c.asked = nil
			}
			c.mu.Unlock()
			if len(got) >= len(want) {
				if !slices.Equal(got, want) {
					return fmt.Errorf("the backend was asked %q", got)
				}
				return nil
			}
			select {
			case <-news:
			case <-ctx.Done():
				return fmt.Errorf("the backend was asked only %q", got)
			}
		}
	}
	return steps
}

// clerks is the host whose backend is one.
const clerks = "crm.example"
