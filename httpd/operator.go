package httpd

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/julienschmidt/httprouter"
)

// ownPaths answer on every VirtualHost and on none: who probes whether the server lives knows its address at most.
var ownPaths = []string{"/health", "/healthz", "/readyz", "/metrics"}

// Part is one thing that the server needs, or would like, to be of use.
type Part struct {
	Name  string // "store", "backend of example.com"
	Err   error  // nil if all is well
	Minor bool   // reported, but the server is ready without it
}

// Drain makes /readyz say that the server is about to stop, while everything is still served: whoever balances load
// goes elsewhere from then on. Shutdown implies it.
func (s *Server) Drain() { s.draining.Store(true) }

// health says that the process lives, and nothing else: a server that is restarted because its database is slow does
// not get faster.
func (s *Server) health(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
	routed(w, "health")
	s.write(w, r, http.StatusOK, []byte(`{"status":"ok"}`))
}

// readiness is the answer of /readyz.
type readiness struct {
	Status string      `json:"status"` // "ready", "not ready" or "stopping"
	Parts  []readyPart `json:"parts,omitempty"`
}

type readyPart struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Minor bool   `json:"minor,omitempty"`
	Error string `json:"error,omitempty"`
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
	routed(w, "readyz")
	answer, operator := readiness{Status: "ready"}, s.isOperator(r)
	for _, p := range s.checks.parts(r.Context(), s.Ready) {
		part := readyPart{Name: p.Name, OK: p.Err == nil, Minor: p.Minor}
		if p.Err != nil && !p.Minor {
			answer.Status = "not ready"
		}
		if p.Err != nil && operator { // errors name files and machines
			part.Error = p.Err.Error()
		}
		if p.Minor && !operator { // whom we serve, and how they fare, is nobody else's business
			continue
		}
		answer.Parts = append(answer.Parts, part)
	}
	if s.draining.Load() {
		answer.Status = "stopping"
	}
	status := http.StatusOK
	if answer.Status != "ready" {
		status = http.StatusServiceUnavailable
	}
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err) // strings and truths only: cannot be
	}
	s.write(w, r, status, body)
}

// checks lets anybody ask as often as they like: the parts are looked at one time after the other, and what was found
// holds for a moment.
type checks struct {
	mu    sync.Mutex // held while the parts are looked at
	found []Part
	until time.Time
}

const (
	checkTime = 5 * time.Second // to look at all parts
	checkHold = time.Second
)

func (c *checks) parts(ctx context.Context, look func(context.Context) []Part) []Part {
	if look == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.After(c.until) {
		// Not the asker's own context: who hangs up does not make the others believe that something is wrong.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
		defer cancel()
		c.found = look(ctx)
		c.until = time.Now().Add(checkHold)
	}
	return c.found
}

// serveMetrics is for operators only: the figures tell how many people there are, and when.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
	routed(w, "metrics")
	if !s.isOperator(r) {
		s.refuse(w, r, http.StatusForbidden, "not for "+clientName(r)+": see openmetrics_allow_ips and openmetrics_allow_cidr")
		return
	}
	s.Metrics.ServeHTTP(w, r)
}

func (s *Server) isOperator(r *http.Request) bool {
	a, ok := peerAddr(r)
	return ok && within(s.peers.Load().metrics, a)
}

// clientName is the client's address for a message.
func clientName(r *http.Request) string {
	if a, ok := peerAddr(r); ok {
		return a.String()
	}
	return "you"
}

var loopbackNets = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// SetPeers replaces Trusted and MetricsFrom.
func (s *Server) SetPeers(trusted, metricsFrom []netip.Prefix) {
	s.setup()
	s.setPeers(trusted, metricsFrom)
}

func (s *Server) setPeers(trusted, metricsFrom []netip.Prefix) {
	if metricsFrom == nil {
		metricsFrom = loopbackNets
	}
	s.peers.Store(&peers{trusted: trusted, metrics: metricsFrom})
}
