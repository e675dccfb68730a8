package xmppcore

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/xep"
)

// Messages is what a host keeps of messages, if its modules are among carbons and offline.
type Messages struct {
	Offline xep.OfflineLimits
}

// messages is what routing does with the messages of h, nil if that is nothing, and what clients can ask for.
func (h *Host) messages(log *slog.Logger) (m *router.Messages, list []xep.Extension) {
	has := func(module string) bool { return slices.Contains(h.Modules, module) }
	m = &router.Messages{Exists: h.Auth.Exists, Failed: func(what string, user addr.Bare, err error) {
		log.Error("messages of a user could not be kept or found", "user", user, "while", what, "error", err)
	}}
	if has("carbons") {
		m.Carbons = true
		list = append(list, xep.Carbons())
	}
	if has("offline") {
		w, x := xep.Offline(h.Stores.Log("offline"), h.Messages.Offline)
		m.Offline = w
		list = append(list, x)
	}
	if m.Offline != nil && h.Auth.Passwords != nil {
		s := &seen{store: h.Stores.Keyed("rosterd_seen"), users: map[addr.Bare]struct{}{}}
		m.Exists, m.Came = s.has, s.note
	}
	if len(list) == 0 {
		return nil, nil
	}
	return m, list
}

// seen knows who has been here. Where somebody else checks passwords, nobody can be asked whether there is a user
// without one: what is kept for those who have never come would be kept for any name that somebody makes up.
type seen struct {
	store store.Keyed

	mu    sync.Mutex
	users map[addr.Bare]struct{} // who is known to have been, of late
}

// maxSeen is how many users are remembered without the store.
const maxSeen = 10_000

func (s *seen) has(ctx context.Context, user addr.Bare) (bool, error) {
	if s.recently(user) {
		return true, nil
	}
	_, ok, err := s.store.Get(ctx, user, "")
	if ok {
		s.remember(user)
	}
	return ok, err
}

// note says that a user has come.
func (s *seen) note(ctx context.Context, user addr.Bare) error {
	if ok, err := s.has(ctx, user); ok || err != nil {
		return err
	}
	if err := s.store.Change(ctx, user, map[string][]byte{"": []byte("1")}); err != nil {
		return err
	}
	s.remember(user)
	return nil
}

func (s *seen) recently(user addr.Bare) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.users[user]
	return ok
}

func (s *seen) remember(user addr.Bare) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.users) >= maxSeen {
		clear(s.users)
	}
	s.users[user] = struct{}{}
}
