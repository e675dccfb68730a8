package auth

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// guarded is a host with a throttle, and without work that takes real time.
func guarded(l FailureLimits, log *slog.Logger) *Host {
	stored := credential.Credentials{Password: password, HasPassword: true}
	disabled := stored
	disabled.Disabled = true
	return &Host{
		Domain: "example.net", StoresPasswords: true, Hashes: credential.Hashes(), Log: slog.New(slog.DiscardHandler),
		Accounts: book{"romeo@example.net": stored, "juliet@example.net": stored, "disabled@example.net": disabled},
		Throttle: NewThrottle(l, log),
	}
}

// login is one attempt with PLAIN: "in", or the condition of the failure, and how long it took.
func login(ctx context.Context, h *Host, from, user, password string) string {
	ch := Channel{Encrypted: true}
	if from != "" {
		ch.From = netip.MustParseAddr(from)
	}
	x, err := h.Start("PLAIN", ch)
	if err != nil {
		return err.Error()
	}
	start, got := time.Now(), "in"
	if _, _, err := x.Next(ctx, []byte("\x00"+user+"\x00"+password)); err != nil {
		got = string(condition(err))
	}
	if took := time.Since(start); took > 0 {
		got += fmt.Sprintf(" after %v", took)
	}
	return got
}

func TestThrottle(t *testing.T) {
	const (
		in, no, later = "in", "not-authorized", "temporary-auth-failure"
		here, there   = "192.0.2.1", "198.51.100.7"
	)
	type step struct {
		from, user string
		right      bool
		times      int // 0 is 1
		want       string
		sleep      time.Duration // instead of all that
	}
	// Ten for an account and fifty for an address in a minute: another one for an account every six seconds.
	tests := []struct {
		name  string
		steps []step
	}{
		{"success does not count", []step{{here, "romeo", true, 500, in, 0}}},
		{"nor does a disabled account", []step{{here, "disabled", true, 500, "account-disabled", 0}, {here, "romeo", true, 1, in, 0}}},
		{"nor does what is no password", []step{{here, "romeo@x", false, 500, no, 0}, {here, "romeo", true, 1, in, 0}}},
		{"whoever is wrong too often is refused", []step{
			{here, "romeo", false, 10, no, 0}, {here, "romeo", false, 3, later, 0}, {here, "romeo", true, 1, later, 0},
		}},
		{"but not for ever", []step{
			{here, "romeo", false, 10, no, 0}, {here, "romeo", true, 1, later, 0},
			{sleep: 6 * time.Second}, {here, "romeo", true, 1, in, 0},
		}},
		{"to be refused does not make it longer", []step{
			{here, "romeo", false, 10, no, 0}, {here, "romeo", false, 100, later, 0},
			{sleep: 6 * time.Second}, {here, "romeo", true, 1, in, 0},
		}},
		{"a slow guesser gets no more", []step{
			{here, "romeo", false, 10, no, 0}, {sleep: 6 * time.Second},
			{here, "romeo", false, 1, no, 0}, {here, "romeo", false, 1, later, 0}, {sleep: 6 * time.Second},
			{here, "romeo", false, 1, no, 0}, {here, "romeo", false, 1, later, 0},
		}},
		{"a mistake once in a while is no matter", []step{
			{here, "romeo", false, 5, no, 0}, {sleep: time.Minute}, {here, "romeo", false, 5, no, 0}, {sleep: time.Minute},
			{here, "romeo", false, 5, no, 0}, {here, "romeo", true, 1, in, 0},
		}},
		{"nobody locks another out: he waits for a moment at a new address", []step{
			{here, "romeo", false, 10, no, 0}, {there, "romeo", true, 1, "in after 6s", 0},
		}},
		{"and not at all after that", []step{
			{here, "romeo", false, 10, no, 0}, {there, "romeo", true, 1, "in after 6s", 0},
			{here, "romeo", false, 1, no, 0}, {here, "romeo", false, 1, later, 0}, {there, "romeo", true, 50, in, 0},
		}},
		{"nor where he has logged in before", []step{
			{there, "romeo", true, 1, in, 0}, {here, "romeo", false, 10, no, 0}, {here, "romeo", false, 1, later, 0},
			{there, "romeo", true, 50, in, 0},
		}},
		{"who guesses at many addresses gets no more", []step{
			{here, "romeo", false, 10, no, 0}, {"203.0.113.1", "romeo", false, 1, "not-authorized after 6s", 0},
			{"203.0.113.1", "romeo", false, 1, later, 0}, {"203.0.113.2", "romeo", false, 1, "not-authorized after 6s", 0},
		}},
		{"other accounts do not feel it", []step{{here, "romeo", false, 10, no, 0}, {here, "juliet", true, 1, in, 0}}},
		{"somebody who does not exist looks the same", []step{
			{here, "tybalt", false, 10, no, 0}, {here, "tybalt", false, 1, later, 0}, {there, "tybalt", false, 1, "not-authorized after 6s", 0},
		}},
		{"one's own mistakes where one has logged in", []step{
			{here, "romeo", true, 1, in, 0}, {here, "romeo", false, 10, no, 0}, {here, "romeo", true, 1, "in after 6s", 0},
			{there, "romeo", true, 1, in, 0},
		}},
		{"an address that is wrong with many names", []step{
			{here, "a", false, 10, no, 0}, {here, "b", false, 10, no, 0}, {here, "c", false, 10, no, 0}, {here, "d", false, 10, no, 0},
			{here, "e", false, 10, no, 0}, {here, "f", false, 1, later, 0}, {here, "romeo", true, 1, later, 0},
			{there, "romeo", true, 1, in, 0}, {sleep: 1200 * time.Millisecond}, {here, "romeo", true, 1, in, 0},
		}},
		{"does not keep those out who live there", []step{
			{here, "romeo", true, 1, in, 0},
			{here, "a", false, 10, no, 0}, {here, "b", false, 10, no, 0}, {here, "c", false, 10, no, 0}, {here, "d", false, 10, no, 0},
			{here, "e", false, 10, no, 0}, {here, "juliet", true, 1, later, 0}, {here, "romeo", true, 50, in, 0},
		}},
		{"an IPv6 network is one address", []step{
			{"2001:db8::1", "romeo", false, 10, no, 0}, {"2001:db8::2", "romeo", true, 1, later, 0},
			{"2001:db8:0:1::1", "romeo", true, 1, "in after 6s", 0},
		}},
		{"IPv4 within IPv6 is IPv4", []step{{here, "romeo", false, 10, no, 0}, {"::ffff:" + here, "romeo", true, 1, later, 0}}},
		{"addresses that nobody knows are not counted", []step{
			{"", "a", false, 10, no, 0}, {"", "b", false, 10, no, 0}, {"", "c", false, 10, no, 0}, {"", "d", false, 10, no, 0}, {"", "e", false, 10, no, 0},
			{"", "romeo", false, 10, no, 0}, {"", "romeo", true, 1, "in after 6s", 0},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := guarded(FailureLimits{}, slog.New(slog.DiscardHandler))
				for i, s := range tt.steps {
					if s.sleep > 0 {
						time.Sleep(s.sleep) // the clock of synctest: it takes no time
						continue
					}
					word := password
					if !s.right {
						word = "wherefore"
					}
					for n := range max(1, s.times) {
						if got := login(t.Context(), h, s.from, s.user, word); got != s.want {
							t.Fatalf("step %d, time %d: %s from %s: %s, want %s", i, n, s.user, s.from, got, s.want)
						}
					}
				}
			})
		})
	}
}

// Attempts that run at once count as if they came one after the other.
func TestThrottleManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := guarded(FailureLimits{PerAccount: 5}, slog.New(slog.DiscardHandler))
		count := map[string]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				got := login(t.Context(), h, fmt.Sprintf("192.0.2.%d", i), "romeo", "wherefore")
				mu.Lock()
				defer mu.Unlock()
				count[got]++
			})
		}
		all.Wait()
		if count["not-authorized"] != 5 || count["temporary-auth-failure"] != 34 || count["not-authorized after 8s"] != 1 {
			t.Errorf("outcomes %v", count)
		}
		if s := h.Throttle.Stats(); s != (ThrottleStats{Failures: 6, RefusedAccount: 34, Delayed: 1}) {
			t.Errorf("counted %+v", s)
		}
	})
}

// An attempt that has begun, and of which nothing is known yet, is not one that everybody else has to wait for.
func TestThrottleOpenExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := guarded(FailureLimits{PerAccount: 1}, slog.New(slog.DiscardHandler))
		for range 20 {
			x, err := h.Start("SCRAM-SHA-1", Channel{Encrypted: true, From: netip.MustParseAddr("192.0.2.1")})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := x.Next(t.Context(), []byte("n,,n=romeo,r=abc")); err != nil {
				t.Fatal(err)
			}
		}
		if got := login(t.Context(), h, "198.51.100.7", "romeo", password); got != "in" {
			t.Error(got)
		}
	})
}

// Where a first message costs a derivation, an address has no more of them for nothing than wrong passwords.
func TestThrottleDerivations(t *testing.T) {
	ch := Channel{Encrypted: true, From: netip.MustParseAddr("192.0.2.1")}
	begin := func(h *Host) error {
		x, err := h.Start("SCRAM-SHA-1", ch)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = x.Next(t.Context(), []byte("n,,n=nobody,r=abc"))
		return err
	}
	h := guarded(FailureLimits{PerAccount: 100, PerAddress: 3, Period: time.Hour}, slog.New(slog.DiscardHandler))
	for i := range 5 { // who goes on has it back
		if _, _, _, err := talkOn(t, h, ch, "SCRAM-SHA-1", xdgClient(t, "SCRAM-SHA-1", "juliet", password, "")); err != nil {
			t.Fatalf("login %d: %v", i, err)
		}
	}
	for i := range 3 {
		if err := begin(h); err != nil {
			t.Errorf("beginning %d: %v", i, err)
		}
	}
	if err := begin(h); condition(err) != TemporaryAuthFailure {
		t.Errorf("one more: %v", err)
	}
	if _, _, _, err := talkOn(t, h, ch, "SCRAM-SHA-1", xdgClient(t, "SCRAM-SHA-1", "juliet", password, "")); err != nil {
		t.Errorf("who has logged in here before feels it: %v", err)
	}
	cheap := guarded(FailureLimits{PerAddress: 3, Period: time.Hour}, slog.New(slog.DiscardHandler))
	cheap.StoresPasswords, cheap.Accounts = false, book{}
	for i := range 10 {
		if err := begin(cheap); err != nil {
			t.Errorf("beginning %d, which costs nothing: %v", i, err)
		}
	}
}

func TestThrottleSCRAM(t *testing.T) {
	h := guarded(FailureLimits{PerAccount: 2, PerAddress: 3, Period: time.Hour}, slog.New(slog.DiscardHandler))
	ch := Channel{Encrypted: true, From: netip.MustParseAddr("192.0.2.1")}
	steps := []struct {
		user, password string
		want           Condition
		steps          int
	}{
		{"romeo", "wherefore", NotAuthorized, 2},
		{"romeo", "wherefore", NotAuthorized, 2},
		{"romeo", password, TemporaryAuthFailure, 2},
		{"tybalt", "wherefore", NotAuthorized, 2},
		{"juliet", password, TemporaryAuthFailure, 1}, // the address: before there is any work
	}
	for i, s := range steps {
		_, n, _, err := talkOn(t, h, ch, "SCRAM-SHA-1", xdgClient(t, "SCRAM-SHA-1", s.user, s.password, ""))
		if condition(err) != s.want || n != s.steps {
			t.Errorf("step %d: %v in message %d, want %s in %d", i, err, n, s.want, s.steps)
		}
	}
	if s := h.Throttle.Stats(); s != (ThrottleStats{Failures: 3, RefusedAccount: 1, RefusedAddress: 1}) {
		t.Errorf("counted %+v", s)
	}
}

// Who does no more than begin exchanges does not fill the log with what is wrong with an account.
func TestThrottleOtherHash(t *testing.T) {
	keys, err := credential.Derive(credential.SHA256, password, credential.FormatSalt([16]byte{}), 4096)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	h := guarded(FailureLimits{PerAccount: 2}, slog.New(slog.DiscardHandler))
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.Accounts = book{"romeo@example.net": {SCRAM: &keys}}
	ch := Channel{Encrypted: true, From: netip.MustParseAddr("192.0.2.1")}
	said := func() int { return strings.Count(log.String(), "account cannot use the mechanism") }
	for range 5 {
		x, err := h.Start("SCRAM-SHA-1", ch)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := x.Next(t.Context(), []byte("n,,n=romeo,r=nonce")); err != nil {
			t.Fatal(err)
		}
	}
	if n := said(); n != 0 {
		t.Errorf("said %d times before there was a proof", n)
	}
	for range 5 {
		talkOn(t, h, ch, "SCRAM-SHA-1", xdgClient(t, "SCRAM-SHA-1", "romeo", password, ""))
	}
	if n := said(); n < 1 || n > 3 {
		t.Errorf("said %d times", n)
	}
}

// Who leaves while he waits has not guessed.
func TestThrottleContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := guarded(FailureLimits{}, slog.New(slog.DiscardHandler))
		for range 10 {
			login(t.Context(), h, "192.0.2.1", "romeo", "wherefore")
		}
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if got := login(short, h, "198.51.100.1", "romeo", password); got != "temporary-auth-failure" {
			t.Errorf("less time than the wait: %s", got)
		}
		leaving, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		if got := login(leaving, h, "198.51.100.2", "romeo", password); got != "temporary-auth-failure after 1s" {
			t.Errorf("who leaves: %s", got)
		}
		if got := login(t.Context(), h, "198.51.100.3", "romeo", password); got != "in after 5s" {
			t.Errorf("the next: %s", got)
		}
	})
}

// Each limit is logged when it is reached, and again only after there was none.
func TestThrottleLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := guarded(FailureLimits{PerAddress: 20}, slog.New(slog.NewTextHandler(&log, nil)))
		said := func(want ...string) {
			t.Helper()
			var got []string
			for line := range strings.Lines(log.String()) {
				_, line, _ = strings.Cut(strings.TrimSpace(line), "level=")
				got = append(got, line)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("logged %q, want %q", got, want)
			}
			log.Reset()
		}
		const line = `WARN msg="too many failed logins"`
		wrong := func(from, user string, times int) {
			for range times {
				login(t.Context(), h, from, user, "wherefore")
			}
		}
		wrong("2001:db8::1", "romeo", 10)
		said()
		wrong("2001:db8::1", "romeo", 100)
		said(line + " user=romeo@example.net")
		wrong("2001:db8::2", "tybalt", 10)
		said()
		wrong("2001:db8::3", "mercutio", 100)
		said(line + " address=2001:db8::/64")
		time.Sleep(time.Minute)
		wrong("192.0.2.1", "romeo", 100)
		said(line + " user=romeo@example.net")
		login(t.Context(), h, "198.51.100.7", "juliet", password)
		wrong("198.51.100.7", "juliet", 11)
		said(line + " address=198.51.100.7 user=juliet@example.net")
	})
}

// However many names and addresses there are, only so many are remembered.
func TestThrottleForgets(t *testing.T) {
	th := NewThrottle(FailureLimits{}, slog.New(slog.DiscardHandler))
	th.buckets.most, th.good.most = 100, 100
	h := guarded(FailureLimits{}, nil)
	h.Throttle = th
	for i := range 1000 {
		from := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}).String()
		login(t.Context(), h, from, fmt.Sprint("user", i), "wherefore")
		login(t.Context(), h, from, "romeo", password)
	}
	for name, n := range map[string]int{"buckets": len(th.buckets.young) + len(th.buckets.old), "good places": len(th.good.young) + len(th.good.old)} {
		if n > 200 || n < 100 {
			t.Errorf("%d %s", n, name)
		}
	}
	if at := placeOf(addr.MustBare("romeo@example.net"), netip.MustParseAddr("192.0.3.231")); !th.isGood(at) {
		t.Error("the last good place is forgotten")
	}
}

// Who never gets a password wrong costs no more than the memory of where that was.
func TestThrottleUntouched(t *testing.T) {
	h := guarded(FailureLimits{}, nil)
	th := h.Throttle
	for i := range 10 {
		if got := login(t.Context(), h, fmt.Sprint("192.0.2.", i), "romeo", password); !strings.HasPrefix(got, "in ") {
			t.Fatal(got)
		}
	}
	if n := len(th.buckets.young) + len(th.buckets.old); n != 0 {
		t.Errorf("%d buckets are left of good logins", n)
	}
	login(t.Context(), h, "192.0.2.1", "romeo", "wherefore")
	login(t.Context(), h, "192.0.2.1", "romeo", password)
	if len(th.buckets.young)+len(th.buckets.old) == 0 {
		t.Error("a failure is forgotten with the next good login")
	}
}

func TestRecent(t *testing.T) {
	r := recent[int, string]{most: 3}
	for i := range 3 {
		r.put(i, fmt.Sprint(i))
	}
	for i := 10; i < 20; i++ {
		if v, ok := r.get(1); v != "1" || !ok { // used again and again, it stays
			t.Fatalf("before %d: %q, %v", i, v, ok)
		}
		r.put(i, "x")
	}
	if _, ok := r.get(0); ok {
		t.Error("0 was not forgotten")
	}
	r.put(1, "one")
	if v, _ := r.get(1); v != "one" {
		t.Errorf("1 is %q", v)
	}
}

func TestNoThrottle(t *testing.T) {
	h := guarded(FailureLimits{}, nil)
	h.Throttle = nil
	for range 200 {
		if got, _, _ := strings.Cut(login(t.Context(), h, "192.0.2.1", "romeo", "wherefore"), " "); got != "not-authorized" {
			t.Fatal(got)
		}
	}
	if h.Throttle.Stats() != (ThrottleStats{}) {
		t.Error("counted")
	}
}
