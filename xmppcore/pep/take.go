package pep

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Taken is a node that comes from elsewhere.
type Taken struct {
	Name   string
	Config map[string][]string // by the names of the fields, such as "pubsub#max_items"; what is not there is as of a node made by publishing
	Closed bool                // nobody but the owner may see it, whatever Config says
	Items  []TakenItem         // the oldest first
}

// TakenItem is an item of such a node.
type TakenItem struct {
	ID      string
	Time    time.Time
	Payload []byte // one element, which stands alone
}

// Values are what is kept of the node: doc under its name in Host.Nodes, and payloads in Host.Items. A node keeps no more
// than so many items. What could not be taken as it was is named.
func (t Taken) Values(most int) (doc []byte, payloads map[string][]byte, changed []string, err error) {
	if t.Name == "" || len(t.Name) > maxNode {
		return nil, nil, nil, fmt.Errorf("a node has a name of at most %d bytes", maxNode)
	}
	n := node{Config: Config{Access: "presence", MaxItems: 1}}
	for _, f := range fields {
		v, ok := t.Config[f.name]
		if !ok {
			continue
		}
		c := n.Config
		if refused := c.apply(submitted{f.name: v}, most); refused == nil {
			n.Config = c
			continue
		}
		changed = append(changed, fmt.Sprintf("%s = %q is not possible here", f.name, v))
		switch f.name {
		case "pubsub#access_model":
			n.Config.Access = "whitelist"
		case "pubsub#max_items":
			n.Config.MaxItems = 0
		}
	}
	if t.Closed {
		n.Config.Access = "whitelist"
	}
	keep := (&box{host: &Host{MaxItems: most}}).most(&n.Config)
	items := t.latest()
	if more := len(items) - keep; more > 0 && keep > 0 {
		changed = append(changed, fmt.Sprintf("only the last %d of %d items are kept", keep, len(items)))
	}
	payloads = map[string][]byte{}
	for _, i := range items[max(0, len(items)-keep):] {
		if len(i.ID) > maxItemID {
			changed = append(changed, fmt.Sprintf("an item has an ID of more than %d bytes", maxItemID))
			continue
		}
		n.Items = append(n.Items, item{ID: i.ID, Time: i.Time.UTC().Truncate(time.Second), Size: len(i.Payload)})
		payloads[key(t.Name, i.ID)] = i.Payload
	}
	doc, err = json.Marshal(n)
	return doc, payloads, changed, err
}

// latest are the items, of each ID the last one.
func (t Taken) latest() (list []TakenItem) {
	seen := make(map[string]bool, len(t.Items))
	for _, i := range slices.Backward(t.Items) {
		if !seen[i.ID] {
			seen[i.ID] = true
			list = append(list, i)
		}
	}
	slices.Reverse(list)
	return list
}
