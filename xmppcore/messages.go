package xmppcore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/archive"
	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/xep"
)

// Messages is what a host keeps of messages, if its modules are among carbons, offline and mam.
type Messages struct {
	Offline      xep.OfflineLimits
	Archive      archive.Options // but for what is told of failures
	ArchiveStore string          // its name; "archive" if it is ""
}

// messages is what routing does with the messages of h, nil if that is nothing, and what clients can ask for.
func (s *Server) messages(h *Host) (m *router.Messages, list []xep.Extension) {
	has := func(module string) bool { return slices.Contains(h.Modules, module) }
	m = &router.Messages{Exists: h.Auth.Exists, Failed: func(what string, user addr.Bare, err error) {
		s.log.Error("messages of a user could not be kept or found", "user", user, "while", what, "error", err)
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
	if has("mam") {
		a := s.archive(h)
		m.Archive = a
		list = append(list, xep.Extension{AccountFeatures: archive.Features(), Account: a.Handlers()})
	}
	if len(list) == 0 {
		return nil, nil
	}
	if keeps := m.Offline != nil || m.Archive != nil; keeps && (h.Auth.Passwords != nil || h.Auth.Tokens != nil) {
		s := &seen{store: h.Stores.Keyed("rosterd_seen"), users: map[addr.Bare]struct{}{}}
		s.others, _ = h.Auth.Passwords.(auth.Users)
		m.Exists, m.Came = s.has, s.note
	}
	return m, list
}

// archive is that of a host, with what its users prefer.
func (s *Server) archive(h *Host) *archive.Archive {
	name := cmp.Or(h.Messages.ArchiveStore, "archive")
	o := h.Messages.Archive
	o.Failed = func(err error) {
		s.log.Error("a request to an archive was not answered", "host", h.Domain, "error", err)
	}
	contacts := func(ctx context.Context, user, other addr.Bare) (bool, error) {
		_, ok, err := s.engine.Contact(ctx, user, other)
		return ok, err
	}
	return archive.New(h.Stores.Log(name), h.Stores.Keyed(name+"_prefs"), contacts, o)
}

// tidy removes what is too old from the archives, now and every hour until the server is shut down.
func (s *Server) tidy() {
	defer s.work.Done()
	t := time.NewTicker(time.Hour)
	defer t.Stop()
	for {
		for domain, h := range s.serving.Load().hosts {
			if h.router.Messages == nil {
				continue
			}
			if a, ok := h.router.Messages.Archive.(*archive.Archive); ok {
				s.expire(a, domain)
			}
		}
		select {
		case <-t.C:
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *Server) expire(a *archive.Archive, domain string) {
	n, err := a.Expire(s.ctx, domain, time.Now())
	switch {
	case s.ctx.Err() != nil:
	case err != nil:
		s.log.Error("what is too old stays in an archive", "host", domain, "error", err)
	case n > 0:
		s.log.Info("messages that were too old have left an archive", "host", domain, "messages", n)
	}
}

// seen knows who has been here. Where somebody else checks passwords, nobody can be asked whether there is a user
// without one: what is kept for those who have never come would be kept for any name that somebody makes up.
type seen struct {
	store  store.Keyed
	others auth.Users // is asked about those who have never come; nil: nobody can be

	mu    sync.Mutex
	users map[addr.Bare]struct{} // who is known to have been, of late
}

// maxSeen is how many users are remembered without the store.
const maxSeen = 10_000

// has tells whether there is such a user.
func (s *seen) has(ctx context.Context, user addr.Bare) (bool, error) {
	if ok, err := s.been(ctx, user); ok || err != nil || s.others == nil {
		return ok, err
	}
	return s.others.UserExists(ctx, user)
}

// been tells whether a user has come before.
func (s *seen) been(ctx context.Context, user addr.Bare) (bool, error) {
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
	if ok, err := s.been(ctx, user); ok || err != nil {
		return err
	}
	if err := s.store.Change(ctx, user, map[string][]byte{"": []byte("1")}); err != nil && !errors.Is(err, store.ErrDisabled) {
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
