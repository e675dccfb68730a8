package wasm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/wasm/module/asm"
)

// kindOf is what an error means to who asked.
func kindOf(err error) string {
	var fault *engine.FaultError
	var temporary *engine.TemporaryError
	var permanent *engine.PermanentError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &fault):
		return fault.Kind
	case errors.As(err, &temporary):
		return fmt.Sprintf("temporary %v", temporary.RetryAfter)
	case errors.As(err, &permanent):
		return "permanent"
	case errors.Is(err, engine.ErrUnknownUser):
		return "unknown"
	case errors.Is(err, engine.ErrDenied):
		return "denied"
	}
	return "other"
}

// TestReturns is about what a module returns, and what it has said of it.
func TestReturns(t *testing.T) {
	tests := []struct {
		name    string
		returns int32
		fail    step // "": it says nothing
		request bool // a request fails before
		kind    string
		text    string // in the error
	}{
		{name: "ok", kind: "ok"},
		{name: "ok after a failure that was dealt with", fail: do("fail", 2, 5, "late"), kind: "ok"},
		{name: "not found", returns: 1, kind: "unknown", text: "the backend does not know this user"},
		{name: "not found, and why", returns: 1, fail: do("fail", 1, 0, "no row"), kind: "unknown", text: "the backend does not know this user: no row"},
		{name: "temporary", returns: 2, kind: "temporary 0s", text: "crm.wasm says so of the roster, and not why"},
		{name: "temporary, why and for how long", returns: 2, fail: do("fail", 2, 30, "maintenance"), kind: "temporary 30s", text: "maintenance"},
		{name: "temporary, said of something else", returns: 2, fail: do("fail", 3, 30, "maintenance"), kind: "temporary 0s", text: "and not why: fail was called for 3 (maintenance), and 2 was returned"},
		{name: "temporary after a request", returns: 2, request: true, kind: "temporary 0s", text: "GET http://a/: connection refused"},
		{name: "temporary for more seconds than there are", returns: 2, fail: do("fail", 2, -1, "never"), kind: "temporary 1193046h28m15s", text: "never"},
		{name: "permanent", returns: 3, fail: do("fail", 3, 0, "bad key"), kind: "permanent", text: "bad key"},
		{name: "denied", returns: 4, fail: do("fail", 4, 0, "blocked"), kind: "denied", text: "the backend denies access: blocked"},
		{name: "5", returns: 5, kind: "protocol", text: "crm.wasm: roster of john@example.com: rosterd_fetch returned 5, which is none of 0 to 4"},
		{name: "-1", returns: -1, kind: "protocol", text: "returned -1"},
		{name: "what is said is cut", returns: 3, fail: do("fail", 3, 0, strings.Repeat("x", 2000)), kind: "permanent", text: strings.Repeat("x", 1024) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGuest("output_write", "fail", "http_request")
			var c asm.Code
			if tt.request {
				c = g.call(c, get.name, get.args...).Drop()
			}
			if tt.fail.name != "" {
				c = g.call(c, "fail", tt.fail.args...)
			}
			c = g.call(c, "output_write", empty).Drop().I32(tt.returns)
			p := open(t, g.export("rosterd_fetch", c).Bytes(), setting{}, &world{http: failing(errors.New("connection refused"))})
			_, err := p.Fetch(t.Context(), john(t))
			if got := kindOf(err); got != tt.kind {
				t.Fatalf("%s: %v, want %s", got, err, tt.kind)
			}
			if err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%q does not say %q", err, tt.text)
			}
		})
	}
}

// TestOutput is about what a module writes.
func TestOutput(t *testing.T) {
	const marie = `{"marie@example.com":{"subscription":"both"}}`
	tests := []struct {
		name, out string
		rev       string // that is held
		want      string // the roster in the standard form; "" if there is an error
		text      string // in the error
		kept      string // rev, max age, unchanged, and what was left out
	}{
		{name: "nothing", text: "rosterd_fetch wrote nothing"},
		{name: "something else", out: "hello", text: `rosterd_fetch wrote neither JSON nor the flat form: "hello"`},
		{name: "an array", out: "[]", text: "neither JSON"},
		{name: "no contacts", out: `{"items":[]}`, want: `{}`},
		{name: "no items at all", out: `{}`, text: "the output has neither items nor unchanged"},
		{name: "a contact", out: `{"items":[{"jid":"marie@example.com"}]}`, want: marie},
		{name: "after white space", out: " \n\t\r" + `{"items":[{"jid":"marie@example.com"}]} `, want: marie},
		{name: "all fields", out: `{"items":[{"jid":"Marie@example.com","name":"M","subscription":"to","groups":["b","a"],"approved":true,"ask":"subscribe"}],"rev":"42","max_age":300}`,
			want: `{"marie@example.com":{"subscription":"to","name":"M","groups":["a","b"],"ask":"subscribe","approved":true}}`, kept: "42 5m0s"},
		{name: "fields that are null", out: `{"items":[{"jid":"marie@example.com","name":null,"groups":null}]}`, want: marie},
		{name: "half a second", out: `{"items":[],"max_age":0.5}`, want: "{}", kept: " 500ms"},
		{name: "no JID", out: `{"items":[{"jid":"marie@example.com"},{"jid":"@"}]}`, want: marie, kept: ` left out "@": not a valid JID`},
		{name: "an item without a jid", out: `{"items":[{"jid":"marie@example.com"},{"name":"x"}]}`, text: "the output: items[1] has no jid"},
		{name: "an item that is a text", out: `{"items":["marie@example.com"]}`, text: "the output: items[0] is no object"},
		{name: "a name that is a number", out: `{"items":[{"jid":"a@b","name":1}]}`, text: "items[0]: name is a JSON number, not a string"},
		{name: "items that are an object", out: `{"items":{}}`, text: "items is no array"},
		{name: "a field that nobody knows", out: `{"items":[],"count":0}`, text: `a field "count" is not known`},
		{name: "items twice", out: `{"items":[],"items":[]}`, text: `the output has "items" twice`},
		{name: "half of it", out: `{"items":[`, text: "the output: unexpected end of JSON input"},
		{name: "too deep", out: strings.Repeat(`{"items":[`, 40), text: "nested more than 64 deep"},
		{name: "a rev that is a number", out: `{"items":[],"rev":42}`, text: "rev is no string"},
		{name: "a rev that is too long", out: `{"items":[],"rev":"` + strings.Repeat("x", 1025) + `"}`, text: "a rev of 1025 bytes, more than 1024"},
		{name: "a max_age that is negative", out: `{"items":[],"max_age":-1}`, text: "max_age is no number of seconds up to a year"},
		{name: "a max_age of years", out: `{"items":[],"max_age":1e9}`, text: "max_age is no number of seconds up to a year"},
		{name: "unchanged", out: `{"unchanged":true}`, rev: "7", want: `{}`, kept: "7 unchanged"},
		{name: "unchanged with another name", out: `{"unchanged":true,"rev":"8"}`, rev: "7", want: `{}`, kept: "8 unchanged"},
		{name: "unchanged, though nothing is held", out: `{"unchanged":true}`, text: "wrote unchanged, but was given no rev"},
		{name: "unchanged with contacts", out: `{"unchanged":true,"items":[]}`, rev: "7", text: "unchanged and has items"},
		{name: "unchanged that is a text", out: `{"unchanged":"yes"}`, text: "unchanged is neither true nor false"},

		{name: "flat, no contacts", out: "RF\x01\x00\x00\x00\x00\x00", want: `{}`},
		{name: "flat", out: "RF\x01\x00\x01\x00\x00\x00" + flatContact(3, "marie@example.com", ""), want: marie},
		{name: "flat, with groups", out: "RF\x01\x00\x01\x00\x00\x00" + flatContact(14, "marie@example.com", "M", "b", "a"),
			want: `{"marie@example.com":{"subscription":"from","name":"M","groups":["a","b"],"ask":"subscribe","approved":true}}`},
		{name: "flat, kept", out: "RF\x01\x01\x2c\x01\x00\x00\x02\x0042\x00\x00\x00\x00", want: `{}`, kept: "42 5m0s"},
		{name: "flat, unchanged", out: "RF\x01\x02\x00\x00\x00\x00", rev: "7", want: `{}`, kept: "7 unchanged"},
		{name: "flat, unchanged and kept", out: "RF\x01\x03\x2c\x01\x00\x00\x00\x00\x00\x00\x00\x00", rev: "7", want: `{}`, kept: "7 5m0s unchanged"},
		{name: "flat, unchanged though nothing is held", out: "RF\x01\x02\x00\x00\x00\x00", text: "was given no rev"},
		{name: "flat, unchanged with contacts", out: "RF\x01\x02\x01\x00\x00\x00" + flatContact(0, "a@b", ""), rev: "7", text: "unchanged and has 1 contacts"},
		{name: "flat, no JID", out: "RF\x01\x00\x02\x00\x00\x00" + flatContact(3, "marie@example.com", "") + flatContact(0, "", ""), want: marie, kept: ` left out "": not a valid JID`},
		{name: "flat, a name that is not UTF-8", out: "RF\x01\x00\x02\x00\x00\x00" + flatContact(3, "marie@example.com", "") + flatContact(0, "a@b", "\xff"), want: marie, kept: ` left out "a@b": name is not valid UTF-8`},
		{name: "flat, a rev that is not UTF-8", out: "RF\x01\x01\x00\x00\x00\x00\x01\x00\xff\x00\x00\x00\x00", text: "a rev that is not UTF-8"},
		{name: "flat, a rev that is too long", out: "RF\x01\x01\x00\x00\x00\x00\x01\x04" + strings.Repeat("x", 1025) + "\x00\x00\x00\x00", text: "a rev of 1025 bytes"},
		{name: "flat, a max_age of years", out: "RF\x01\x01\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00", text: "max_age 4294967295, more than a year"},
		{name: "flat, another version", out: "RF\x02\x00\x00\x00\x00\x00", text: `begins with "RF" and 1`},
		{name: "flat, a form that nobody knows", out: "RF\x01\x04\x00\x00\x00\x00", text: "form of 4"},
		{name: "flat, flags that nobody knows", out: "RF\x01\x00\x01\x00\x00\x00" + flatContact(16, "a@b", ""), text: "contact 1 of the flat form has flags of 0x10"},
		{name: "flat, cut", out: "RF\x01\x00\x00\x00", text: "ends in the middle"},
		{name: "flat, cut in a contact", out: "RF\x01\x00\x01\x00\x00\x00" + flatContact(0, "a@b", "name")[:8], text: "ends in the middle"},
		{name: "flat, cut in a group", out: "RF\x01\x00\x01\x00\x00\x00" + flatContact(0, "a@b", "", "group")[:11], text: "ends in the middle"},
		{name: "flat, more contacts than bytes", out: "RF\x01\x00\xff\xff\xff\xff" + flatContact(0, "a@b", ""), text: "4294967295 contacts in 9 bytes"},
		{name: "flat, fewer contacts than there are", out: "RF\x01\x00\x00\x00\x00\x00" + flatContact(0, "a@b", ""), text: "9 bytes follow the last contact"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := open(t, writes(tt.out, 0), setting{}, &world{})
			r := john(t)
			if tt.rev != "" {
				r.Rev = p.Generation() + ":" + tt.rev
			}
			a, err := p.Fetch(t.Context(), r)
			if tt.want == "" {
				if kindOf(err) != "protocol" || !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), "crm.wasm: roster of john@example.com: ") {
					t.Fatalf("%v; want %s", err, tt.text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := string(a.Roster.EncodeJSON()); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if got := keptOf(p.Generation(), a); got != tt.kept {
				t.Errorf("kept %q, want %q", got, tt.kept)
			}
		})
	}
}

func flatContact(flags byte, jid, name string, groups ...string) string {
	text := func(s string) string { return string([]byte{byte(len(s)), byte(len(s) >> 8)}) + s }
	s := string([]byte{flags}) + text(jid) + text(name) + string([]byte{byte(len(groups))})
	for _, g := range groups {
		s += text(g)
	}
	return s
}

func keptOf(generation string, a engine.Answer) string {
	s := strings.TrimPrefix(a.Rev, generation+":")
	if a.MaxAge > 0 {
		s += " " + a.MaxAge.String()
	}
	if a.Unchanged {
		s += " unchanged"
	}
	for _, d := range a.Dropped {
		s += " left out " + d.String()
	}
	return s
}

// TestLimits is about what a call may take at the most.
func TestLimits(t *testing.T) {
	loop := asm.Code{}.Loop().Br(0).End()
	t.Run("contacts", func(t *testing.T) {
		p := open(t, writes(`{"items":[{"jid":"a@b"},{"jid":"b@b"},{"jid":"c@b"}]}`, 0), setting{host: plugins.Host{Limits: plugins.Limits{Contacts: 2}}}, &world{})
		if _, err := p.Fetch(t.Context(), john(t)); kindOf(err) != "protocol" || !strings.Contains(err.Error(), "3 contacts, more than 2") {
			t.Error(err)
		}
	})
	t.Run("output", func(t *testing.T) {
		code := probe("rosterd_fetch", do("output_write", 0, 90), do("output_write", 0, 11))
		w := &world{}
		p := open(t, code, setting{host: plugins.Host{Limits: plugins.Limits{Answer: 100}}}, w)
		if _, err := p.Fetch(t.Context(), john(t)); kindOf(err) != "protocol" || w.result() != -3 {
			t.Error(err, w.result())
		}
	})
	t.Run("body of a request", func(t *testing.T) {
		g := newGuest("http_request")
		g.Memory(0)
		w := &world{http: hello}
		code := probe("rosterd_fetch", do("http_request", `{"url":"http://a/"}`, 0, pages<<16))
		p := open(t, code, setting{}, w)
		if _, err := p.Fetch(t.Context(), john(t)); err != nil || w.result() != 1 {
			t.Error(err, w.result())
		}
	})
	t.Run("lines", func(t *testing.T) {
		steps := make([]step, 70)
		for i := range steps {
			steps[i] = do("log", 1, fmt.Sprint("line ", i))
		}
		w := &world{}
		p := open(t, probe("rosterd_fetch", steps...), setting{}, w)
		if _, err := p.Fetch(t.Context(), john(t)); err != nil || len(w.said()) != 64 || !strings.HasPrefix(w.said()[63], "INFO line 63") {
			t.Error(err, len(w.said()))
		}
	})
	t.Run("calls of imports", func(t *testing.T) {
		g := newGuest("input_len")
		p := open(t, g.export("rosterd_fetch", g.call(asm.Code{}.Loop(), "input_len").Drop().Br(0).End().I32(0)).Bytes(), setting{}, &world{})
		if _, err := p.Fetch(t.Context(), john(t)); kindOf(err) != "instructions" || !strings.Contains(err.Error(), "more than 100000 calls of imports") {
			t.Error(err)
		}
		if n := p.HostCalls(); n < 100_000 || n > 100_001 {
			t.Errorf("%d calls of imports are counted", n)
		}
	})
	t.Run("time", func(t *testing.T) {
		for _, export := range []string{"rosterd_fetch", "rosterd_init", "_initialize", "start"} {
			t.Run(export, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				g := newGuest()
				if export != "rosterd_fetch" {
					g.export("rosterd_fetch", asm.Code{}.I32(3))
				}
				switch export {
				case "start":
					g.Start(g.Func(":", "", loop))
				case "_initialize":
					g.Export(export, g.Func(":", "", loop))
				default:
					g.export(export, loop.I32(0))
				}
				g.FuncNames("marker", "around")
				p, err := openWithin(ctx, t, g.Bytes(), setting{}, &world{})
				if export == "rosterd_fetch" {
					if err != nil {
						t.Fatal(err)
					}
					if _, err = p.Fetch(ctx, john(t)); kindOf(err) != "deadline" {
						t.Errorf("%s: %v", kindOf(err), err)
					}
					if p.Instructions() == 0 {
						t.Error("no instructions are counted")
					}
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v", err)
				}
			})
		}
	})
	t.Run("a caller who has gone", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{http: func(context.Context, plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
			cancel()
			return &plugins.HTTPResponse{}, nil
		}}
		g := newGuest("http_request")
		p := open(t, g.export("rosterd_fetch", g.call(nil, get.name, get.args...).Drop().Add(loop).I32(0)).Bytes(), setting{}, w)
		if _, err := p.Fetch(ctx, john(t)); kindOf(err) != "other" || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", kindOf(err), err)
		}
	})
	t.Run("a backend that took all the time", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		w := &world{http: func(ctx context.Context, _ plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("no answer in time: %w", ctx.Err())
		}}
		g := newGuest("http_request")
		p := open(t, g.export("rosterd_fetch", g.call(nil, get.name, get.args...).Drop().Add(loop).I32(0)).Bytes(), setting{}, w)
		if _, err := p.Fetch(ctx, john(t)); kindOf(err) != "temporary 0s" || err.Error() != "no answer in time: context deadline exceeded" {
			t.Errorf("%s: %v", kindOf(err), err)
		}
	})
}

// TestTraps is about calls that end where no import has ended them.
func TestTraps(t *testing.T) {
	tests := []struct {
		name string
		code asm.Code
		kind string
		text string
	}{
		{"unreachable", asm.Code{}.Unreachable(), "trap", "crm.wasm: roster of john@example.com: unreachable (in parse ← fetch)"},
		{"a load from nowhere", asm.Code{}.I32(-4).I32Load(0).Drop(), "trap", "out of bounds memory access (in parse ← fetch)"},
		{"a division by zero", asm.Code{}.I32(1).I32(0).Op(0x6d).Drop(), "trap", "integer divide by zero"},
		{"no memory left", asm.Code{}.I32(30).MemoryGrow().Drop().Unreachable(), "memory", "it was refused more than 1 MiB of memory"},
		{"endless recursion", asm.Code{}.Call(1), "trap", "stack overflow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGuest()
			parse := g.Func(":", "", tt.code)
			g.export("rosterd_fetch", asm.Code{}.Call(parse).I32(0))
			g.FuncNames("marker", "parse", "fetch")
			p := open(t, g.Bytes(), setting{host: plugins.Host{Limits: plugins.Limits{Memory: 1 << 20}}}, &world{})
			_, err := p.Fetch(t.Context(), john(t))
			if kindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%s: %v", kindOf(err), err)
			}
		})
	}
}

// TestTrapsWithoutNames is about functions that have no names: they have the numbers of the file, as disassemblers show them.
func TestTrapsWithoutNames(t *testing.T) {
	g := newGuest("now_ms")
	parse := g.Func(":", "", asm.Code{}.Unreachable())
	g.export("rosterd_fetch", asm.Code{}.Call(parse).I32(0))
	_, err := open(t, g.Bytes(), setting{}, &world{}).Fetch(t.Context(), john(t))
	if want := fmt.Sprintf("unreachable (in $%d ← $%d)", parse, parse+1); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}

	g.Start(parse)
	_, err = tryOpen(t, g.Bytes(), setting{}, &world{})
	if want := fmt.Sprintf("crm.wasm: the start function: unreachable (in $%d)", parse); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestInvalid has the compiler find the mistake, which it tells with names that the module has chosen.
func TestInvalid(t *testing.T) {
	g := newGuest()
	f := g.Func(":i", "", asm.Code{}.I64(1))
	g.Export("rosterd_fetch", f)
	g.Export(strings.Repeat("long", 1<<18), f)
	_, err := tryOpen(t, g.Bytes(), setting{}, &world{})
	if err == nil || len(err.Error()) > 1200 || !strings.Contains(err.Error(), "invalid function[1]") {
		t.Errorf("%.300v", err)
	}
}
