package xmpptest

import (
	"context"
	"fmt"
	"slices"
)

const nsRoster = "jabber:iq:roster"

// Item is a contact as a client sees it (RFC 6121 §2.1.2).
type Item struct {
	JID, Name, Subscription, Ask string
	Groups                       []string // sorted
}

// Roster gets the roster (RFC 6121 §2.2), which makes the resource interested.
func (c *Client) Roster(ctx context.Context) ([]Item, error) {
	answer, err := c.IQ(ctx, "get", "", "<query xmlns='"+nsRoster+"'/>")
	if err != nil {
		return nil, err
	}
	if answer.Attr("type") != "result" {
		return nil, fmt.Errorf("roster get: %s", answer)
	}
	return Items(answer), nil
}

// ExpectPush returns the items of the next roster push (RFC 6121 §2.1.6), after
// telling the server that it arrived.
func (c *Client) ExpectPush(ctx context.Context) ([]Item, error) {
	push, err := c.Expect(ctx, "a roster push", func(e Element) bool {
		_, ok := e.Find(nsRoster, "query")
		return ok && e.Name.Local == "iq" && e.Attr("type") == "set"
	})
	if err != nil {
		return nil, err
	}
	return Items(push), c.Send(ctx, "<iq type='result' id='"+escape(push.Attr("id"))+"'/>")
}

// Items are the contacts in a roster result or push.
func Items(iq Element) []Item {
	query, _ := iq.Find(nsRoster, "query")
	var items []Item
	for _, e := range query.Children {
		item := Item{JID: e.Attr("jid"), Name: e.Attr("name"), Subscription: e.Attr("subscription"), Ask: e.Attr("ask")}
		for _, g := range e.Children {
			item.Groups = append(item.Groups, g.Text)
		}
		slices.Sort(item.Groups)
		items = append(items, item)
	}
	return items
}
