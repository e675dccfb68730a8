package xmppcore

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/block"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/xep"
)

const nsBlocking = "urn:xmpp:blocking"

// Blocking is what users of a host can block, and how (XEP-0191).
type Blocking struct {
	Keep   int                                      // lists of users who are offline that stay in memory (blocklist_cache_size)
	Import func(user addr.Bare) ([]addr.JID, error) // whom a user had blocked elsewhere; may be nil
	Silent bool                                     // messages of those who are blocked are dropped, not returned (bounce_blocked_messages = false)
}

// lists are where the users of h keep whom they have blocked, nil if they cannot.
func (s *Server) lists(h *Host) *block.Lists {
	if h.Blocking == nil {
		return nil
	}
	l := block.NewLists(h.Stores.Keyed("blocklist"), h.Blocking.Keep, s.log)
	l.Import = h.Blocking.Import
	return l
}

// blocking answers XEP-0191.
func (s *Server) blocking(lists *block.Lists) xep.Extension {
	own := func(name string) router.Payload { return router.Payload{Space: nsBlocking, Name: name} }
	return xep.Extension{Features: []string{nsBlocking}, Account: router.Handlers{
		own("blocklist"): blocklist,
		own("block"):     func(q *router.Query) *stanza.Error { return s.editBlocks(lists, q, false) },
		own("unblock"):   func(q *router.Query) *stanza.Error { return s.editBlocks(lists, q, true) },
	}}
}

// blocklist is XEP-0191 §3.2. Who has asked is told of changes.
func blocklist(q *router.Query) *stanza.Error {
	if q.Set {
		return &stanza.Error{Condition: stanza.BadRequest}
	}
	a := q.From.Account
	a.Turn.Do(func() {
		a.Lock()
		defer a.Unlock()
		q.From.Blocklist = true
		b := []byte("<blocklist xmlns='" + nsBlocking + "'>")
		for j := range a.Blocks.Load().All() {
			b = appendBlocked(b, j)
		}
		q.Result(append(b, "</blocklist>"...))
	})
	return nil
}

func appendBlocked(dst []byte, j addr.JID) []byte {
	return append(stanza.AppendAttr(append(dst, "<item"...), "jid", j.String()), "/>"...)
}

// editBlocks is XEP-0191 §3.3–3.5: all of the request or nothing.
func (s *Server) editBlocks(lists *block.Lists, q *router.Query, unblock bool) *stanza.Error {
	items, refused := blockItems(q)
	if refused != nil {
		return refused
	}
	edit := block.Edit{Block: items}
	switch {
	case unblock:
		edit = block.Edit{Unblock: items, All: len(items) == 0}
	case len(items) == 0:
		return &stanza.Error{Condition: stanza.BadRequest, Text: "nobody to block"}
	}
	a := q.From.Account
	ctx, cancel := context.WithTimeout(context.Background(), blocksPatience)
	defer cancel()
	err := lists.Edit(ctx, a.User, edit, func(to *block.List) {
		s.changing.Lock()
		defer s.changing.Unlock()
		a.Turn.Do(func() { s.blocked(a, to, func() { q.Result(nil); pushBlocks(a, items, unblock) }) })
	})
	switch {
	case errors.Is(err, block.ErrFull):
		return &stanza.Error{Type: stanza.Cancel, Condition: stanza.ResourceConstraint, Text: err.Error()}
	case err != nil:
		s.log.Error("changing whom a user has blocked", "user", a.User, "error", err)
		return &stanza.Error{Type: stanza.Wait, Condition: stanza.InternalServerError}
	}
	return nil
}

// blocksPatience is how long the store may take.
const blocksPatience = 30 * time.Second

// blocked gives an account the list that its user has now, if anybody of it is still there; in the turn.
func (s *Server) blocked(a *registry.Account, to *block.List, push func()) {
	if len(a.Resources()) > 0 {
		s.presence.Blocked(a, to, push)
	}
}

// blockItems are the addresses of a request.
func blockItems(q *router.Query) (items []addr.JID, refused *stanza.Error) {
	if !q.Set {
		return nil, &stanza.Error{Condition: stanza.BadRequest}
	}
	for e := range q.Payload.Elements() {
		if string(e.Name) != "item" || string(e.Space) != nsBlocking {
			continue
		}
		v, _ := e.Attr("jid")
		j, err := addr.Parse(v)
		if err != nil {
			return nil, &stanza.Error{Condition: stanza.JIDMalformed, Text: err.Error()}
		}
		items = append(items, j)
	}
	return items, nil
}

var blockPushes atomic.Uint64

// pushBlocks tells the resources that have asked for the list what was changed about it.
func pushBlocks(a *registry.Account, items []addr.JID, unblock bool) {
	name := "block"
	if unblock {
		name = "unblock"
	}
	b := []byte("<" + name + " xmlns='" + nsBlocking + "'>")
	for _, j := range items {
		b = appendBlocked(b, j)
	}
	b = append(b, "</"+name+">"...)
	id := "blocks" + strconv.FormatUint(blockPushes.Add(1), 36)
	for _, r := range a.Resources() {
		if r.Blocklist {
			r.AppendOwn(func(dst []byte) []byte { return stanza.AppendIQ(dst, stanza.TypeSet, id, "", r.Full.String(), b) })
		}
	}
}

// blocksRead is whom a user had blocked at some time.
type blocksRead struct {
	list    *block.List // nil: nobody has read it
	lists   *block.Lists
	changes uint64
}

// readBlocks reads whom the user of an account has blocked, unless that is known; before the turn, in which others would
// wait for the store, too.
func readBlocks(a *registry.Account, lists *block.Lists) (read blocksRead, err error) {
	if lists == nil || a.Blocks.Load() != nil {
		return read, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), blocksPatience)
	defer cancel()
	read.lists, read.changes = lists, lists.Changes()
	read.list, err = lists.Load(ctx, a.User)
	return read, err
}

// old tells whether it may be otherwise by now. In the turn, in which an account hears of changes.
func (r *blocksRead) old(lists *block.Lists) bool {
	return r.list == nil || r.lists != lists || r.changes != lists.Changes()
}

// loadBlocks sets what was read; in the turn, before anybody can write to a resource of the account. Who was there in
// between knows better; if somebody has changed his list and left, it is read again, as it is where a reload has just let
// users block.
func loadBlocks(a *registry.Account, lists *block.Lists, read blocksRead) (err error) {
	if lists == nil || a.Blocks.Load() != nil {
		return nil
	}
	if read.old(lists) {
		if read, err = readBlocks(a, lists); err != nil {
			return err
		}
	}
	a.Lock()
	defer a.Unlock()
	a.Blocks.Store(read.list)
	return nil
}

// reblock makes a reload's choice whether users can block anybody that of an account which is online.
func (s *Server) reblock(a *registry.Account, lists *block.Lists) {
	if (lists == nil) == (a.Blocks.Load() == nil) {
		return
	}
	list := block.New()
	if lists != nil {
		ctx, cancel := context.WithTimeout(context.Background(), blocksPatience)
		defer cancel()
		var err error
		if list, err = lists.Load(ctx, a.User); err != nil {
			s.log.Error("reading whom a user has blocked", "user", a.User, "error", err)
			return
		}
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	a.Turn.Do(func() {
		s.blocked(a, list, func() {})
		if lists == nil {
			a.Blocks.Store(nil)
		}
	})
}
