// Package push lets applications change the rosters of users by HTTP calls that they know from other servers: ejabberd's
// commands, and those of Openfire's REST plugin and of the plugin before it.
package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Rosters are those that applications change, as an [engine.Engine] has them.
type Rosters interface {
	Assign(ctx context.Context, a engine.Assignment) (changed int, err error)
	Look(ctx context.Context, user addr.Bare) (roster.Roster, error)
}

// Host is a VirtualHost whose rosters applications change, and which of them may.
type Host struct {
	Name   string
	Token  string         // that an application brings; "": there is none
	Allow  []netip.Prefix // from where it needs to bring nothing
	Admins []addr.Bare    // as whom, with the password, it may call as well
	Web    string         // a name beside Name under which it is called; "": there is none

	Exists func(ctx context.Context, user addr.Bare) (bool, error)
	Users  func(ctx context.Context) ([]addr.Bare, error) // those who have accounts; nil: nobody knows them
	Stored func(ctx context.Context) ([]addr.Bare, error) // those who may have a roster that is kept

	Items   int    // contacts that one call may change, in all rosters
	Version int    // of ejabberd's API, where the path names none
	Files   string // folder of the files that push_roster reads; "": it is refused
}

// API answers the calls for a number of hosts. It must not change while it serves.
type API struct {
	Rosters Rosters
	Hosts   map[string]*Host // by name
	// Password checks that of an admin: nil if it is right, ErrRefused if it is not; else nobody knows, and the log
	// has been told. From is the client.
	Password func(ctx context.Context, user addr.Bare, password string, from netip.Addr) error
	Bytes    int64 // of a body; 0: 1 MiB
	Log      *slog.Logger

	bulk sync.Mutex // one call for many users after the other
}

// ErrRefused is what a Password ends with that is wrong.
var ErrRefused = errors.New("wrong password")

// body reads all of a request's body.
func (a *API) body(r *http.Request) ([]byte, error) {
	most := a.Bytes
	if most == 0 {
		most = 1 << 20
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the body ended after %d bytes: %w", len(b), err)
	case int64(len(b)) > most:
		return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, most)
	}
	return b, nil
}

var errTooLarge = errors.New("the body is too large")

// put changes one user's roster.
func (a *API) put(ctx context.Context, user addr.Bare, decide func(roster.Roster) (put []roster.Item, remove []addr.Bare, err error)) error {
	_, err := a.Rosters.Assign(ctx, engine.Assignment{User: user, Decide: decide})
	return ofHost(user.Domain(), err)
}

// look is one user's roster.
func (a *API) look(ctx context.Context, user addr.Bare) (roster.Roster, error) {
	list, err := a.Rosters.Look(ctx, user)
	return list, ofHost(user.Domain(), err)
}

// own is what is kept of one user's roster, without what groups put into it.
func (a *API) own(ctx context.Context, user addr.Bare) (roster.Roster, error) {
	var list roster.Roster
	err := a.put(ctx, user, func(now roster.Roster) ([]roster.Item, []addr.Bare, error) {
		list = now
		return nil, nil, nil
	})
	if err != nil {
		return roster.Roster{}, err // list may still be written to
	}
	return list, nil
}

// foreign says that the rosters of a host are not kept here.
type foreign struct{ host string }

func (f *foreign) Error() string {
	return fmt.Sprintf("the rosters of %s are not kept here: change them where they come from, and refresh", f.host)
}

func ofHost(host string, err error) error {
	if errors.Is(err, engine.ErrReadOnly) {
		return &foreign{host}
	}
	return err
}

// writeJSON sends a whole answer.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and lists of them: cannot be
	}
	write(w, "application/json", status, b)
}

func write(w http.ResponseWriter, contentType string, status int, b []byte) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	w.WriteHeader(status)
	_, _ = w.Write(b) // who has hung up is told nothing
}

// failed tells the log what no application can do anything about.
func (a *API) failed(r *http.Request, err error) {
	if r.Context().Err() == nil {
		a.Log.Error("a roster could not be changed for an application", "path", r.URL.Path, "error", err)
	}
}

// reason is what an application learns of a change that was refused; ok is false for what is nobody's decision.
func reason(err error) (text string, ok bool) {
	var f *foreign
	switch {
	case errors.As(err, &f):
		return f.Error(), true
	case errors.Is(err, engine.ErrFull), errors.Is(err, engine.ErrDenied), errors.Is(err, engine.ErrNoHost):
		return strings.ReplaceAll(err.Error(), engine.ErrDenied.Error()+": ", ""), true
	}
	return "", false
}
