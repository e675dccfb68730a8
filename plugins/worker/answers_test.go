package worker

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"

	"rosterd/plugins"
)

// answering is the services of a plugin whose backend answers at once.
type answering struct {
	plugins.Services
	asked chan struct{}
}

func (s answering) HTTP(context.Context, plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	s.asked <- struct{}{}
	return &plugins.HTTPResponse{Status: 200, Header: http.Header{}}, nil
}

// TestAnswersWaitForTheirChild: an answer that the child has not taken yet counts as a request that is under way, or a
// child that does not read would have its parent hold as many as its calls may ask for.
func TestAnswersWaitForTheirChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := answering{asked: make(chan struct{}, 100)}
		p := &Plugin{svc: svc, host: plugins.Host{Limits: bounded(plugins.Limits{})}}
		proc := &process{plugin: p, ctx: t.Context(), calls: map[uint32]*call{}, http: make(chan struct{}, 2)}
		proc.outbox.init()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for id := range uint32(3) {
			c := &call{id: id, ctx: ctx}
			proc.calls[id] = c
			for n := range uint64(2) {
				b := appendHTTPRequest(appendInt(append(appendUint(nil, n), hostHTTP), 0), plugins.HTTPRequest{URL: fmt.Sprintf("http://x/%d/%d", id, n)})
				if err := proc.takeHostCall(c, frame{kindHostCall, id, string(b)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for want := 2; want <= 6; want += 2 {
			synctest.Wait()
			if n := len(svc.asked); n != want {
				t.Fatalf("%d requests, want %d", n, want)
			}
			proc.outbox.mu.Lock()
			frames := proc.outbox.frames
			proc.outbox.frames = nil
			proc.outbox.mu.Unlock()
			if len(frames) != 2 {
				t.Fatalf("%d answers", len(frames))
			}
			for _, f := range frames {
				f.written()
			}
		}
		p.running.Wait()
		if len(proc.http) != 0 {
			t.Errorf("%d places are taken", len(proc.http))
		}
	})
}
