package engine

import (
	"context"
	"encoding/json"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// kept is what a Keeper keeps of a user.
type kept struct {
	Rev     string          `json:"rev,omitempty"`
	Fetched time.Time       `json:"fetched"`
	Items   json.RawMessage `json:"items"` // the standard form
	History roster.History  `json:"history,omitzero"`
}

// remember reads the kept roster before the user's first fetch: it serves if the backend fails, and its
// revision may spare the backend an answer. Nobody is shown it before that.
func (e *Engine) remember(u *user) {
	if u.host.Keeper == nil {
		return
	}
	u.mu.Lock()
	known := u.state != absent || !u.fetched.IsZero()
	u.mu.Unlock()
	if known {
		return
	}
	doc, ok, err := u.host.Keeper.LoadRoster(e.ctx, u.addr)
	if e.ctx.Err() != nil {
		return // Close has ended it, which is no error
	}
	if err != nil {
		e.log.Error("reading the last good roster", "user", u.addr, "error", err)
		return
	}
	if !ok {
		return
	}
	k, r, err := decodeKept(u.addr, doc)
	if err != nil {
		e.log.Error("the last good roster cannot be read; it is passed over", "user", u.addr, "error", err)
		return
	}
	u.mu.Lock()
	u.roster, u.rev, u.fetched, u.history = r, k.Rev, k.Fetched, k.History
	u.mu.Unlock()
}

func decodeKept(owner addr.Bare, doc []byte) (k kept, r roster.Roster, err error) {
	if err = json.Unmarshal(doc, &k); err != nil {
		return k, r, err
	}
	const any = 1 << 30 // what was served once is served again, whatever the limits
	r, _, err = roster.DecodeJSON(owner, k.Items, roster.Limits{Items: any, Text: any, Groups: any})
	return k, r, err
}

func (e *Engine) keep(u *user) {
	if u.host.Keeper == nil {
		return
	}
	u.mu.Lock()
	k, r := kept{Rev: u.rev, Fetched: u.fetched, History: u.history}, u.roster
	u.mu.Unlock()
	k.Items = r.EncodeJSON()
	doc, err := json.Marshal(k)
	if err == nil {
		err = u.host.Keeper.SaveRoster(context.WithoutCancel(e.ctx), u.addr, doc) // Close waits for it
	}
	if err != nil {
		e.log.Error("keeping the last good roster", "user", u.addr, "error", err)
	}
}
