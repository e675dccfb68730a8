package xmppcore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// StreamManagement is what module smacks offers (XEP-0198).
type StreamManagement struct {
	session.Management
	Hibernated int // sessions of an account that may wait to be resumed at a time
	Old        int // those that are over of which is kept how much was handled
}

// manage handles what belongs to stream management. It is false for what does not.
func (s *Server) manage(res *registry.Resource, st *scan.Stanza) (ok bool, err error) {
	host := s.host(res.Full.Domain())
	if host.Host == nil || host.Management == nil && !res.Managed() {
		return false, nil
	}
	switch string(st.Name) {
	case "enable":
		enable(res, host.Management, st)
	case "r":
		if res.Managed() {
			s.acknowledge(res)
		}
	case "a":
		err = acknowledged(res, st)
	case "resume": // there is a resource already (XEP-0198 §5)
		res.Refuse()
	default:
		return false, nil
	}
	return true, err
}

// enable is XEP-0198 §3.
func enable(res *registry.Resource, m *StreamManagement, st *scan.Stanza) {
	resume, _ := st.Attr("resume")
	if m == nil || res.Enable(&m.Management, resume == "true" || resume == "1", patience(st)) != nil {
		res.Refuse()
	}
}

// patience is how long the client wants its session to wait, 0 if it does not say.
func patience(st *scan.Stanza) time.Duration {
	most, _ := st.Attr("max")
	n, err := strconv.ParseUint(most, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// acknowledged is XEP-0198 §4. Who acknowledges nothing that can be read, or more than there was, has lost count.
func acknowledged(res *registry.Resource, st *scan.Stanza) error {
	said, _ := st.Attr("h")
	h, err := strconv.ParseUint(said, 10, 32)
	if err != nil {
		return &stanza.StreamError{Condition: stanza.StreamInvalidXML, Text: "an acknowledgement says in h how much was handled"}
	}
	return miscounted(res.Acknowledged(uint32(h)))
}

func miscounted(err error) error {
	high, ok := errors.AsType[*session.TooHigh](err)
	if !ok {
		return err
	}
	return &stanza.StreamError{
		Condition: stanza.StreamUndefinedCondition, Text: high.Error(),
		App: fmt.Appendf(nil, "<handled-count-too-high xmlns='%s' h='%d' send-count='%d'/>", session.NSManagement, high.Handled, high.Sent),
	}
}

// syncPatience is how long a client's acknowledgement waits for the disk.
const syncPatience = 30 * time.Second

// settle waits until what the client has said is on disk: only then may it be told that it was handled. In the
// goroutine that reads, or after it.
func (s *Server) settle(res *registry.Resource) bool {
	if len(res.Unsynced) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), syncPatience)
	defer cancel()
	if err := synced(ctx, res.Unsynced); err != nil {
		s.log.Error("messages are not acknowledged", "user", res.Full, "error", err)
		return false
	}
	res.Unsynced = nil
	return true
}

// settlingSoon is how long a stream waits for the disk, so that what its client is told comes in order.
const settlingSoon = 100 * time.Millisecond

// acknowledge answers a request for an acknowledgement. Where the disk takes longer than a moment, the answer comes later,
// and what the client says next does not wait for it.
func (s *Server) acknowledge(res *registry.Resource) {
	if len(res.Unsynced) == 0 {
		res.Acknowledge()
		return
	}
	h, stores := res.Handled(), slices.Clone(res.Unsynced)
	if !res.Settling.Wait(h, stores) {
		return // who waits already does it
	}
	ctx, cancel := context.WithTimeout(context.Background(), settlingSoon)
	defer cancel()
	if synced(ctx, stores) == nil {
		res.Unsynced = nil
		res.Settling.Done(h)
		res.Acknowledge()
		return
	}
	s.aside(func() { s.acknowledgeLater(res) })
}

// acknowledgeLater acknowledges what was to be when it was called, and what has come to be since.
func (s *Server) acknowledgeLater(res *registry.Resource) {
	for {
		h, stores := res.Settling.Wanted()
		if err := s.syncedLate(stores); err != nil {
			res.Settling.GiveUp()
			if s.ctx.Err() != nil {
				return // a stop, which has its own last words
			}
			s.log.Error("messages are not acknowledged", "user", res.Full, "error", err)
			return
		}
		res.AcknowledgeTo(h)
		if res.Settling.Done(h) {
			return
		}
	}
}

// acknowledging is how long an acknowledgement waits for the disk. The client asks again.
const acknowledging = 5 * time.Minute

func (s *Server) syncedLate(stores []registry.Syncer) error {
	ctx, cancel := context.WithTimeout(s.ctx, acknowledging)
	defer cancel()
	return synced(ctx, stores)
}

func synced(ctx context.Context, stores []registry.Syncer) error {
	for _, store := range stores {
		if err := store.Sync(ctx); err != nil {
			return err
		}
	}
	return nil
}

// hibernate keeps a session whose stream has broken, until its client comes back or the session is over.
func (s *Server) hibernate(res *registry.Resource, err error) (resumed, waited bool) {
	if !res.Managed() || !broken(err) || !s.settle(res) || !res.Hibernate() {
		return false, false
	}
	s.log.Info("connection lost, the session waits", "user", res.Full, "cause", cause(err))
	host := s.host(res.Full.Domain())
	if host.Host != nil && host.Management != nil {
		res.Account.Turn.Do(func() { s.crowd(res.Account, host.Management.Hibernated) })
	}
	return res.Await(), true
}

// broken tells whether a stream has ended without anybody having ended it.
func broken(err error) bool {
	se := reason(err)
	return err != nil && (se == nil || se.Condition == stanza.StreamConnectionTimeout)
}

// crowd ends those sessions of an account that have waited longest, until no more than most wait. In the turn.
func (s *Server) crowd(a *registry.Account, most int) {
	for {
		oldest, n := hibernating(a)
		if n <= most {
			return
		}
		s.evict(oldest)
	}
}

// hibernating is the session of an account that has waited longest to be resumed, and how many wait. In the turn.
func hibernating(a *registry.Account) (oldest *registry.Resource, n int) {
	var first time.Time
	for _, r := range a.Resources() {
		since, ok := r.Hibernates()
		if !ok {
			continue
		}
		if n++; oldest == nil || since.Before(first) {
			oldest, first = r, since
		}
	}
	return oldest, n
}

func (s *Server) evict(res *registry.Resource) {
	s.leave(res)
	res.Close(&stanza.StreamError{Condition: stanza.StreamResourceConstraint, Text: "too many sessions of the account wait to be resumed"})
}

// Resume carries a session on over another transport (XEP-0198 §5). It has to be one of the same user.
func (s *Server) Resume(r stream.ResumeRequest) (*stream.NotResumed, error) {
	refused, err := s.resume(r)
	if refused == nil && err == nil {
		s.counts.resumed.Add(1)
	} else {
		s.counts.notResumed.Add(1)
	}
	return refused, err
}

func (s *Server) resume(r stream.ResumeRequest) (*stream.NotResumed, error) {
	res := s.resumable(r.User, r.ID)
	if res == nil {
		return &stream.NotResumed{Condition: stanza.ItemNotFound, Handled: s.recall(r.User, r.ID)}, nil
	}
	since, _ := res.Hibernates()
	tr := s.carry(r.Transport, res.Full)
	err := res.Resume(tr, r.Handled)
	switch {
	case errors.Is(err, session.ErrOver): // a moment ago
		return &stream.NotResumed{Condition: stanza.ItemNotFound}, nil
	case err != nil:
		return nil, miscounted(err)
	}
	var waited time.Duration
	if !since.IsZero() {
		waited = time.Since(since).Round(time.Millisecond)
	}
	s.log.Info("resumed", "user", res.Full, "address", tr.RemoteAddr(), "encrypted", tr.Secure(), "waited", waited)
	return nil, nil
}

// resumable is the session of a user that an id names, nil if there is none.
func (s *Server) resumable(user addr.Bare, id string) *registry.Resource {
	a := s.registry.Account(user)
	if a == nil {
		return nil
	}
	a.Lock()
	list := a.Resources()
	a.Unlock()
	for _, r := range list {
		if r.Resumable(id) {
			return r
		}
	}
	return nil
}
