package pep

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/stanza"
)

// Limits of what one user may publish; how many items a node has, Host.MaxItems says.
const (
	maxNodes   = 256
	maxBytes   = 4 << 20 // of all payloads
	maxNode    = 512     // bytes of the name of a node
	maxItemID  = 1023    // and of an item
	maxRemains = 2 << 10 // bytes of a payload that is kept in memory with its node
)

// Limits of what is kept in memory of all users.
const (
	maxBoxes      = 1000 // where pep_service_cache_size does not say
	maxBoxesBytes = 32 << 20
	maxAge        = 10 * time.Minute // then they are read again: the program's own commands write to the store, too
)

// node is one node, as it is stored.
type node struct {
	Config Config `json:"config"`
	Items  []item `json:"items,omitempty"` // the oldest first
}

// item is one item without its payload, which has a place of its own.
type item struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	Size int       `json:"size"` // of the payload

	payload []byte // if it is small and was read already
	told    uint64 // when its event went out, counted by Service.told; 0: before it was read
}

func (n *node) last() *item {
	if len(n.Items) == 0 {
		return nil
	}
	return &n.Items[len(n.Items)-1]
}

func (n *node) find(id string) int {
	return slices.IndexFunc(n.Items, func(i item) bool { return i.ID == id })
}

// box is what one user has published. Whoever holds it is alone with it, also while it is written and while events are
// queued: nobody sees an older event after a newer one.
type box struct {
	owner addr.Bare
	turn  chan struct{} // has an element while somebody holds the box, who alone may touch the fields below

	host  *Host
	nodes map[string]*node // nil: not read yet, or unknown since a store has failed

	at    time.Time // when they were read
	moved bool      // bookmarks were looked for in their old place

	stale atomic.Bool // who opens it next reads it again

	refs  int           // guarded by boxes.mu, as the rest; of who holds it or waits for it
	place *list.Element // among those that nobody holds, nil while somebody does
	bytes int           // as it was counted when it was put back
}

// boxes are those that are in memory.
type boxes struct {
	mu    sync.Mutex
	all   map[addr.Bare]*box
	idle  list.List // of *box, the one put back last in front
	bytes int       // of those
}

// open takes a user's box. Close puts it back. The error is that of the store, or of ctx if somebody else holds the box
// for longer.
func (s *Service) open(ctx context.Context, h *Host, owner addr.Bare) (*box, error) {
	b := s.boxes.take(owner)
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		s.boxes.leave(b, h.MaxBoxes)
		return nil, fmt.Errorf("wait for what %s has published: %w", owner, ctx.Err())
	}
	if b.stale.Swap(false) {
		b.nodes = nil
	}
	if b.nodes != nil && b.host == h && time.Since(b.at) < maxAge {
		return b, nil
	}
	b.host = h // another one since a reload, perhaps with other stores
	if err := b.read(ctx); err != nil {
		s.close(b)
		return nil, err
	}
	return b, nil
}

// Forget is for a user whose account was deleted, with all that is stored of him. It does not wait for who holds his box.
func (s *Service) Forget(user addr.Bare) {
	s.boxes.mu.Lock()
	defer s.boxes.mu.Unlock()
	if b := s.boxes.all[user]; b != nil {
		b.stale.Store(true)
	}
}

func (s *Service) close(b *box) {
	size, most := b.size(), b.host.MaxBoxes
	<-b.turn
	s.boxes.put(b, size, most)
}

func (l *boxes) take(owner addr.Bare) *box {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.all[owner]
	if b == nil {
		if l.all == nil {
			l.all = make(map[addr.Bare]*box)
		}
		b = &box{owner: owner, turn: make(chan struct{}, 1)}
		l.all[owner] = b
	}
	if b.place != nil {
		l.idle.Remove(b.place)
		l.bytes -= b.bytes
		b.place = nil
	}
	b.refs++
	return b
}

// put puts back a box that takes so much memory.
func (l *boxes) put(b *box, size, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.bytes = size
	l.drop(b, most)
}

// leave is for who has waited for a box in vain.
func (l *boxes) leave(b *box, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(b, most)
}

// drop keeps a box that nobody holds any more, until there are too many or they are too large.
func (l *boxes) drop(b *box, most int) {
	if b.refs--; b.refs > 0 {
		return
	}
	b.place = l.idle.PushFront(b)
	l.bytes += b.bytes
	for l.idle.Len() > most || l.bytes > maxBoxesBytes {
		last := l.idle.Remove(l.idle.Back()).(*box)
		l.bytes -= last.bytes
		delete(l.all, last.owner)
	}
}

// read reads the nodes of the box's user.
func (b *box) read(ctx context.Context) error {
	docs, err := b.host.Nodes.All(ctx, b.owner)
	if err != nil {
		return err
	}
	nodes := make(map[string]*node, len(docs))
	for name, doc := range docs {
		n := new(node)
		if err := json.Unmarshal(doc, n); err != nil {
			return fmt.Errorf("node %q of %s: %w", name, b.owner, err)
		}
		nodes[name] = n
	}
	b.nodes, b.at = nodes, time.Now()
	return nil
}

// size is how much memory the box takes, about.
func (b *box) size() int {
	n := 200
	for name, v := range b.nodes {
		n += 400 + len(name)
		for _, i := range v.Items {
			n += 100 + len(i.ID) + len(i.payload)
		}
	}
	return n
}

// stored is how much of the user's room is taken.
func (b *box) stored() (bytes int) {
	for name, n := range b.nodes {
		bytes += len(name)
		for _, i := range n.Items {
			bytes += i.Size + len(i.ID)
		}
	}
	return bytes
}

// most is how many items a node keeps.
func (b *box) most(c *Config) int {
	switch {
	case c.Transient:
		return 0
	case c.MaxItems == 0 || c.MaxItems > b.host.MaxItems:
		return b.host.MaxItems
	}
	return c.MaxItems
}

// create makes a node, or changes the configuration of one.
func (b *box) create(ctx context.Context, name string, c Config) error {
	n := &node{Config: c}
	if old := b.nodes[name]; old != nil {
		n.Items = old.Items
	} else if err := b.roomFor(name); err != nil {
		return err
	}
	var gone []item
	if over := len(n.Items) - b.most(&c); over > 0 {
		gone, n.Items = n.Items[:over], n.Items[over:]
	}
	return b.write(ctx, name, n, nil, nil, gone)
}

// roomFor refuses a node that would be one too many.
func (b *box) roomFor(name string) error {
	switch {
	case name == "" || len(name) > maxNode:
		return refusal(stanza.BadRequest, "nodeid-required", fmt.Sprintf("a node has a name of at most %d bytes", maxNode))
	case len(b.nodes) >= maxNodes:
		return refusal(stanza.ResourceConstraint, "", fmt.Sprintf("more than %d nodes", maxNodes))
	}
	return nil
}

// put puts an item into a node that is there, as its last one.
func (b *box) put(ctx context.Context, name, id string, payload []byte, told uint64) error {
	if len(id) > maxItemID {
		return refusal(stanza.BadRequest, "invalid-payload", fmt.Sprintf("the ID of an item has at most %d bytes", maxItemID))
	}
	old := b.nodes[name]
	most := b.most(&old.Config)
	if most == 0 {
		return nil
	}
	n := &node{Config: old.Config, Items: slices.DeleteFunc(slices.Clone(old.Items), func(i item) bool { return i.ID == id })}
	fresh := item{ID: id, told: told, Time: time.Now().UTC().Truncate(time.Second), Size: len(payload)}
	if len(payload) <= maxRemains {
		fresh.payload = payload
	}
	n.Items = append(n.Items, fresh)
	var gone []item
	if over := len(n.Items) - most; over > 0 {
		gone = slices.Clone(n.Items[:over])
		n.Items = n.Items[over:]
	}
	if b.stored()-old.stored()+n.stored() > maxBytes {
		return refusal(stanza.ResourceConstraint, "", fmt.Sprintf("more than %d bytes are published", maxBytes))
	}
	return b.write(ctx, name, n, &fresh, payload, gone)
}

func (n *node) stored() (bytes int) {
	for _, i := range n.Items {
		bytes += i.Size + len(i.ID)
	}
	return bytes
}

// retract takes items out of a node; nil means all.
func (b *box) retract(ctx context.Context, name string, ids []string) error {
	old := b.nodes[name]
	n := &node{Config: old.Config}
	var gone []item
	for _, i := range old.Items {
		if ids == nil || slices.Contains(ids, i.ID) {
			gone = append(gone, i)
		} else {
			n.Items = append(n.Items, i)
		}
	}
	return b.write(ctx, name, n, nil, nil, gone)
}

// remove takes a node away.
func (b *box) remove(ctx context.Context, name string) error {
	return b.write(ctx, name, nil, nil, nil, b.nodes[name].Items)
}

// write stores a node, its new item before it, and takes away what is gone after it: a crash in between leaves a
// payload that nobody asks for, and never an item without one.
func (b *box) write(ctx context.Context, name string, n *node, fresh *item, payload []byte, gone []item) error {
	err := b.commit(ctx, name, n, fresh, payload, gone)
	if err != nil {
		b.nodes = nil // who knows what is stored now
		return err
	}
	if b.nodes[name] = n; n == nil {
		delete(b.nodes, name)
	}
	return nil
}

func (b *box) commit(ctx context.Context, name string, n *node, fresh *item, payload []byte, gone []item) error {
	if fresh != nil {
		if err := b.host.Items.Change(ctx, b.owner, map[string][]byte{key(name, fresh.ID): payload}); err != nil {
			return err
		}
	}
	var doc []byte
	if n != nil {
		var err error
		if doc, err = json.Marshal(n); err != nil {
			return fmt.Errorf("node %q of %s: %w", name, b.owner, err)
		}
	}
	if err := b.host.Nodes.Change(ctx, b.owner, map[string][]byte{name: doc}); err != nil || len(gone) == 0 {
		return err
	}
	values := make(map[string][]byte, len(gone))
	for _, i := range gone {
		values[key(name, i.ID)] = nil
	}
	return b.host.Items.Change(ctx, b.owner, values)
}

// payload reads the payload of an item.
func (b *box) payload(ctx context.Context, name string, i *item) ([]byte, error) {
	if i.payload != nil {
		return i.payload, nil
	}
	p, ok, err := b.host.Items.Get(ctx, b.owner, key(name, i.ID))
	switch {
	case err != nil:
		return nil, err
	case !ok: // somebody has deleted it behind our back, such as the account by a command
		b.nodes = nil
		return nil, errNoNode
	}
	if len(p) <= maxRemains {
		i.payload = p
	}
	return p, nil
}

// key is where the payload of an item is stored: of any names one key of the same length.
func key(node, id string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s%s", len(node), node, id))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
