package component

import (
	"errors"
	"runtime/debug"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// link is a component that is connected.
type link struct {
	server *Server
	domain addr.JID
	since  time.Time
	out    *session.Session
}

// run reads what the component sends, until its stream ends.
func (l *link) run() {
	s := l.server
	defer s.work.Done()
	err := l.out.Run(l.handle)
	if p, ok := errors.AsType[*stream.Panic](err); ok {
		s.Log.Error("what a component sent made the server fail", "component", l.domain, "panic", p.Value, "stack", string(p.Stack))
	}
	if ours := l.out.Reason(); ours != nil {
		err = ours
	}
	s.drop(l)
	l.out.Close(reason(err))
	s.Log.Info("component disconnected", "component", l.domain, "cause", cause(err), "after", time.Since(l.since).Round(time.Millisecond))
	l.out.Wait()
	if lost := l.out.Lost(); len(lost) > 0 {
		s.Lost(lost)
	}
}

// drop takes a component out of its place, unless another has it.
func (s *Server) drop(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if domain := l.domain.Domain(); s.connected[domain] == l {
		delete(s.connected, domain)
		s.any.Store(len(s.connected) > 0)
	}
}

// handle routes one stanza. A mistake of ours costs the stream that ran into it, and nobody else.
func (l *link) handle(st *scan.Stanza) (err error) {
	defer func() {
		if p := recover(); p != nil {
			l.server.Log.Error("what a component sent made the server fail", "component", l.domain, "panic", p, "stack", string(debug.Stack()))
			err = &stanza.StreamError{Condition: stanza.StreamInternalServerError}
		}
	}()
	if stanza.KindOf(st) == stanza.None {
		l.server.Refused.Add(1)
		return &stanza.StreamError{Condition: stanza.StreamUnsupportedStanzaType}
	}
	from, err := l.sender(st)
	if err != nil {
		l.server.Refused.Add(1)
		return err
	}
	if st.Get("to") == nil {
		l.server.Refused.Add(1)
		l.refuse(st, from)
		return nil
	}
	l.server.Route(router.Origin{JID: from, Out: l.out}, st)
	return nil
}

// sender is who a stanza is from, which is to be an address of the domain (XEP-0114 §3). Some programs leave out that of
// the domain itself.
func (l *link) sender(st *scan.Stanza) (addr.JID, error) {
	v, there := st.Attr("from")
	if !there {
		return l.domain, nil
	}
	j, err := addr.Parse(v)
	if err != nil {
		return j, &stanza.StreamError{Condition: stanza.StreamInvalidFrom, Text: err.Error()}
	}
	domain := l.domain.Domain()
	if c, _ := l.server.component(domain); j.Domain() != domain && !c.AnyFrom {
		return j, &stanza.StreamError{Condition: stanza.StreamInvalidFrom, Text: "this component sends from " + domain}
	}
	return j, nil
}

// refuse answers a stanza that is for nobody: a component has no account that could be meant (XEP-0114 §3).
func (l *link) refuse(st *scan.Stanza, from addr.JID) {
	typ, _ := st.Attr("type")
	if typ == stanza.TypeError || typ == stanza.TypeResult && stanza.KindOf(st) == stanza.IQ {
		return
	}
	l.out.AppendOwn(func(dst []byte) []byte {
		return stanza.AppendError(dst, st, "", from.String(), stanza.Error{Condition: stanza.BadRequest, Text: "a component's stanza needs a to"})
	})
}

// reason is the stream error that tells the component why its stream ends, if it does not know.
func reason(err error) *stanza.StreamError {
	se, _ := errors.AsType[*stanza.StreamError](err)
	return se
}

func cause(err error) string {
	if err == nil {
		return "it closed its stream"
	}
	return err.Error()
}
