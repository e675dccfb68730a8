package router

import (
	"strconv"

	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// maxAsked is how many requests of ours a client may leave unanswered at a time.
const maxAsked = 16

// Ask sends a client an IQ get in the name of its account, which the client answers as it would answer the server
// (RFC 6120 §10.3.3). What it answers, a result or an error, is given to answered, in the goroutine that reads its
// stream; the stanza is valid until that returns. It is false, and nothing is sent, if the client owes too many
// answers or has left.
func (r *Router) Ask(res *registry.Resource, payload []byte, answered func(*scan.Stanza)) bool {
	id, ok := note(res, answered)
	if !ok {
		return false
	}
	return res.AppendOwn(func(dst []byte) []byte {
		return stanza.AppendIQ(dst, stanza.TypeGet, id, res.Account.User.String(), res.Full.String(), payload)
	})
}

// note keeps what is to be done with an answer, and names the request.
func note(res *registry.Resource, answered func(*scan.Stanza)) (id string, ok bool) {
	res.Account.Lock()
	defer res.Account.Unlock()
	if res.Detached || len(res.Owed) >= maxAsked {
		return "", false
	}
	if res.Owed == nil {
		res.Owed = make(map[string]func(*scan.Stanza))
	}
	res.Questions++
	id = "rosterd-" + strconv.FormatUint(uint64(res.Questions), 10)
	res.Owed[id] = answered
	return id, true
}

// answered takes a result or an error that a client has sent to its own account.
func (r *Router) answered(from Origin, st *scan.Stanza, t target) {
	res := from.Resource
	if res == nil || t.jid != res.Account.User.Full() {
		return
	}
	if f := owed(res, stanza.ID(st)); f != nil {
		f(st)
	}
}

// owed is what waits for an answer, once.
func owed(res *registry.Resource, id string) func(*scan.Stanza) {
	res.Account.Lock()
	defer res.Account.Unlock()
	f := res.Owed[id]
	delete(res.Owed, id)
	return f
}
