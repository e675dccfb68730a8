package router

import (
	"context"
	"runtime/debug"
	"sync"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
)

// maxLater is how many queries of one stream are answered later at a time; further ones wait, and the stream with them.
const maxLater = 16

// later counts the queries that are answered later, by where the answers go.
type later struct {
	mu sync.Mutex
	of map[*session.Session]int
}

func (l *later) begin(s *session.Session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[s] >= maxLater {
		return false
	}
	if l.of == nil {
		l.of = make(map[*session.Session]int)
	}
	l.of[s]++
	return true
}

func (l *later) end(s *session.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[s]--; l.of[s] == 0 {
		delete(l.of, s)
	}
}

// Later answers a query by what f returns, in a goroutine that run begins, so that what its stream says next need not wait for it.
// The handler is done then. f must not use the query.
func (q *Query) Later(run func(func(context.Context)) bool, f func(context.Context) (result []byte, refused *stanza.Error)) {
	own := *q
	st := new(scan.Stanza)
	sc := scan.Scanner{Limits: beyond}
	if _, err := sc.Next(stanza.AppendRouted(nil, q.st, q.from.JID.String()), st); err != nil {
		return // what was read before cannot be wrong now
	}
	own.st = st
	r, out := q.router, q.from.Out
	answer := func(ctx context.Context) {
		defer func() { // in no stream's goroutine, which would have caught it
			if p := recover(); p != nil {
				r.log().Error("a query made the server fail", "user", own.Sender, "panic", p, "stack", string(debug.Stack()))
				bounce(own.from, st, addressee(st), stanza.Error{Condition: stanza.InternalServerError})
			}
		}()
		if result, refused := f(ctx); refused != nil {
			bounce(own.from, st, addressee(st), *refused)
		} else {
			own.Result(result)
		}
	}
	if r.later.begin(out) {
		if run(func(ctx context.Context) { defer r.later.end(out); answer(ctx) }) {
			return
		}
		r.later.end(out)
	}
	answer(context.Background())
}
