// Package bosh carries XMPP streams over pairs of HTTP requests and responses (XEP-0124, XEP-0206), for web clients
// that cannot have a WebSocket.
//
// A Manager answers the requests. What belongs to one client is a session, a stream.Carrier: its requests, each with a
// <body/> around some stanzas, are put in order, and what the client is to receive goes into the responses, which are
// held back until there is something to say.
//
// # What a successful Write means
//
// Write puts stanzas into the session's keeping. They leave with the response to one of the client's requests, and are
// kept beyond that: a client whose connection broke repeats the request and receives the same response once more
// (XEP-0124 §14.3). They are taken to have arrived when the client makes another request, says so (§9.2), or ends its
// session. Whatever has not when the session ends is what Undelivered returns, so that the core can bounce it. Since
// a client may vanish with a response just read, a few of these may have arrived all the same; none is lost unnoticed.
// If more than a chunk waits for a request to come, Write blocks: the session's outbox fills, with its own limits.
package bosh

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/stream"
)

// Settings of sessions that begin from now on. Zero fields mean the defaults, which are Prosody's.
type Settings struct {
	Inactivity time.Duration // how long a client may have no request open (bosh_max_inactivity); 60 s
	Polling    time.Duration // how often it may send empty requests that are not needed (bosh_max_polling); 5 s, negative: any time
	Wait       time.Duration // how long a request is held at most (bosh_max_wait); 120 s
	Secure     bool          // plain HTTP counts as encrypted (consider_bosh_secure)
}

func (s Settings) withDefaults() *Settings {
	s.Inactivity = cmp.Or(s.Inactivity, 60*time.Second)
	s.Polling = cmp.Or(s.Polling, 5*time.Second)
	s.Wait = cmp.Or(s.Wait, 120*time.Second)
	return &s
}

// maxPause is how long a client may ask to be left alone (XEP-0124 §10), if Inactivity is not longer anyway.
const maxPause = 120 * time.Second

// Manager is the connection manager (XEP-0124 §3) for any number of VirtualHosts. Serve is set before the first request.
type Manager struct {
	// Serve negotiates a session's stream, and returns when a resource is bound or the session is over. from is the address
	// to count it under.
	Serve func(c stream.Carrier, from netip.Addr)
	// Limits are those that hold for sessions that begin now, with their defaults filled in; nil means the defaults.
	Limits func() *stream.Limits
	Settings

	now atomic.Pointer[Settings] // nil until they are asked for first

	mu       sync.Mutex // guards the fields below
	sessions map[string]*session
	closed   bool
	work     sync.WaitGroup // goroutines of sessions, but for those of net/http; Add under mu while not closed, or from one of them
	none     chan struct{}  // closed when the last session ends; nil if none is left, or nobody waits for that
}

// Reconfigure replaces the settings. It may be called at any time.
func (m *Manager) Reconfigure(s Settings) { m.now.Store(s.withDefaults()) }

func (m *Manager) settings() *Settings {
	if m.now.Load() == nil {
		m.now.CompareAndSwap(nil, m.Settings.withDefaults())
	}
	return m.now.Load()
}

var defaultLimits = stream.Limits{}.Defaults()

func (m *Manager) limits() *stream.Limits {
	if m.Limits == nil {
		return &defaultLimits
	}
	return m.Limits()
}

// Handler answers the requests that come to one VirtualHost. A session belongs to the host that it began at; through
// another it is not found.
func (m *Manager) Handler(host string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			m.post(w, r, host)
		case http.MethodGet, http.MethodHead:
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			io.WriteString(w, "This is the BOSH endpoint (XEP-0124) of "+host+". It is the address to give to a web client.\n")
		default:
			w.Header().Set("Allow", "GET, HEAD, OPTIONS, POST")
			http.Error(w, "BOSH is spoken with POST", http.StatusMethodNotAllowed)
		}
	})
}

// post answers one request. All that is wrong with it is said in a body, with status 200 (XEP-0124 §17.1): so clients
// know who says it. A request that does not end is not answered; net/http closes its connection.
func (m *Manager) post(w http.ResponseWriter, r *http.Request, host string) {
	in, err := readRoot(r.Body)
	if err != nil {
		if errors.Is(err, errRequest) {
			m.reply(w, terminate(badRequest))
		}
		return
	}
	// What a proxy says of its client's side counts, whatever it speaks with us.
	secure := m.settings().Secure || r.URL.Scheme == "https" || r.URL.Scheme == "" && r.TLS != nil
	s, most := m.find(in.sid, host, secure), 0
	switch {
	case s != nil:
		most = s.most()
	case in.sid == "":
		most = m.limits().Negotiation + envelope
	default:
		m.reply(w, terminate(itemNotFound))
		return
	}
	if in.readRest(r.Body, most) != nil {
		return
	}
	if s == nil {
		var refused condition
		if s, refused = m.begin(in, host, r, secure); s == nil {
			m.reply(w, terminate(refused))
			return
		}
	}
	// A request that is held may take longer than the server lets others read; its body is there.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if answer := s.exchange(r.Context(), in); answer != nil {
		m.reply(w, answer)
	}
}

// reply writes a response. A client that does not take it has its time bounded; it will repeat the request.
func (m *Manager) reply(w http.ResponseWriter, answer []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/xml; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(m.limits().WriteStall))
	w.Write(answer)
}

// address is where a request comes from, as far as it can be read.
func address(r *http.Request) netip.AddrPort {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// begin makes a session of the request that asks for one (XEP-0124 §7), or says what is wrong with that.
func (m *Manager) begin(in *input, host string, r *http.Request, secure bool) (*session, condition) {
	switch {
	case in.to == "":
		return nil, improperAddressing
	case in.rid == 0 || in.wait < 0:
		return nil, badRequest
	}
	s := newSession(m, in)
	s.sid, s.host, s.secure = rand.Text(), host, secure
	from := address(r)
	s.addr, s.visit = net.TCPAddrFromAddrPort(from), admission.AdmittedIn(r.Context())
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, systemShutdown
	}
	if m.sessions == nil {
		m.sessions = make(map[string]*session)
	}
	m.sessions[s.sid] = s
	m.work.Go(func() { m.Serve(s, from.Addr()) })
	return s, ""
}

// find returns a session. One that began over an encrypted connection is none for a request in the clear: whoever
// listens would know its sid.
func (m *Manager) find(sid, host string, secure bool) *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[sid]
	if s == nil || s.host != host || s.secure && !secure {
		return nil
	}
	return s
}

func (m *Manager) remove(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, s.sid)
	if len(m.sessions) == 0 && m.none != nil {
		close(m.none)
		m.none = nil
	}
}

// Sessions is how many there are.
func (m *Manager) Sessions() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sessions)
}

// Shutdown ends all sessions with system-shutdown once what is kept for their clients is sent, and returns when that
// is done and no goroutine is left; those that have not ended when ctx does are cut. The Server that Serve belongs to may
// be shut down before, after or at the same time.
func (m *Manager) Shutdown(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	if len(m.sessions) > 0 && m.none == nil {
		m.none = make(chan struct{})
	}
	none := m.none
	m.mu.Unlock()

	for _, s := range m.all() {
		s.shutDown()
	}
	var err error
	if none != nil {
		select {
		case <-none:
		case <-ctx.Done():
			left := m.all()
			for _, s := range left {
				s.Abort()
			}
			err = fmt.Errorf("%d BOSH sessions did not end in time and were cut: %w", len(left), ctx.Err())
		}
	}
	m.work.Wait()
	return err
}

func (m *Manager) all() (list []*session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		list = append(list, s)
	}
	return list
}
