package xmppcore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xep"
)

// Bind takes over a stream whose client has authenticated and wants a resource (RFC 6120 §7).
func (s *Server) Bind(r stream.BindRequest) *stanza.Error {
	res, refused := s.bind(r)
	if refused == nil {
		go s.run(res)
	}
	return refused
}

// bind is Bind; the stream is to be read by who calls.
func (s *Server) bind(r stream.BindRequest) (*registry.Resource, *stanza.Error) {
	if !s.begin() {
		return nil, &stanza.Error{Type: stanza.Wait, Condition: stanza.ServiceUnavailable, Text: "shutting down"}
	}
	a := s.registry.Join(r.User)
	var res *registry.Resource
	var refused *stanza.Error
	blocks, err := readBlocks(a, s.host(r.User.Domain()).blocks)
	if err != nil { // without them, who is blocked would get through
		refused = s.noBlocks(r.User.Full(), err)
	} else {
		a.Turn.Do(func() { res, refused = s.enter(a, r, blocks) })
	}
	if refused != nil {
		s.registry.Leave(a)
		s.work.Done()
		return nil, refused
	}
	s.log.Info("logged in", "user", res.Full, "address", r.Transport.RemoteAddr(), "encrypted", r.Transport.Secure())
	// Shutdown and Reconfigure may have looked before the resource was there.
	if s.isClosed() {
		res.Close(&stanza.StreamError{Condition: stanza.StreamSystemShutdown})
	} else if s.host(r.User.Domain()) == nobody {
		res.Close(&stanza.StreamError{Condition: stanza.StreamHostGone})
	}
	return res, nil
}

// enter makes the resource, in the account's turn. The result of the bind is the first thing in its outbox, and is
// written when the resource can be found: whoever its client tells its name may write to it.
func (s *Server) enter(a *registry.Account, r stream.BindRequest, blocks blocksRead) (*registry.Resource, *stanza.Error) {
	serving := s.serving.Load()
	host := serving.hosts[a.User.Domain()]
	if host == nil {
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable, Text: "this host is not served any more"}
	}
	full, refused := s.choose(a, r, host.Conflict)
	if refused != nil {
		return nil, refused
	}
	if oldest, _ := hibernating(a); oldest != nil && len(a.Resources()) >= host.MaxSessions {
		s.evict(oldest)
	}
	if most := host.MaxSessions; len(a.Resources()) >= most {
		return nil, &stanza.Error{Type: stanza.Wait, Condition: stanza.ResourceConstraint, Text: fmt.Sprintf("more than %d sessions", most)}
	}
	if err := loadBlocks(a, host.blocks, blocks); err != nil {
		return nil, s.noBlocks(full, err)
	}
	attached, err := s.engine.Attach(a.User)
	if err != nil {
		s.log.Error("binding a resource", "user", full, "error", err)
		return nil, &stanza.Error{Condition: stanza.InternalServerError}
	}
	res := registry.NewResource(a, full, s.carry(r.Transport, full), serving.outbox)
	res.Roster = attached
	res.AppendOwn(func(dst []byte) []byte {
		jid := stanza.AppendText([]byte("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>"), full.String())
		return stanza.AppendResult(dst, r.ID, "", "", append(jid, "</jid></bind>"...))
	})
	a.Enter(res)
	s.registry.Add(res)
	res.Start()
	return res, nil
}

func (s *Server) noBlocks(user addr.JID, err error) *stanza.Error {
	s.log.Error("reading whom a user has blocked", "user", user, "error", err)
	return &stanza.Error{Type: stanza.Wait, Condition: stanza.InternalServerError}
}

// carry makes a transport that of a resource.
func (s *Server) carry(tr stream.Transport, full addr.JID) stream.Transport {
	host := s.host(full.Domain())
	if t, ok := tr.(interface{ Unlimit() }); ok && host.Host != nil && slices.Contains(host.Unlimited, full.Bare()) {
		t.Unlimit()
	}
	if s.tap != nil {
		return &tapped{tr, full, s.tap}
	}
	return tr
}

// tapped shows what is written.
type tapped struct {
	stream.Transport
	full addr.JID
	tap  func(addr.JID, []byte)
}

func (t *tapped) Write(b []byte) error {
	t.tap(t.full, b)
	return t.Transport.Write(b)
}

// RunThen is that of what is tapped.
func (t *tapped) RunThen(handle func(*scan.Stanza) error, then func(error)) {
	stream.RunThen(t.Transport, handle, then)
}

// Undelivered is that of what is tapped.
func (t *tapped) Undelivered() []byte {
	if k, ok := t.Transport.(stream.Keeper); ok {
		return k.Undelivered()
	}
	return nil
}

// choose gives the resource the client wants, or another (RFC 6120 §7.6, §7.7.2.2).
func (s *Server) choose(a *registry.Account, r stream.BindRequest, conflict Conflict) (addr.JID, *stanza.Error) {
	resource := r.Resource
	if resource == "" {
		resource = rand.Text()
	}
	if old := a.Find(resource); old != nil {
		switch conflict {
		case KickNew:
			return addr.JID{}, &stanza.Error{Type: stanza.Cancel, Condition: stanza.Conflict}
		case Random:
			resource = rand.Text()
		case Increment:
			resource = increment(a, resource)
		default:
			s.leave(old)
			old.Close(&stanza.StreamError{Condition: stanza.StreamConflict})
		}
	}
	full, err := a.User.WithResource(resource)
	if err != nil {
		return addr.JID{}, &stanza.Error{Type: stanza.Modify, Condition: stanza.BadRequest, Text: err.Error()}
	}
	return full, nil
}

// increment finds the first of "home", "home #1", "home #2" … that is free.
func increment(a *registry.Account, resource string) string {
	for n := 1; ; n++ {
		if r := fmt.Sprintf("%s #%d", resource, n); a.Find(r) == nil {
			return r
		}
	}
}

// run reads a stream to its end.
func (s *Server) run(res *registry.Resource) {
	res.RunThen(func(st *scan.Stanza) error { return s.handle(res, st) }, func(err error) { s.ended(res, err) })
}

// ended is the end of a stream, which is the session's unless that is resumed.
func (s *Server) ended(res *registry.Resource, err error) {
	if p, ok := errors.AsType[*stream.Panic](err); ok {
		s.log.Error("what a client sent made the server fail", "user", res.Full, "panic", p.Value, "stack", string(p.Stack))
	}
	resumed, waited := s.hibernate(res, err)
	if resumed {
		go s.run(res) // on a small stack again
		return
	}
	defer s.work.Done()
	if ours := res.Reason(); ours != nil {
		err = ours
	} else if waited {
		s.counts.expired.Add(1)
		err = fmt.Errorf("%w, and the session was not resumed in time", err)
	} else if res.Managed() && s.settle(res) {
		res.Acknowledge()
	}
	s.counts.end(reason(err))
	res.Account.Turn.Do(func() { s.leave(res) })
	res.Close(reason(err))
	s.remember(res, waited, err)
	s.registry.Leave(res.Account)
	s.log.Info("logged out", "user", res.Full, "cause", cause(err))
	res.Wait()
	for _, l := range res.Late() {
		s.router.Undelivered(res, l.Stanzas, l.At)
	}
	s.router.Ended(res)
}

// handle routes one stanza. A mistake of ours costs the stream that ran into it, and nobody else.
func (s *Server) handle(res *registry.Resource, st *scan.Stanza) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("a stanza made the server fail", "user", res.Full, "panic", p, "stack", string(debug.Stack()))
			err = &stanza.StreamError{Condition: stanza.StreamInternalServerError}
		}
	}()
	if stanza.KindOf(st) == stanza.None {
		if ok, err := s.other(res, st); ok {
			return err
		}
	}
	s.counts.stanza(st)
	if err = s.router.Route(res, st); err == nil {
		res.Count()
	}
	if p := res.Pressing; p != nil {
		res.Pressing = nil
		p.Relieve()
	}
	return err
}

// other handles an element that is no stanza. It is false for what nobody knows.
func (s *Server) other(res *registry.Resource, st *scan.Stanza) (ok bool, err error) {
	switch string(st.Space) {
	case session.NSManagement:
		return s.manage(res, st)
	case xep.NSClientState:
		return s.clientState(res, st), nil
	}
	return false, nil
}

// reason is the stream error that tells the client why its stream ends, if it does not know.
func reason(err error) *stanza.StreamError {
	var se *stanza.StreamError
	errors.As(err, &se)
	return se
}

func cause(err error) string {
	if err == nil {
		return "the client closed its stream"
	}
	return err.Error()
}

// leave takes a resource out of everything, in its account's turn.
func (s *Server) leave(res *registry.Resource) {
	if res.Detached {
		return
	}
	s.presence.Gone(res)
	res.Account.Exit(res)
	s.registry.Remove(res)
	res.Roster.Release()
}
