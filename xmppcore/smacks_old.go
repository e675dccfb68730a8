package xmppcore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/stanza"
)

// oldSession is what is kept of a session that its client could have resumed: who is told how much was handled need
// not send the rest on suspicion (XEP-0198 §5).
type oldSession struct {
	Handled uint32    `json:"h"`
	Ended   time.Time `json:"t"`
}

// olds is the store of those, by id; nil if there is none.
func (s *Server) olds(user addr.Bare) (list store.Keyed, most int) {
	h := s.host(user.Domain())
	if h.Host == nil || h.Stores == nil || h.Management == nil {
		return nil, 0
	}
	return h.Stores.Keyed("smacks_h"), h.Management.Old
}

// remember keeps how much was handled of a session that has ended while it waited, or with the server.
func (s *Server) remember(res *registry.Resource, waited bool, why error) {
	id, handled := res.Resumption()
	shutdown := reason(why) != nil && reason(why).Condition == stanza.StreamSystemShutdown
	list, most := s.olds(res.Full.Bare())
	if id == "" || list == nil || most == 0 || !waited && !shutdown || !s.settle(res) {
		return
	}
	if err := addOld(list, res.Full.Bare(), id, oldSession{handled, time.Now().UTC()}, most); err != nil {
		s.log.Error("keeping how much of a session was handled", "user", res.Full, "error", err)
	}
}

// addOld adds one and forgets the oldest.
func addOld(list store.Keyed, user addr.Bare, id string, old oldSession, most int) error {
	ctx := context.Background()
	all, err := list.All(ctx, user)
	if err != nil {
		return err
	}
	ended := make(map[string]time.Time)
	for id, v := range all {
		o, err := decodeOld(v)
		if err != nil {
			return err
		}
		ended[id] = o.Ended
	}
	v, err := json.Marshal(old)
	if err != nil {
		return fmt.Errorf("encode a session: %w", err)
	}
	change := map[string][]byte{id: v}
	newest := slices.SortedFunc(maps.Keys(ended), func(a, b string) int { return cmp.Or(ended[b].Compare(ended[a]), cmp.Compare(a, b)) })
	for _, id := range newest[min(most-1, len(newest)):] {
		change[id] = nil
	}
	return list.Change(ctx, user, change)
}

// recall is how much was handled of a session that is over, nil if nobody knows.
func (s *Server) recall(user addr.Bare, id string) *uint32 {
	list, _ := s.olds(user)
	if list == nil {
		return nil
	}
	v, ok, err := list.Get(s.ctx, user, id)
	var old oldSession
	if ok && err == nil {
		old, err = decodeOld(v)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.Error("looking how much of a session was handled", "user", user, "error", err)
	}
	if !ok || err != nil {
		return nil
	}
	return &old.Handled
}

func decodeOld(v []byte) (old oldSession, err error) {
	if err := json.Unmarshal(v, &old); err != nil {
		return old, fmt.Errorf("decode a session: %w", err)
	}
	return old, nil
}
