package pep

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"

	"rosterd/engine/addr"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/xep"
)

// features are what XEP-0060 §10 calls what there is.
var features = []string{
	NS, NS + "#access-open", NS + "#access-presence", NS + "#access-roster", NS + "#access-whitelist", NS + "#auto-create",
	NS + "#auto-subscribe", NS + "#config-node", NS + "#config-node-max", NS + "#create-and-configure", NS + "#create-nodes",
	NS + "#delete-items", NS + "#delete-nodes", NS + "#filtered-notifications", NS + "#instant-nodes", NS + "#item-ids",
	NS + "#last-published", NS + "#meta-data", NS + "#multi-items", NS + "#owner", NS + "#persistent-items",
	NS + "#presence-notifications", NS + "#presence-subscribe", NS + "#publish", NS + "#publish-options", NS + "#purge-nodes",
	NS + "#retract-items", NS + "#retrieve-default", NS + "#retrieve-items",
}

// Extension is personal eventing for the users of a host.
func (s *Service) Extension() xep.Extension {
	h := router.Handlers{{Space: NS, Name: "pubsub"}: s.answer(requests), {Space: nsOwner, Name: "pubsub"}: s.answer(ownerRequests)}
	return xep.Extension{
		Account: h, Public: h,
		AccountFeatures: features, AccountIdentities: []xep.Identity{{Category: "pubsub", Type: "pep"}},
		Nodes: s.disco,
	}
}

// request is one that a box answers, which is held.
type request struct {
	*Service
	ctx context.Context
	q   *router.Query
	b   *box

	node   string       // the attribute of what is asked for
	what   scan.Element // the first child of <pubsub/>
	beside scan.Element // the second one, if there is any

	changed bool // what the node holds
}

// method answers a request with the payload of the result.
type method struct {
	public bool // not the owner's alone
	do     func(r *request) ([]byte, error)
}

// requests and ownerRequests are by type and name of what is asked for.
var (
	requests = map[string]method{
		"get items":         {true, (*request).items},
		"get default":       {false, (*request).defaults},
		"set publish":       {false, (*request).publish},
		"set retract":       {false, (*request).retract},
		"set create":        {false, (*request).create},
		"get affiliations":  {false, (*request).affiliations},
		"get subscriptions": {false, (*request).subscriptions},
		"set subscribe":     {true, func(*request) ([]byte, error) { return nil, unsupported("subscribe") }},
		"set unsubscribe":   {true, func(*request) ([]byte, error) { return nil, unsupported("subscribe") }},
		"get options":       {true, func(*request) ([]byte, error) { return nil, unsupported("subscription-options") }},
		"set options":       {true, func(*request) ([]byte, error) { return nil, unsupported("subscription-options") }},
	}
	ownerRequests = map[string]method{
		"get configure":     {false, (*request).configuration},
		"set configure":     {false, (*request).configure},
		"get default":       {false, (*request).defaults},
		"set delete":        {false, (*request).remove},
		"set purge":         {false, (*request).purge},
		"get affiliations":  {false, (*request).affiliations},
		"set affiliations":  {false, func(*request) ([]byte, error) { return nil, unsupported("modify-affiliations") }},
		"get subscriptions": {false, (*request).subscriptions},
		"set subscriptions": {false, func(*request) ([]byte, error) { return nil, unsupported("manage-subscriptions") }},
	}
)

func (s *Service) answer(methods map[string]method) router.Handler {
	return func(q *router.Query) *stanza.Error {
		r := request{Service: s, q: q}
		n := 0
		for e := range q.Payload.Elements() {
			switch n++; n {
			case 1:
				r.what = e
			case 2:
				r.beside = e
			}
		}
		if n == 0 {
			return &stanza.Error{Condition: stanza.BadRequest}
		}
		kind := "get "
		if q.Set {
			kind = "set "
		}
		m, ok := methods[kind+string(r.what.Name)]
		owner := q.To.Bare()
		switch {
		case !ok || string(r.what.Space) != string(q.Payload.Space):
			return &stanza.Error{Condition: stanza.FeatureNotImplemented}
		case !m.public && q.Sender.Bare() != owner:
			return &stanza.Error{Condition: stanza.Forbidden}
		}
		r.node, _ = r.what.Attr("node")
		return r.run(owner, m)
	}
}

// run answers a request, and then tells those inside the server who have to do with what it has changed.
func (r *request) run(owner addr.Bare, m method) *stanza.Error {
	h := r.Host(owner.Domain())
	if h == nil {
		return &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	if h.given(r.node) {
		return r.answerGiven(h, owner)
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	r.ctx = ctx
	if err := r.with(h, owner, m); err != nil {
		return r.failed(owner, err)
	}
	if r.changed {
		for _, f := range h.Changed {
			f(owner, r.node)
		}
	}
	return nil
}

func (r *request) with(h *Host, owner addr.Bare, m method) (err error) {
	if r.b, err = r.open(r.ctx, h, owner); err != nil {
		return err
	}
	defer r.close(r.b)
	result, err, handled := r.oldPlace()
	if !handled {
		result, err = m.do(r)
	}
	if err == nil {
		r.q.Result(result)
	}
	return err
}

// there is the node that a request is about.
func (r *request) there() (*node, error) {
	if r.node == "" {
		return nil, refusal(stanza.BadRequest, "nodeid-required", "")
	}
	n := r.b.nodes[r.node]
	if n == nil {
		return nil, errNoNode
	}
	return n, nil
}

// items is XEP-0060 §6.5: those with the IDs asked for, or the last max_items.
func (r *request) items() ([]byte, error) {
	n, err := r.there()
	if err != nil {
		return nil, err
	}
	v := &viewer{s: r.Service, owner: r.b.owner, bare: r.q.Sender.Bare()}
	if err := v.may(r.ctx, &n.Config); err != nil {
		return nil, err
	}
	first, ids := 0, []string(nil)
	for e := range r.what.Elements() {
		if id, ok := e.Attr("id"); ok && string(e.Name) == "item" {
			ids = append(ids, id)
		}
	}
	if text, ok := r.what.Attr("max_items"); ok && ids == nil {
		most, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return nil, refusal(stanza.BadRequest, "", "max_items is no number")
		}
		first = max(0, len(n.Items)-int(most))
	}
	b := stanza.AppendAttr([]byte("<pubsub xmlns='"+NS+"'><items"), "node", r.node)
	b = append(b, '>')
	for k := first; k < len(n.Items); k++ {
		i := &n.Items[k]
		if ids != nil && !slices.Contains(ids, i.ID) {
			continue
		}
		payload, err := r.b.payload(r.ctx, r.node, i)
		if err != nil {
			return nil, err
		}
		b = appendItem(b, i.ID, payload)
	}
	return append(b, "</items></pubsub>"...), nil
}

// publish is XEP-0060 §7.1. A node that is not there is made, as the publisher wants it to be.
func (r *request) publish() ([]byte, error) {
	id, payload, err := r.published()
	if err != nil {
		return nil, err
	}
	var options submitted
	if string(r.beside.Name) == "publish-options" {
		options = readForm(r.beside)
	}
	if id, err = r.b.publish(r.ctx, r.Service, r.node, id, payload, options, defaults(r.node)); err != nil {
		return nil, err
	}
	r.changed = true
	b := stanza.AppendAttr([]byte("<pubsub xmlns='"+NS+"'><publish"), "node", r.node)
	return append(appendItem(append(b, '>'), id, nil), "</publish></pubsub>"...), nil
}

// published is the item of a request to publish: exactly one, with exactly one element in it (XEP-0060 §7.1.3).
func (r *request) published() (id string, payload []byte, err error) {
	found := 0
	for e := range r.what.Elements() {
		if string(e.Name) != "item" {
			continue
		}
		if found++; found > 1 {
			return "", nil, refusal(stanza.NotAllowed, "max-items-exceeded", "one item at a time")
		}
		id, _ = e.Attr("id")
		for p := range e.Elements() {
			if payload != nil {
				return "", nil, refusal(stanza.BadRequest, "invalid-payload", "an item holds one element")
			}
			payload = p.AppendAlone(nil)
		}
	}
	switch {
	case found == 0:
		return "", nil, refusal(stanza.BadRequest, "item-required", "")
	case payload == nil:
		return "", nil, refusal(stanza.BadRequest, "payload-required", "")
	}
	return id, payload, nil
}

// publish puts an item into a node, and tells of it. A node that is not there is made of otherwise and the options,
// which one that is there has to meet already. An item without an ID is given one.
func (b *box) publish(ctx context.Context, s *Service, name, id string, payload []byte, options submitted, otherwise Config) (string, error) {
	n := b.nodes[name]
	if n == nil {
		c := otherwise
		if err := c.apply(options, b.host.MaxItems); err != nil {
			return "", err
		}
		if err := b.create(ctx, name, c); err != nil {
			return "", err
		}
		n = b.nodes[name]
	} else if ok, wrong := n.Config.meets(options, b.host.MaxItems); wrong != nil || !ok {
		if wrong != nil {
			return "", wrong
		}
		return "", refusal(stanza.Conflict, "precondition-not-met", "")
	}
	if id == "" {
		id = rand.Text()
	}
	if err := b.put(ctx, name, id, payload, s.told.Add(1)); err != nil {
		return "", err
	}
	if c := n.Config; !c.NoNotify {
		if c.NoPayload {
			payload = nil
		}
		return id, s.tell(ctx, b, name, &c, itemsEvent(name, appendItem(nil, id, payload)))
	}
	return id, nil
}

// retract is XEP-0060 §7.2.
func (r *request) retract() ([]byte, error) {
	n, err := r.there()
	if err != nil {
		return nil, err
	}
	var ids []string
	for e := range r.what.Elements() {
		if id, ok := e.Attr("id"); ok && string(e.Name) == "item" && n.find(id) >= 0 {
			ids = append(ids, id)
		} else {
			return nil, errNoNode
		}
	}
	if ids == nil {
		return nil, refusal(stanza.BadRequest, "item-required", "")
	}
	notify, _ := r.what.Attr("notify")
	r.changed = true
	return nil, r.b.take(r.ctx, r.Service, r.node, ids, notify == "1" || notify == "true")
}

// take takes items out of a node, and tells of it.
func (b *box) take(ctx context.Context, s *Service, name string, ids []string, notify bool) error {
	if err := b.retract(ctx, name, ids); err != nil {
		return err
	}
	c := b.nodes[name].Config
	if !notify || c.NoNotify || c.NoRetract {
		return nil
	}
	return s.tell(ctx, b, name, &c, itemsEvent(name, retracted(ids)))
}

// create is XEP-0060 §8.1.
func (r *request) create() ([]byte, error) {
	given := r.node != ""
	if !given {
		r.node = rand.Text()
	}
	if r.b.nodes[r.node] != nil {
		return nil, &stanza.Error{Condition: stanza.Conflict}
	}
	c := defaults(r.node)
	if string(r.beside.Name) == "configure" {
		if err := c.apply(readForm(r.beside), r.b.host.MaxItems); err != nil {
			return nil, err
		}
	}
	if err := r.b.create(r.ctx, r.node, c); err != nil || given {
		return nil, err
	}
	b := stanza.AppendAttr([]byte("<pubsub xmlns='"+NS+"'><create"), "node", r.node)
	return append(b, "/></pubsub>"...), nil
}

// configuration is XEP-0060 §8.2.
func (r *request) configuration() ([]byte, error) {
	n, err := r.there()
	if err != nil {
		return nil, err
	}
	b := stanza.AppendAttr([]byte("<pubsub xmlns='"+nsOwner+"'><configure"), "node", r.node)
	return append(n.Config.appendForm(append(b, '>')), "</configure></pubsub>"...), nil
}

func (r *request) configure() ([]byte, error) {
	n, err := r.there()
	if err != nil {
		return nil, err
	}
	c := n.Config
	form := readForm(r.what)
	if err := c.apply(form, r.b.host.MaxItems); err != nil || form == nil {
		if err != nil {
			return nil, err
		}
		return nil, nil // the form was cancelled (XEP-0060 §8.2.5.1)
	}
	r.changed = true
	return nil, r.b.create(r.ctx, r.node, c)
}

// defaults is XEP-0060 §8.3.
func (r *request) defaults() ([]byte, error) {
	c := defaults(r.node)
	b := append([]byte("<pubsub xmlns='"), r.q.Payload.Space...)
	return append(c.appendForm(append(b, "'><default>"...)), "</default></pubsub>"...), nil
}

// remove is XEP-0060 §8.4.
func (r *request) remove() ([]byte, error) {
	n, err := r.there()
	if err != nil {
		return nil, err
	}
	if err := r.b.remove(r.ctx, r.node); err != nil {
		return nil, err
	}
	r.changed = true
	if c := n.Config; !c.NoNotify && !c.NoDelete {
		return nil, r.tell(r.ctx, r.b, r.node, &c, append(stanza.AppendAttr([]byte("<delete"), "node", r.node), '/', '>'))
	}
	return nil, nil
}

// purge is XEP-0060 §8.5.
func (r *request) purge() ([]byte, error) {
	n, err := r.there()
	if err != nil {
		return nil, err
	}
	if err := r.b.retract(r.ctx, r.node, nil); err != nil {
		return nil, err
	}
	r.changed = true
	if c := n.Config; !c.NoNotify && !c.NoRetract {
		return nil, r.tell(r.ctx, r.b, r.node, &c, append(stanza.AppendAttr([]byte("<purge"), "node", r.node), '/', '>'))
	}
	return nil, nil
}

// affiliations is XEP-0060 §5.7 and §8.9: the owner is the only one who has any.
func (r *request) affiliations() ([]byte, error) {
	owner := string(r.q.Payload.Space) == nsOwner
	if _, err := r.there(); err != nil && (owner || r.node != "") {
		return nil, err
	}
	b := append(append([]byte("<pubsub xmlns='"), r.q.Payload.Space...), "'><affiliations"...)
	if r.node != "" {
		b = stanza.AppendAttr(b, "node", r.node)
	}
	b = append(b, '>')
	for name := range r.b.nodes {
		if r.node != "" && r.node != name {
			continue
		}
		if b = append(b, "<affiliation"...); owner {
			b = stanza.AppendAttr(b, "jid", r.b.owner.String())
		} else {
			b = stanza.AppendAttr(b, "node", name)
		}
		b = append(b, " affiliation='owner'/>"...)
	}
	return append(b, "</affiliations></pubsub>"...), nil
}

// subscriptions is XEP-0060 §5.6 and §8.8: there are none but those that presence brings.
func (r *request) subscriptions() ([]byte, error) {
	if _, err := r.there(); err != nil && (string(r.q.Payload.Space) == nsOwner || r.node != "") {
		return nil, err
	}
	b := append(append([]byte("<pubsub xmlns='"), r.q.Payload.Space...), "'><subscriptions"...)
	if r.node != "" {
		b = stanza.AppendAttr(b, "node", r.node)
	}
	return append(b, "/></pubsub>"...), nil
}

// disco answers for nodes (XEP-0060 §5.2–5.5): those that the one who asks may see. What is given may have to be asked for first.
func (s *Service) disco(q *router.Query, list bool, reply func([]byte) []byte) *stanza.Error {
	owner := q.To.Bare()
	h := s.Host(owner.Domain())
	if h == nil {
		q.Result(reply(nil))
		return nil
	}
	v := &viewer{s: s, owner: owner, bare: q.Sender.Bare()}
	name, _ := q.Payload.Attr("node")
	if h.Given != nil && (name == "" || h.given(name)) {
		q.Later(s.Go, func(ctx context.Context) ([]byte, *stanza.Error) {
			answer, refused := s.discoGiven(ctx, h, v, name, list)
			if refused != nil {
				return nil, refused
			}
			return reply(answer), nil
		})
		return nil
	}
	answer, refused := s.published(h, v, name, list)
	if refused == nil {
		q.Result(reply(answer))
	}
	return refused
}

// published is what is answered about what users have published themselves.
func (s *Service) published(h *Host, v *viewer, name string, list bool) (answer []byte, refused *stanza.Error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	b, err := s.open(ctx, h, v.owner)
	if err != nil {
		return nil, s.failed(v.owner, err)
	}
	defer s.close(b)
	if name == "" {
		answer, err = b.listed(ctx, v)
	} else {
		answer, err = b.described(ctx, v, name, list)
	}
	if err != nil {
		return nil, s.failed(v.owner, err)
	}
	return answer, nil
}

// listed are the nodes that a viewer may see.
func (b *box) listed(ctx context.Context, v *viewer) (answer []byte, err error) {
	for name, n := range b.nodes {
		if b.host.given(name) {
			continue // it was published before it was given
		}
		ok, err := v.sees(ctx, &n.Config)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		answer = stanza.AppendAttr(append(answer, "<item"...), "jid", b.owner.String())
		answer = stanza.AppendAttr(answer, "node", name)
		if n.Config.Title != "" {
			answer = stanza.AppendAttr(answer, "name", n.Config.Title)
		}
		answer = append(answer, "/>"...)
	}
	return answer, nil
}

// describe is what disco#info says of a node.
func (c *Config) describe() []byte {
	return c.appendMeta([]byte("<identity category='pubsub' type='leaf'/><feature var='" + NS + "'/>"))
}

// described is one node, or the IDs of its items if list.
func (b *box) described(ctx context.Context, v *viewer, name string, list bool) (answer []byte, err error) {
	n := b.nodes[name]
	if n == nil {
		return nil, errNoNode
	}
	if err := v.may(ctx, &n.Config); err != nil {
		return nil, err
	}
	if !list {
		return n.Config.describe(), nil
	}
	for _, i := range n.Items {
		answer = stanza.AppendAttr(append(answer, "<item"...), "jid", b.owner.String())
		answer = append(stanza.AppendAttr(answer, "name", i.ID), "/>"...)
	}
	return answer, nil
}
