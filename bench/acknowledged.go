package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"rosterd/bench/load"
	"rosterd/bench/report"
	"rosterd/bench/target"
)

// writing is a client who sends messages to people who are away, one after the other, and has the server acknowledge them
// (XEP-0198): what is acknowledged is the server's from then on.
type writing struct {
	client *load.Client
	to     []string // localparts
	end    chan struct{}
	wrote  chan error
	heard  chan string // all that came from the server, when no more is to come

	mu   sync.Mutex // guards the fields below
	sent int        // -1 while there may be more
	far  int        // messages that are acknowledged
}

var (
	acknowledgement = regexp.MustCompile(`<a [^>]*h=['"](\d+)['"]`)
	bounced         = regexp.MustCompile(`<message [^>]*type=['"]error['"][^>]*>`)
	numbered        = regexp.MustCompile(` id=['"]k(\d+)['"]`)
)

// write begins to write.
func write(ctx context.Context, v *target.Server, from string, to []string) (*writing, error) {
	c, err := load.Login(ctx, v, from, load.How{})
	if err != nil {
		return nil, err
	}
	if err := c.EnableManagement(); err != nil {
		c.Close()
		return nil, err
	}
	w := &writing{client: c, to: to, end: make(chan struct{}), wrote: make(chan error, 1), heard: make(chan string, 1), sent: -1}
	c.Skip()
	if err := c.Deadline(time.Now().Add(2 * time.Minute)); err != nil {
		c.Close()
		return nil, err
	}
	go w.send()
	go w.listen()
	return w, nil
}

// send writes 20 messages a second.
func (w *writing) send() {
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for n := 1; ; n++ {
		select {
		case <-w.end:
			w.mu.Lock()
			w.sent = n - 1
			w.mu.Unlock()
			_, err := w.client.Write([]byte("<r xmlns='urn:xmpp:sm:3'/>")) // of which the answer ends listen
			w.wrote <- err
			return
		case <-every.C:
		}
		text := fmt.Sprintf("<message to='%s@%s' type='chat' id='k%d'><body>A message as people write them.</body></message><r xmlns='urn:xmpp:sm:3'/>", w.to[n%len(w.to)], target.Domain, n)
		if _, err := w.client.Write([]byte(text)); err != nil {
			w.wrote <- err
			return
		}
	}
}

// listen reads until all is acknowledged, or nothing comes any more.
func (w *writing) listen() {
	var all strings.Builder
	b := make([]byte, 4096)
	for {
		n, err := w.client.Conn().Read(b)
		all.Write(b[:n])
		w.mu.Lock()
		if list := acknowledgement.FindAllStringSubmatch(all.String(), -1); len(list) > 0 {
			w.far, _ = strconv.Atoi(list[len(list)-1][1]) // it is a number
		}
		done := w.sent == w.far
		w.mu.Unlock()
		if done || err != nil {
			w.heard <- all.String()
			return
		}
	}
}

// acknowledged is how many messages are so far.
func (w *writing) acknowledged() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.far
}

// stop ends the writing, has those who were away come, and says how many messages were acknowledged, how many of these came
// back as errors instead of being kept, and how many are gone without a word.
func (w *writing) stop(ctx context.Context, v *target.Server) ([]report.Value, error) {
	defer w.client.Close()
	close(w.end)
	if err := errors.Join(<-w.wrote, w.client.Deadline(time.Now().Add(hopeless))); err != nil {
		return nil, err
	}
	text := <-w.heard
	told := map[string]bool{}
	for _, tag := range bounced.FindAllString(text, -1) {
		if id := numbered.FindStringSubmatch(tag); id != nil {
			told[id[1]] = true
		}
	}
	lost, far := 0, w.acknowledged()
	for i, user := range w.to {
		var missing []string
		for n := 1; n <= far; n++ {
			if id := strconv.Itoa(n); n%len(w.to) == i && !told[id] {
				missing = append(missing, id)
			}
		}
		left, err := collect(ctx, v, user, missing)
		if err != nil {
			return nil, err
		}
		lost += left
	}
	return []report.Value{report.One("acknowledged", "", float64(far)), report.One("of these refused", "", float64(len(told))), report.One("of these lost", "", float64(lost))}, nil
}

// collect has a user come, and tells how many of the messages do not.
func collect(ctx context.Context, v *target.Server, user string, want []string) (missing int, err error) {
	c, err := load.Login(ctx, v, user, load.How{})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := errors.Join(c.Available(), c.Deadline(time.Now().Add(hopeless))); err != nil {
		return 0, err
	}
	count := func(text string) int {
		there := map[string]bool{}
		for _, id := range numbered.FindAllStringSubmatch(text, -1) {
			there[id[1]] = true
		}
		n := 0
		for _, id := range want {
			if !there[id] {
				n++
			}
		}
		return n
	}
	if _, err := c.Until(func(text string) bool { missing = count(text); return missing == 0 }); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, err
	}
	return missing, nil // what has not come until now does not
}
