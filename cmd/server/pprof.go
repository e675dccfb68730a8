package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// profiles serves what Go knows of the running program (rosterd_pprof): where its time goes, what it holds, what its
// goroutines wait for. None of them is taken unless somebody asks.
type profiles struct {
	http *http.Server

	mu      sync.Mutex // guards closed, and what is added to running
	closed  bool
	running sync.WaitGroup // handlers
}

// longestProfile bounds how long one is taken: that costs time.
const longestProfile = 5 * time.Minute

func newProfiles() *profiles {
	p := &profiles{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	p.http = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.begin() {
			return // the connection is closed, or will be in a moment
		}
		defer p.running.Done()
		if err := checkProfiler(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		r.Body = http.NoBody // a form in it would say for how long, too
		mux.ServeHTTP(w, r)
	})}
	p.http.SetKeepAlivesEnabled(false) // a reload that closes the door closes it for everybody
	return p
}

// checkProfiler refuses browsers: a page of anybody's may have them ask this machine for what it likes, under a name of
// its own if need be (DNS rebinding).
func checkProfiler(r *http.Request) error {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if host != "localhost" && (err != nil || !a.IsLoopback()) {
		return fmt.Errorf("not under the name %q: use an address of loopback", host)
	}
	if site := r.Header.Get("Sec-Fetch-Site"); r.Header.Get("Origin") != "" || site != "" && site != "none" && site != "same-origin" {
		return errors.New("not for web pages")
	}
	if s := r.URL.Query().Get("seconds"); s != "" {
		if n, err := strconv.ParseFloat(s, 64); err != nil || !(n <= longestProfile.Seconds()) {
			return fmt.Errorf("seconds is %q, not a number up to %.0f", s, longestProfile.Seconds())
		}
	}
	return nil
}

// serve answers until the door is shut.
func (p *profiles) serve(l net.Listener) error { return p.http.Serve(l) }

func (p *profiles) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.running.Add(1)
	}
	return !p.closed
}

// close ends what is being taken.
func (p *profiles) close(context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.http.Close()
	p.running.Wait()
	return err
}
