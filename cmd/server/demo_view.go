package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"rosterd/engine/addr"
)

// demoView prints what happens, a line each, and keeps the last lines for the browser. It is the log of the demo's
// server, and its tap.
type demoView struct {
	mu    sync.Mutex // guards the fields below
	out   io.Writer
	lines []string      // the last ones
	count int           // of all
	news  chan struct{} // closed and replaced when there is one more
}

// demoLines is how many lines are kept.
const demoLines = 200

func newDemoView(out io.Writer) *demoView { return &demoView{out: out, news: make(chan struct{})} }

// say prints what somebody did.
func (v *demoView) say(who, format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	line := fmt.Sprintf("%s  %-9s %s", time.Now().Format("15:04:05"), who, fmt.Sprintf(format, args...))
	fmt.Fprintln(v.out, line)
	v.lines = append(v.lines[max(0, len(v.lines)+1-demoLines):], line)
	v.count++
	close(v.news)
	v.news = make(chan struct{})
}

// since returns those lines behind the first n that are kept, how many there are in all, and what is closed when there
// is another.
func (v *demoView) since(n int) (lines []string, count int, news <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.lines[max(0, len(v.lines)-(v.count-n)):]), v.count, v.news
}

// Enabled shows everything.
func (v *demoView) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs and WithGroup leave out what a parent logger knows.
func (v *demoView) WithAttrs([]slog.Attr) slog.Handler { return v }

// WithGroup is not needed here.
func (v *demoView) WithGroup(string) slog.Handler { return v }

// Handle shows a line of the server's log, but for requests of browsers that load a page.
func (v *demoView) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	quiet := r.Message == "HTTP request"
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, "  %s=%v", a.Key, a.Value)
		quiet = quiet && (a.Key != "route" || a.Value.String() != "roster_admin")
		return true
	})
	if !quiet {
		v.say("server", "%s", b.String())
	}
	return nil
}

// tap shows the roster pushes and results that clients are sent.
func (v *demoView) tap(to addr.JID, stanzas []byte) {
	d := xml.NewDecoder(bytes.NewReader(stanzas))
	for {
		var iq demoIQ
		if err := d.Decode(&iq); err != nil {
			if !errors.Is(err, io.EOF) {
				v.say("server", "what was sent to %s cannot be shown: %v", to, err)
			}
			return
		}
		switch {
		case iq.Query == nil:
		case iq.Type == "set":
			v.say("push", "to %s: %s", to, iq.Query)
		case iq.Type == "result":
			v.say("roster", "to %s: %d contacts", to, len(iq.Query.Items))
		}
	}
}

// demoIQ is a roster result or push (RFC 6121 §2.1).
type demoIQ struct {
	Type  string      `xml:"type,attr"`
	Query *demoRoster `xml:"jabber:iq:roster query"`
}

type demoRoster struct {
	Items []demoItem `xml:"item"`
}

type demoItem struct {
	JID          string   `xml:"jid,attr"`
	Name         string   `xml:"name,attr"`
	Subscription string   `xml:"subscription,attr"`
	Groups       []string `xml:"group"`
}

func (r *demoRoster) String() string {
	var list []string
	for _, i := range r.Items {
		list = append(list, i.String())
	}
	return strings.Join(list, ", ")
}

func (i demoItem) String() string {
	if i.Subscription == "remove" {
		return i.JID + " removed"
	}
	s := i.JID
	if i.Name != "" {
		s += fmt.Sprintf(" %q", i.Name)
	}
	if len(i.Groups) > 0 {
		s += " in " + strings.Join(i.Groups, ", ")
	}
	return s
}
