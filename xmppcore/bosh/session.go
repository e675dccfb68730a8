package bosh

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"rosterd/xmppcore/admission"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

const (
	// grace is how long a request is kept open for what it causes, though the client could do with the response: what
	// comes within that time needs no response of its own.
	grace = 20 * time.Millisecond
	// enough is how much may wait for a request to come. Beyond it Write blocks.
	enough = 64 << 10
	// most is how much content a response has, but for one that holds a longer stanza.
	most = 256 << 10
	// spare is how many requests that come too often are forgiven; with each period of Settings.Polling one more. A page
	// that is loaded anew behind a proxy makes one.
	spare = 5
	// crowd is how many requests of full length may wait to be handled, each with a buffer twice as long.
	crowd = 8
)

// session is one client's stream, and a stream.Carrier. No goroutine belongs to it while it is idle but the one in Run
// and those in which net/http serves the requests that are held; while there are stanzas to handle, there is one more.
type session struct {
	manager  *Manager
	settings *Settings
	limits   *stream.Limits
	host     string // whose Handler it began at
	sid      string
	addr     *net.TCPAddr
	secure   bool
	visit    *admission.Visitor // who has waited for the handshake of the first request's connection, until Visitor; nil: nobody
	version  string             // of BOSH
	wait     time.Duration      // how long a request is held; 0 in a polling session
	hold     int                // how many are
	requests int                // how many a client may have open
	acks     bool               // the client says which responses it has received (XEP-0124 §9.2)

	current *input // of the goroutine that negotiates, later of the one that attends

	mu      sync.Mutex // guards the fields below
	read    sync.Cond  // there is something in queue, or stopped
	change  sync.Cond  // there is room in pending, or over
	window  window
	waiters int       // connections that wait for a response
	heard   time.Time // when the last request came
	queue   []*input  // in order, to be handled
	queued  int       // bytes that these hold
	left    int       // bytes that may still be taken from it, before a resource is bound
	lang    string    // of the stanzas, if they name none
	rate    *stream.Rate

	openings  int // how often the stream was opened; from the second on the client is authenticated
	attending bool
	handle    func(*scan.Stanza) error // since Run
	stopped   bool                     // nothing more is handled
	err       error                    // why
	parted    bool                     // because the client ended the session
	done      chan struct{}            // closed when stopped and not attending

	pending []byte // elements that stand alone, for the next response
	attrs   []byte // what it says of the session
	closing bool   // and after these, the end:
	endAttrs,
	end []byte
	over        bool
	undelivered []byte

	inactivity *time.Timer // runs while no connection waits
	idleUntil  time.Time
	pause      time.Duration // instead of Settings.Inactivity, until the next request; 0: none
	closeTimer *time.Timer

	credit  float64   // of requests that come too often
	struck  time.Time // when it was used last
	blank   bool      // the request before was empty, and so is its answer, as far as there is one
	arrived time.Time // the request before
}

var (
	_ stream.Carrier  = (*session)(nil)
	_ stream.Pacer    = (*session)(nil)
	_ stream.Activity = (*session)(nil)
	_ stream.Visiting = (*session)(nil)
)

// newSession is what a client asks for with its first request.
func newSession(m *Manager, in *input) *session {
	s := &session{manager: m, settings: m.settings(), limits: m.limits(), version: negotiate(in.ver), acks: in.ack > 0}
	s.read.L, s.change.L = &s.mu, &s.mu
	s.done = make(chan struct{})
	s.hold = 1
	s.wait = min(time.Duration(in.wait)*time.Second, s.settings.Wait.Truncate(time.Second))
	if in.hold == 0 || s.wait == 0 { // it polls (XEP-0124 §12)
		s.hold, s.wait = 0, 0
	}
	s.requests = s.hold + 1
	s.window = window{size: s.requests, last: in.rid - 1}
	s.attending = true // until ReadOpen waits for more
	in.restart = true
	s.credit = spare
	s.heard = time.Now()
	return s
}

func (s *session) maxPause() time.Duration { return max(maxPause, s.settings.Inactivity) }

// most is how long a request may be now.
func (s *session) most() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.longest()
}

func (s *session) longest() int {
	if s.openings < 2 {
		return s.limits.Negotiation + envelope
	}
	return s.limits.Stanza + envelope
}

// crowded tells whether more is here than is handled soon. Then responses wait, and with them a client that has no more
// requests open than it may. One that breaks its connections instead comes to crowd times as much, and is sent away.
func (s *session) crowded() bool { return s.queued > s.longest() }

func (s *session) RemoteAddr() net.Addr      { return s.addr }
func (s *session) Secure() bool              { return s.secure }
func (s *session) TLS() *tls.ConnectionState { return nil } // there may be many connections, each with its own

// Visitor implements stream.Visiting.
func (s *session) Visitor() *admission.Visitor {
	v := s.visit
	s.visit = nil
	return v
}

// LastRead implements stream.Activity.
func (s *session) LastRead() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

// Pace implements stream.Pacer.
func (s *session) Pace() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.rate = stream.NewRate(s.limits)
	}
}

// Unlimit implements stream.Pacer.
func (s *session) Unlimit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate.Lift()
}

// exchange takes a request and returns the response once there is one; nil if the client has gone meanwhile.
func (s *session) exchange(ctx context.Context, in *input) []byte {
	r, answer, now := s.receive(in)
	if r == nil {
		return now
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	for first := true; ; first = false {
		select {
		case b := <-answer:
			return b
		case <-ctx.Done():
			s.abandon(r, answer)
			return nil
		case <-t.C:
			s.waited(r, first)
			if left := s.wait - grace; first && left > 0 {
				t.Reset(left)
			}
		}
	}
}

// receive takes a request in. The response comes through answer; or, if there is no request to wait for, at once.
func (s *session) receive(in *input) (r *request, answer chan []byte, now []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		in.release()
		return nil, nil, terminate(itemNotFound)
	}
	s.heard = time.Now()
	if r := s.window.find(in.rid); r != nil {
		in.release()
		if r.answer != nil {
			return nil, nil, r.answer
		}
		return r, s.attach(r), nil // as much a copy as the one before; its stanzas are here
	}
	switch {
	case !s.window.admits(in):
		s.kill(itemNotFound, fmt.Sprintf("rid %d after %d", in.rid, s.window.last))
	case !in.last() && s.window.waiting() >= s.requests:
		s.kill(policyViolation, fmt.Sprintf("more than %d requests at once", s.requests))
	case s.queued > crowd*s.longest():
		s.kill(policyViolation, "more requests than are handled")
	default:
		r = &request{rid: in.rid, in: in, last: in.last()}
		s.window.add(r)
		answer = s.attach(r)
		for next := s.window.advance(); next != nil && !s.over; next = s.window.advance() {
			s.accept(next)
		}
		s.giveUp()
		s.settle()
		return r, answer, nil
	}
	in.release()
	return nil, nil, wrap(s.endAttrs, s.end)
}

// attach lets a connection wait for the response to r. Another one that does so has been given up by its client; its
// response does not matter.
func (s *session) attach(r *request) chan []byte {
	if r.waiter != nil {
		s.respond(r, nothing)
	}
	r.waiter = make(chan []byte, 1)
	s.waiters++
	return r.waiter
}

func (s *session) respond(r *request, b []byte) {
	if r.waiter == nil {
		return
	}
	r.waiter <- b
	s.detach(r)
}

func (s *session) detach(r *request) {
	r.waiter = nil
	if s.waiters--; s.waiters == 0 && !s.over {
		s.idle()
	}
}

// abandon is for a connection that has ended before its response. If the client repeats the request, it will have it.
func (s *session) abandon(r *request, answer chan []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.waiter == answer {
		s.detach(r)
		s.settle()
	}
}

// waited notes that a request has been waiting, first for grace and then as long as it may.
func (s *session) waited(r *request, grace bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ripe = true
	r.expired = !grace
	s.settle()
}

// accept takes the next request in order.
func (s *session) accept(r *request) {
	in := r.in
	r.in = nil
	s.acknowledge(in)
	s.pause = 0
	if s.tooOften(in) {
		in.release()
		s.kill(policyViolation, "empty requests come too often")
		return
	}
	if in.pause >= 0 && time.Duration(in.pause)*time.Second <= s.maxPause() {
		s.pause = time.Duration(max(in.pause, 1)) * time.Second
		for r := s.window.first(); r != nil; r = s.window.first() { // none of these may hold anything (XEP-0124 §10)
			s.answer(r, nil)
		}
	}
	if s.stopped || in.empty && !in.restart && !in.terminate && s.handle != nil { // negotiation counts every byte
		in.release()
		return
	}
	s.queue = append(s.queue, in)
	s.queued += cap(in.raw)
	if s.handle != nil {
		s.attend()
	}
	s.read.Signal()
}

// acknowledge notes which responses have arrived: those that the client says, or else all that went out before it made
// another request.
func (s *session) acknowledge(in *input) {
	for _, r := range s.window.list {
		if r.answer != nil && (!s.acks || in.ack == 0 || r.rid <= in.ack) {
			r.acked = true
		}
	}
}

// tooOften tells whether the client makes requests that serve no purpose more often than it was told to (XEP-0124 §11,
// §12).
func (s *session) tooOften(in *input) bool {
	now := time.Now()
	early := now.Sub(s.arrived) < s.settings.Polling
	empty := in.empty && !in.restart && !in.last() && s.openings > 0
	before := s.blank
	s.arrived, s.blank = now, empty
	if !empty || !early || s.hold > 0 && s.waiters < s.requests || s.hold == 0 && !before {
		return false
	}
	s.credit = min(spare, s.credit+now.Sub(s.struck).Seconds()/s.settings.Polling.Seconds()) - 1
	s.struck = now
	return s.credit < 0
}

// settle answers what is to be answered now.
func (s *session) settle() {
	for !s.over {
		r := s.oldest()
		if r == nil || !s.due(r) {
			return
		}
		if s.closing {
			s.part(r)
			continue
		}
		s.answer(r, s.take())
	}
}

// oldest is the first request for whose response somebody waits.
func (s *session) oldest() *request {
	for r := range s.window.open {
		if r.waiter != nil {
			return r
		}
	}
	return nil
}

// due tells whether the oldest request is to be answered. What a client has sent is handled first, so that the answers
// to it leave together, unless that takes long.
func (s *session) due(r *request) bool {
	newest := s.window.newest()
	ripe := newest == nil || newest.ripe || newest.waiter == nil
	switch {
	case s.closing:
		return true
	case s.parted:
		return false // the end leaves with it, and is on its way
	case r.expired:
		return true
	case s.crowded() && len(s.pending) < enough:
		return false
	case len(s.pending)+len(s.attrs) > 0:
		return ripe || !s.attending || len(s.pending) >= enough
	case s.attending && s.handle == nil:
		return false // negotiation has an answer to everything
	}
	return ripe && s.waiters > s.hold
}

// answer gives a request its response. Those before it for which nobody waits have none that anybody will see, unless
// their clients repeat them: nothing is lost there.
func (s *session) answer(r *request, content []byte) {
	for before := s.window.first(); before != r; before = s.window.first() {
		before.answer = nothing
		s.respond(before, nothing)
	}
	r.answer, r.attrs = wrap(s.attrs, content), s.attrs
	s.attrs = nil
	if len(content) > 0 {
		s.blank = false
	}
	s.window.trim()
	s.respond(r, r.answer)
}

// giveUp answers requests that were made so many others ago that a client which keeps to the window has no use for
// them: one that breaks its connections would have all of them remembered.
func (s *session) giveUp() {
	old := s.window.last - 2*int64(s.window.size)
	for r := s.window.first(); r != nil && r.rid <= old; r = s.window.first() {
		r.answer = nothing
		s.respond(r, nothing)
	}
	s.window.trim()
}

// take takes what fits into one response.
func (s *session) take() []byte {
	n := fitting(s.pending)
	b := s.pending[:n:n]
	if s.pending = s.pending[n:]; len(s.pending) == 0 {
		s.pending = nil
	}
	if len(s.pending) < enough {
		s.change.Broadcast()
	}
	return b
}

// part answers a request of a session that closes: with what is left to say, else with the end.
func (s *session) part(r *request) {
	if len(s.pending) > 0 && (!s.parted || s.waiters > 1) {
		s.answer(r, s.take())
		return
	}
	end := append(s.end[:len(s.end):len(s.end)], s.pending...)
	s.pending = nil
	for r := range s.window.open {
		s.respond(r, wrap(s.endAttrs, end))
	}
	s.finish(net.ErrClosed)
}

// idle lets the session end unless a request comes in time (XEP-0124 §10).
func (s *session) idle() {
	d := s.settings.Inactivity
	if s.pause > 0 {
		d = s.pause
	}
	s.idleUntil = time.Now().Add(d)
	if s.inactivity == nil {
		s.inactivity = time.AfterFunc(d, s.inactive)
	} else {
		s.inactivity.Reset(d)
	}
}

func (s *session) inactive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiters == 0 && !time.Now().Before(s.idleUntil) {
		s.finish(fmt.Errorf("BOSH: no request for %v", time.Since(s.heard).Round(time.Second)))
	}
}

// kill ends the session because of a request that should not have been made. No stanza follows.
func (s *session) kill(c condition, text string) {
	s.endAttrs, s.end = []byte(" type='terminate' condition='"+string(c)+"'"), nil
	s.finish(fmt.Errorf("BOSH: %s: %s", c, text))
}

// finish ends the session. Who still waits for a response is told.
func (s *session) finish(err error) {
	if s.over {
		return
	}
	s.over = true
	s.stop(err)
	if s.endAttrs == nil {
		s.endAttrs = []byte(" type='terminate' condition='" + remoteConnectionFailed + "'")
	}
	for _, r := range s.window.list {
		if r.answer != nil && !r.acked && !s.parted {
			s.undelivered = append(s.undelivered, r.content()...)
		}
		s.respond(r, wrap(s.endAttrs, s.end))
		if r.in != nil {
			r.in.release()
		}
	}
	s.undelivered = append(s.undelivered, s.pending...)
	s.pending, s.window.list = nil, nil
	for _, t := range []*time.Timer{s.inactivity, s.closeTimer} {
		if t != nil {
			t.Stop()
		}
	}
	s.change.Broadcast()
	s.manager.remove(s)
}

// stop ends the handling of stanzas.
func (s *session) stop(err error) {
	if s.stopped {
		return
	}
	s.stopped, s.err = true, err
	for _, in := range s.queue {
		in.release()
	}
	s.queue, s.queued = nil, 0
	s.rate.Lift()
	s.read.Signal()
	if !s.attending || s.handle == nil {
		close(s.done)
	}
}

// Run implements stream.Transport.
func (s *session) Run(handle func(*scan.Stanza) error) error {
	if s.run(handle) {
		<-s.done
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *session) run(handle func(*scan.Stanza) error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.handle = handle
	s.attending = false
	s.attend()
	s.settle()
	return true
}

// attend lets a goroutine handle what is in the queue, if none does.
func (s *session) attend() {
	if !s.attending && (len(s.queue) > 0 || s.current != nil) {
		s.attending = true
		s.manager.work.Go(s.serve)
	}
}

// serve handles what is in the queue.
func (s *session) serve() {
	st := stanzas.Get().(*scan.Stanza)
	defer putStanza(st)
	for s.more() {
		err := s.each(st)
		parted := s.current.terminate && err == nil
		s.current.release()
		s.current = nil
		if parted {
			s.depart()
		} else if err != nil {
			s.fail(err)
		}
	}
}

// depart notes that the client has ended the session.
func (s *session) depart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parted = true
	s.change.Broadcast()
	s.stop(nil)
}

func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop(err)
}

// more takes the next request from the queue. If there is none, nobody attends any more.
func (s *session) more() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		if s.current != nil {
			s.current.release()
			s.current = nil
		}
		s.attending = false
		close(s.done)
	case s.current != nil: // where negotiation has left it
		return true
	case len(s.queue) > 0:
		if s.crowded() {
			defer s.settle() // it may be the last of what has kept responses back
		}
		s.next()
		return true
	default:
		s.attending = false
	}
	s.settle()
	return false
}

// next makes the first in the queue the current one.
func (s *session) next() {
	s.current = s.queue[0]
	s.queued -= cap(s.current.raw)
	if s.queue = s.queue[1:]; len(s.queue) == 0 {
		s.queue = nil
	}
	if s.current.lang != "" && (s.openings == 0 || s.current.restart) {
		s.lang = s.current.lang
	}
	s.current.begin(s.limits, s.lang)
}

// each handles the stanzas of the current request.
func (s *session) each(st *scan.Stanza) (err error) {
	defer stream.Recover(&err)
	if s.current.restart {
		return misplaced
	}
	s.pacing().Pause(len(s.current.raw))
	for {
		err := s.current.next(st)
		if errors.Is(err, errDone) {
			return nil
		}
		if err == nil {
			err = s.pass(st)
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) pacing() *stream.Rate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rate
}

// pass gives a stanza to its handler. The peer's stream error is none, and what comes when the stream is about to end
// is nobody's.
func (s *session) pass(st *scan.Stanza) error {
	s.mu.Lock()
	stopped := s.stopped
	s.mu.Unlock()
	if stopped || string(st.Space) == scan.NSStream && string(st.Name) == "error" {
		return nil
	}
	return s.handle(st)
}

// Write implements stream.Transport. See the package about what it means.
func (s *session) Write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) >= enough && !s.parted && !s.closing && !s.over {
		s.change.Wait()
	}
	if s.closing || s.over {
		return net.ErrClosed
	}
	for e := range stanza.Elements(b) {
		s.pending = stanza.AppendStandalone(s.pending, e)
	}
	s.settle()
	return nil
}

// Close implements stream.Transport. It returns when the client knows, or does not come to ask.
func (s *session) Close(se *stanza.StreamError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close(se)
	for !s.over {
		s.change.Wait()
	}
}

func (s *session) close(se *stanza.StreamError) {
	if s.closing || s.over {
		return
	}
	s.closing = true
	s.endAttrs, s.end = farewell(se)
	s.stop(net.ErrClosed)
	s.change.Broadcast()
	s.settle()
	switch {
	case s.over:
	case s.parted:
		s.finish(net.ErrClosed) // it will not ask
	default:
		s.closeTimer = time.AfterFunc(s.limits.Close, s.Abort)
	}
}

// shutDown is what Manager.Shutdown does to a session.
func (s *session) shutDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close(&stanza.StreamError{Condition: stanza.StreamSystemShutdown})
}

// Abort implements stream.Transport.
func (s *session) Abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(net.ErrClosed)
}

// Undelivered implements stream.Keeper.
func (s *session) Undelivered() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.undelivered
}
