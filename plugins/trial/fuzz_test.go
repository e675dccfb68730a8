package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
)

// fresh makes a play anew each time that it is opened.
func fresh(p *play) func() *plugins.Manager {
	return func() *plugins.Manager {
		q := *p
		return manager(&q)
	}
}

// fuzzed has a play read changed answers.
func fuzzed(t *testing.T, p *play, f Fuzz, cases ...string) (Fuzzed, error) {
	t.Helper()
	f.Subject = subject(t)
	f.Manager = fresh(p)
	for i, text := range cases {
		c, err := Parse(string(rune('a'+i))+".json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		f.Cases = append(f.Cases, c)
	}
	if f.Time == 0 {
		f.Time = time.Minute
	}
	return f.Run(t.Context())
}

const (
	found   = `{` + crm + `"http": [{"request": {"url": "http://crm.example/john"}, "response": {"json": {"marie@example.com": {"name": "Marie", "groups": ["A", "B"]}, "zoe@example.com": {}}}}], "expect": {"roster": {}}}`
	unknown = `{` + crm + `"http": [{"request": {"url": "http://crm.example/john"}, "response": {"status": 404}}], "expect": {"error": "not-found"}}`
)

// faults is get that cannot stand some answers.
func faults(is func(body []byte) bool) func(context.Context, *play, addr.Bare) (engine.Answer, error) {
	return func(ctx context.Context, p *play, user addr.Bare) (engine.Answer, error) {
		res, err := p.HTTP(ctx, plugins.HTTPRequest{URL: "http://crm.example/" + user.Local()})
		if err == nil && is(res.Body) {
			return engine.Answer{}, &engine.FaultError{Kind: "trap", Err: errors.New("divided by zero at 0x1234")}
		}
		return engine.Answer{}, err
	}
}

// TestFuzz: a fault is found, made small, written, and comes again from what is written.
func TestFuzz(t *testing.T) {
	for _, c := range []struct {
		name string
		is   func([]byte) bool
		most int // bytes of the answer that is written
		file bool
	}{
		{"groups of another type", func(b []byte) bool { return json.Valid(b) && bytes.Contains(b, []byte(`"groups":1`)) }, 80, false},
		{"depth", func(b []byte) bool { return bytes.Contains(b, bytes.Repeat([]byte("["), 400)) }, 1200, false},
		{"no UTF-8", func(b []byte) bool { return bytes.Contains(b, []byte("\xff")) }, 1, true},
		{"an answer with status 404 that has a body", func(b []byte) bool { return len(b) > 0 && !bytes.HasPrefix(b, []byte("{")) }, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &play{fetch: faults(c.is)}
			done, err := fuzzed(t, p, Fuzz{Seed: 3, Count: 1500}, found, unknown)
			if err != nil {
				t.Fatal(err)
			}
			if len(done.Findings) != 1 || done.Ends["fault"] == 0 || done.Ends["ok"] == 0 || done.Ends["temporary"] == 0 {
				t.Fatalf("%+v", done)
			}
			f := done.Findings[0]
			if f.Kind != "trap" || !f.Alone || !strings.Contains(f.Record.Case.About, "divided by zero") {
				t.Errorf("%+v", f)
			}
			s := subject(t)
			tests := filepath.Join(s.Dir, "tests")
			stem := Stem(tests, f.Record.Stem())
			file, err := f.Record.Renamed(stem+"-again").Write(tests, stem+"-again")
			if err != nil {
				t.Fatal(err)
			}
			again, err := s.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			body := again.HTTP[0].Response.bytes()
			if !c.is(body) || len(body) > c.most || (again.HTTP[0].Response.BodyFile != "") != c.file {
				t.Errorf("%d bytes: %.100q", len(body), body)
			}
			o, err := Trial{Subject: s, Case: again, Manager: fresh(p)()}.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			out, err := o.Call(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if problems := again.Judge(out); len(problems) != 1 || !strings.Contains(problems[0], "divided by zero") {
				t.Errorf("%q", problems)
			}
			out.Err = &engine.TemporaryError{Err: errors.New("cannot be read")}
			if problems := again.Judge(out); len(problems) != 0 {
				t.Errorf("%q", problems)
			}
		})
	}
}

// TestFuzzRepeats: what comes of a seed comes of it again.
func TestFuzzRepeats(t *testing.T) {
	run := func(seed uint64) (bodies []string, done Fuzzed) {
		p := &play{}
		p.fetch = faults(func(b []byte) bool { bodies = append(bodies, string(b)); return false })
		done, err := fuzzed(t, p, Fuzz{Seed: seed, Count: 300}, found, unknown)
		if err != nil {
			t.Fatal(err)
		}
		return bodies, done
	}
	first, done := run(5)
	if again, _ := run(5); !slices.Equal(first, again) {
		t.Error("a seed does not make the same calls twice")
	}
	if other, _ := run(6); slices.Equal(first, other) {
		t.Error("two seeds make the same calls")
	}
	if done.Calls != 300 || len(done.Findings) != 0 {
		t.Errorf("%+v", done)
	}
}

// TestFuzzMemory: a fault that comes of what a plugin remembers of the call before is told from others.
func TestFuzzMemory(t *testing.T) {
	calls := 0
	p := &play{fetch: faults(func([]byte) bool { calls++; return calls == 40 })}
	done, err := fuzzed(t, p, Fuzz{Count: 100}, found)
	if err != nil || len(done.Findings) != 1 || done.Findings[0].Alone {
		t.Errorf("%v, %+v", err, done)
	}
}

// TestFuzzStore: what one call keeps, the next one does not find.
func TestFuzzStore(t *testing.T) {
	p := &play{fetch: func(ctx context.Context, p *play, user addr.Bare) (engine.Answer, error) {
		_, was, err := p.Load(ctx, "s", "k")
		if err == nil {
			err = p.Save(ctx, "s", "k", []byte("1"), 0)
		}
		if was || err != nil {
			return engine.Answer{}, &engine.FaultError{Kind: "trap", Err: errors.Join(errors.New("was here"), err)}
		}
		return engine.Answer{}, nil
	}}
	if done, err := fuzzed(t, p, Fuzz{Count: 50}, found); err != nil || done.Ends["ok"] != 50 {
		t.Errorf("%v, %+v", err, done)
	}
}

// TestFuzzImprovises: requests that come of changed answers are answered, and are in the case that is written.
func TestFuzzImprovises(t *testing.T) {
	p := &play{fetch: func(ctx context.Context, p *play, _ addr.Bare) (engine.Answer, error) {
		res, err := p.HTTP(ctx, plugins.HTTPRequest{URL: "http://crm.example/john"})
		if err != nil || !bytes.Contains(res.Body, []byte(`"groups":[]`)) {
			return engine.Answer{}, err
		}
		res, err = p.HTTP(ctx, plugins.HTTPRequest{URL: "http://crm.example/groups", Method: "POST"})
		if err == nil && len(res.Body) > 0 {
			return engine.Answer{}, &engine.FaultError{Kind: "protocol", Err: errors.New("x")}
		}
		return engine.Answer{}, err
	}}
	done, err := fuzzed(t, p, Fuzz{Seed: 1, Count: 5000}, found)
	if err != nil || len(done.Findings) != 1 || !done.Findings[0].Alone {
		t.Fatalf("%v, %+v", err, done)
	}
	b, err := done.Findings[0].Record.Case.Encode()
	if err != nil || !bytes.Contains(b, []byte(`"url": "http://crm.example/groups"`)) {
		t.Errorf("%v\n%s", err, b)
	}
}

// TestFuzzCalls: webhooks and passwords are changed too.
func TestFuzzCalls(t *testing.T) {
	bodies, words := map[string]bool{}, map[string]bool{}
	p := &play{
		info: plugins.Info{Auth: true, Routes: []plugins.Route{{Method: "POST", Path: "/changed"}}},
		handle: func(_ context.Context, _ *play, c plugins.Call) (plugins.Reply, error) {
			bodies[string(c.Body)] = true
			if bytes.HasPrefix(c.Body, []byte("[")) {
				return plugins.Reply{}, &engine.FaultError{Kind: "trap", Err: errors.New("a list")}
			}
			return plugins.Reply{}, nil
		},
		authenticate: func(_ context.Context, _ *play, password string) error {
			words[password] = true
			return engine.ErrDenied
		},
	}
	done, err := fuzzed(t, p, Fuzz{Count: 2000},
		`{"call": "http", "request": {"path": "/crm/changed", "json": {"users": ["john"]}}}`,
		`{"call": "auth", "user": "john", "password": "x"}`)
	if err != nil || len(bodies) < 300 || len(words) < 20 || done.Ends["denied"] == 0 {
		t.Fatalf("%d bodies, %d passwords, %v, %+v", len(bodies), len(words), err, done)
	}
	if len(done.Findings) != 1 || string(done.Findings[0].Record.Case.Request.bytes()) != "[" {
		t.Errorf("%+v", done.Findings)
	}
}

// TestFuzzBegins: what cannot be fuzzed is said, or left out.
func TestFuzzBegins(t *testing.T) {
	p := &play{fetch: faults(func(b []byte) bool { return len(b) == 0 })}
	done, err := fuzzed(t, p, Fuzz{Count: 1}, found, unknown)
	if err != nil || !slices.Equal(done.LeftOut, []string{"b"}) {
		t.Errorf("%v, %+v", err, done)
	}
	if _, err := fuzzed(t, p, Fuzz{Count: 1}, `{`+crm+`"expect": {"error": "temporary"}}`); err == nil || !strings.Contains(err.Error(), "no case with an answer") {
		t.Errorf("%v", err)
	}
	if _, err := fuzzed(t, p, Fuzz{Count: 1}, `{"options": {"crm_url": {}}, "user": "john"}`); err == nil || !strings.Contains(err.Error(), "case a: ") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := Fuzz{Subject: subject(t), Manager: fresh(p), Time: time.Minute}
	c, err := Parse("a.json", []byte(found))
	if err != nil {
		t.Fatal(err)
	}
	f.Cases = []*Case{c}
	if done, err := f.Run(ctx); err == nil && done.Calls > 0 {
		t.Errorf("%+v", done)
	}
}

// TestFuzzInterrupted: what was found until then is told.
func TestFuzzInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	p := &play{fetch: faults(func([]byte) bool {
		if calls++; calls == 400 {
			cancel()
		}
		return calls == 40
	})}
	c, err := Parse("a.json", []byte(found))
	if err != nil {
		t.Fatal(err)
	}
	done, err := Fuzz{Subject: subject(t), Manager: fresh(p), Time: time.Minute, Cases: []*Case{c}}.Run(ctx)
	if err != nil || len(done.Findings) != 1 || done.Calls == 0 || done.Took == 0 {
		t.Errorf("%v, %+v", err, done)
	}
}

// TestExpectNoFault: what such an expectation stands beside.
func TestExpectNoFault(t *testing.T) {
	for text, want := range map[string]string{
		`{"fault": false}`:                       "",
		`{"fault": true}`:                        `"error": "fault"`,
		`{"fault": false, "error": "temporary"}`: "stands alone",
	} {
		_, err := Parse("x.json", []byte(`{"user": "john", "expect": `+text+`}`))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
