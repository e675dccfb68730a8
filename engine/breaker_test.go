package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
)

func TestBreaker(t *testing.T) {
	const open = `
			attach romeo
				asks romeo login
			attach juliet
				asks juliet login
			fail romeo: 500
				logs romeo WARN roster fetch failed: reason=login error=500 took=0s served=nothing: there is no last good roster
				tells romeo first error 500
			fail juliet: 503
				logs - WARN the backend is not asked for a while: too many failures in a row: host=example.com failures=2 error=503 until=soon
				logs juliet WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells juliet first error 503
		`
	const refused = `error the backend of example.com is not asked since 2000-01-01T00:00:00Z: last error: 503`
	two := Host{Breaker: 2, Timeout: time.Minute}
	play(t, []scenario{
		{name: "open: logins fail at once, and say why", host: two, script: open + `
			attach tybalt
				tells tybalt first ` + refused + `
			load romeo
				tells romeo first ` + refused + `
			attach romeo@other.example
				asks romeo@other.example login
			answer romeo@other.example:
				tells romeo@other.example first {}
		`},
		{name: "one probe after the pause, and closed by its success", host: two, script: open + `
			wait 7s
			attach tybalt
				asks tybalt login
			attach nurse
				tells nurse first ` + refused + `
			answer tybalt:
				logs - INFO the backend is asked again: host=example.com
				tells tybalt first {}
			load nurse
				asks nurse login
			load romeo
				asks romeo login
			answer nurse:
				tells nurse first {}
			fail romeo: 500
				logs romeo WARN roster fetch failed: reason=login error=500 took=0s served=nothing: there is no last good roster
				tells romeo first error 500
			load romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
		`},
		{name: "a probe that fails makes the pause longer", host: two, script: open + `
			wait 7s
			load romeo
				asks romeo login
			fail romeo: 502
				logs romeo WARN roster fetch failed: reason=login error=502 took=0s served=nothing: there is no last good roster
				tells romeo first error 502
			wait 7s
			load juliet
				tells juliet first error the backend of example.com is not asked since 2000-01-01T00:00:00Z: last error: 502
			wait 6s
			load juliet
				asks juliet login
			answer juliet:
				logs - INFO the backend is asked again: host=example.com
				tells juliet first {}
		`},
		{name: "what a backend says of one user shows that it is there", host: two, script: open + `
			wait 7s
			load romeo
				asks romeo login
			denied romeo: 403
				logs - INFO the backend is asked again: host=example.com
				logs romeo WARN roster fetch failed: reason=login error=the backend denies access: 403 took=0s served=nothing: there is no last good roster
				tells romeo first error the backend denies access: 403
		`},
		{name: "a refresh is a sign of life: it probes at once, and its other names wait for that", host: two, script: open + `
			wait 1s
			refresh romeo
				asks romeo refresh
			refresh juliet
			wait 1s
			answer romeo:
				logs - INFO the backend is asked again: host=example.com
				tells romeo first {}
				refreshed 1/0: romeo=unchanged
				asks juliet refresh
			answer juliet:
				tells juliet first {}
				refreshed 1/0: juliet=unchanged
		`},
		{name: "where the sign deceives, its other names fail with it", host: two, script: open + `
			wait 1s
			refresh romeo
				asks romeo refresh
			refresh juliet nobody
			fail romeo: 504
				logs romeo WARN roster fetch failed: reason=refresh error=504 took=0s served=nothing: there is no last good roster
				tells romeo first error 504
				tells juliet first error the backend of example.com is not asked since 2000-01-01T00:00:00Z: last error: 504
				refreshed 0/1: romeo=failed(504)
				refreshed 1/1: juliet=failed(the backend of example.com is not asked since 2000-01-01T00:00:00Z: last error: 504) nobody=offline
			refresh juliet
				tells juliet first error the backend of example.com is not asked since 2000-01-01T00:00:00Z: last error: 504
				refreshed 0/1: juliet=failed(the backend of example.com is not asked since 2000-01-01T00:00:00Z: last error: 504)
		`},
		{name: "one user alone does not open it", host: two, script: `
			attach romeo
				asks romeo login
			fail romeo: 500
				logs romeo WARN roster fetch failed: reason=login error=500 took=0s served=nothing: there is no last good roster
				tells romeo first error 500
			load romeo
				asks romeo login
			fail romeo: 500
				logs romeo WARN roster fetch failed: reason=login error=500 took=0s served=nothing: there is no last good roster
				tells romeo first error 500
			load romeo
				asks romeo login
			answer romeo:
				tells romeo first {}
		`},
		{name: "a success in between begins the count anew", host: two, script: `
			attach romeo
				asks romeo login
			fail romeo: 500
				logs romeo WARN roster fetch failed: reason=login error=500 took=0s served=nothing: there is no last good roster
				tells romeo first error 500
			attach juliet
				asks juliet login
			answer juliet:
				tells juliet first {}
			refresh juliet
				asks juliet refresh
			fail juliet: 500
				logs juliet WARN roster fetch failed: reason=refresh error=500 took=0s served=the last good roster, of 2000-01-01T00:00:00Z
				refreshed 0/1: juliet=failed(500)
			load romeo
				asks romeo login
		`},
		{name: "off", host: Host{Timeout: time.Minute}, script: `
			attach romeo
				asks romeo login
			attach juliet
				asks juliet login
			fail romeo: 500
				logs romeo WARN roster fetch failed: reason=login error=500 took=0s served=nothing: there is no last good roster
				tells romeo first error 500
			fail juliet: 500
				logs juliet WARN roster fetch failed: reason=login error=500 took=0s served=nothing: there is no last good roster
				tells juliet first error 500
			load romeo
				asks romeo login
		`},
		{name: "who waits for a place when it opens fails with it", host: Host{Breaker: 2, Parallel: 2, Timeout: time.Minute}, script: `
			attach romeo
				asks romeo login
			attach juliet
				asks juliet login
			attach tybalt
			fail romeo: 500
				logs romeo WARN roster fetch failed: reason=login error=500 took=0s served=nothing: there is no last good roster
				tells romeo first error 500
				asks tybalt login
			attach nurse
			fail juliet: 503
				logs - WARN the backend is not asked for a while: too many failures in a row: host=example.com failures=2 error=503 until=soon
				logs juliet WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells juliet first error 503
				tells nurse first error the backend of example.com is not asked since 2000-01-01T00:00:00Z: last error: 503
			answer tybalt:
				logs - INFO the backend is asked again: host=example.com
				tells tybalt first {}
		`},
		{name: "a call whose user has left counts, also if the backend never returns", host: Host{Breaker: 2}, deaf: true, script: `
			attach romeo
				asks romeo login
			attach juliet
				asks juliet login
			release romeo
			release juliet
			wait 5s
				logs - WARN the backend is not asked for a while: too many failures in a row: host=example.com failures=2 error=no answer within 5s: context deadline exceeded until=soon
			attach tybalt
				tells tybalt first error the backend of example.com is not asked since 2000-01-01T00:00:05Z: last error: no answer within 5s: context deadline exceeded
		`},
		{name: "who was refused comes back by himself when it is over", host: Host{Breaker: 2, Timeout: time.Minute, Retry: 5 * time.Minute}, script: open + `
			attach tybalt
				tells tybalt first ` + refused + `
			wait 9s
				asks tybalt retry
			answer tybalt:
				logs - INFO the backend is asked again: host=example.com
				tells tybalt first {}
		`},
		{name: "the backend may ask for a longer pause", host: two, script: `
			attach romeo
				asks romeo login
			attach juliet
				asks juliet login
			temporary romeo after=120s: 429
				logs romeo WARN roster fetch failed: reason=login error=429 took=0s served=nothing: there is no last good roster
				tells romeo first error 429
			temporary juliet after=120s: 503
				logs - WARN the backend is not asked for a while: too many failures in a row: host=example.com failures=2 error=503 until=soon
				logs juliet WARN roster fetch failed: reason=login error=503 took=0s served=nothing: there is no last good roster
				tells juliet first error 503
			wait 119s
			load romeo
				tells romeo first ` + refused + `
			wait 1s
			load romeo
				asks romeo login
		`},
	})
}

func TestWhatBlamesTheBackend(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"success", nil, false},
		{"no such user", fmt.Errorf("404: %w", ErrUnknownUser), false},
		{"denied", fmt.Errorf("403: %w", ErrDenied), false},
		{"our credentials", &PermanentError{Err: errors.New("401")}, false},
		{"a mistake of a plugin", &FaultError{Kind: "protocol", Err: errors.New("x")}, false},
		{"its memory", &FaultError{Kind: "memory", Err: errors.New("x")}, false},
		{"its trap", &FaultError{Kind: "trap", Err: errors.New("x")}, true},
		{"its deadline", &FaultError{Kind: "deadline", Err: errors.New("x")}, true},
		{"temporary", &TemporaryError{Err: errors.New("503")}, true},
		{"anything else", errors.New("connection refused"), true},
		{"late", &lateError{time.Second, &PermanentError{Err: errors.New("x")}}, true},
		{"a context's end", context.Canceled, true},
	} {
		if got := blames(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Pauses grow from 5 seconds to 5 minutes and stay there, and those who are refused come back one behind the other.
func TestBreakerPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaker{limit: 1}
		try, _, err := b.begin(jid("romeo"), ReasonLogin)
		if err != nil || try.end(errors.New("503")) != tripped {
			t.Fatal("not open after the only fault it takes")
		}
		for _, want := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 5 * time.Minute, 5 * time.Minute} {
			s := b.state()
			if p := time.Until(s.Until); p < want*3/4 || p > min(want*5/4, 5*time.Minute) {
				t.Fatalf("a pause of %v, want about %v", p, want)
			}
			for n := range 1000 {
				if d := b.comeBack() - time.Until(s.Until); d < time.Duration(n)*returnGap || d >= time.Duration(n)*returnGap+time.Second {
					t.Fatalf("number %d comes back after %v", n, d)
				}
			}
			<-time.After(time.Until(s.Until))
			if try, _, err = b.begin(jid("romeo"), ReasonLogin); err != nil {
				t.Fatalf("no probe after the pause: %v", err)
			}
			if _, _, err := b.begin(addr.Bare{}, ReasonLogin); err == nil {
				t.Fatal("two probes at a time")
			}
			if try.end(errors.New("503")) != none {
				t.Fatal("opened twice")
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	play(t, []scenario{
		{name: "seconds that the backend asks for", host: Host{Retry: time.Second, Timeout: 24 * time.Hour}, script: `
			attach romeo
				asks romeo login
			temporary romeo after=1200s: 429
				logs romeo WARN roster fetch failed: reason=login error=429 took=0s served=nothing: there is no last good roster
				tells romeo first error 429
			wait 20m
			wait 5m
				asks romeo retry
			answer romeo:
				tells romeo first {}
		`},
		{name: "an hour at most", host: Host{Retry: time.Second, Timeout: 24 * time.Hour}, script: `
			attach romeo
				asks romeo login
			temporary romeo after=1000000s: 429
				logs romeo WARN roster fetch failed: reason=login error=429 took=0s served=nothing: there is no last good roster
				tells romeo first error 429
			wait 1h
			wait 15m
				asks romeo retry
			answer romeo:
				tells romeo first {}
		`},
		{name: "no less than our own pause", host: Host{Retry: time.Minute, Timeout: 24 * time.Hour}, script: `
			attach romeo
				asks romeo login
			temporary romeo after=1s: 429
				logs romeo WARN roster fetch failed: reason=login error=429 took=0s served=nothing: there is no last good roster
				tells romeo first error 429
			wait 29s
			wait 62s
				asks romeo retry
			answer romeo:
				tells romeo first {}
		`},
	})
}
