package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
	"rosterd/plugins/worker"
)

// What modules may try that is no roster's business, or takes several calls.

// placements are where a module may run.
func placements(t *testing.T, test func(t *testing.T, f *moduleField)) {
	t.Run("inproc", func(t *testing.T) { test(t, newModuleField(t, nil)) })
	t.Run("process", func(t *testing.T) {
		test(t, newModuleField(t, worker.Opener(worker.Settings{Log: slog.New(slog.DiscardHandler)})))
	})
}

// exporting opens a module with functions of these names.
func (f *moduleField) exporting(t *testing.T, functions map[string]string, edit ...func(*assembly)) plugins.Plugin {
	t.Helper()
	m := newAssembly()
	for _, code := range functions {
		m.importAll(strings.ReplaceAll(code, "URL", f.url))
	}
	m.importAll(why)
	m.functions = append(m.functions, function{name: "marker", signature: ":", locals: []byte{0}, code: []byte{0x0b}})
	m.export("rosterd_abi_v1", "marker")
	m.add("why", ":i", why)
	for name, code := range functions {
		m.add(name, ":i", strings.ReplaceAll(code, "URL", f.url))
		m.export(name, name)
	}
	for _, e := range edit {
		e(m)
	}
	code, err := m.module()
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.open(t, code)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// friendly is code that answers with a roster of one contact.
var friendly = strconv.Quote(friend) + " output_write"

// Nothing but 0 lets anybody in, and no error shows a password.
func TestModuleAttacksPasswords(t *testing.T) {
	const password = "correct horse 7"
	codes := []struct {
		name, code string
		in, denied bool
		endless    bool
	}{
		{name: "0", code: "0", in: true},
		{name: "4", code: "4", denied: true},
		{name: "1", code: "1", denied: true},
		{name: "2", code: "2"}, {name: "3", code: "3"}, {name: "5", code: "5"}, {name: "-1", code: "-1"}, {name: "2^31", code: "0x80000000"},
		{name: "256", code: "256"}, {name: "65536", code: "65536"},
		{name: "trap", code: "unreachable"}, {name: "exit", code: "0 proc_exit 0"},
		{name: "a loop", code: "loop br 0 end 0", endless: true}, {name: "recursion", code: "f func f :i f 1 add"},
		{name: "the password as reason", code: "65536 0 4096 input_read set 0 2 0 65536 get 0 fail 2"},
		{name: "a request that fails", code: `"{\"url\":\"http://127.0.0.1:1/\"}" 0 0 http_request`},
	}
	placements(t, func(t *testing.T, f *moduleField) {
		a := moduleAttack{}
		for _, c := range codes {
			a.each = append(a.each, c.code)
		}
		p := f.exporting(t, map[string]string{"rosterd_auth": a.variants(), "rosterd_fetch": friendly})
		for i, c := range codes {
			t.Run(c.name, func(t *testing.T) {
				limit := tooLate
				if c.endless {
					limit = attackTime
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				err := p.Authenticate(ctx, addr.MustBare(fmt.Sprintf("john~%02d@example.com", i)), password)
				checkError(t, err)
				switch {
				case c.in != (err == nil):
					t.Errorf("let in: %t (%v), want %t", err == nil, err, c.in)
				case (errors.Is(err, engine.ErrDenied) || errors.Is(err, engine.ErrUnknownUser)) != c.denied:
					t.Errorf("denied: %v, want %t", err, c.denied)
				case err != nil && strings.Contains(err.Error(), password):
					t.Errorf("the error shows the password: %v", err)
				}
				innocent(t, p, "after")
			})
		}
	})
}

// Whatever a module answers to a request from outside, the client gets HTTP, and the server asks for nobody that is not
// the host's.
func TestModuleAttacksWebhooks(t *testing.T) {
	const endless = "an endless one"
	million := pieces(`{"refresh":["u"`, `,"u"`, `]}`)
	says := func(answer string) string { return strconv.Quote(answer) + " output_write drop 0" }
	answers := []struct {
		name, code string
		status     int // 0: what is refused with 500
		refreshed  string
	}{
		{name: "nothing", code: "0", status: http.StatusNoContent},
		{name: "a text", code: says(`{"status":200,"body":"hello"}`), status: http.StatusOK},
		{name: "status 999", code: says(`{"status":999}`)},
		{name: "status 100", code: says(`{"status":100}`)},
		{name: "status -1", code: says(`{"status":-1}`)},
		{name: "status 2^40", code: says(`{"status":1099511627776}`)},
		{name: "a status that is a text", code: says(`{"status":"200"}`)},
		{name: "headers in headers", code: says(`{"status":200,"headers":{"x-a":"b\r\nX-Evil: 1"}}`)},
		{name: "headers in names", code: says(`{"status":200,"headers":{"x-a\r\nX-Evil":"1"}}`)},
		{name: "a header without name", code: says(`{"status":200,"headers":{"":"1"}}`)},
		{name: "headers that are none", code: says(`{"status":200,"headers":["x"]}`)},
		{name: "a body that is none", code: says(`{"status":200,"body":{"a":1}}`)},
		{name: "no JSON", code: says(`hello`)},
		{name: "a roster", code: says(friend)},
		{name: "deep", code: says(`{"body":` + strings.Repeat("[", 60_000))},
		{name: "a body of 60 MiB", code: `"{\"status\":200,\"body\":\"" output_write drop 0 62914560 output_write drop "\"}" output_write drop 0`, status: http.StatusOK},
		{name: "users that are none", code: says(`{"refresh":[1,null,{}]}`)},
		{name: "users of other hosts", code: says(`{"refresh":["john@other.example","aaron@example.com","jim"]}`), status: http.StatusOK, refreshed: "john@other.example aaron jim"},
		{name: "no list of users", code: says(`{"refresh":"john"}`)},
		{name: "a million users", code: million},
		{name: "result 4", code: "4", status: http.StatusForbidden},
		{name: "result 9", code: "9"},
		{name: "trap", code: "unreachable"},
		{name: endless, code: "loop br 0 end 0", status: http.StatusServiceUnavailable},
	}
	placements(t, func(t *testing.T, f *moduleField) {
		a := moduleAttack{}
		for _, c := range answers {
			a.each = append(a.each, c.code)
		}
		var mu sync.Mutex
		var refreshed []string
		f.manager.Refresh = func(_ context.Context, host string, users []string) (plugins.Refreshed, error) {
			mu.Lock()
			defer mu.Unlock()
			refreshed = users
			if host != "example.com" {
				t.Errorf("users of %s are refreshed", host)
			}
			return plugins.Refreshed{Updated: len(users)}, nil
		}
		p := f.exporting(t, map[string]string{"rosterd_webhook": a.variants(), "rosterd_fetch": friendly}, pages(970))
		server := httptest.NewServer(impatient(plugins.Routes(p, slog.New(slog.DiscardHandler))))
		defer server.Close()
		for i, c := range answers {
			t.Run(c.name, func(t *testing.T) {
				mu.Lock()
				refreshed = nil
				mu.Unlock()
				path := fmt.Sprintf("/x~%02d", i)
				if c.name == endless {
					path += impatience
				}
				res, err := http.Post(server.URL+path, "text/plain", strings.NewReader("{{secret:token}}"))
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				body, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				want := c.status
				if want == 0 {
					want = http.StatusInternalServerError
				}
				if res.StatusCode != want || res.Header.Get("X-Evil") != "" || len(body) > 4096 {
					t.Errorf("%s %v, %d bytes: %.200q, want %d", res.Status, res.Header, len(body), body, want)
				}
				if strings.Contains(string(body), theSecret) {
					t.Errorf("the answer shows the secret: %.200s", body)
				}
				mu.Lock()
				defer mu.Unlock()
				if got := strings.Join(refreshed, " "); got != c.refreshed {
					t.Errorf("refreshed %.100q, want %q", got, c.refreshed)
				}
				innocent(t, p, "after")
			})
		}
	})
}

// impatience is the end of paths for which nobody waits as long as the server would.
const impatience = "/impatient"

func impatient(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, impatience) {
			ctx, cancel := context.WithTimeout(r.Context(), attackTime)
			defer cancel()
			r = r.WithContext(ctx)
		}
		h.ServeHTTP(w, r)
	})
}

// What a module keeps in its memory may come back in a later call, unless each call is to have an instance of its own.
func TestModuleAttacksMemoryOfOthers(t *testing.T) {
	placements(t, func(t *testing.T, f *moduleField) {
		for _, fresh := range []bool{false, true} {
			t.Run(fmt.Sprintf("fresh %t", fresh), func(t *testing.T) {
				f.manager.Limits = func(string) plugins.Limits { return plugins.Limits{Fresh: fresh} }
				// Each call that ends well marks the memory; one that finds a mark has no contacts.
				p := f.exporting(t, map[string]string{"rosterd_fetch": `131072 load if "RF\x01\x00\x00\x00\x00\x00" output_write return end 131072 1 store ` + friendly})
				met := 0
				for i := range 20 {
					a, err := p.Fetch(t.Context(), engine.Request{User: addr.MustBare(fmt.Sprintf("user%d@example.com", i)), Reason: engine.ReasonTest})
					if err != nil {
						t.Fatal(err)
					}
					met += 1 - a.Roster.Len()
				}
				if fresh && met > 0 {
					t.Errorf("%d calls saw what others had left", met)
				}
				if !fresh && met == 0 {
					t.Errorf("no instance was used twice")
				}
			})
		}
	})
}

// After a call that ended badly nobody meets its instance.
func TestModuleAttacksAfterFaults(t *testing.T) {
	placements(t, func(t *testing.T, f *moduleField) {
		a := moduleAttack{each: []string{"unreachable", "0 proc_exit 0", "99", "loop br 0 end 0", "f func f :i f 1 add", "0 load drop 0x7fffffff load"}}
		mark := `131072 load if 98 return end 131072 1 store `
		p := f.exporting(t, map[string]string{"rosterd_fetch": fmt.Sprintf("input_len %d lt_u if 131072 load if 97 return end ", attackerLength) + friendly +
			" return end " + mark + a.variants()})
		for i := range a.each {
			ctx, cancel := context.WithTimeout(t.Context(), attackTime)
			_, err := p.Fetch(ctx, engine.Request{User: attacker(i), Reason: engine.ReasonTest})
			cancel()
			if err == nil {
				t.Errorf("variant %d ended well", i)
			}
			var fault *engine.FaultError
			if errors.As(err, &fault) && fault.Kind == "protocol" && !strings.Contains(err.Error(), "99") {
				t.Errorf("variant %d met what another had left: %v", i, err)
			}
			innocent(t, p, "after")
		}
	})
}

// One instance has one call at a time, whatever waits.
func TestModuleAttacksInstanceUsedTwice(t *testing.T) {
	placements(t, func(t *testing.T, f *moduleField) {
		p := f.exporting(t, map[string]string{
			"rosterd_init":  `"url" 0 0 config_get drop 0`,
			"rosterd_fetch": `131072 load if 77 return end 131072 1 store "{\"url\":\"URL/roster\"}" 0 0 http_request drop 131072 load 1 ne if 78 return end 131072 0 store ` + friendly,
		})
		var calls sync.WaitGroup
		for i := range 40 {
			calls.Go(func() {
				_, err := p.Fetch(t.Context(), engine.Request{User: addr.MustBare(fmt.Sprintf("user%d@example.com", i)), Reason: engine.ReasonTest})
				if err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
	})
}

// What a module of one host keeps is not that of the same module of another, nor of another module.
func TestModuleAttacksOtherHosts(t *testing.T) {
	placements(t, func(t *testing.T, f *moduleField) {
		f.manager.Keeper = new(plugins.Memory)
		p := f.exporting(t, map[string]string{"rosterd_fetch": `"k" 65536 100 kv_get 0 ge_s if 77 return end "k" "v" 0 kv_set if 78 return end ` + friendly})
		innocent(t, p, "of one host")
		other, err := f.manager.Open(t.Context(), "arsenal", "other.example", f.config)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		innocent(t, other, "of another host")
		a, err := p.Fetch(t.Context(), engine.Request{User: addr.MustBare("jim@example.com"), Reason: engine.ReasonTest})
		if err == nil || !strings.Contains(err.Error(), "77") {
			t.Errorf("the first host lost what it had kept: %v, %v", a, err)
		}
	})
}

// As many calls as there may be, each of which takes all the memory that it may have.
func TestModuleAttacksMemoryAtOnce(t *testing.T) {
	const calls, each = 8, 16 << 20
	placements(t, func(t *testing.T, f *moduleField) {
		f.manager.Limits = func(string) plugins.Limits { return plugins.Limits{Calls: calls, Memory: each} }
		p := f.exporting(t, map[string]string{"rosterd_fetch": fmt.Sprintf("input_len %d lt_u if ", attackerLength) + friendly +
			` return end loop 1 memory.grow 0 ge_s br_if 0 end 65536 1 memory.size 65536 mul 65536 sub memory.fill loop br 0 end 0`})
		innocent(t, p, "before")
		debug.FreeOSMemory()
		pulse := feel(resident)
		var all sync.WaitGroup
		for range 2 * calls {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 4*attackTime)
				defer cancel()
				_, err := p.Fetch(ctx, engine.Request{User: attacker(0), Reason: engine.ReasonTest})
				if err == nil {
					t.Error("an endless call ended well")
				}
			})
		}
		all.Wait()
		innocent(t, p, "after")
		pause, growth := pulse.stop()
		t.Logf("pause %v, growth %d MiB", pause, growth>>20)
		if most := int64(slower * (2*calls*each + 64<<20)); growth > most {
			t.Errorf("the server grew by %d MiB, more than %d", growth>>20, most>>20)
		}
	})
}

// Where a call may have much memory, one instruction may be told to write all of it. The server does not wait for that.
func TestModuleAttacksMuchMemory(t *testing.T) {
	f := newModuleField(t, nil)
	f.manager.Limits = func(string) plugins.Limits { return plugins.Limits{Memory: 512 << 20} }
	all := `loop 16 memory.grow 0 ge_s br_if 0 end `
	for _, a := range []moduleAttack{
		{name: "filled", code: all + loops(`65536 1 memory.size 65536 mul 65536 sub memory.fill`), want: "stopped"},
		{name: "copied", code: all + loops(`0 1 memory.size 65536 mul 1 sub memory.copy`), want: "stopped"},
		{name: "copied backwards", code: all + loops(`1 0 memory.size 65536 mul 1 sub memory.copy`), want: "stopped"},
		{name: "from random bytes", code: all + loops(`0 memory.size 65536 mul random drop`), want: "stopped"},
		{name: "written", code: all + loops(`0 memory.size 65536 mul output_write drop`), want: "stopped"},
	} {
		t.Run(a.name, func(t *testing.T) {
			judge(t, steady(t, func() hit { return f.strike(t, a) }), a.want, 768<<20)
		})
	}
}

// A call that went deep and came back leaves its stack behind, but not with an instance that waits for the next one.
func TestModuleAttacksStackKept(t *testing.T) {
	const calls = 4
	f := newModuleField(t, nil)
	p := f.exporting(t, map[string]string{
		"rosterd_init": `"url" 0 0 config_get drop 0`,
		"rosterd_fetch": fmt.Sprintf("input_len %d lt_u if ", attackerLength) + friendly + ` return end 500000 down drop "{\"url\":\"URL/roster\"}" 0 0 http_request drop ` + friendly +
			" func down i:i get 0 eqz if 1 return end get 0 1 sub down get 0 add",
	})
	innocent(t, p, "before")
	debug.FreeOSMemory()
	before := resident()
	var all sync.WaitGroup
	for range calls {
		all.Go(func() {
			if _, err := p.Fetch(t.Context(), engine.Request{User: attacker(0), Reason: engine.ReasonTest}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	debug.FreeOSMemory()
	if growth := resident() - before; growth > slower*(24<<20) {
		t.Errorf("after %d calls the server keeps %d MiB", calls, growth>>20)
	}
	innocent(t, p, "after")
}

// Several attacks at once, in one place, while other users of the same module wait for their backend.
func TestModuleAttacksAtOnce(t *testing.T) {
	placements(t, func(t *testing.T, f *moduleField) {
		a := moduleAttack{each: []string{
			"loop br 0 end 0", "loop 16 memory.grow drop br 0 end 0", "0 f func f i:i get 0 1 add f 1 add", "unreachable",
			"loop 65536 0 131072 memory.fill br 0 end 0", `loop 3 "x" log br 0 end 0`, "loop 65536 4096 random drop br 0 end 0", "loop sched_yield drop br 0 end 0",
		}}
		p := f.exporting(t, map[string]string{
			"rosterd_init": `"url" 0 0 config_get drop 0`,
			"rosterd_fetch": fmt.Sprintf("input_len %d lt_u if ", attackerLength) + `"{\"url\":\"URL/roster\"}" 0 0 http_request drop ` + friendly +
				" return end " + a.variants(),
		})
		over := make(chan struct{})
		var bombs, others sync.WaitGroup
		for range 4 {
			others.Go(func() {
				for {
					innocent(t, p, "beside")
					select {
					case <-over:
						return
					default:
					}
				}
			})
		}
		for i := range a.each {
			bombs.Go(func() {
				for range 2 {
					ctx, cancel := context.WithTimeout(t.Context(), 4*attackTime)
					_, err := p.Fetch(ctx, engine.Request{User: attacker(i), Reason: engine.ReasonTest})
					cancel()
					waited := err != nil && strings.Contains(err.Error(), "was not started again in time") // after another attack
					if e := ending(err); e != "stopped" && e != "error" && !waited {
						t.Errorf("variant %d ended as %q: %v", i, e, err)
					}
					checkError(t, err)
				}
			})
		}
		bombs.Wait()
		close(over)
		others.Wait()
	})
}

// A module that is opened and closed again and again, as at reloads, leaves nothing behind.
func TestModuleAttacksReopened(t *testing.T) {
	f := newModuleField(t, nil)
	code, err := moduleAttack{code: answered}.module(f.url)
	if err != nil {
		t.Fatal(err)
	}
	again := func(times int) int64 {
		for range times {
			p, err := f.open(t, code)
			if err != nil {
				t.Fatal(err)
			}
			innocent(t, p, "reopened")
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
		debug.FreeOSMemory()
		return resident()
	}
	before := again(20)
	if growth := again(100) - before; growth > slower*(32<<20) {
		t.Errorf("100 times more cost %d MiB", growth>>20)
	}
}

// Of a module of which any byte is another one, or which is cut off anywhere, nothing comes but a plugin or an error.
func TestModuleAttacksDamaged(t *testing.T) {
	f := newModuleField(t, nil)
	whole := sound()
	try := func(what string, code []byte) {
		p, err := f.open(t, code)
		if err != nil {
			checkError(t, err)
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err = p.Fetch(ctx, engine.Request{User: addr.MustBare("jim@example.com"), Reason: engine.ReasonTest})
		cancel()
		checkError(t, err)
		if err := p.Close(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range whole {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			b := append([]byte{}, whole...)
			b[i] ^= mask
			try(fmt.Sprintf("byte %d ^ %#x", i, mask), b)
		}
		if i%(3*slower) == 0 {
			try(fmt.Sprintf("cut at %d", i), whole[:i])
		}
	}
}
