package engine

import (
	"testing"
	"time"
)

func TestRetry(t *testing.T) {
	play(t, []scenario{
		{name: "until it works", host: Host{Retry: 5 * time.Second, Timeout: time.Minute}, script: `
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells romeo first error 503
			wait 2s
			wait 6s
				asks romeo retry
			answer romeo: juliet
				tells romeo first {juliet}
			wait 1h
		`},
		{name: "not for who has left", host: Host{Retry: 5 * time.Second, Timeout: time.Minute}, script: `
			attach romeo
				asks romeo login
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells romeo first error 503
			release romeo
			wait 1h
		`},
		{name: "a stale roster becomes fresh by itself", host: Host{Retry: 5 * time.Second, Timeout: time.Minute}, script: `
			attach romeo
				asks romeo login
			answer romeo: juliet
				tells romeo first {juliet}
			refresh romeo
				asks romeo refresh
			fail romeo: 503
				logs romeo WARN roster fetch failed: reason=refresh error=503 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				refreshed 0/1: romeo=failed(503)
			wait 8s
				asks romeo retry
			answer romeo: juliet nurse
				tells romeo {juliet} → {juliet nurse} +nurse
		`},
	})
}

func TestRetryPauses(t *testing.T) {
	for _, c := range []struct {
		failures int
		base     time.Duration
	}{{0, 5 * time.Second}, {1, 10 * time.Second}, {2, 20 * time.Second}, {6, 5 * time.Minute}, {1 << 20, 5 * time.Minute}} {
		for range 100 {
			if p := pause(5*time.Second, c.failures); p < c.base/2 || p >= c.base*3/2 {
				t.Fatalf("after %d failures: %v, want half to one and a half of %v", c.failures, p, c.base)
			}
		}
	}
}
