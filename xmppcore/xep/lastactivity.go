package xep

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/stanza"
)

const nsLast = "jabber:iq:last"

// maxFarewell is how many bytes of what a user said when he left are kept.
const maxFarewell = 1024

// LastActivity is XEP-0012: when a user was last available, for those who may see his presence.
type LastActivity struct {
	Store store.Keyed // one value a user: the time, and what he said
	Now   func() time.Time
	Log   *slog.Logger

	// Exists tells whether there still is such a user, of whom something is to be kept.
	Exists func(ctx context.Context, user addr.Bare) (bool, error)
	// Online tells whether a user is available.
	Online func(user addr.Bare) bool
	// Grants tells whether a user lets another see his presence.
	Grants func(ctx context.Context, user, viewer addr.Bare) (bool, error)

	mu    sync.Mutex
	fresh map[addr.Bare]string // what is not in the store yet
}

// Extension answers the requests. Those to a client's full JID are the client's business.
func (l *LastActivity) Extension() Extension {
	h := router.Handlers{{Space: nsLast, Name: "query"}: l.answer}
	return Extension{Features: []string{nsLast}, Account: h, Public: h}
}

func (l *LastActivity) answer(q *router.Query) *stanza.Error {
	if q.Set {
		return &stanza.Error{Condition: stanza.BadRequest}
	}
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	user, viewer := q.To.Bare(), q.Sender.Bare()
	if user != viewer {
		granted, err := l.Grants(ctx, user, viewer)
		if err != nil {
			return l.failed(user, err)
		}
		if !granted { // the same as for who is blocked (XEP-0191 §3.3) and for a user who is none (RFC 6121 §8.5.1)
			return &stanza.Error{Condition: stanza.ServiceUnavailable}
		}
	}
	if l.Online(user) {
		q.Result(lastActivity(0, ""))
		return nil
	}
	kept, ok, err := l.read(ctx, user)
	if err != nil {
		return l.failed(user, err)
	}
	if !ok { // not since the server knows
		return &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	at, status, err := parseFarewell(kept)
	if err != nil {
		return l.failed(user, err)
	}
	q.Result(lastActivity(l.Now().Sub(at), status))
	return nil
}

func (l *LastActivity) failed(user addr.Bare, err error) *stanza.Error {
	l.Log.Error("looking up when a user was last seen", "user", user, "error", err)
	return &stanza.Error{Type: stanza.Wait, Condition: stanza.InternalServerError}
}

func (l *LastActivity) read(ctx context.Context, user addr.Bare) (kept string, ok bool, err error) {
	l.mu.Lock()
	kept, ok = l.fresh[user]
	l.mu.Unlock()
	if ok {
		return kept, true, nil
	}
	b, ok, err := l.Store.Get(ctx, user, "")
	return string(b), ok, err
}

// Left notes that a user is not available any more, and what he said. What it returns puts that into the store, which
// may take a moment; it is nil if there is nothing to do.
func (l *LastActivity) Left(user addr.Bare, status string) (write func()) {
	kept := farewell(l.Now(), status)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, writing := l.fresh[user]
	if l.fresh == nil {
		l.fresh = make(map[addr.Bare]string)
	}
	l.fresh[user] = kept
	if writing {
		return nil
	}
	return func() { l.write(user) }
}

// write puts what is fresh into the store until nothing is.
func (l *LastActivity) write(user addr.Bare) {
	written := ""
	for {
		l.mu.Lock()
		kept := l.fresh[user]
		if kept == written {
			delete(l.fresh, user)
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		if err := l.put(user, kept); err != nil {
			l.Log.Error("keeping when a user was last seen", "user", user, "error", err)
		}
		written = kept
	}
}

func (l *LastActivity) put(user addr.Bare, kept string) error {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	if there, err := l.Exists(ctx, user); err != nil || !there {
		return err
	}
	return l.Store.Change(ctx, user, map[string][]byte{"": []byte(kept)})
}

// farewell is what is kept: the time and, behind a newline, what was said.
func farewell(at time.Time, status string) string {
	if len(status) > maxFarewell {
		status = strings.ToValidUTF8(status[:maxFarewell], "")
	}
	return at.UTC().Format(time.RFC3339Nano) + "\n" + status
}

func parseFarewell(kept string) (at time.Time, status string, err error) {
	when, status, _ := strings.Cut(kept, "\n")
	if at, err = time.Parse(time.RFC3339Nano, when); err != nil {
		return at, "", fmt.Errorf("a time is kept in another form: %w", err)
	}
	return at, status, nil
}
