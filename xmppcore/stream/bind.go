package stream

import (
	"context"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// bind goes from SASL success to the session that takes the stream over
// (RFC 6120 §7).
func (n *negotiation) bind(ctx context.Context, a Acceptor) error {
	by := time.Now().Add(n.limits.Bind)
	late := timeout("no resource bound in time")
	for begun := false; ; begun = true {
		r := BindRequest{User: n.user, Host: n.host, Transport: n.c}
		resume := false
		err := n.within(ctx, by, late, func(context.Context) (err error) {
			if !begun {
				if err := n.reopen(); err != nil {
					return err
				}
			}
			resume, err = n.readBind(&r)
			return err
		})
		if err != nil {
			return err
		}
		if resume {
			if resumed, err := n.resume(a); resumed || err != nil {
				return err
			}
			continue
		}
		refused := a.Bind(r)
		if refused == nil {
			return nil
		}
		if err := n.reply(*refused); err != nil {
			return err
		}
	}
}

// reopen opens the stream that follows SASL. From then on its client is one that has a name.
func (n *negotiation) reopen() error {
	if err := n.open(); err != nil {
		return err
	}
	if p, ok := n.c.(Pacer); ok {
		p.Pace()
	}
	return nil
}

// readBind reads until the client asks for a resource in the right way, and
// fills in r what it said, or until it wants to resume a session.
func (n *negotiation) readBind(r *BindRequest) (resume bool, err error) {
	for {
		st, err := n.next()
		if err != nil {
			return false, err
		}
		if n.host.Managed && string(st.Space) == nsManaged {
			if is(st, nsManaged, "resume") {
				return true, nil
			}
			if err := n.tooSoon(st); err != nil {
				return false, err
			}
			continue
		}
		refused, err := n.request(st, r)
		if err != nil || refused == nil {
			return false, err
		}
		if typ, _ := st.Attr("type"); typ == stanza.TypeError || typ == stanza.TypeResult && stanza.KindOf(st) == stanza.IQ {
			continue // never to be answered (RFC 6120 §8.2.3, §8.3.1)
		}
		if err := n.reply(*refused); err != nil {
			return false, err
		}
	}
}

// reply answers the element that was read last with an error.
func (n *negotiation) reply(e stanza.Error) error {
	return n.c.Write(stanza.AppendError(nil, &n.st, "", "", e))
}

// request reads a bind request. Stanzas for the server or the account are
// refused, others end the stream (RFC 6120 §7.1).
func (n *negotiation) request(st *scan.Stanza, r *BindRequest) (*stanza.Error, error) {
	if stanza.KindOf(st) == stanza.None {
		return nil, notStanza(st)
	}
	if !n.forUs(st) {
		return nil, refuse(stanza.StreamNotAuthorized, "bind a resource first")
	}
	if stanza.KindOf(st) != stanza.IQ || len(st.Children) != 1 {
		return unbound(), nil
	}
	bind, ok := st.Find(nsBind, "bind")
	if !ok {
		return unbound(), nil
	}
	id, _ := st.Attr("id")
	if typ, _ := st.Attr("type"); typ != stanza.TypeSet || id == "" {
		return badRequest("a bind request is an iq of type set with an id"), nil
	}
	resource, refused := wanted(bind)
	r.ID, r.Resource = id, resource
	return refused, nil
}

// wanted returns the resourcepart that a bind request names, "" if none. An
// empty one is no wish: some clients write it when they mean that.
func wanted(bind scan.Element) (string, *stanza.Error) {
	var names []string
	for e := range bind.Elements() {
		if string(e.Space) == nsBind && string(e.Name) == "resource" {
			names = append(names, e.Text())
		}
	}
	switch {
	case len(names) > 1:
		return "", badRequest("one resource at most")
	case len(names) == 0 || names[0] == "":
		return "", nil
	}
	resource, err := addr.PrepareResource(names[0])
	if err != nil {
		return "", badRequest(err.Error())
	}
	return resource, nil
}

// forUs tells whether a stanza is for the server itself or the client's account.
func (n *negotiation) forUs(st *scan.Stanza) bool {
	to, ok := st.Attr("to")
	if !ok {
		return true
	}
	j, err := addr.ParseBare(to)
	return err == nil && (j == n.user || j.String() == n.host.Domain)
}

func unbound() *stanza.Error {
	return &stanza.Error{Type: stanza.Auth, Condition: stanza.NotAuthorized, Text: "bind a resource first"}
}

func badRequest(text string) *stanza.Error {
	return &stanza.Error{Condition: stanza.BadRequest, Text: text}
}
