package httpd

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine"
)

const asLines = "Accept: application/x-ndjson"

// stepwise is an EachRefresher that tells what it is given, until that ends.
type stepwise struct {
	tell  chan engine.Result
	ended chan error // of its context
}

func newStepwise() *stepwise {
	return &stepwise{tell: make(chan engine.Result), ended: make(chan error, 1)}
}

func (s *stepwise) Refresh(context.Context, string, []string) engine.Summary {
	panic("nobody was told of each")
}

func (s *stepwise) RefreshEach(ctx context.Context, _ string, names []string, landed engine.Landed) engine.Summary {
	sum := pending(names)
	for {
		select {
		case r, more := <-s.tell:
			if !more {
				s.ended <- ctx.Err()
				return sum
			}
			for at, name := range names {
				if name == r.Name {
					sum.Results[at] = r
					landed(at, r)
				}
			}
		case <-ctx.Done():
			s.ended <- ctx.Err()
			return sum
		}
	}
}

func TestWantsLines(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                                       false,
		"*/*":                                    false,
		"application/json":                       false,
		"application/x-ndjson":                   true,
		"application/ndjson":                     true,
		"APPLICATION/X-NDJSON":                   true,
		"application/x-ndjson;q=0":               false,
		"application/x-ndjson, application/json": true,
		"application/x-ndjson;q=0.5, application/json":         false,
		"application/json;q=0.5, application/x-ndjson;q=0.9":   true,
		"text/html, application/x-ndjson; charset=utf-8, */*":  true,
		"application/x-ndjson;q=half":                          false,
		"application/x-ndjson-not, ;, application/x-ndjson/no": false,
	} {
		r := &http.Request{Header: http.Header{"Accept": {accept}}}
		if got := wantsLines(r); got != want {
			t.Errorf("Accept: %s: %v, want %v", accept, got, want)
		}
	}
}

func TestLines(t *testing.T) {
	tests := []struct{ name, method, target, body, want string }{
		{"some", "POST", "/refresh", `["updated-a", 7, "failed", "offline", "offline"]`, `
			{"name":"7","outcome":"invalid","error":"element 1 is no string but a JSON number"}
			{"name":"updated-a","outcome":"updated","changes":2}
			{"name":"failed","outcome":"failed","error":"why it failed on example.com"}
			{"name":"offline","outcome":"offline"}
			{"name":"offline","outcome":"offline"}
			{"status":"ok","message":"roster update complete","updated":3,"errors":2}`},
		{"none that could be updated", "POST", "/refresh", `["failed"]`, `
			{"name":"failed","outcome":"failed","error":"why it failed on example.com"}
			{"status":"error","message":"roster update failed","updated":0,"errors":1}`},
		{"no names", "POST", "/refresh", `[1]`, `
			{"name":"1","outcome":"invalid","error":"element 0 is no string but a JSON number"}
			{"status":"error","message":"roster update failed","updated":0,"errors":1}`},
		{"nobody", "POST", "/refresh", `[]`, `
			{"status":"ok","message":"roster update complete","updated":0,"errors":0}`},
		{"one", "GET", "/refresh/updated", "", `
			{"name":"updated","outcome":"updated","changes":2}
			{"status":"ok","message":"roster update complete","updated":1,"errors":0}`},
		{"one, with a body that nobody reads", "GET", "/refresh/updated", "ignored", `
			{"name":"updated","outcome":"updated","changes":2}
			{"status":"ok","message":"roster update complete","updated":1,"errors":0}`},
	}
	addr := start(t, &Server{}, oneHost(Refresh{}), "")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, addr, tt.method, "/roster_admin"+tt.target, "example.com", tt.body, asLines)
			want := strings.ReplaceAll(strings.TrimLeft(tt.want, "\n\t"), "\t", "") + "\n"
			if got.status != 200 || got.body != want {
				t.Errorf("answered %d\n%s\nwant\n%s", got.status, got.body, want)
			}
			if kind, buffering := got.header.Get("Content-Type"), got.header.Get("X-Accel-Buffering"); kind != "application/x-ndjson" || buffering != "no" {
				t.Errorf("Content-Type %q, X-Accel-Buffering %q", kind, buffering)
			}
		})
	}
	t.Run("refusals are as ever", func(t *testing.T) {
		got := ask(t, addr, "POST", "/roster_admin/refresh", "example.com", "{}", asLines)
		if got.status != 400 {
			t.Errorf("answered %d", got.status)
		}
		checkRefusal(t, got, "JSON object")
	})
	t.Run("to a client of HTTP/1.0", func(t *testing.T) {
		c := dial(t, addr)
		c.send("GET /roster_admin/refresh/updated HTTP/1.0\r\nHost: example.com\r\n" + asLines + "\r\n\r\n")
		if got := c.receive("GET"); got.status != 200 || strings.Count(got.body, "\n") != 2 {
			t.Errorf("answered %+v", got)
		}
	})
}

// reading is an answer in lines that comes.
type reading struct {
	t    *testing.T
	in   *bufio.Reader
	resp *http.Response
}

func (c *client) lines(t *testing.T) *reading {
	t.Helper()
	resp, err := http.ReadResponse(c.in, &http.Request{Method: "POST"})
	if err != nil {
		t.Fatal(err)
	}
	return &reading{t, bufio.NewReader(resp.Body), resp}
}

func (r *reading) next() (line struct {
	result
	Status          string
	Updated, Errors int
}) {
	r.t.Helper()
	text, err := r.in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(text, &line)
	}
	if err != nil {
		r.t.Fatalf("line %q: %v", text, err)
	}
	return line
}

// Each line is there before the next name is done.
func TestLinesComeOneByOne(t *testing.T) {
	refresher := newStepwise()
	observed := make(chan string, 1)
	addr := start(t, &Server{}, oneHost(Refresh{Refresher: refresher, Observe: func(names, errors int, _ time.Duration) {
		observed <- fmt.Sprintf("%d names, %d errors", names, errors)
	}}), "")
	c := dial(t, addr)
	c.send(request("POST", "/roster_admin/refresh", "example.com", `["a","b","c","a"]`, asLines))
	r := c.lines(t)
	for _, name := range []string{"b", "a"} {
		refresher.tell <- engine.Result{Name: name, Outcome: engine.Updated, Changes: 1}
		for range 1 + strings.Count("a", name) {
			if line := r.next(); line.Name != name || line.Outcome != "updated" || line.Changes != 1 {
				t.Errorf("line %+v, want one of %s", line, name)
			}
		}
	}
	close(refresher.tell)
	if line := r.next(); line.Name != "c" || line.Outcome != "pending" {
		t.Errorf("line %+v, want c pending", line)
	}
	if line := r.next(); line.Status != "ok" || line.Updated != 3 || line.Errors != 1 {
		t.Errorf("last line %+v", line)
	}
	if rest, err := io.ReadAll(r.in); err != nil || len(rest) > 0 {
		t.Errorf("after the last line: %q, %v", rest, err)
	}
	if got := <-observed; got != "4 names, 1 errors" {
		t.Error(got)
	}
	c.send(request("GET", "/health", "example.com", "")) // the connection serves again
	if got := c.receive("GET"); got.status != 200 {
		t.Errorf("then %+v", got)
	}
}

// What counts is the time since something was done, not that since the request.
func TestLinesWaitAsLongAsSomethingIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refresher := newStepwise()
		a := &refreshAPI{Refresh: Refresh{Refresher: refresher, Timeout: 30 * time.Second}, server: &Server{}}
		a.server.setup()
		names := []string{"a", "b", "c", "never"}
		l := newLines([]element{{name: "a"}, {name: "b"}, {name: "c"}, {name: "never"}}, names, []int{0, 1, 2, 3})
		answer := httptest.NewRecorder()
		out := &lineWriter{w: answer, control: http.NewResponseController(answer), patience: time.Second}
		begin := time.Now()
		go func() {
			for _, name := range names[:3] {
				<-time.After(20 * time.Second)
				refresher.tell <- engine.Result{Name: name, Outcome: engine.Unchanged}
			}
		}()
		s := a.watch(names, l, out)
		if took := time.Since(begin); took != 89*time.Second { // a second is left to say so
			t.Errorf("it took %v", took)
		}
		if err := <-refresher.ended; err == nil {
			t.Error("the refresher's time did not end")
		}
		const want = `{"name":"a","outcome":"unchanged"}` + "\n" + `{"name":"b","outcome":"unchanged"}` + "\n" + `{"name":"c","outcome":"unchanged"}` + "\n"
		if got := answer.Body.String(); got != want {
			t.Errorf("lines %s", got)
		}
		if end := l.end(s); end.Updated != 3 || end.Errors != 1 {
			t.Errorf("at the end %+v", end)
		}
		a.server.cut()
	})
}

// Who does not read holds up his lines, and who has gone not even those: the refresh goes on.
func TestLinesNobodyReads(t *testing.T) {
	for _, name := range []string{"slow", "gone"} {
		t.Run(name, func(t *testing.T) {
			refresher := newStepwise()
			observed := make(chan int, 1)
			addr := start(t, &Server{WriteTimeout: 50 * time.Millisecond}, oneHost(Refresh{Refresher: refresher, Observe: func(_, errors int, _ time.Duration) {
				observed <- errors
			}}), "")
			names := make([]string, 50)
			for i := range names {
				names[i] = fmt.Sprint("user", i)
			}
			body, _ := json.Marshal(names) // strings: cannot fail
			c := dial(t, addr)
			c.send(request("POST", "/roster_admin/refresh", "example.com", string(body), asLines))
			if name == "gone" {
				c.conn.Close()
			}
			more := strings.Repeat("x", 100<<10) // than sockets hold
			for _, name := range names {         // none of these waits for the client
				refresher.tell <- engine.Result{Name: name, Outcome: engine.Failed, Error: more}
			}
			close(refresher.tell)
			if err := <-refresher.ended; err != nil {
				t.Errorf("the refresh ended: %v", err)
			}
			if errors := <-observed; errors != len(names) {
				t.Errorf("%d errors", errors)
			}
		})
	}
}

// A refresher that fails in the middle is not taken for one that is done.
func TestLinesThatEndInAPanic(t *testing.T) {
	addr := start(t, &Server{}, oneHost(Refresh{Refresher: refresherFunc(func(context.Context, string, []string) engine.Summary { panic("oops") })}), "")
	c := dial(t, addr)
	c.send(request("POST", "/roster_admin/refresh", "example.com", `["a"]`, asLines))
	if rest, err := io.ReadAll(c.lines(t).in); err == nil {
		t.Errorf("a whole answer: %q", rest)
	}
}

// At the end of the server who waits is told what was reached.
func TestLinesAtShutdown(t *testing.T) {
	refresher := newStepwise()
	s := &Server{}
	addr := start(t, s, oneHost(Refresh{Refresher: refresher}), "")
	c := dial(t, addr)
	c.send(request("POST", "/roster_admin/refresh", "example.com", `["a","b"]`, asLines))
	r := c.lines(t)
	refresher.tell <- engine.Result{Name: "a", Outcome: engine.Unchanged}
	r.next()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if line := r.next(); line.Name != "b" || line.Outcome != "pending" {
		t.Errorf("line %+v, want b pending", line)
	}
	if line := r.next(); line.Status != "ok" || line.Updated != 1 || line.Errors != 1 {
		t.Errorf("last line %+v", line)
	}
}
