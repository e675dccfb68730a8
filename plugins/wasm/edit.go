package wasm

import (
	"context"
	"encoding/json"

	"rosterd/engine"
	"rosterd/plugins"
)

// Edit asks the module's rosterd_edit.
func (p *Plugin) Edit(ctx context.Context, e engine.Edit) error {
	if !p.info.Edit {
		return p.Nothing.Edit(ctx, e)
	}
	return p.run(&call{Context: ctx, plugin: p, op: opEdit, user: engine.Request{User: e.User}, rev: p.tag.held(e.Rev), edit: &e, started: p.svc.Now()}, nil)
}

// wish is what a module is told of an edit, beside whose it is.
type wish struct {
	ID           string   `json:"id"`
	Action       string   `json:"action"`
	Contact      string   `json:"contact"`
	Name         string   `json:"name"`
	Subscription string   `json:"subscription"`
	Groups       []string `json:"groups"`
	Ask          string   `json:"ask"`
	Approved     bool     `json:"approved"`
	Rev          string   `json:"rev"`
	ETag         string   `json:"etag"`
}

// appendEdit writes the fields of a wish, after those before it.
func (c *call) appendEdit(b []byte) []byte {
	i := c.edit.Item
	w := wish{c.edit.ID, c.edit.Action.Name(), c.edit.Contact.String(), i.Name, i.Subscription.String(), append([]string{}, i.Groups...), "", i.Approved, c.rev, plugins.StrongETag(c.rev)}
	if i.Ask {
		w.Ask = "subscribe"
	}
	fields, err := json.Marshal(w)
	if err != nil { // strings and truth values
		panic(err)
	}
	return append(append(b, ','), fields[1:len(fields)-1]...)
}
