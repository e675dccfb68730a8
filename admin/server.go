package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
)

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = errors.New("admin: server closed")

const (
	maxBody  = 1 << 20
	maxUsers = 1000 // of one refresh
)

// Server answers whoever may open its socket. All fields but Log are wanted before Serve.
type Server struct {
	Rosters  Rosters
	Sessions func(users ...addr.Bare) []Session       // all of one moment, in the order of the users
	Source   func(host string) (name string, ok bool) // what supplies the rosters of a host; not ok: it is not served
	Deleted  func(addr.Bare)                          // has the running server forget a user whose account is gone
	Patience time.Duration                            // how long a refresh is waited for; 30 s
	Log      *slog.Logger                             // nil: nowhere

	once sync.Once
	http *http.Server
}

func (s *Server) server() *http.Server {
	s.once.Do(func() {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /roster", s.get)
		mux.HandleFunc("POST /roster/refresh", s.refresh)
		mux.HandleFunc("POST /roster/release", s.release)
		mux.HandleFunc("GET /roster/explain", s.explain)
		mux.HandleFunc("POST /users/deleted", s.deleted)
		s.http = &http.Server{
			Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
			ErrorLog: slog.NewLogLogger(s.log().Handler(), slog.LevelDebug),
		}
	})
	return s.http
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// Serve answers requests until Shutdown, and always returns an error.
func (s *Server) Serve(ln net.Listener) error {
	err := s.server().Serve(ln)
	if errors.Is(err, http.ErrServerClosed) {
		return ErrServerClosed
	}
	return err
}

// Shutdown waits for the requests that are under way, or cuts them when ctx ends. The socket is gone after it.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.server().Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.server().Close())
	}
	return err
}

// failure is an answer that is an error.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	u, source, err := s.user(r.FormValue("user"))
	if err != nil {
		answer(w, nil, err)
		return
	}
	i, ok := s.Rosters.Inspect(u)
	if !ok {
		answer(w, nil, unknown(u))
		return
	}
	answer(w, rosterOf(i, source), nil)
}

func unknown(u addr.Bare) error {
	return &failure{http.StatusNotFound, fmt.Sprintf("nothing is known of %s: not online, and no roster is kept", u)}
}

// user is one that a VirtualHost of ours may have, and where its roster comes from.
func (s *Server) user(name string) (u addr.Bare, source string, err error) {
	u, err = addr.ParseBare(name)
	if err == nil && u.Local() == "" {
		err = fmt.Errorf("%q has no user before the @", name)
	}
	if err != nil {
		return u, "", &failure{http.StatusBadRequest, err.Error()}
	}
	source, ok := s.Source(u.Domain())
	if !ok {
		return u, "", &failure{http.StatusNotFound, fmt.Sprintf("no VirtualHost %q is served", u.Domain())}
	}
	return u, source, nil
}

type named struct {
	Users []string `json:"users"`
}

func (s *Server) refresh(w http.ResponseWriter, r *http.Request) {
	names, err := decode(w, r)
	if err != nil {
		answer(w, nil, err)
		return
	}
	ctx, cancel := s.patient(r)
	defer cancel()
	answer(w, s.refreshAll(ctx, names), nil)
}

func (s *Server) patient(r *http.Request) (context.Context, context.CancelFunc) {
	d := s.Patience
	if d <= 0 {
		d = 30 * time.Second
	}
	return context.WithTimeout(r.Context(), d)
}

// refreshAll refreshes users of any hosts, in the order in which they were named, the hosts beside each other.
func (s *Server) refreshAll(ctx context.Context, names []string) []Outcome {
	list := make([]Outcome, len(names))
	byHost := make(map[string][]int)
	users := make([]addr.Bare, len(names))
	for i, name := range names {
		list[i].User = name
		u, _, err := s.user(name)
		if err != nil {
			list[i].Outcome, list[i].Error = string(engine.Invalid), err.Error()
			continue
		}
		users[i], list[i].User = u, u.String()
		byHost[u.Domain()] = append(byHost[u.Domain()], i)
	}
	var work sync.WaitGroup
	for host, at := range byHost {
		work.Go(func() {
			locals := make([]string, len(at))
			for k, i := range at {
				locals[k] = users[i].Local()
			}
			for k, r := range s.Rosters.Refresh(ctx, host, locals).Results {
				list[at[k]] = outcome(users[at[k]], r)
			}
		})
	}
	work.Wait()
	s.log().Info("refreshed by the operator", "users", len(names))
	return list
}

func outcome(u addr.Bare, r engine.Result) Outcome {
	return Outcome{User: u.String(), Outcome: string(r.Outcome), Changes: r.Changes, Error: r.Error}
}

func (s *Server) release(w http.ResponseWriter, r *http.Request) {
	names, err := decode(w, r)
	if err != nil {
		answer(w, nil, err)
		return
	}
	ctx, cancel := s.patient(r)
	defer cancel()
	list := make([]Outcome, 0, len(names))
	for _, name := range names {
		list = append(list, s.releaseOne(ctx, name))
	}
	answer(w, list, nil)
}

// deleted is told of users whose accounts are gone, and answers with their names.
func (s *Server) deleted(w http.ResponseWriter, r *http.Request) {
	names, err := decode(w, r)
	if err != nil {
		answer(w, nil, err)
		return
	}
	for i, name := range names {
		u, _, err := s.user(name)
		if err != nil {
			answer(w, nil, err)
			return
		}
		s.Deleted(u)
		s.log().Info("account deleted by the operator", "user", u)
		names[i] = u.String()
	}
	answer(w, names, nil)
}

// notHeld is the outcome of a release where there is nothing to release.
const notHeld = "nothing-held"

func (s *Server) releaseOne(ctx context.Context, name string) Outcome {
	u, _, err := s.user(name)
	if err != nil {
		return Outcome{User: name, Outcome: string(engine.Invalid), Error: err.Error()}
	}
	r, err := s.Rosters.ReleaseHeld(ctx, u)
	switch {
	case errors.Is(err, engine.ErrNothingHeld):
		return Outcome{User: u.String(), Outcome: notHeld, Error: err.Error()}
	case err != nil:
		return Outcome{User: u.String(), Outcome: string(engine.Failed), Error: err.Error()}
	}
	s.log().Info("a held answer was released by the operator", "user", u, "outcome", r.Outcome, "changes", r.Changes)
	return outcome(u, r)
}

func decode(w http.ResponseWriter, r *http.Request) ([]string, error) {
	var n named
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(&n)
	if err == nil && d.More() {
		err = errors.New("more than one document")
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &failure{http.StatusRequestEntityTooLarge, err.Error()}
	case err != nil:
		return nil, &failure{http.StatusBadRequest, "the body is not what it should be: " + err.Error()}
	case len(n.Users) == 0:
		return nil, &failure{http.StatusBadRequest, "no users are named"}
	case len(n.Users) > maxUsers:
		return nil, &failure{http.StatusRequestEntityTooLarge, fmt.Sprintf("%d users, more than %d", len(n.Users), maxUsers)}
	}
	return n.Users, nil
}

// fault is an error as it is written.
type fault struct {
	Error string `json:"error"`
}

func answer(w http.ResponseWriter, v any, err error) {
	status := http.StatusOK
	if err != nil {
		status = http.StatusInternalServerError
		if f := (*failure)(nil); errors.As(err, &f) {
			status = f.status
		}
		v = fault{err.Error()}
	}
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(b, '\n')) // whoever asked may be gone, which is nobody's business
}
