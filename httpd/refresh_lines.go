package httpd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"rosterd/engine"
)

// EachRefresher is a Refresher that can tell of each name when it is done. Of one that cannot, all names are told of
// at the end.
type EachRefresher interface {
	Refresher
	RefreshEach(ctx context.Context, host string, names []string, landed engine.Landed) engine.Summary
}

const (
	lineType = "application/x-ndjson"
	// linePause is between two writes of lines: a packet for each name would cost more than the name.
	linePause = 50 * time.Millisecond
)

// wantsLines tells whether who asks prefers lines of JSON (RFC 9110 §12.5.1) to one object.
func wantsLines(r *http.Request) bool {
	lines, object := 0.0, 0.0
	for _, field := range r.Header.Values("Accept") {
		for element := range strings.SplitSeq(field, ",") {
			kind, parameters, err := mime.ParseMediaType(element)
			if err != nil {
				continue
			}
			quality := 1.0
			if q, ok := parameters["q"]; ok {
				if _, err := fmt.Sscan(q, &quality); err != nil {
					continue
				}
			}
			switch kind {
			case lineType, "application/ndjson":
				lines = max(lines, quality)
			case "application/json":
				object = max(object, quality)
			}
		}
	}
	return lines > 0 && lines >= object
}

// stream answers a refresh with a line for each element as soon as it is done, and one with the four fields at the end.
//
// Who waits sees that it goes on, so Timeout is not for all of it but for the time in which nothing is done. A client
// that reads slowly holds up nothing but its own lines, which wait for it here, and who has gone does not end the
// refresh.
func (a *refreshAPI) stream(w http.ResponseWriter, r *http.Request, elements []element) {
	start := time.Now()
	names, at := distinct(elements)
	l := newLines(elements, names, at)
	s := a.server
	out := &lineWriter{w: w, control: http.NewResponseController(w), patience: or(s.WriteTimeout, 30*time.Second)}
	s.begin(w, r, lineType)
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep the lines until there are many
	w.WriteHeader(http.StatusOK)
	out.send(nil)
	var summary engine.Summary
	if len(names) > 0 || len(elements) == 0 {
		summary = a.watch(names, l, out)
	}
	answer := l.end(summary)
	if a.Observe != nil {
		a.Observe(len(elements), answer.Errors, time.Since(start))
	}
	last, err := json.Marshal(answer)
	if err != nil {
		panic(err) // strings and numbers only: cannot be
	}
	out.send(append(append(l.take(), last...), '\n'))
	if ended, failed := bodyState(r); !ended && !failed && !out.failed {
		linger(w, r)
	}
}

// watch calls the Refresher and sends what it tells, until it has returned or nothing comes any more.
func (a *refreshAPI) watch(names []string, l *lines, out *lineWriter) engine.Summary {
	grace := a.grace()
	ctx, cancel := context.WithCancel(a.server.refreshes)
	defer cancel()
	done := a.start(ctx, names, l.landed)
	silence := time.NewTimer(a.Timeout - grace)
	defer silence.Stop()
	var pause, late <-chan time.Time
	ready, ended := l.ready, ctx.Done()
	for {
		select {
		case o := <-done:
			return a.summaryOf(o, names)
		case <-ready:
			out.send(l.take())
			ready, pause = nil, time.After(linePause)
		case <-pause:
			ready, pause = l.ready, nil
		case <-silence.C:
			if left := a.Timeout - grace - l.silence(); left > 0 {
				silence.Reset(left)
				continue
			}
			cancel()
		case <-ended:
			ended, late = nil, time.After(grace)
		case <-late:
			return a.tooLate(names)
		}
	}
}

// lines are those of one answer, as far as they are not sent.
type lines struct {
	names []string
	times []int         // how often each name was given
	ready chan struct{} // of one: there is something to send

	mu      sync.Mutex // guards the fields below
	text    *bytes.Buffer
	spare   *bytes.Buffer // that was sent; its room serves again
	told    []bool        // of which names there were lines
	total   answer
	last    time.Time // when something was done
	over    bool      // nothing is added any more
	nothing bool      // nobody was named
}

// newLines begins with those elements that are no names.
func newLines(elements []element, names []string, at []int) *lines {
	l := &lines{
		names: names, times: make([]int, len(names)), told: make([]bool, len(names)), ready: make(chan struct{}, 1),
		text: new(bytes.Buffer), spare: new(bytes.Buffer), last: time.Now(), nothing: len(elements) == 0,
	}
	for i, e := range elements {
		if at[i] < 0 {
			l.add(notAName(i, e), 1)
			continue
		}
		l.times[at[i]]++
	}
	return l
}

// landed is an engine.Landed.
func (l *lines) landed(at int, r engine.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.told[at] {
		return
	}
	l.told[at], l.last = true, time.Now()
	l.add(resultOf(r), l.times[at])
}

// add writes a result so many times. Under the lock, but for the first ones.
func (l *lines) add(r result, times int) {
	for range times {
		l.total.count(r)
		if err := json.NewEncoder(l.text).Encode(r); err != nil {
			panic(err) // strings and numbers only: cannot be
		}
	}
	select {
	case l.ready <- struct{}{}:
	default: // it is known
	}
}

// take returns what is to be sent. It holds until the next take.
func (l *lines) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text, l.spare = l.spare, l.text
	l.text.Reset()
	return l.spare.Bytes()
}

func (l *lines) silence() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.last)
}

// end adds what was not told, as the summary has it, and returns the last line.
func (l *lines) end(s engine.Summary) answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for at, told := range l.told {
		if !told {
			l.add(resultOf(s.Results[at]), l.times[at])
		}
	}
	if l.nothing {
		l.total.Errors = s.Errors
	}
	l.total.judge()
	return l.total
}

// lineWriter sends lines until the client does not take them.
type lineWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration // for one call of send
	failed   bool
}

func (o *lineWriter) send(b []byte) {
	if o.failed {
		return
	}
	// The error means a connection without deadlines, of a test say.
	_ = o.control.SetWriteDeadline(time.Now().Add(o.patience))
	_, err := o.w.Write(b)
	o.failed = err != nil || o.control.Flush() != nil
}
